"""Shift: how far the law that documents were drawn from is from the law that the student will rank (theory section 4).

Exact per query: the largest probability ratio kappa and the total variation, from known weights; the Wasserstein
distance W1 between two samples, in the space of embeddings, of scores, or under the cost that the bound needs. On
average W1 of samples is larger than W1 of the laws behind them [6.4], so it errs on the safe side, and two samples of
one and the same law are not at distance 0: say what two target samples give (`ShiftEstimate.null`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, SpecError
from rankstill.measures.checks import check_not_negative
from rankstill.measures.group_entropy import check_scores
from rankstill.measures.intervals import Interval, mean_interval
from rankstill.measures.row_blocks import row_blocks
from rankstill.measures.transport import transport_costs
from rankstill.measures.unit_groups import checked_vectors

Numbers = NDArray[np.floating[Any]]
Docs = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ShiftEstimate:
    """A distance between two laws, averaged over queries, next to what chance alone gives.

    Attributes:
        value: Mean over queries of the distance from the drawn documents to the target's.
        null: The same between two target samples; None where there is no second one. A value that is not above it says
            that no shift was seen, not how large it is.
        n: How many queries.
    """

    value: Interval
    null: Interval | None
    n: int


def shift_estimate(distances: Floats, null: Floats | None = None, *, seed: int, level: float = 0.95) -> ShiftEstimate:
    """Average per-query distances, with bootstrap intervals over queries.

    Args:
        distances: (n,) W1 (or another distance) between drawn and target documents.
        null: (m,) the same between two target samples as large as those above.
        seed: Of the bootstrap.
        level: Coverage of the intervals.

    Raises:
        DataError: There are no values, or some are not finite.
    """
    chance = None if null is None else mean_interval(null, seed=seed, level=level)
    return ShiftEstimate(mean_interval(distances, seed=seed, level=level), chance, len(distances))


def aligned(drawn: Docs, drawn_weights: Numbers, target: Docs, target_weights: Numbers) -> tuple[Floats, Floats]:
    """Put two distributions of one query on the same documents.

    Args:
        drawn: (a,) rows of the documents that the strategy can draw, each once.
        drawn_weights: (a,) how likely it draws each, up to a factor.
        target: (b,) rows of the documents of the target pool, each once.
        target_weights: (b,) likewise.

    Returns:
        Two distributions (c,) over the union, in rising order of rows, each with sum 1.

    Raises:
        DataError: A document comes twice, or weights are negative, not finite or all 0.
        SpecError: Documents and weights differ in number.
    """
    union = np.union1d(drawn, target)
    found = []
    for docs, weights in ((drawn, drawn_weights), (target, target_weights)):
        if docs.shape != weights.shape or docs.ndim != 1:
            raise SpecError(f"expected as many weights as documents, got {weights.shape} for {docs.shape}")
        if len(np.unique(docs)) < len(docs):
            raise DataError(f"a document comes twice in a distribution of {len(docs)} documents")
        law = np.zeros(len(union))
        law[np.searchsorted(union, docs)] = weights
        found.append(_laws(law))
    return found[0], found[1]


def kappa(drawn: Numbers, target: Numbers) -> Floats:
    """The largest ratio of target to sampled probability, exactly [4.3].

    Args:
        drawn: (..., m) how likely the strategy draws each document, up to a factor for each query.
        target: (..., m) the same for the target pool.

    Returns:
        (...) at least 1; infinite where the target holds a document that the strategy never draws. The bound takes the
        largest over queries, squared, since pairs are drawn.

    Raises:
        DataError: Weights are negative, not finite or all 0.
        SpecError: The shapes differ.
    """
    p, q = _both_laws(drawn, target)
    never = (p == 0) & (q > 0)
    ratios = np.divide(q, p, out=np.zeros_like(q), where=p > 0)
    # Two equal laws may differ in the last digit once normalised; the largest ratio cannot be below 1.
    return np.asarray(np.where(never.any(axis=-1), np.inf, np.maximum(ratios.max(axis=-1), 1.0)))


def total_variation(drawn: Numbers, target: Numbers) -> Floats:
    """Half the sum of absolute differences of probabilities, exactly: from 0 (equal) to 1 (nothing in common) [4.2].

    Args, errors: As in `kappa`.

    Returns:
        (...) one for each query.
    """
    p, q = _both_laws(drawn, target)
    return np.asarray(np.minimum(np.abs(p - q).sum(axis=-1) / 2, 1.0))


def w1_embeddings(first: Numbers, second: Numbers, *, unit: bool = True) -> Floats:
    """W1 between two samples of documents of each query, under the distance of their embeddings; exact.

    Args:
        first: (n, a, D) any float; computed in float64.
        second: (n, b, D).
        unit: Normalise the vectors: distances are then from 0 to 2.

    Returns:
        (n,) distances.

    Raises:
        DataError: A vector is not finite, or zero where it is to be normalised.
        SpecError: The shapes do not fit.
    """
    return _by_blocks((first, second), None, 1.0, unit)


def w1_cost(
    first: Numbers, second: Numbers, first_scores: Numbers, second_scores: Numbers, *, radius: float, unit: bool = True
) -> Floats:
    """W1 under c = L·d + |g - g'|, the cost of the bound [4.1], in units of score; exact.

    Args:
        first: (n, a, D) vectors, as in `w1_embeddings`.
        second: (n, b, D).
        first_scores: (n, a) teacher scores.
        second_scores: (n, b).
        radius: L, at least 0.
        unit: Normalise the vectors.
    """
    check_not_negative(radius=radius)
    scores = (_scores(first_scores), _scores(second_scores))
    return _by_blocks((first, second), scores, radius, unit)


def w1_two_scores(
    first_student: Numbers, second_student: Numbers, first_teacher: Numbers, second_teacher: Numbers
) -> Floats:
    """W1 under |f - f'| + |g - g'|, the cost of the bound after training [4.5]; exact.

    Args:
        first_student: (n, a) student scores of one sample.
        second_student: (n, b) of the other.
        first_teacher: (n, a) teacher scores.
        second_teacher: (n, b).
    """
    f, other_f, g, other_g = (_scores(s) for s in (first_student, second_student, first_teacher, second_teacher))
    if f.shape != g.shape or other_f.shape != other_g.shape or len(f) != len(other_f):
        raise SpecError(f"scores do not fit: {f.shape} and {g.shape} against {other_f.shape} and {other_g.shape}")
    costs = np.abs(f[:, :, None] - other_f[:, None, :]) + np.abs(g[:, :, None] - other_g[:, None, :])
    return transport_costs(costs)


def w1_scores(first: Numbers, second: Numbers) -> Floats:
    """W1 between two samples of scores of each query, of any two sizes, by sorting; exact [2.3].

    Args:
        first: (n, a) scores.
        second: (n, b).

    Returns:
        (n,) in units of score.
    """
    a, b = np.sort(_scores(first), axis=1), np.sort(_scores(second), axis=1)
    if len(a) != len(b):
        raise SpecError(f"{len(a)} queries on one side, {len(b)} on the other")
    # Both quantile functions are constant between neighbours of these quantiles, counted in units of 1/(a b).
    m, k = a.shape[1], b.shape[1]
    steps = np.union1d(np.arange(m + 1) * k, np.arange(k + 1) * m)
    starts, widths = steps[:-1], np.diff(steps)
    gaps = np.abs(a[:, starts // k] - b[:, starts // m])
    return np.asarray(gaps @ widths / (m * k))


def w1_ragged(first: Sequence[Numbers], second: Sequence[Numbers]) -> Floats:
    """W1 of scores (`w1_scores`) where every query has its own numbers of documents.

    Args:
        first: For each query, (a,) scores.
        second: For each query, (b,) scores.
    """
    if len(first) != len(second):
        raise SpecError(f"{len(first)} queries on one side, {len(second)} on the other")
    return np.array([w1_scores(a[None], b[None])[0] for a, b in zip(first, second, strict=True)])


def _by_blocks(
    vectors: tuple[Numbers, Numbers], scores: tuple[Floats, Floats] | None, radius: float, unit: bool
) -> Floats:
    first, second = vectors
    if first.ndim != 3 or second.ndim != 3 or len(first) != len(second) or first.shape[2] != second.shape[2]:
        raise SpecError(f"expected vectors (n, a, D) and (n, b, D), got {first.shape} and {second.shape}")
    if not first.size or not second.size:
        raise SpecError(f"expected at least one query and one document on each side, got {first.shape}, {second.shape}")
    if scores and (scores[0].shape != first.shape[:2] or scores[1].shape != second.shape[:2]):
        raise SpecError(f"scores {scores[0].shape}, {scores[1].shape} do not fit {first.shape}, {second.shape}")
    width = 8 * (first.shape[1] + second.shape[1]) * first.shape[2]
    result = np.empty(len(first))
    for rows in row_blocks(len(first), width):
        a, b = (checked_vectors(v[rows], rows.start, unit=unit, precision=np.float64) for v in vectors)
        costs = radius * _distances(a, b)
        if scores:
            costs += np.abs(scores[0][rows, :, None] - scores[1][rows, None, :])
        result[rows] = transport_costs(costs)
    return result


def _distances(first: Numbers, second: Numbers) -> Floats:
    """(n, a, b) Euclidean distances, around the centroid of the first sample, lest common parts cancel."""
    middle = first.mean(axis=1, keepdims=True)
    a, b = first - middle, second - middle
    lengths = np.einsum("nkd,nkd->nk", a, a)[:, :, None] + np.einsum("nkd,nkd->nk", b, b)[:, None, :]
    squared = lengths - 2 * (a @ b.transpose(0, 2, 1))
    # Documents in one place are at distance 0, not at the root of a rounding error.
    near = np.nonzero(squared <= 1e-6 * lengths)
    query, i, j = near
    squared[near] = ((first[query, i] - second[query, j]) ** 2).sum(axis=-1)
    return np.asarray(np.sqrt(squared))


def _scores(scores: Numbers) -> Floats:
    check_scores(scores, least=1)
    return scores.astype(np.float64)


def _both_laws(drawn: Numbers, target: Numbers) -> tuple[Floats, Floats]:
    if drawn.shape != target.shape or not drawn.ndim or not drawn.size:
        raise SpecError(f"expected two distributions over the same documents, got {drawn.shape} and {target.shape}")
    return _laws(drawn), _laws(target)


def _laws(weights: Numbers) -> Floats:
    law = np.asarray(weights, np.float64)
    totals = law.sum(axis=-1, keepdims=True)
    if not (np.isfinite(law).all() and (law >= 0).all() and (totals > 0).all()):
        raise DataError(
            "weights are negative, not finite, or all 0 for a query", hint="give what the strategy draws with"
        )
    return np.asarray(law / totals)
