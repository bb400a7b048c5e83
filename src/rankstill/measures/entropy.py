"""Teacher entropy: how undecided a teacher is about the documents of a group, in nats.

The teacher's scores g become probabilities at a temperature τ, as in the losses: pairwise s((g(x) - g(x'))/τ), with s
the logistic function, and listwise softmax(g/τ). Both ignore a shift of all scores. (Raw scores divided by their sum
are no distribution.) Entropy falls as τ falls, so across teachers compare at a τ fitted to the spread of each, never at
the raw scale (`default_temperature`); and listwise entropy among groups of one size, or normalised. Definitions:
theory.md, sections 1 and 6.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, SpecError
from rankstill.measures.intervals import Interval, hoeffding_interval

Scores = NDArray[np.floating[Any]]

_VALUES_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Entropy:
    """Mean entropies over groups, with distribution-free intervals.

    Attributes:
        temperature: τ, which the figures belong to.
        size: k, documents in a group.
        pairwise: Nats, from 0 (every pair decided) to log 2 (every pair a coin toss).
        listwise: Nats, from 0 (one document takes all) to log k (all alike).
    """

    temperature: float
    size: int
    pairwise: Interval
    listwise: Interval

    @property
    def pairwise_normalised(self) -> Interval:
        """Pairwise entropy in units of log 2: from 0 to 1."""
        return self.pairwise.scaled(1 / math.log(2))

    @property
    def listwise_normalised(self) -> Interval:
        """Listwise entropy in units of log k: from 0 to 1."""
        return self.listwise.scaled(1 / math.log(self.size))


def entropy(scores: Scores, temperature: float, *, level: float = 0.95) -> Entropy:
    """Measure pairwise and listwise teacher entropy of groups, with Hoeffding intervals (theory section 6).

    Args:
        scores: (n, k) teacher scores, one group per query.
        temperature: τ, above 0.
        level: Coverage of each interval.

    Raises:
        DataError: A score is not finite.
        SpecError: The shape or the temperature is wrong.
    """
    pairwise, listwise = pairwise_entropy(scores, temperature), listwise_entropy(scores, temperature)
    size = scores.shape[1]
    return Entropy(
        temperature,
        size,
        hoeffding_interval(pairwise, lowest=0.0, highest=math.log(2), level=level),
        hoeffding_interval(listwise, lowest=0.0, highest=math.log(size), level=level),
    )


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
        DataError: A score is not finite.
        SpecError: The shape or the temperature is wrong.
    """
    _check(scores, temperature)
    first, second = np.triu_indices(scores.shape[1], 1)
    result = np.empty(len(scores))
    for rows in _blocks(len(scores), len(first)):
        block = scores[rows].astype(np.float64) / temperature
        margins = np.abs(block[:, first] - block[:, second])
        odds = np.exp(-margins)
        result[rows] = (np.log1p(odds) + margins * odds / (1 + odds)).mean(axis=1)
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
        DataError: A score is not finite.
        SpecError: The shape or the temperature is wrong.
    """
    _check(scores, temperature)
    size = scores.shape[1]
    result = np.empty(len(scores))
    for rows in _blocks(len(scores), size):
        block = scores[rows].astype(np.float64) / temperature
        below = block.max(axis=1, keepdims=True) - block
        weights = np.exp(-below)
        total = weights.sum(axis=1)
        # log of the normaliser plus the mean distance below the top; both are at least 0.
        result[rows] = np.log(total) + (below * weights).sum(axis=1) / total
    top = math.log(size)
    result = np.minimum(result, top)
    return result / top if normalised else result


def default_temperature(scores: Scores, c: float = 0.5) -> float:
    """Choose τ = c · sd of the margins within groups, which makes teachers of any scale comparable (theory section 6).

    The margins are those of all pairs of a group, pooled over groups; their mean is 0, and their mean square is twice
    the mean sample variance within groups [1.4]. At c = 1/2 a pair that is typically far apart has p about s(2) = 0.88.

    Args:
        scores: (n, k) teacher scores.
        c: Temperature per standard deviation, above 0.

    Raises:
        DataError: A score is not finite, or the teacher gives all documents of every group the same score.
        SpecError: The shape is wrong, or `c` is not above 0.
    """
    _check(scores, c)
    variances = scores.astype(np.float64).var(axis=1, ddof=1)
    spread = math.sqrt(2 * float(variances.mean()))
    # Scores are float32: what differs only in the last digits is rounding, not a preference.
    if spread <= 4 * np.finfo(np.float32).eps * float(np.abs(scores).max()):
        raise DataError(
            f"the teacher gives a constant score to the documents of all {len(scores)} groups (first: {scores[0, 0]})",
            hint="check that the teacher is trained for ranking and is given the right texts",
        )
    return c * spread


def _check(scores: Scores, temperature: float) -> None:
    if scores.ndim != 2 or scores.shape[0] < 1 or scores.shape[1] < 2:
        raise SpecError(f"expected scores of shape (groups, documents) with two documents or more, got {scores.shape}")
    if not 0 < temperature < math.inf:
        raise SpecError(f"the temperature is {temperature}; it must be above 0 and finite")
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        raise DataError(f"{len(bad)} of {len(scores)} groups hold a score that is not finite (first: row {bad[0]})")


def _blocks(rows: int, width: int) -> Iterator[slice]:
    step = max(1, _VALUES_AT_ONCE // width)
    for start in range(0, rows, step):
        yield slice(start, start + step)
