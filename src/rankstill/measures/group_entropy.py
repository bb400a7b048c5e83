"""The entropy of one group's teacher scores, pair by pair and as a list; and what scores must be for that."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, MissingScores, SpecError
from rankstill.measures.checks import check_positive
from rankstill.measures.row_blocks import row_blocks

Scores = NDArray[np.floating[Any]]


def pairwise_entropy(scores: Scores, temperature: float = 1.0, *, normalised: bool = False) -> NDArray[np.float64]:
    """Mean over a group's pairs of h(s((g(x) - g(x'))/τ)): 0 = every pair decided, log 2 = every pair a coin toss.

    With v the margin over τ, computed as log(1 + e^-|v|) + |v| e^-|v| / (1 + e^-|v|): no cancellation at any margin.

    Args:
        scores: (n, k) teacher scores.
        temperature: τ, above 0.
        normalised: Divide by log 2, to lie in [0, 1].

    Returns:
        (n,) nats.

    Raises:
        DataError: A score is not finite; MissingScores where it is NaN.
        SpecError: The shape or the temperature is wrong.
    """
    check_scores(scores)
    check_positive(temperature=temperature)
    first, second = np.triu_indices(scores.shape[1], 1)
    result = np.empty(len(scores))
    for rows in row_blocks(len(scores), 8 * len(first)):
        block = scores[rows].astype(np.float64) / temperature
        # By `take`, which leaves the pairs of a group side by side: the order of a sum must not depend on the block.
        margins = np.take(block, first, axis=1) - np.take(block, second, axis=1)
        result[rows] = margin_entropy(margins).mean(axis=1)
    top = math.log(2)
    result = np.minimum(result, top)  # the mean of values at log 2 may round above it
    return result / top if normalised else result


def listwise_entropy(scores: Scores, temperature: float = 1.0, *, normalised: bool = False) -> NDArray[np.float64]:
    """Entropy of softmax(g/τ) over a group: 0 = one document takes all, log k = all alike.

    Args:
        scores: (n, k) teacher scores.
        temperature: τ, above 0.
        normalised: Divide by log k, to lie in [0, 1].

    Returns:
        (n,) nats.

    Raises:
        DataError: A score is not finite; MissingScores where it is NaN.
        SpecError: The shape or the temperature is wrong.
    """
    check_scores(scores)
    check_positive(temperature=temperature)
    size = scores.shape[1]
    result = np.empty(len(scores))
    for rows in row_blocks(len(scores), 8 * size):
        block = scores[rows].astype(np.float64) / temperature
        below = block.max(axis=1, keepdims=True) - block
        weights = np.exp(-below)
        total = weights.sum(axis=1)
        # log of the normaliser plus the mean distance below the top; both are at least 0.
        result[rows] = np.log(total) + (below * weights).sum(axis=1) / total
    top = math.log(size)
    result = np.minimum(result, top)
    return result / top if normalised else result


def margin_entropy(margins: Scores) -> NDArray[np.float64]:
    """h(s(v)) of margins over the temperature, of any shape; without cancellation where p is all but 0 or 1."""
    margins = np.abs(np.asarray(margins, np.float64))
    odds = np.exp(-margins)
    found: NDArray[np.float64] = np.log1p(odds) + margins * odds / (1 + odds)
    return found


def spread_of_margins(scores: Scores) -> float:
    """Root mean square of the margins of all pairs within groups: by [1.4], twice the variance within, rooted.

    Raises:
        DataError: The teacher gives all documents of every group the same score.
    """
    variances = scores.astype(np.float64).var(axis=1, ddof=1)
    spread = math.sqrt(2 * float(variances.mean()))
    # Scores are float32: what differs only in the last digits is rounding, not a preference.
    if spread <= 4 * np.finfo(np.float32).eps * float(np.abs(scores).max()):
        raise DataError(
            f"the teacher gives a constant score to the documents of all {len(scores)} groups (first: {scores[0, 0]})",
            hint="check that the teacher is trained for ranking and is given the right texts",
        )
    return spread


def check_scores(scores: Scores, what: str = "score", *, least: int = 2) -> None:
    """Refuse scores that are not (n, k), n >= 1 and k >= `least` (1 or 2), or not all there.

    Raises:
        DataError: A score is not finite; MissingScores where one is NaN, which is what a missing score is read as.
        SpecError: The shape is wrong.
    """
    if scores.ndim != 2 or scores.shape[0] < 1 or scores.shape[1] < least:
        number = {1: "one document", 2: "two documents"}[least]
        raise SpecError(f"expected {what}s of shape (groups, documents), {number} or more, got {scores.shape}")
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        error, hint = DataError, ""
        if np.isnan(scores[bad]).any():
            error, hint = MissingScores, "score these pairs first; a missing score is not 0"
        raise error(
            f"{len(bad)} of {len(scores)} groups hold a {what} that is not finite (first: row {bad[0]})", hint=hint
        )
