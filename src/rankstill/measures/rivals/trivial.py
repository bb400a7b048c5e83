"""Two trivial predictors that a measure of negatives must beat: their mean rank, and their mean teacher score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import MissingScores, SpecError


def mean_rank(negatives: NDArray[np.integer[Any]], ranked: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Mean rank of each query's negatives in a ranking, such as BM25's: a trivial predictor, low is hard.

    A negative that the ranking does not hold counts as rank depth + 1, for short rankings too. All strategies must be
    given the same ranking, as deep as negatives are to be told apart.

    Args:
        negatives: (n, m) documents; -1 where a place holds no negative.
        ranked: (n, depth) documents of the ranking, best first; -1 after its end.

    Returns:
        (n,) from 1 to depth + 1; NaN for a query without a negative.

    Raises:
        SpecError: The shapes do not belong together.
    """
    if negatives.ndim != 2 or ranked.ndim != 2 or len(negatives) != len(ranked) or not ranked.shape[1]:
        raise SpecError(f"expected negatives (n, m) and a ranking (n, depth), got {negatives.shape}, {ranked.shape}")
    result = np.full(len(negatives), np.nan)
    for row, (docs, ranking) in enumerate(zip(negatives, ranked, strict=True)):
        docs, ranking = docs[docs >= 0], ranking[ranking >= 0]
        if len(docs):
            order = np.argsort(ranking, kind="stable")
            places = np.searchsorted(ranking, docs, sorter=order)
            found = np.append(order, 0)[places]
            held = (places < len(ranking)) & (np.append(ranking, -1)[found] == docs)
            result[row] = np.where(held, found + 1, ranked.shape[1] + 1).mean()
    return result


def mean_teacher_score(scores: NDArray[np.floating[Any]], negative: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean teacher score of each query's negatives: a trivial predictor, high is hard. Comparable within one teacher.

    Args:
        scores: (n, k) teacher scores.
        negative: (n, k) whether a document is a negative.

    Returns:
        (n,); NaN for a query without a negative.

    Raises:
        SpecError: The shapes differ.
        MissingScores: A negative has no finite score.
    """
    if scores.ndim != 2 or scores.shape != negative.shape:
        raise SpecError(f"expected scores and a mask (n, k), got {scores.shape} and {negative.shape}")
    bad = np.argwhere(negative & ~np.isfinite(scores))
    if len(bad):
        raise MissingScores(
            f"{len(bad)} negatives have no finite teacher score (first: document {bad[0][1]} of group {bad[0][0]})",
            hint="score the groups with the teacher first",
        )
    counts = negative.sum(axis=1)
    sums = np.where(negative, scores, 0).sum(axis=1, dtype=np.float64)
    means = np.full(len(scores), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
