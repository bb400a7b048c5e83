"""The four-term theorem: sums, the shift's inequalities in small worlds, and why pairs need kappa squared."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rankstill.errors import DataError, SpecError
from rankstill.measures.bounds.bound import Bound
from rankstill.measures.bounds.four_terms import fitted_shift, four_term_bound, variation_shift, wasserstein_shift
from rankstill.measures.bounds.group_terms import Head
from rankstill.measures.bounds.theorem3 import Moments, uniform_bound
from rankstill.measures.bounds.theorem4 import sgd_bound
from rankstill.measures.shift import kappa, total_variation, w1_cost, w1_two_scores

LOCAL = uniform_bound(Moments(0.01, 0.01, 0.01, 0.01, 0.01), Head(1.0, 1.0), groups=10_000, fit=0.5, delta=0.03)
LOC = LOCAL.value - 0.5


def shift_of(costs, delta=None, shared=None) -> Bound:
    return wasserstein_shift(
        costs,
        student_margin=3.0,
        teacher_margin=1.0,
        temperature=0.5,
        entropy=0.2,
        shared_positive=shared,
        delta=delta,
    )


def test_the_shift_by_hand():
    """(3 + 1)/(2 · 0.5) = 4 times the mean of W1; 3/4 of it where one of four documents is shared."""
    assert shift_of([0.1, 0.3]).value == pytest.approx(0.8)
    assert shift_of([0.1, 0.3], shared=4).value == pytest.approx(0.6)
    assert shift_of([0.1]).trivial == pytest.approx(math.log(2) - 0.2)
    sure = shift_of([0.1, 0.3], delta=2 * math.exp(-1))
    # Empirical Bernstein on [0, τ(B + B_g)] = [0, 2]: variance 0.02, n = 2.
    assert sure.value == pytest.approx(4 * (0.2 + math.sqrt(0.02) + 7 * 2 / 3))
    assert (sure.confidence, shift_of([0.1]).confidence) == (1 - 2 * math.exp(-1), 1)
    assert variation_shift([0.1, 0.3], highest=2.0, entropy=0.2).value == pytest.approx(0.8)


def test_the_terms_add_up():
    got = four_term_bound(0.01, LOCAL, shift_of([0.01]), 0.2)
    assert list(got.terms) == ["fit", "locality", "shift", "entropy floor"]
    assert list(got.terms.values()) == pytest.approx([0.01, LOC, 0.04, 0.2])
    assert (got.trivial, got.source) == (math.log(2), "theory [4.6 A]")
    assert got.confidence == pytest.approx(0.97)
    assert set(LOCAL.assumptions) <= set(got.assumptions)
    both = four_term_bound(0.01, LOCAL, shift_of([0.01, 0.02], delta=0.02), 0.2)
    assert both.confidence == pytest.approx(0.95)


def test_kappa_is_squared_and_leaves_the_floor_alone():
    got = four_term_bound(0.01, LOCAL, None, 0.2, kappa=3.0)
    assert list(got.terms.values()) == pytest.approx([0.09, 9 * LOC, 0.2])
    same = four_term_bound(0.01, LOCAL, None, 0.2, kappa=1.0)
    assert list(same.terms.values()) == pytest.approx([0.01, LOC, 0.2])
    never = four_term_bound(0.0, LOCAL, None, 0.2, kappa=math.inf)
    assert never.value == math.inf
    assert never.vacuous


def test_after_one_pass_of_sgd():
    local = sgd_bound(1000, 1.0, 1.0, 1.0, entropy=0.3, comparator_excess=0.02)
    got = four_term_bound(0.02, local, shift_of([0.0]), 0.2)
    assert got.value == pytest.approx(local.value + 0.2)
    assert (got.confidence, got.source) == (None, "theory [4.6 B]")


def test_it_is_vacuous_where_a_constant_student_does_as_well():
    """fit + locality + shift < log 2 - H is the same as the whole < log 2 [8.8]."""
    room = math.log(2) - 0.2 - LOC
    assert not four_term_bound(room * 0.99, LOCAL, None, 0.2, kappa=1.0).vacuous
    assert four_term_bound(room * 1.01, LOCAL, None, 0.2, kappa=1.0).vacuous


def excess(law: np.ndarray, u: np.ndarray, v: np.ndarray) -> float:
    """K for i.i.d. pairs from a law on documents with student scores u and teacher scores v, at τ = 1."""
    a, b = u[:, None] - u, v[:, None] - v
    kl = np.logaddexp(0, a) - np.logaddexp(0, b) - (a - b) / (1 + np.exp(-b))
    return float(law @ kl @ law)


def test_pairs_need_the_square_of_kappa():
    """Two close documents that the strategy draws rarely and the student inverts; a far one that all agree on."""
    rare = 0.02
    drawn, target = np.array([rare, rare, 1 - 2 * rare]), np.array([2 * rare, 2 * rare, 1 - 4 * rare])
    u, v = np.array([-1.0, 1, 40]), np.array([1.0, -1, 40])
    ratio = float(kappa(drawn, target))
    assert ratio == 2
    before, after = excess(drawn, u, v), excess(target, u, v)
    assert after > 1.99 * ratio * before
    assert after <= ratio**2 * before * (1 + 1e-12)


def test_the_shifts_hold_in_small_worlds():
    """Five documents drawn evenly and five of the target, on a line, Lipschitz scores: [4.1], [4.2], [4.5]."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        radius = float(rng.uniform(0.2, 3))
        places = np.sort(rng.normal(size=10) * rng.uniform(0.05, 2))
        steps = np.diff(places) * radius * rng.uniform(-1, 1, 9)
        f, g = np.concatenate([[0], np.cumsum(steps)]), rng.normal(size=10) * rng.uniform(0.1, 2)
        in_first = np.isin(np.arange(10), rng.permutation(10)[:5])
        first, second = np.flatnonzero(in_first), np.flatnonzero(~in_first)
        nu, mu = in_first / 5, ~in_first / 5
        gap = abs(excess(mu, f, g) - excess(nu, f, g))
        b, b_g = radius * float(np.ptp(places)), float(np.ptp(g))
        setting = {"temperature": 1.0, "entropy": 0.0}
        one, two = places[None, first, None], places[None, second, None]
        cost = w1_cost(one, two, g[None, first], g[None, second], radius=radius, unit=False)
        assert gap <= wasserstein_shift(cost, student_margin=b, teacher_margin=b_g, **setting).value + 1e-12
        worst = float(np.abs((f[:, None] - f) - (g[:, None] - g)).max())
        after = w1_two_scores(f[None, first], f[None, second], g[None, first], g[None, second])
        spans = {"highest_cost": float(np.ptp(f) + np.ptp(g))}
        assert gap <= fitted_shift(after, largest_gap=worst, **spans, **setting).value + 1e-12
        near = g + rng.normal(size=10) * 1e-3  # a student that follows its teacher: far less than W1 allows
        close = w1_two_scores(near[None, first], near[None, second], g[None, first], g[None, second])
        worst = float(np.abs((near[:, None] - near) - (g[:, None] - g)).max())
        spans = {"highest_cost": float(np.ptp(near) + np.ptp(g))}
        bound = fitted_shift(close, largest_gap=worst, **spans, **setting)
        assert abs(excess(mu, near, g) - excess(nu, near, g)) <= bound.value + 1e-12
        assert bound.value == pytest.approx(worst / 2 * close[0])
        # No two documents in common: the total variation is 1.
        highest = math.log(1 + math.exp(float(np.ptp(f))))
        variation = total_variation(nu[None], mu[None])
        assert gap <= variation_shift(variation, highest=highest, entropy=0.0).value


