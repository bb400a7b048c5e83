"""Running moments of what Theorem 3 needs, over any number of groups (theory section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rankstill.errors import DataError, SpecError
from rankstill.measures.bounds.group_terms import Head, LabelKind, Numbers, PerGroup, blocks, check_kind
from rankstill.measures.bounds.pair_loss import Floats


class GroupStatistics:
    """Running moments over groups, for one radius or several: a few numbers are kept, however many groups pass by.

    Args:
        radii: L, or several; each must be fixed before the groups are seen, or used with `union` in the bound.
        temperature: τ.
        labels: As in `per_group`.
        unit: Normalise the vectors, so that no distance exceeds 2.
        largest_distance: D_max, which must be given where vectors are not normalised.

    Attributes:
        groups: How many groups were added.
        size: k; 0 before the first.
    """

    def __init__(
        self,
        radii: float | Sequence[float],
        temperature: float,
        *,
        labels: LabelKind = "soft",
        unit: bool = True,
        largest_distance: float | None = None,
    ) -> None:
        if largest_distance is None and not unit:
            raise SpecError(
                "the largest distance must be given where vectors are not normalised",
                hint="one that holds for every pair there can be, not the largest one seen",
            )
        check_kind(labels)
        listed = [float(radius) for radius in np.atleast_1d(radii)]
        if not listed or len(set(listed)) < len(listed):
            raise SpecError(f"expected one radius or more, each once, got {listed}")
        self.heads = tuple(Head(r, temperature, 2.0 if largest_distance is None else largest_distance) for r in listed)
        self.labels: LabelKind = labels
        self._unit = unit
        self.groups, self.size = 0, 0
        self._means = np.zeros((len(listed), 6))
        self._squares = np.zeros((len(listed), 6))
        self._squared_diameter = 0.0

    def add(self, vectors: Numbers, scores: Numbers | None = None, *, pair_labels: Numbers | None = None) -> None:
        """Add groups, in blocks of any number.

        Args:
            vectors: (m, k, D).
            scores: (m, k), or None with `pair_labels`.
            pair_labels: (m, k(k-1)/2).

        Raises:
            DataError, SpecError: As in `per_group`; or the size of groups differs from before.
        """
        if self.size and vectors.ndim == 3 and vectors.shape[1] != self.size:
            raise SpecError(f"groups of {vectors.shape[1]} documents after groups of {self.size}")
        # All of them before any is merged: a refused call leaves no trace.
        for found in list(blocks(vectors, scores, self.heads, self.labels, pair_labels, self._unit)):
            self._merge(found)
        self.size = vectors.shape[1]

    def head(self, radius: float | None = None) -> Head:
        """Find the heads of a radius; of the only one if None."""
        if radius is None and len(self.heads) == 1:
            return self.heads[0]
        for head in self.heads:
            if head.radius == radius:
                return head
        known = ", ".join(f"{head.radius:.6g}" for head in self.heads)
        raise SpecError(f"no statistics for radius {radius}", hint=f"there are some for {known}")

    def moments(self, radius: float | None = None) -> tuple[Floats, Floats]:
        """Means and sample variances, (6,) each, of `PerGroup.columns` at a radius.

        Raises:
            DataError: There are fewer than two groups.
        """
        row = self.heads.index(self.head(radius))
        if self.groups < 2:
            raise DataError(f"{self.groups} groups say nothing of how groups vary", hint="add at least two groups")
        return self._means[row].copy(), self._squares[row] / (self.groups - 1)

    @property
    def entropy(self) -> float:
        """The mean over groups of the pairs' label entropy, nats; 0 for hard labels."""
        return float(self._means[0, 5])

    @property
    def squared_diameter(self) -> float:
        """The mean over groups of the mean squared distance."""
        return self._squared_diameter

    def _merge(self, found: tuple[PerGroup, ...]) -> None:
        """Merge a block's means and sums of squared deviations (Chan, Golub and LeVeque 1983)."""
        count = len(found[0].signed)
        total = self.groups + count
        for row, group in enumerate(found):
            values = group.columns()
            mean = values.mean(axis=0)
            gap = mean - self._means[row]
            self._means[row] += gap * (count / total)
            self._squares[row] += ((values - mean) ** 2).sum(axis=0) + gap**2 * (self.groups * count / total)
        gap_of_squares = float(found[0].squared_diameter.mean()) - self._squared_diameter
        self._squared_diameter += gap_of_squares * (count / total)
        self.groups = total
