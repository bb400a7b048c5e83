"""The prequential bound: by hand, its coverage for a student that learns, and that half of it would fail."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rankstill.errors import DataError, SpecError
from rankstill.measures.bounds.prequential import GRID, prequential_bound


def test_by_hand():
    """a = 1: 1/(1 - 1/e) = 1.58 times (mean + M log(1/δ)/n)."""
    got = prequential_bound([0.0, 0.2, 0.4, 0.2], highest=2.0, delta=math.exp(-3), grid=[1.0])
    factor = 1 / (1 - 1 / math.e)
    assert list(got.terms.values()) == pytest.approx([factor * 0.2, factor * 1.5])
    assert (got.trivial, got.confidence) == (2, 1 - math.exp(-3))


def test_the_best_a_of_the_grid_each_with_its_share():
    losses = np.random.default_rng(0).beta(1, 9, size=3000)
    each = [prequential_bound(losses, highest=1.0, delta=0.1 / len(GRID), grid=[a]).value for a in GRID]
    assert prequential_bound(losses, highest=1.0, delta=0.1).value == pytest.approx(min(each))
    # Small losses want a large a, large losses a small one.
    assert each.index(min(each)) < len(GRID) - 1
    tiny = [prequential_bound(losses / 1e4, highest=1.0, delta=0.1 / len(GRID), grid=[a]).value for a in GRID]
    assert tiny.index(min(tiny)) == len(GRID) - 1


def test_order_and_scale_change_nothing():
    losses = np.random.default_rng(1).beta(1, 9, size=200)
    plain = prequential_bound(losses, highest=1.0).value
    assert prequential_bound(losses[::-1], highest=1.0).value == pytest.approx(plain)
    assert prequential_bound(3 * losses, highest=3.0).value == pytest.approx(3 * plain)


def test_the_rate_is_fast_where_the_fit_is_good():
    """Ten times the groups of a perfect student: a tenth of the bound."""
    small, large = (prequential_bound(np.zeros(n), highest=1.0).value for n in (100, 1000))
    assert small / large == pytest.approx(10)


def test_the_probability_is_kept_by_a_student_that_learns():
    """The risk falls where the last loss was large: the next losses depend on those before."""
    rng = np.random.default_rng(2)
    failed, runs, delta = 0, 1000, 0.2
    for _ in range(runs):
        risk, risks, losses = 0.5, [], []
        draws = rng.random(100)
        for draw in draws:
            risks.append(risk)
            losses.append(float(draw < risk))
            risk *= 0.95 if losses[-1] else 1.01
        failed += np.mean(risks) > prequential_bound(losses, highest=1.0, delta=delta).value
    assert failed <= delta * runs


def test_half_of_it_would_not_do():
    n, risk, delta = 100_000, 0.3, 0.02
    means = np.random.default_rng(3).binomial(n, risk, 4000) / n
    a = math.sqrt(2 * math.log(1 / delta) / (n * risk * (1 - risk)))
    shares = a / -math.expm1(-a), math.log(1 / delta) / n / -math.expm1(-a)
    one = prequential_bound(np.repeat([0.0, 1.0], [70, 30]), highest=1.0, delta=delta, grid=[a])
    assert one.terms["loss in training"] == pytest.approx(shares[0] * 0.3)
    assert one.terms["uncertainty"] == pytest.approx(shares[1] * n / 100)
    bounds = shares[0] * means + shares[1]
    assert np.mean(bounds < risk) <= delta
    assert np.mean((bounds + means) / 2 < risk) > 2 * delta


def test_it_says_what_it_bounds():
    losses = np.full(10, 0.1)
    assert any("drawn at random from the checkpoints" in a for a in prequential_bound(losses, highest=1.0).assumptions)
    convex = prequential_bound(losses, highest=1.0, convex=True)
    assert any("or their average" in a for a in convex.assumptions)
    assert any("convex" in a for a in convex.assumptions)
    assert prequential_bound(losses, highest=1.0, trivial=0.1).vacuous


def test_refusals():
    for losses in ([], [math.nan], [-0.1], [1.1], [[0.1]]):
        with pytest.raises(DataError):
            prequential_bound(losses, highest=1.0)
    for setting in (
        {"delta": 0.0},
        {"delta": 1.0},
        {"grid": []},
        {"grid": [1.0, 0.0]},
        {"grid": [math.inf]},
        {"highest": math.nan},
        {"convex": True, "clip": True},
    ):
        with pytest.raises(SpecError):
            prequential_bound([0.1, 0.2], **{"highest": 1.0, **setting})
