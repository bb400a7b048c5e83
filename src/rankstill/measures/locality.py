"""Locality: how far apart the documents of a group lie in an embedding space.

Distances are Euclidean between unit-normalised vectors, d² = 2 · cosine distance, from 0 to 2. (Cosine distance itself
breaks the triangle inequality; d does not.) Four diameters, docs/theory.md sections 1 and 6:

- rms diameter, D_rms² = E d² over the pairs of a group: unbiased for every group size, what the bounds use [6.1];
- robust diameter Q_ε, the (1-ε)-quantile of d pooled over queries and pairs, with an upper confidence bound [6.3];
- the largest distance seen, which only ever underestimates the essential diameter;
- the reference's: a quantile over queries of per-query quantiles, which tends to nothing that a bound uses [6.3].

Each comes from one pass over the groups: `locality` reads them from embeddings, `LocalityStream` takes them as they
come, and both end with the same bits. Who wants each group's own diameter too asks `LocalityStream.of` for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import SpecError
from rankstill.measures.checks import check_between
from rankstill.measures.column import Column
from rankstill.measures.intervals import Interval, mean_interval
from rankstill.measures.unit_groups import (
    FARTHEST,
    Docs,
    Floats,
    centre,
    check_groups,
    pair_distances,
    unit_blocks,
    unit_groups,
)

REFERENCE_QUANTILE = 0.99
_BINS = 1 << 16


@dataclass(frozen=True, slots=True)
class RobustDiameter:
    """The distance that all but a share of the pairs stay within.

    Attributes:
        share: ε, the share of pairs that may be farther apart.
        value: Q_ε, inf{t: P(d <= t) >= 1-ε} in the sample; rounded up by at most 2/65536.
        upper: Its upper confidence bound; 2, the largest distance there is, where there are too few groups to say more.
        level: The confidence of `upper`.
        maximum: The largest distance seen.
    """

    share: float
    value: float
    upper: float
    level: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Locality:
    """Diameters of groups: small = hard to tell apart, 1.41 = unrelated directions.

    Attributes:
        size: k, documents in a group.
        rms: The rms diameter, root of the mean over groups of the mean squared distance, with its bootstrap interval;
            for one group, which says nothing of the spread, without.
        robust: The pooled quantile.
        reference: The diameter as the reference computes it, of `reference_diameter`.
    """

    size: int
    rms: Interval
    robust: RobustDiameter
    reference: float


class LocalityStream:
    """The diameters of groups that come block by block; the result is that of `locality`, bit for bit.

    Two numbers are kept of each group, and counts of distances in 65,536 bins.

    Args:
        size: k, documents in a group.
        share: ε of the robust diameter.
        level: Coverage of the interval, and confidence of the robust diameter's bound.

    Raises:
        SpecError: `size` is below 2, or `share` or `level` is not between 0 and 1.
    """

    def __init__(self, size: int, *, share: float = 0.05, level: float = 0.95) -> None:
        check_between(0, 1, share=share, level=level)
        if size < 2:
            raise SpecError(f"a group of {size} has no pairs of documents", hint="take groups of two or more")
        self.size, self.share, self.level = size, share, level
        self._squared, self._quantiles = Column(), Column()
        self._counts = np.zeros(_BINS, np.int64)
        self._maximum = 0.0

    @classmethod
    def of(cls, embeddings: Floats, docs: Docs, *, share: float = 0.05, level: float = 0.95) -> LocalityStream:
        """Take in all groups of a table of embeddings, in one pass; arguments and errors as in `locality`."""
        check_groups(embeddings, docs)
        stream = cls(int(docs.shape[1]), share=share, level=level)
        for _, unit in unit_groups(embeddings, docs):
            stream._take(unit)
        return stream

    def add(self, vectors: Floats) -> None:
        """Take in groups; none of them where one is refused.

        Args:
            vectors: (m, k, D) any float, normalised here. float64 is computed in float64, all else in float32.

        Raises:
            DataError: A vector is zero or not finite.
            SpecError: The shape is wrong.
        """
        if vectors.ndim != 3 or vectors.shape[1] != self.size:
            raise SpecError(f"expected vectors of shape (groups, {self.size}, dimensions), got {vectors.shape}")
        part = LocalityStream(self.size, share=self.share, level=self.level)
        for unit in unit_blocks(vectors):
            part._take(unit)
        self._squared.extend(part._squared)
        self._quantiles.extend(part._quantiles)
        self._counts += part._counts
        self._maximum = max(self._maximum, part._maximum)

    def result(self, seed: int) -> Locality:
        """Sum up.

        Args:
            seed: For the bootstrap over groups.

        Raises:
            SpecError: No group was added.
        """
        robust = self.robust()
        squared = mean_interval(self.squared_diameters(), seed=seed, level=self.level)
        # The root of the bounds bounds the root; a bound below 0 can only come from the normal approximation.
        low, high = (None if b is None else math.sqrt(max(b, 0.0)) for b in (squared.low, squared.high))
        rms = Interval(math.sqrt(squared.mean), low, high, squared.n)
        return Locality(self.size, rms, robust, self.reference())

    def squared_diameters(self) -> NDArray[np.float64]:
        """Return each group's mean squared distance, (n,), in the order in which they came."""
        return self._squared.values()

    def robust(self) -> RobustDiameter:
        """Find the pooled quantile of the distances so far.

        Raises:
            SpecError: No group was added.
        """
        self._check_any()
        cumulated = np.cumsum(self._counts) / self._counts.sum()
        slack = math.sqrt(math.log(1 / (1 - self.level)) / (2 * len(self._squared)))

        def quantile(at: float) -> float:
            # A hair less than `at`, lest rounding in the sum push the quantile one pair too far.
            bin_ = int(np.searchsorted(cumulated, at - 1e-12))
            return min((bin_ + 1) * FARTHEST / _BINS, self._maximum)

        upper = quantile(1 - self.share + slack) if slack < self.share else FARTHEST
        return RobustDiameter(self.share, quantile(1 - self.share), upper, self.level, self._maximum)

    def reference(self) -> float:
        """Find the reference's diameter of the groups so far.

        Raises:
            SpecError: No group was added.
        """
        self._check_any()
        return float(np.quantile(self._quantiles.values(), REFERENCE_QUANTILE))

    def _check_any(self) -> None:
        if not len(self._squared):
            raise SpecError("no group was added, so there is nothing to measure", hint="add groups before the result")

    def _take(self, unit: Floats) -> None:
        """Take in unit vectors, which are overwritten."""
        distances = pair_distances(unit)
        self._squared.add(_mean_square(np.vecdot(unit, unit)))
        self._quantiles.add(_quantile(distances, REFERENCE_QUANTILE))
        self._maximum = max(self._maximum, float(distances.max()))
        bins = np.minimum((distances * (_BINS / FARTHEST)).astype(np.int64), _BINS - 1)
        self._counts += np.bincount(bins.ravel(), minlength=_BINS)


