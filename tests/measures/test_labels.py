"""Labels: the binomial sum, both sides of the variance identity, the crossover simulated, streams, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, MissingScores, SpecError
from rankstill.measures.labels import (
    LabelVarianceStream,
    hard_soft_variance,
    judgement_crossover,
    one_hot_misplaced,
)


def normal(n: int = 50, size: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, size))


def s(t: np.ndarray | float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(t)))


@given(seed=st.integers(0, 999), cuts=st.lists(st.integers(1, 19), max_size=3, unique=True))
@settings(max_examples=25, derandomize=True, deadline=None)
def test_a_stream_ends_with_the_same_bits(seed: int, cuts: list[int]):
    teacher, student = normal(20, 5, seed), normal(20, 5, seed + 1)
    variance = LabelVarianceStream(0.7)
    for g, f in zip(*(np.split(a, sorted(cuts)) for a in (teacher, student)), strict=True):
        variance.add(g, f)
    assert variance.result() == hard_soft_variance(teacher, student, 0.7)


def test_one_hot_misplaced_by_hand_and_against_the_binomial_sum():
    """[5.4] 16 documents, 30%: 79% of the label in the wrong place."""
    assert one_hot_misplaced(16, 0.3) == pytest.approx(0.79, abs=0.005)
    assert one_hot_misplaced(2, 0.5) == pytest.approx(0.25)  # half the time, half of it
    assert one_hot_misplaced(16, 1.0) == pytest.approx(15 / 16)
    assert one_hot_misplaced(16, 0.0) == 0
    assert one_hot_misplaced(16, 1e-12) == pytest.approx(7.5e-12, rel=1e-3)
    for k, rho in ((2, 0.1), (5, 0.7), (30, 0.02)):
        terms = [math.comb(k - 1, m) * rho**m * (1 - rho) ** (k - 1 - m) * m / (m + 1) for m in range(k)]
        assert one_hot_misplaced(k, rho) == pytest.approx(math.fsum(terms), rel=1e-10)
    for size, rate, why in ((1, 0.1, "no negatives"), (4, -0.1, "from 0 to 1"), (4, math.nan, "from 0 to 1")):
        with pytest.raises(SpecError, match=why):
            one_hot_misplaced(size, rate)


def test_variance_by_hand():
    """One pair, v = log 3, u = 1: soft labels leave none; drawn ones are 3/4 and 1/4 on losses that differ by 1."""
    got = hard_soft_variance(np.array([[math.log(3), 0.0]]), np.array([[1.0, 0.0]]), 1.0)
    assert got.soft == pytest.approx(0, abs=1e-15)
    assert got.hard == pytest.approx(3 / 16)
    assert got.noise == pytest.approx(3 / 16)


@given(seed=st.integers(0, 9999), tau=st.floats(0.1, 5), size=st.integers(2, 6))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_the_law_of_total_variance(seed: int, tau: float, size: int):
    """[5.1] to 1e-10, and each side against loops over all pairs and both labels."""
    teacher, student = normal(7, size, seed), 3 * normal(7, size, seed + 1)
    got = hard_soft_variance(teacher, student, tau)
    assert got.hard == pytest.approx(got.soft + got.noise, rel=1e-10)
    soft, values, weights = [], [], []
    for g, f in zip(teacher / tau, student / tau, strict=True):
        for i in range(size):
            for j in range(i):
                p, won, lost = s(g[i] - g[j]), -np.log(s(f[i] - f[j])), -np.log(s(f[j] - f[i]))
                soft.append(p * won + (1 - p) * lost)
                values += [won, lost]
                weights += [p, 1 - p]
    assert got.soft == pytest.approx(np.var(soft), rel=1e-9, abs=1e-12)
    mean = np.average(values, weights=weights)
    assert mean == pytest.approx(np.mean(soft))
    assert got.hard == pytest.approx(np.average((np.array(values) - mean) ** 2, weights=weights), rel=1e-9)
    # Laws: order of documents, shift of either side, scale of all three.
    for other in (
        hard_soft_variance(teacher[:, ::-1], student[:, ::-1], tau),
        hard_soft_variance(teacher + 5, student - 2, tau),
        hard_soft_variance(2 * teacher, 2 * student, 2 * tau),
    ):
        assert (other.soft, other.hard) == (pytest.approx(got.soft, abs=1e-9), pytest.approx(got.hard, abs=1e-9))


def test_extreme_margins_stay_finite():
    got = hard_soft_variance(np.array([[1e4, 0.0]]), np.array([[-1e4, 0.0]]), 1.0)
    assert (got.noise, got.hard) == (0, 0)


def test_the_crossover_by_hand():
    """Two queries, one pair each, both people's way; v = 0, so p = 1/2. The student's margins are 1 and 3.

    Human losses log(1 + 1/e) and log(1 + 1/e^3); the teacher's are half of u more; its bias is -E u/2 = -1.
    """
    teacher, student = np.zeros((2, 2)), np.array([[1.0, 0], [3, 0]])
    got = judgement_crossover(teacher, student, np.array([[1, 0], [1, 0]]), 1.0, seed=1)
    human = np.log1p(np.exp([-1.0, -3.0]))
    taught = human + np.array([0.5, 1.5])
    assert got.human_variance == pytest.approx(np.var(human))
    assert got.teacher_variance == pytest.approx(np.var(taught))
    assert got.bias.mean == pytest.approx(-1)
    assert got.queries == pytest.approx(max(0, np.var(human) - np.var(taught)))
    assert got.pairs == 2


def test_the_crossover_is_where_the_errors_cross():
    """Simulated: at n0 the mean squared errors of the two estimates of the risk agree; at a tenth, the teacher wins."""
    rng = np.random.default_rng(0)
    m = 200_000
    u, v = rng.normal(0, 1.5, m), rng.normal(0, 1, m)
    p, truth = s(v), s(v + 0.5)  # the teacher is biased
    y = rng.random(m) < truth
    scores = [np.column_stack([x, np.zeros(m)]) for x in (v, u + 0.3)]
    u = u + 0.3
    got = judgement_crossover(*scores, np.column_stack([y, ~y]).astype(float), 1.0, seed=1)

    def losses(label: np.ndarray) -> np.ndarray:
        return np.logaddexp(0, u) - label * u

    goal = losses(truth).mean()
    n0 = round(got.queries)
    for n, expected in ((n0, 1.0), (n0 // 10, None)):
        human, taught = (np.mean((x[: m // n * n].reshape(-1, n).mean(axis=1) - goal) ** 2)
                         for x in (losses(y), losses(p)))  # fmt: skip
        assert (taught / human == pytest.approx(expected, rel=0.25)) if expected else (taught < 0.9 * human)
    assert got.lowest < got.queries < got.highest < math.inf


def test_an_unbiased_teacher_is_never_caught_up_with_as_far_as_one_can_tell():
    rng = np.random.default_rng(0)
    v = rng.normal(size=400)
    y = rng.random(400) < s(v)
    u = rng.normal(size=400)
    got = judgement_crossover(*(np.column_stack([x, np.zeros(400)]) for x in (v, u)),
                              np.column_stack([y, ~y]).astype(float), 1.0, seed=1)  # fmt: skip
    assert got.bias.low < 0 < got.bias.high
    assert got.highest == math.inf
    assert got.lowest > 20


def test_refusals():
    teacher, labels = normal(3, 4), np.eye(3, 4)
    broken = teacher.copy()
    broken[1, 2] = math.nan
    with pytest.raises(MissingScores, match="teacher score"):
        hard_soft_variance(broken, teacher, 1.0)
    with pytest.raises(MissingScores, match="student score"):
        judgement_crossover(teacher, broken, labels, 1.0, seed=1)
    with pytest.raises(SpecError, match="must belong together"):
        judgement_crossover(teacher, teacher, labels[:, :3], 1.0, seed=1)
    with pytest.raises(SpecError, match=r"the teacher's scores have the shape \(3, 4\) and the student's \(3, 3\)"):
        hard_soft_variance(teacher, teacher[:, :3], 1.0)
    with pytest.raises(SpecError, match="two documents or more"):
        hard_soft_variance(teacher[:, :1], teacher[:, :1], 1.0)
    for tau in (0.0, math.nan):
        with pytest.raises(SpecError, match="must be above 0"):
            hard_soft_variance(teacher, teacher, tau)
        with pytest.raises(SpecError, match="must be above 0"):
            judgement_crossover(teacher, teacher, labels, tau, seed=1)
    with pytest.raises(DataError, match="one query with judged pairs"):
        judgement_crossover(teacher[:1], teacher[:1], labels[:1], 1.0, seed=1)
    with pytest.raises(DataError, match="none of 3 groups"):
        judgement_crossover(teacher, teacher, np.ones((3, 4)), 1.0, seed=1)
    stream = LabelVarianceStream(1.0)
    with pytest.raises(SpecError, match="no group was added"):
        stream.result()
    stream.add(teacher, teacher)
    with pytest.raises(SpecError, match="groups of 3 documents after groups of 4"):
        stream.add(teacher[:, :3], teacher[:, :3])
