"""Choosing a strategy at a budget, and the budgets at which the choice changes."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import SpecError
from rankstill.measures.prescriptions.choice import (
    RootLaw,
    Strategy,
    TailLaw,
    crossover,
    strategy_scores,
)

SMALL = st.floats(0, 3).map(lambda x: round(x, 2))
COST = st.floats(0.01, 10).map(lambda x: round(x, 2))
LAWS = st.builds(RootLaw, SMALL, SMALL) | st.builds(TailLaw, SMALL, SMALL, SMALL)


def strategy(name, *, cost=1.0, fit=0.0, shift=0.0, law=None):
    return Strategy(name, cost, fit, shift, law or RootLaw(1.0))


def test_scores_by_hand():
    """400 of budget buy 100 groups at 4 and 400 at 1: 0.1 + 2/10 + 0 = 0.3 against 0 + 4/20 + 6/400 + 0.05 = 0.265."""
    dear = strategy("mined", cost=4, fit=0.1, law=RootLaw(2.0))
    cheap = strategy("random", cost=1, shift=0.05, law=RootLaw(4.0, 6.0))
    first, second = strategy_scores([dear, cheap], 400)
    assert (first.name, first.groups) == ("random", 400)
    assert first.total == pytest.approx(0.265)
    assert (second.name, second.groups) == ("mined", 100)
    assert (second.fit, second.locality, second.shift) == pytest.approx((0.1, 0.2, 0.0))


def test_the_law_of_theorem_3_by_hand():
    """At delta = 1/e: (0.3 + 0.5 √2)/√n + 6/(3n)."""
    law = TailLaw(mean=0.3, moment=0.5, span=6.0)
    assert law(100, 1 / math.e) == pytest.approx((0.3 + 0.5 * math.sqrt(2)) / 10 + 0.02)
    assert law.at(1 / math.e).inverse == pytest.approx(2.0)
    assert law(100, 0.01) > law(100, 0.05) > law(200, 0.05)


def test_delta_is_shared():
    """With S strategies each bound is taken at delta/S, so that all hold at once."""
    asked = []

    def law(groups, delta):
        asked.append((groups, delta))
        return 0.0

    strategy_scores([strategy(n, law=law) for n in "abcd"], 7.5, 0.08)
    assert asked == [(7, pytest.approx(0.02))] * 4


def test_a_whole_group_is_not_lost_to_rounding():
    assert [s.groups for s in strategy_scores([strategy("a", cost=0.1)], 0.3)] == [3]


def test_equal_scores_keep_the_order_given_and_an_infinite_shift_comes_last():
    scores = strategy_scores([strategy("x", shift=math.inf), strategy("b"), strategy("a")], 10)
    assert [s.name for s in scores] == ["b", "a", "x"]
    assert scores[-1].vacuous(0.0)


def test_vacuous_from_log_2_less_the_floor_on():
    (score,) = strategy_scores([strategy("a", law=RootLaw(0.0), fit=0.4)], 10)
    assert not score.vacuous(0.29)
    assert score.vacuous(0.30)
    with pytest.raises(SpecError, match="target entropy"):
        score.vacuous(0.7)


def test_crossover_of_theory_8_2_by_hand():
    """c = 3 against 1, shift 0 against 0.1: n* = (2/0.1)² = 400."""
    random, mined = strategy("random", law=RootLaw(3)), strategy("mined", shift=0.1, law=RootLaw(1))
    found = crossover(random, mined)
    assert found.budgets == pytest.approx((400,))
    assert found.winners == ("mined", "random")
    assert crossover(mined, random).winners == ("mined", "random")
    assert (found.best(399), found.best(401)) == ("mined", "random")


def test_each_of_the_two_bounds_has_half_of_delta():
    """At delta = 2/e² each has 1/e², c = √(2 · 2) = 2 against 1; shift 0.1: n* = (1/0.1)² = 100."""
    wide = strategy("wide", law=TailLaw(0.0, 1.0, 0.0))
    assert crossover(wide, strategy("narrow", shift=0.1), 2 / math.e**2).budgets == pytest.approx((100,))


def test_costs_move_the_crossover():
    """At cost 9 a group, c/√n = 3c/√budget: (3·1 - 1)² / 0.1² = 400 again, for equal c."""
    dear, cheap = strategy("dear", cost=9), strategy("cheap", shift=0.1)
    assert crossover(dear, cheap).budgets == pytest.approx((400,))


def test_who_lowers_both_wins_for_all_n():
    """Theory 8.2: where the target is itself local, mining lowers locality and shift."""
    random, mined = strategy("random", shift=0.2, law=RootLaw(3)), strategy("mined", shift=0.1, law=RootLaw(1))
    assert crossover(random, mined).budgets == ()
    assert crossover(random, mined).best(1e9) == "mined"
    assert crossover(random, strategy("copy", shift=0.2, law=RootLaw(3))).winners == (None,)
    assert crossover(random, strategy("unknown", shift=math.inf)).winners == ("random",)


def test_two_crossings():
    """x² - 3x + 2 with x = 1/√n changes its sign at x = 1 and 2: n = 1 and 1/4."""
    a = strategy("a", fit=2.0, law=RootLaw(0.0, 1.0))
    b = strategy("b", law=RootLaw(3.0))
    found = crossover(a, b)
    assert found.budgets == pytest.approx((0.25, 1.0))
    assert found.winners == ("b", "a", "b")


def test_rounding_is_no_difference():
    """0.1 + 0.2 is not 0.3 in binary; that must not make a crossover at 10^32 groups."""
    one, two = strategy("one", fit=0.1, shift=0.2, law=RootLaw(2)), strategy("two", fit=0.3, law=RootLaw(1))
    assert crossover(one, two).winners == ("two",)


@given(laws=st.tuples(LAWS, LAWS), costs=st.tuples(COST, COST), fits=st.tuples(SMALL, SMALL), low=st.floats(-2, 12))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_the_crossover_agrees_with_the_scores(laws, costs, fits, low):
    """Between crossovers, the strategy named is the one with the lower score, at any budget."""
    pair = [
        strategy(name, cost=cost, fit=fit, law=law)
        for name, cost, fit, law in zip("ab", costs, fits, laws, strict=True)
    ]
    budget = 10.0**low
    totals = [s.fit + s.locality(budget / s.cost, 0.025) + s.shift for s in pair]
    best = crossover(*pair, delta=0.05).best(budget)
    if abs(totals[0] - totals[1]) > 1e-9 * sum(totals):
        assert best == ("a" if totals[0] < totals[1] else "b")


@given(cost=COST, fit=SMALL, shift=SMALL, law=LAWS, budget=st.floats(11, 1e6))
@settings(max_examples=50, derandomize=True, deadline=None)
def test_monotone(cost, fit, shift, law, budget):
    """A larger budget or a lower cost never raises a score; the unit of money does not matter."""
    (base,) = strategy_scores([Strategy("a", cost, fit, shift, law)], budget)
    (richer,) = strategy_scores([Strategy("a", cost, fit, shift, law)], budget * 2)
    (cheaper,) = strategy_scores([Strategy("a", cost / 2, fit, shift, law)], budget)
    (cents,) = strategy_scores([Strategy("a", cost * 128, fit, shift, law)], budget * 128)
    assert richer.total <= base.total
    assert cheaper == richer
    assert cents == base


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cost": 0.0}, "cost of x"),
        ({"fit": -0.1}, "fit of x"),
        ({"fit": math.nan}, "fit of x"),
        ({"shift": math.nan}, "shift of x"),
        ({"shift": -1.0}, "shift of x"),
    ],
)
def test_bad_strategies_are_refused(change, says):
    with pytest.raises(SpecError, match=says):
        strategy("x", **change)


def test_bad_settings_are_refused():
    good = strategy("a")
    for budget, delta, strategies, says in (
        (math.nan, 0.05, [good], "budget is nan"),
        (10, 1.0, [good], "delta is 1.0"),
        (10, 0.05, [], "one strategy or more"),
        (10, 0.05, [good, strategy("a")], "different names"),
        (10, 0.05, [good, strategy("b", cost=11)], r"no group of 1 strategies \(first: b, 11 each\)"),
    ):
        with pytest.raises(SpecError, match=says):
            strategy_scores(strategies, budget, delta)
    with pytest.raises(SpecError, match="root is -1"):
        RootLaw(-1.0)
    with pytest.raises(SpecError, match="moment is inf"):
        TailLaw(0.0, math.inf, 0.0)
    with pytest.raises(SpecError, match="not a sum of powers"):
        crossover(good, strategy("b", law=lambda n, d: 1 / n))
    with pytest.raises(SpecError, match="groups is 0"):
        RootLaw(1.0)(0)