def locality(embeddings: Floats, docs: Docs, *, seed: int, share: float = 0.05, level: float = 0.95) -> Locality:
    """Measure the locality of groups.

    Args:
        embeddings: (N, D) any float; normalised here. float64 is computed in float64, all else in float32.
        docs: (n, k) rows of `embeddings`, one group per query.
        seed: For the bootstrap over groups.
        share: ε of the robust diameter.
        level: Coverage of the interval, and confidence of the robust diameter's bound.

    Raises:
        DataError: A vector that a group names is zero or not finite, or a row does not exist.
        SpecError: A shape is wrong, groups have one document, or `share` or `level` is not between 0 and 1.
    """
    return LocalityStream.of(embeddings, docs, share=share, level=level).result(seed)


def squared_diameters(embeddings: Floats, docs: Docs) -> NDArray[np.float64]:
    """Mean squared distance between the documents of each group, by the centroid: O(kD) a group, not O(k²D).

    mean_p d² = (2/(k-1)) Σ|φ_i - φ̄|²  [6.1], which for unit vectors is (2k/(k-1))(1 - |φ̄|²); the first form is
    computed, since the second cancels where documents nearly coincide.

    Args:
        embeddings: (N, D) any float; normalised here. float64 is computed in float64, all else in float32.
        docs: (n, k) rows of `embeddings`.

    Returns:
        (n,) from 0 (all alike) to 2k/(k-1) (centroid at the origin).

    Raises:
        DataError, SpecError: As in `locality`.
    """
    check_groups(embeddings, docs)
    result = np.empty(len(docs))
    for rows, unit in unit_groups(embeddings, docs):
        result[rows] = _mean_square(centre(unit))
    return result


def robust_diameter(embeddings: Floats, docs: Docs, *, share: float = 0.05, level: float = 0.95) -> RobustDiameter:
    """Find the pooled quantile of distances, and the largest distance.

    The upper bound is the quantile at 1 - ε + sqrt(log(1/δ)/2n), δ = 1 - level: by Hoeffding it is below Q_ε with
    probability at most δ, whatever the dependence within groups [6.3]. Distances are counted in 65,536 bins, so memory
    does not grow with the number of pairs. The bound says something from n > log(1/δ)/2ε² groups on: 600 at ε = 0.05,
    15,000 at ε = 0.01.

    Args:
        embeddings: (N, D) any float; normalised here.
        docs: (n, k) rows of `embeddings`, one group per query.
        share: ε, the share of pairs left out, between 0 and 1.
        level: The confidence of the bound.

    Raises:
        DataError, SpecError: As in `locality`.
    """
    return LocalityStream.of(embeddings, docs, share=share, level=level).robust()


def reference_diameter(embeddings: Floats, docs: Docs) -> float:
    """Compute the diameter as the reference does: the 0.99-quantile over queries of per-query 0.99-quantiles.

    Of k = 16 documents the 0.99-quantile of the 120 distances is the second or third largest of strongly dependent
    numbers, whose bias does not vanish as queries are added [6.3]: for comparison only. (The reference's published
    script normalises over the documents of a group in place of the dimensions; here each vector has length 1.)

    Args:
        embeddings: (N, D) any float; normalised here.
        docs: (n, k) rows of `embeddings`, one group per query.

    Returns:
        A distance from 0 to 2. Quantiles are interpolated linearly, as numpy and torch do by default.

    Raises:
        DataError, SpecError: As in `locality`.
    """
    return LocalityStream.of(embeddings, docs).reference()


def _mean_square(squared: Floats) -> NDArray[np.float64]:
    """From the squared lengths of centred vectors, (m, k), the mean squared distance within each group [6.1]."""
    found: NDArray[np.float64] = squared.sum(axis=1, dtype=np.float64) * (2 / (squared.shape[1] - 1))
    return found


def _quantile(values: Floats, at: float) -> NDArray[np.float64]:
    """Take a quantile of each row, as np.quantile does, in a fraction of its time."""
    values = np.sort(values, axis=1).astype(np.float64)
    place = at * (values.shape[1] - 1)
    low, high = math.floor(place), math.ceil(place)
    found: NDArray[np.float64] = values[:, low] + (values[:, high] - values[:, low]) * (place - low)
    return found
