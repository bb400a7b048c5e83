"""What Theorem 3 needs of each group: seven numbers, from its vectors and labels (theory section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, SpecError
from rankstill.measures.bounds.pair_loss import (
    Floats,
    even_part,
    label_entropy,
    largest_loss,
    log_one_plus_exp,
)
from rankstill.measures.checks import check_positive
from rankstill.measures.group_entropy import check_scores, margin_entropy
from rankstill.measures.row_blocks import row_blocks
from rankstill.measures.unit_groups import checked_vectors

Numbers = NDArray[np.floating[Any]]
LabelKind = Literal["soft", "hard"]


@dataclass(frozen=True, slots=True)
class Head:
    """The linear heads that a bound holds for: f(q, x) = <w, φ(q, x)> with |w| at most a radius.

    Attributes:
        radius: L, in score per distance.
        temperature: τ.
        largest_distance: D_max, which no pair exceeds, known beforehand: 2 for vectors of length 1.
    """

    radius: float
    temperature: float
    largest_distance: float = 2.0

    def __post_init__(self) -> None:
        check_positive(**asdict(self))

    @property
    def slope(self) -> float:
        """L/τ: margin per distance."""
        return self.radius / self.temperature

    @property
    def margin(self) -> float:
        """B = L·D_max/τ: no pair's margin exceeds it."""
        return self.slope * self.largest_distance


@dataclass(frozen=True, slots=True)
class PerGroup:
    """What Theorem 3 averages over groups, each (m,).

    Attributes:
        signed: |s(G)|², s = mean_p (p - 1/2) z.
        saturating: mean_p tanh²(L d/2τ) d².
        fourth: mean_p d⁴.
        excess: m(G), the mean over pairs of the largest excess risk that a head can have there.
        swing: D(G), the most by which a head can change the group's loss from log 2.
        entropy: mean_p h(p); 0 for hard labels, whose risk counts as excess as a whole.
        squared_diameter: mean_p d², which no term needs but every reader asks for.
    """

    signed: Floats
    saturating: Floats
    fourth: Floats
    excess: Floats
    swing: Floats
    entropy: Floats
    squared_diameter: Floats

    def columns(self) -> Floats:
        """(m, 6): what the bound takes means and variances of, in the order of `ranges`."""
        found = (self.signed, self.saturating, self.fourth, self.excess**2, self.swing**2, self.entropy)
        return np.stack(found, axis=1)


def ranges(head: Head) -> Floats:
    """(6,) the largest that each column of `PerGroup.columns` can be, known without data [3.2e]."""
    d, b = head.largest_distance, head.margin
    swing = b / 2 + float(even_part(np.array(b)))
    return np.array(
        [
            d**2 / 4,
            d**2 * np.tanh(b / 2) ** 2,
            d**4,
            log_one_plus_exp(b) ** 2,
            swing**2,
            np.log(2),
        ]
    )


def per_group(
    vectors: Numbers,
    scores: Numbers | None,
    head: Head,
    *,
    labels: LabelKind = "soft",
    pair_labels: Numbers | None = None,
    unit: bool = True,
) -> PerGroup:
    """Compute what Theorem 3 needs of each group.

    Args:
        vectors: (m, k, D) φ of the documents of m groups; float64 is computed in float64, all else in float32. For a
            bi-encoder with normalised query vectors and a bilinear head, the document vectors give the same.
        scores: (m, k) teacher scores, from which labels are made; None if `pair_labels` are given.
        head: L, τ and D_max.
        labels: "soft": p = s((g(x) - g(x'))/τ), and the excess over their entropy is bounded; "hard": 1 where g(x) is
            larger, 1/2 at ties, and the whole risk is bounded.
        pair_labels: (m, k(k-1)/2) labels in [0, 1] for pairs (i, j), i < j, in the order of np.triu_indices: drawn
            or human ones. With `labels` "hard" the whole risk is bounded.
        unit: Normalise the vectors.

    Raises:
        DataError: Something is not finite, a vector is zero where lengths are made 1, or a distance exceeds D_max.
        SpecError: A shape is wrong, or scores and labels are both given or both missing.
    """
    pieces = [found[0] for found in blocks(vectors, scores, (head,), labels, pair_labels, unit)]
    return PerGroup(*(np.concatenate([getattr(p, f.name) for p in pieces]) for f in fields(PerGroup)))


def blocks(
    vectors: Numbers,
    scores: Numbers | None,
    heads: tuple[Head, ...],
    labels: LabelKind,
    pair_labels: Numbers | None,
    unit: bool,
) -> Iterator[tuple[PerGroup, ...]]:
    """Yield what `per_group` returns for each of some heads, which share τ and D_max, a few megabytes at a time."""
    _check(vectors, scores, labels, pair_labels)
    groups, size, dimension = vectors.shape
    for rows in row_blocks(groups, 4 * size * max(size, dimension)):
        yield _block(
            checked_vectors(vectors[rows], rows.start, unit=unit),
            None if scores is None else scores[rows],
            heads,
            labels,
            None if pair_labels is None else pair_labels[rows],
        )


