"""Held-out bounds: by hand, against plain loops, their coverage, and that half of them would fail."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rankstill.errors import DataError, SpecError
from rankstill.measures.bounds.held_out import (
    bernstein_upper,
    betting,
    deviation_upper,
    empirical_bernstein,
    highest_pair_loss,
)


def test_by_hand():
    """Ten losses of 0 or 2, half and half: mean 1, variance 10/9; log(2/δ) = 3."""
    losses = [0.0, 2.0] * 5
    got = empirical_bernstein(losses, highest=2.0, delta=2 * math.exp(-3))
    assert list(got.terms.values()) == pytest.approx([1, math.sqrt(2 / 3), 14 * 3 / 27])
    assert (got.trivial, got.confidence) == (2, 1 - 2 * math.exp(-3))
    assert got.vacuous
    assert got.value == pytest.approx(bernstein_upper(1, 10 / 9, 10, 2.0, 2 * math.exp(-3)))
    assert highest_pair_loss(2.0, 0.5) == pytest.approx(math.log(1 + math.exp(4)))


def by_loops(losses: list[float], delta: float) -> float:
    """[7.2], one claim and one loss at a time, on a grid of claims."""
    for step in range(10_001):
        m = step / 10_000
        wealth, best, total, squares = 1.0, 0.0, 0.5, 0.25
        for i, x in enumerate(losses, start=1):
            stake = math.sqrt(2 * math.log(1 / delta) / (len(losses) * squares / i))
            if m < 1:
                stake = min(stake, 1 / (2 * (1 - m)))
            wealth *= 1 + stake * (m - x)
            best = max(best, wealth)
            total += x
            squares += (x - total / (i + 1)) ** 2
        if best >= 1 / delta:
            return m
    return 1.0


@pytest.mark.parametrize("seed", range(6))
def test_betting_against_plain_loops(seed):
    losses = np.random.default_rng(seed).beta(0.5, 2, size=[5, 20, 80][seed % 3])
    assert betting(losses, highest=1.0, delta=0.1).value == pytest.approx(by_loops(list(losses), 0.1), abs=1.01e-4)


def test_of_one_student_among_several_each_gets_its_share():
    losses = np.random.default_rng(0).beta(1, 9, size=300)
    for bound in (empirical_bernstein, betting):
        shared = bound(losses, highest=1.0, delta=0.1, candidates=5)
        assert shared.value == pytest.approx(bound(losses, highest=1.0, delta=0.02).value)
        assert shared.confidence == 0.9
        assert "one of 5" in shared.assumptions[0]


@pytest.mark.parametrize("bound", [empirical_bernstein, betting])
def test_scale_and_clipping(bound):
    losses = np.random.default_rng(1).beta(1, 9, size=200)
    plain = bound(losses, highest=1.0)
    assert bound(5 * losses, highest=5.0).value == pytest.approx(5 * plain.value)
    assert plain.value > losses.mean()
    cut = bound(losses, highest=0.2, clip=True)
    assert cut.value == pytest.approx(bound(np.minimum(losses, 0.2), highest=0.2).value)
    assert any("count as 0.2" in a for a in cut.assumptions)
    assert bound(losses, highest=1.0, trivial=0.05).vacuous


def test_betting_is_tighter_and_knows_its_limits():
    losses = np.random.default_rng(2).beta(1, 9, size=500)
    assert betting(losses, highest=1.0).value < empirical_bernstein(losses, highest=1.0).value
    assert betting([1.0, 1.0], highest=1.0).value == 1
    assert betting(np.zeros(1000), highest=1.0).value < 0.01


def test_a_deviation_is_bounded():
    """By hand, never above half the range, and rarely below the truth: sd of a coin with 1 in 20 is 0.218."""
    assert deviation_upper(0.04, 101, 2.0, math.exp(-2)) == pytest.approx(0.2 + 2 * math.sqrt(4 / 100))
    assert deviation_upper(0.04, 2, 2.0, math.exp(-2)) == 1
    draws = (np.random.default_rng(5).random((1000, 60)) < 0.05).var(axis=1, ddof=1)
    found = np.array([deviation_upper(v, 60, 1.0, 0.2) for v in draws])
    assert np.mean(found < math.sqrt(0.05 * 0.95)) <= 0.2


@pytest.mark.parametrize("risk", [0.02, 0.3])
def test_the_probability_is_kept(risk):
    """2,000 samples of 200 inversions; at δ = 0.2 at most 400 bounds may be below the risk (+ 3 standard errors)."""
    rng = np.random.default_rng(3)
    allowed = 400 + 3 * math.sqrt(2000 * 0.2 * 0.8)
    samples = (rng.random((2000, 200)) < risk).astype(float)
    means, variances = samples.mean(axis=1), samples.var(axis=1, ddof=1)
    bernstein = [bernstein_upper(m, v, 200, 1.0, 0.2) for m, v in zip(means, variances, strict=True)]
    assert np.sum(np.array(bernstein) < risk) <= allowed
    # 300 only, for time.
    bets = [betting(sample, highest=1.0, delta=0.2).value for sample in samples[:300]]
    assert np.sum(np.array(bets) < risk) <= 60 + 3 * math.sqrt(300 * 0.16)


def test_half_of_the_bounds_would_not_do():
    """At δ = 0.02 and many losses, half the margin of either fails more often than that."""
    rng = np.random.default_rng(4)
    n, risk, delta = 100_000, 0.3, 0.02
    means = rng.binomial(n, risk, 4000) / n
    uppers = np.array([bernstein_upper(m, m * (1 - m) * n / (n - 1), n, 1.0, delta) for m in means])
    assert np.mean(uppers < risk) <= delta
    assert np.mean((means + uppers) / 2 < risk) > 2 * delta
    samples = (rng.random((300, 400)) < risk).astype(float)
    bets = np.array([betting(sample, highest=1.0, delta=delta).value for sample in samples])
    assert np.mean((samples.mean(axis=1) + bets) / 2 < risk) > 2 * delta


@pytest.mark.parametrize("bound", [empirical_bernstein, betting])
def test_refusals(bound):
    good = [0.1, 0.2, 0.9]
    for losses, says in (
        ([], "n >= 2"),
        ([0.1], "n >= 2"),
        ([[0.1, 0.2]], "n >= 2"),
        ([0.1, math.nan], "number 1"),
        ([0.1, -0.2], "below 0"),
        ([0.1, 1.2], "above the highest possible"),
    ):
        with pytest.raises(DataError, match=says):
            bound(losses, highest=1.0)
    with pytest.raises(DataError, match="not finite"):
        bound([0.1, math.inf], highest=1.0, clip=True)
    for setting in ({"delta": 0.0}, {"delta": 1.0}, {"delta": math.nan}, {"candidates": 0}, {"highest": 0.0}):
        with pytest.raises(SpecError):
            bound(good, **{"highest": 1.0, **setting})
    with pytest.raises(SpecError):
        bound(good, highest=math.inf)
