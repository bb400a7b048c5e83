"""What labels cost: one-hot labels with false negatives, hard labels against soft ones, judgements against a teacher.

Source: docs/theory.md, section 5. How many negatives are suspected to be false is measured in `false_negatives`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from rankstill.errors import DataError, SpecError
from rankstill.measures.checks import check_positive, check_share
from rankstill.measures.column import Column
from rankstill.measures.group_entropy import Scores, check_scores
from rankstill.measures.intervals import Interval, mean_interval
from rankstill.measures.labelled_pairs import Labels, check_labels, labelled_pairs
from rankstill.measures.row_blocks import row_blocks


def one_hot_misplaced(size: int, rate: float) -> float:
    """Share of the probability that a one-hot label puts in the wrong place, in expectation (theory 5.4).

    With m ~ Bin(k-1, ρ) false negatives, each as good as the positive, m/(m+1) is misplaced:
    E m/(m+1) = 1 - (1 - (1-ρ)^k) / (kρ). 16 documents and ρ = 0.3: 79%.

    Args:
        size: k, documents in a group, one of them the labelled positive.
        rate: ρ, such as `false_negative_rate` estimates.

    Raises:
        SpecError: The size is below 2, or the rate is not from 0 to 1.
    """
    if size < 2:
        raise SpecError(f"a group of {size} has no negatives", hint="take groups of two or more")
    check_share(rate=rate)
    if rate == 0:
        return 0.0
    # 1 - (1-ρ)^k without cancellation at small ρ.
    found = -math.expm1(size * math.log1p(-rate)) if rate < 1 else 1.0
    return max(0.0, 1 - found / (size * rate))


@dataclass(frozen=True, slots=True)
class LabelVariance:
    """The variance of the pair loss under soft labels and under labels drawn from them; the mean is the same [5.1].

    Attributes:
        soft: Var ψ_p(u), the label being the teacher's probability.
        hard: Var ψ_Y(u), Y = 1 with that probability.
        noise: E p(1-p)u², by which the second exceeds the first, exactly.
    """

    soft: float
    hard: float
    noise: float


class LabelVarianceStream:
    """The variances of groups that come block by block; four numbers are kept of each group.

    Args:
        temperature: τ, above 0.

    Raises:
        SpecError: The temperature is not above 0.
    """

    def __init__(self, temperature: float) -> None:
        check_positive(temperature=temperature)
        self.temperature = temperature
        self._size = 0
        self._values = tuple(Column() for _ in range(4))

    def add(self, teacher: Scores, student: Scores) -> None:
        """Take in the scores of groups by teacher and student, (m, k) each; none of them where one is refused.

        Raises:
            DataError: A score is not finite; MissingScores where it is NaN.
            SpecError: The shapes differ, or from those before.
        """
        _check_both(teacher, student)
        if self._size and teacher.shape[1] != self._size:
            raise SpecError(f"groups of {teacher.shape[1]} documents after groups of {self._size}")
        self._size = teacher.shape[1]
        first, second = np.triu_indices(self._size, 1)
        for rows in row_blocks(len(teacher), 8 * len(first)):
            found = _variances(*self._margins(teacher, student, rows, first, second))
            for column, values in zip(self._values, found, strict=True):
                column.add(values)

    def result(self) -> LabelVariance:
        """Sum up.

        Raises:
            SpecError: No group was added.
        """
        if not self._size:
            raise SpecError("no group was added, so there is nothing to measure", hint="add groups before the result")
        mean, soft, hard, noise = (column.values() for column in self._values)
        between = float(mean.var())
        return LabelVariance(float(soft.mean()) + between, float(hard.mean()) + between, float(noise.mean()))

    def _margins(
        self, teacher: Scores, student: Scores, rows: slice, first: NDArray[np.int64], second: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        both = (scores[rows].astype(np.float64) / self.temperature for scores in (teacher, student))
        v, u = (np.take(scores, first, axis=1) - np.take(scores, second, axis=1) for scores in both)
        return v, u


def hard_soft_variance(teacher: Scores, student: Scores, temperature: float) -> LabelVariance:
    """Compare soft labels with labels drawn from them, for one student: the law of total variance (theory 5.1).

    Var ψ_Y(u) = Var ψ_p(u) + E p(1-p)u². Each side is computed on its own, over all pairs of all groups; so where
    teacher scores are there, soft labels are never worse.

    Args:
        teacher: (n, k) teacher scores.
        student: (n, k) student scores of the same documents.
        temperature: τ of both, above 0.

    Returns:
        Variances of one pair's loss, in nats².

    Raises:
        DataError: A score is not finite; MissingScores where it is NaN.
        SpecError: The shapes differ, or the temperature is not above 0.
    """
    stream = LabelVarianceStream(temperature)
    stream.add(teacher, student)
    return stream.result()


@dataclass(frozen=True, slots=True)
class JudgementCrossover:
    """From how many judged queries on human labels beat the teacher's, for one student (theory 5.5).

    Attributes:
        queries: n0; below it the teacher's labels estimate the risk with the smaller mean squared error. 0 where they
            never do; infinite where the teacher is unbiased.
        lowest, highest: n0 at the ends of the bias' interval. Infinite where it holds 0: the judgements are too few to
            tell the teacher's bias from none.
        human_variance: Var ψ_Y(u), of one judged pair.
        teacher_variance: Var ψ_p(u), of one pair with the teacher's probability.
        bias: E(p - Y)u, with its bootstrap interval over queries.
        pairs: How many pairs were judged.
    """

    queries: float
    lowest: float
    highest: float
    human_variance: float
    teacher_variance: float
    bias: Interval
    pairs: int


def judgement_crossover(
    teacher: Scores, student: Scores, labels: Labels, temperature: float, *, seed: int, level: float = 0.95
) -> JudgementCrossover:
    """Find n0 = [Var ψ_Y(u) - Var ψ_p(u)] / (E(p - Y)u)²: fewer judged queries than this, and the teacher wins [5.5].

    The theory's Var ψ_{p*} + E p*(1-p*)u² is the variance under the human labels Y themselves, by [5.1], and
    E(p - p*)u = E(p - Y)u; so one human label a pair is enough. The square of an estimated bias is too large on
    average, hence n0 too small; see its interval.

    Args:
        teacher: (n, k) teacher scores.
        student: (n, k) student scores of the same documents, fixed beforehand.
        labels: (n, k) human labels, higher for the better document, NaN where there is none. Pairs with equal labels
            are left out; groups count alike.
        temperature: τ of both, above 0.
        seed: For the bootstrap over queries.
        level: Coverage of the bias' interval.

    Raises:
        DataError: A score is not finite, or fewer than two queries have pairs with different labels.
        SpecError: The shapes differ, or the temperature is not above 0.
    """
    _check_both(teacher, student)
    check_labels(labels, teacher)
    check_positive(temperature=temperature)
    pairs = labelled_pairs(labels)
    if pairs.groups < 2:
        raise DataError(
            "one query with judged pairs says nothing of how queries differ", hint="take judgements of more queries"
        )
    v, u = (pairs.margins(scores) / temperature for scores in (teacher, student))
    against = expit(-v)  # the teacher's probability for the worse document; people put 0 there
    human, taught = np.logaddexp(0, -u), np.logaddexp(0, -u) + against * u
    human_variance, teacher_variance = (_variance(values, pairs.weight) for values in (human, taught))
    bias = mean_interval(pairs.by_group(-against * u), seed=seed, level=level)
    gain = max(0.0, human_variance - teacher_variance)
    low, high = bias.low or 0.0, bias.high or 0.0
    nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    queries, lowest, highest = (_ratio(gain, value**2) for value in (bias.mean, max(abs(low), abs(high)), nearest))
    return JudgementCrossover(queries, lowest, highest, human_variance, teacher_variance, bias, len(u))


def _variances(v: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Per group (4, m): mean of ψ_p; mean squares around it of ψ_p and of ψ_Y; mean of p(1-p)u². v, u are (m, P)."""
    p, won, lost = expit(v), np.logaddexp(0, -u), np.logaddexp(0, u)
    soft = p * won + expit(-v) * lost
    mean = soft.mean(axis=1, keepdims=True)
    hard = p * (won - mean) ** 2 + expit(-v) * (lost - mean) ** 2
    values = (soft, (soft - mean) ** 2, hard, p * expit(-v) * u**2)
    return np.stack([value.mean(axis=1) for value in values])


def _variance(values: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    return float(weight @ (values - weight @ values) ** 2)


def _ratio(gain: float, squared_bias: float) -> float:
    if gain == 0:
        return 0.0
    return gain / squared_bias if squared_bias > 0 else math.inf


def _check_both(teacher: Scores, student: Scores) -> None:
    check_scores(teacher, "teacher score")
    check_scores(student, "student score")
    if teacher.shape != student.shape:
        raise SpecError(f"the teacher's scores have the shape {teacher.shape} and the student's {student.shape}")