def _block(
    vectors: Numbers,
    scores: Numbers | None,
    heads: tuple[Head, ...],
    labels: LabelKind,
    pair_labels: Numbers | None,
) -> tuple[PerGroup, ...]:
    size = vectors.shape[1]
    first, second = np.triu_indices(size, 1)
    # Around their centroid the vectors' products hold no large common part that would be lost in the differences.
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    products = (centred @ centred.transpose(0, 2, 1)).astype(np.float64)
    lengths = np.einsum("nkk->nk", products)
    squared = np.maximum(lengths[:, first] + lengths[:, second] - 2 * products[:, first, second], 0)
    if squared.size:
        _check_distances(squared, heads[0].largest_distance)
    lean, sureness, entropy = _labels(scores, heads[0].temperature, labels, pair_labels, first, second)
    # mean_p (p - 1/2)(φ_i - φ_j) is one weighted sum of the documents: k terms, not k².
    weights = np.zeros(lengths.shape)
    for document in range(size):
        weights[:, document] = lean[:, first == document].sum(axis=1) - lean[:, second == document].sum(axis=1)
    weights /= len(first)
    signed = np.maximum(np.einsum("ni,nij,nj->n", weights, products, weights, optimize=True), 0)
    return tuple(_at(head, squared, signed, sureness, entropy) for head in heads)


def _at(head: Head, squared: Floats, signed: Floats, sureness: Floats, entropy: Floats) -> PerGroup:
    reach = head.slope * np.sqrt(squared)
    return PerGroup(
        signed,
        (np.tanh(reach / 2) ** 2 * squared).mean(axis=1),
        (squared**2).mean(axis=1),
        np.maximum(largest_loss(reach, sureness) - entropy, 0).mean(axis=1),
        head.slope * np.sqrt(signed) + even_part(reach).mean(axis=1),
        entropy.mean(axis=1),
        squared.mean(axis=1),
    )


def _labels(
    scores: Numbers | None,
    temperature: float,
    kind: LabelKind,
    pair_labels: Numbers | None,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
) -> tuple[Floats, Floats, Floats]:
    """Return p - 1/2, max(p, 1-p) and h(p), each (m, P); h = 0 for hard labels."""
    if scores is not None:
        block = scores.astype(np.float64) / temperature
        margins = block[:, first] - block[:, second]
        lean = np.tanh(margins / 2) / 2 if kind == "soft" else np.sign(margins) / 2
        entropy = margin_entropy(margins)
    else:
        assert pair_labels is not None
        lean = pair_labels.astype(np.float64) - 0.5
        entropy = label_entropy(pair_labels)
    return lean, 0.5 + np.abs(lean), entropy if kind == "soft" else np.zeros_like(entropy)


def _check_distances(squared: Floats, largest: float) -> None:
    seen = float(np.sqrt(squared.max()))
    if seen > largest * (1 + 1e-6):
        raise DataError(
            f"two documents of a group are {seen:.6g} apart, more than the largest distance stated, {largest:.6g}",
            hint="state one that holds for every pair there can be",
        )


def check_kind(labels: LabelKind) -> None:
    """Refuse labels that are neither soft nor hard."""
    if labels not in ("soft", "hard"):
        raise SpecError(f"labels are {labels!r}; they must be 'soft' or 'hard'")


def _check(vectors: Numbers, scores: Numbers | None, labels: LabelKind, pair_labels: Numbers | None) -> None:
    check_kind(labels)
    if vectors.ndim != 3 or not len(vectors) or vectors.shape[1] < 2 or not vectors.shape[2]:
        raise SpecError(
            f"expected vectors (groups, documents, dimensions) with two documents or more, got {vectors.shape}"
        )
    groups, size = vectors.shape[:2]
    if (scores is None) == (pair_labels is None):
        raise SpecError("give either the teacher's scores or the labels of pairs")
    given, shape = (scores, (groups, size)) if scores is not None else (pair_labels, (groups, size * (size - 1) // 2))
    assert given is not None
    if given.shape != shape:
        raise SpecError(f"expected {'scores' if scores is not None else 'labels'} of shape {shape}, got {given.shape}")
    if pair_labels is None:
        check_scores(given)
    elif not (inside := ((given >= 0) & (given <= 1)).all(axis=1)).all():
        rows = np.flatnonzero(~inside)
        raise DataError(f"{len(rows)} of {groups} groups have labels outside [0, 1] (first: group {rows[0]})")
