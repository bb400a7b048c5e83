"""Teacher entropy: how undecided a teacher is about the documents of a group, in nats.

The teacher's scores g become probabilities at a temperature τ, as in the losses: pairwise s((g(x) - g(x'))/τ), with s
the logistic function, and listwise softmax(g/τ). Both ignore a shift of all scores. (Raw scores divided by their sum
are no distribution.) Entropy falls as τ falls, so across teachers compare at a τ fitted to the spread of each or to
labels, never at the raw scale (`temperature`); and listwise entropy among groups of one size, or normalised.
Definitions: docs/theory.md, sections 1 and 6.

Mining is not free to choose: a strategy that shrinks the diameter of groups raises their entropy [2.2], and the
difference between two strategies is bounded by how far apart their scores lie [2.3].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import SpecError
from rankstill.measures.bounds.bound import Bound
from rankstill.measures.checks import check_positive
from rankstill.measures.column import Column
from rankstill.measures.group_entropy import (
    Scores,
    check_scores,
    listwise_entropy,
    pairwise_entropy,
)
from rankstill.measures.intervals import Interval, hoeffding_interval
from rankstill.measures.shift import w1_scores
from rankstill.measures.temperature import Calibration, calibrated_temperature, default_temperature, temperature_for

__all__ = [
    "Calibration",
    "Entropy",
    "EntropyStream",
    "Scores",
    "calibrated_temperature",
    "default_temperature",
    "entropy",
    "entropy_gap_bound",
    "listwise_entropy",
    "pairwise_entropy",
    "temperature_for",
]

STEEPEST = 0.2238716024
"""c_h, the largest |v| s'(v): a pair's entropy never changes faster with its margin; at v = 1.5434, rounded up."""


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


class EntropyStream:
    """The entropies of groups that come block by block; the result is that of `entropy`, bit for bit.

    Two numbers are kept of each group.

    Args:
        size: k, documents in a group.
        temperature: τ, above 0.

    Raises:
        SpecError: `size` is below 2, or the temperature is not above 0.
    """

    def __init__(self, size: int, temperature: float) -> None:
        if size < 2:
            raise SpecError(f"a group of {size} has no pairs of documents", hint="take groups of two or more")
        check_positive(temperature=temperature)
        self.size, self.temperature = size, temperature
        self._pairwise, self._listwise = Column(), Column()

    def add(self, scores: Scores) -> None:
        """Take in the scores of groups, (m, k); none of them where one is refused.

        Raises:
            DataError: A score is not finite; MissingScores where it is NaN.
            SpecError: The shape is wrong.
        """
        if scores.ndim != 2 or scores.shape[1] != self.size:
            raise SpecError(f"expected scores of shape (groups, {self.size}), got {scores.shape}")
        if len(scores):
            pairwise, listwise = (of(scores, self.temperature) for of in (pairwise_entropy, listwise_entropy))
            self._pairwise.add(pairwise)
            self._listwise.add(listwise)

    def pairwise(self) -> NDArray[np.float64]:
        """Return each group's pairwise entropy, (n,) nats, in the order in which they came."""
        return self._pairwise.values()

    def listwise(self) -> NDArray[np.float64]:
        """Return each group's listwise entropy, (n,) nats, in the order in which they came."""
        return self._listwise.values()

    def result(self, *, level: float = 0.95) -> Entropy:
        """Sum up, with Hoeffding intervals of this coverage.

        Raises:
            SpecError: No group was added, or the level is not between 0 and 1.
        """
        if not len(self._pairwise):
            raise SpecError("no group was added, so there is nothing to measure", hint="add groups before the result")
        return Entropy(
            self.temperature,
            self.size,
            hoeffding_interval(self.pairwise(), lowest=0.0, highest=math.log(2), level=level),
            hoeffding_interval(self.listwise(), lowest=0.0, highest=math.log(self.size), level=level),
        )


def entropy(scores: Scores, temperature: float, *, level: float = 0.95) -> Entropy:
    """Measure pairwise and listwise teacher entropy of groups, with Hoeffding intervals (theory section 6).

    Args:
        scores: (n, k) teacher scores, one group per query.
        temperature: τ, above 0.
        level: Coverage of each interval.

    Raises:
        DataError: A score is not finite; MissingScores where it is NaN.
        SpecError: The shape or the temperature is wrong.
    """
    check_scores(scores)
    stream = EntropyStream(scores.shape[1], temperature)
    stream.add(scores)
    return stream.result(level=level)


def entropy_gap_bound(scores_a: Scores, scores_b: Scores, temperature: float) -> Bound:
    """Bound how much the pairwise teacher entropies of two strategies differ (theory [2.3]).

    |H_a - H_b| <= 2 c_h E_q W1(g#a, g#b) / τ, c_h = 0.2239, with W1 the one-dimensional transport distance between the
    teacher's scores of what each strategy draws for a query. From samples W1 comes out too large on average [6.4], so
    the bound errs on the safe side. It holds for pairs drawn independently by each strategy.

    Args:
        scores_a: (n, a) teacher scores of documents that one strategy draws, a row per query.
        scores_b: (n, b) of the other, for the same queries.
        temperature: τ, above 0, the same for both.

    Returns:
        The bound, in nats; vacuous from log 2 on, as no two entropies can differ by more.

    Raises:
        DataError: A score is not finite; MissingScores where it is NaN.
        SpecError: The shapes or the temperature are wrong, or the two sides differ in their queries.
    """
    for scores in (scores_a, scores_b):
        check_scores(scores)
    check_positive(temperature=temperature)
    if len(scores_a) != len(scores_b):
        raise SpecError(
            f"one side has scores for {len(scores_a)} queries and the other for {len(scores_b)}",
            hint="compare strategies on the same queries, in the same order",
        )
    return Bound(
        name="difference between the teacher entropies of two strategies",
        source="theory [2.3]",
        terms={"distance of scores": 2 * STEEPEST * float(w1_scores(scores_a, scores_b).mean()) / temperature},
        assumptions=(
            "each strategy draws the documents of a pair independently",
            "teacher and temperature are the same for both",
        ),
        trivial=math.log(2),
    )