def test_the_shift_comes_within_a_factor_of_two():
    """All documents fitted but one in twenty of the target, by a little: the bound's factor cannot be 0.47 of it."""
    f, g = np.zeros((1, 20)), np.zeros((1, 20))
    off = np.where(np.arange(20) == 0, 0.01, 0.0)[None]
    cost = w1_two_scores(f, off, g, g)
    bound = fitted_shift(cost, largest_gap=0.01, highest_cost=0.01, temperature=1.0, entropy=0.0).value
    gap = excess(np.full(20, 0.05), off[0], g[0])
    assert 0.47 * bound < gap <= bound


def test_a_student_that_equals_its_teacher_is_not_moved_by_the_shift():
    setting = {"largest_gap": 0.0, "highest_cost": 4.0, "temperature": 2.0, "entropy": 0.1}
    bound = fitted_shift([1.0, 3.0], **setting)
    assert (bound.value, bound.source, bound.vacuous) == (0, "theory [4.5]", False)
    # By hand: 0.5/(2 · 2) of the mean, 2; three quarters where one of four is shared; sure with a range of 4.
    one = fitted_shift([1.0, 3.0], **{**setting, "largest_gap": 0.5}, shared_positive=4)
    assert one.value == pytest.approx(0.5 / 4 * 2 * 3 / 4)
    sure = fitted_shift([1.0, 3.0], **{**setting, "largest_gap": 0.5}, delta=0.1)
    slack = math.sqrt(2 * 2 * math.log(20) / 2) + 7 * 4 * math.log(20) / 3
    assert sure.terms["shift's uncertainty"] == pytest.approx(0.5 / 4 * slack)
    assert sure.confidence == 0.9
    for change in ({"largest_gap": -1.0}, {"highest_cost": 0.0}, {"temperature": 0.0}, {"entropy": 1.0}):
        with pytest.raises(SpecError):
            fitted_shift([1.0], **{**setting, **change})
    with pytest.raises(DataError, match="above the highest possible"):
        fitted_shift([1.0, 4.1], **setting)


def test_refusals():
    for bad in ([], [-0.1], [math.nan], [2.1]):
        with pytest.raises(DataError):
            shift_of(bad)
    with pytest.raises(DataError):
        shift_of([0.1], delta=0.1)
    for change in (
        {"student_margin": -1.0},
        {"teacher_margin": math.inf},
        {"temperature": 0.0},
        {"entropy": 0.8},
        {"delta": 1.0},
        {"shared_positive": 1},
    ):
        good = {"student_margin": 3.0, "teacher_margin": 1.0, "temperature": 0.5, "entropy": 0.2}
        with pytest.raises(SpecError):
            wasserstein_shift([0.1, 0.2], **{**good, **change})
    with pytest.raises(DataError):
        variation_shift([1.1], highest=1.0, entropy=0.0)
    moments = Moments(0.01, 0.01, 0.01, 0.01, 0.01)
    risk = uniform_bound(moments, Head(1.0, 1.0), groups=10, form="risk")
    with pytest.raises(SpecError, match="must not be in it twice"):
        four_term_bound(0.0, risk, None, 0.2, kappa=1.0)
    for arguments in (
        {"shift": None},
        {"shift": shift_of([0.1]), "kappa": 2.0},
        {"shift": None, "kappa": 0.9},
        {"shift": None, "kappa": math.nan},
        {"shift": None, "kappa": 1.0, "fit": -1.0},
        {"shift": None, "kappa": 1.0, "floor": 1.0},
        {"shift": shift_of([0.1, 0.2], delta=0.98)},
    ):
        with pytest.raises(SpecError):
            four_term_bound(**{"fit": 0.0, "locality": LOCAL, "floor": 0.2, **arguments})
