"""Mixtures of two strategies."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, SpecError
from rankstill.measures.prescriptions.mixing import Spread, best_mixture, spread


def test_squared_diameters_by_hand():
    """Two points at 0 and 1 against one at 2: D_11² = 1/2, D_22² = 0, D_12² = (4 + 1)/2; centroids 3/2 apart."""
    found = Spread(0.5, 2.5, 0.0)
    assert found.centroids == pytest.approx(1.5**2)
    half = np.array([0.5])
    assert found.squared_diameter(half, "inside") == pytest.approx(0.25 * 0.5 + 0.5 * 2.5)
    assert found.squared_diameter(half, "pure") == pytest.approx(0.25)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_diameter_of_a_mixture_is_that_of_its_draws(share):
    """Independently: the law of a document of the mixture is written out, and E d² summed over all pairs."""
    rng = np.random.default_rng(1)
    points = rng.normal(size=(7, 3))
    first, second = rng.dirichlet(np.ones(7)), rng.dirichlet(np.ones(7))
    squared = ((points[:, None] - points) ** 2).sum(axis=2)
    known = Spread(first @ squared @ first, first @ squared @ second, second @ squared @ second)
    mixed = (1 - share) * first + share * second
    shares = np.array([share])
    assert known.squared_diameter(shares, "inside") == pytest.approx(mixed @ squared @ mixed)
    gap = 2 * share * (1 - share) * ((first - second) @ points) ** 2
    assert known.squared_diameter(shares, "pure") == pytest.approx(mixed @ squared @ mixed - gap.sum())


def test_spread_is_the_mean_over_pairs():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(5, 4, 3)), rng.normal(size=(5, 6, 3)) + 1
    found = spread(first, second)

    def mean(a, b, same):
        squared = ((a[:, :, None] - b[:, None]) ** 2).sum(axis=3)
        return squared[:, ~np.eye(a.shape[1], dtype=bool)].mean() if same else squared.mean()

    assert found.first == pytest.approx(mean(first, first, True))
    assert found.second == pytest.approx(mean(second, second, True))
    assert found.between == pytest.approx(mean(first, second, False))
    swapped = spread(second[:, ::-1], first)
    assert (swapped.first, swapped.between, swapped.second) == pytest.approx((found.second, found.between, found.first))


def test_the_wanted_gain_by_hand():
    """a = 2, n = 100, D_11 = 1, D_12² = 1.5: 2 · 0.5/(1 · 10) = 0.1."""
    where = Spread(1.0, 1.5, 1.0)
    assert best_mixture(where, (0.2, 0.0), 2.0, 100).wanted_gain == pytest.approx(0.1)
    assert best_mixture(where, (0.2, 0.101), 2.0, 100).adding_helps is False
    assert best_mixture(where, (0.2, 0.099), 2.0, 100).adding_helps is True
    assert best_mixture(Spread(1.0, 1.5, 1.4), (0.2, 0.0), 2.0, 100, form="pure").wanted_gain == pytest.approx(0.04)


@given(
    first=st.floats(0.05, 2), second=st.floats(0.05, 2), apart=st.floats(0, 2), scale=st.floats(0.1, 5),
    shifts=st.tuples(st.floats(0, 1), st.floats(0, 1)), costs=st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)),
    form=st.sampled_from(["inside", "pure"]),
)  # fmt: skip
@settings(max_examples=80, derandomize=True, deadline=None)
def test_the_wanted_gain_is_the_slope_and_the_best_is_an_end(first, second, apart, scale, shifts, costs, form):
    """The condition agrees with a numerical derivative; the convexified total is concave, so no true mixture wins."""
    where = Spread(first, (first + second) / 2 + apart, second)
    found = best_mixture(where, shifts, scale, 400.0, costs=costs, form=form, steps=200)
    fine = best_mixture(where, shifts, scale, 400.0, costs=costs, form=form, steps=20_000)
    slope = (fine.locality[1] - fine.locality[0]) * 20_000
    assert slope == pytest.approx(found.wanted_gain, rel=1e-2, abs=1e-4)
    bends = np.diff(found.total, 2)
    assert (bends <= 1e-12).all()
    assert found.total.min() == pytest.approx(min(found.total[0], found.total[-1]), abs=1e-12)
    if found.adding_helps:
        assert found.best == pytest.approx(1)


def test_a_measured_shift_can_make_a_true_mixture_win():
    """The target is half of each: the shift is 0 in the middle, where the straight line says 0.3."""
    where = Spread(1.0, 1.1, 1.0)
    line = best_mixture(where, (0.3, 0.3), 0.5, 100, steps=10)
    assert (line.best, line.mixing_helps, line.convexified) == (0.0, False, True)
    measured = [0.6 * abs(i / 10 - 0.5) for i in range(11)]
    found = best_mixture(where, (0.3, 0.3), 0.5, 100, steps=10, measured_shift=measured)
    assert (found.best, found.mixing_helps, found.convexified) == (0.5, True, False)
    assert found.total[5] == pytest.approx(0.5 * math.sqrt(0.5 + 0.55) / 10)


def test_the_ends_are_the_strategies_and_more_budget_weakens_locality():
    where = Spread(0.5, 0.8, 0.9)
    found = best_mixture(where, (0.1, 0.2), 3.0, 90, costs=(1.0, 10.0), steps=4)
    assert found.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found.total[0] == pytest.approx(3 * math.sqrt(0.5 / 90) + 0.1)
    assert found.total[-1] == pytest.approx(3 * math.sqrt(0.9 / 9) + 0.2)
    assert (best_mixture(where, (0.1, 0.2), 3.0, 360).locality[0]) == pytest.approx(found.locality[0] / 2)


def test_one_point_has_an_infinite_slope():
    found = best_mixture(Spread(0.0, 1.0, 1.0), (5.0, 0.0), 1.0, 100)
    assert found.wanted_gain == math.inf
    assert not found.adding_helps
    assert found.best == 1  # a little hurts, all of it helps


def test_refusals():
    where = Spread(1.0, 1.0, 1.0)
    for change, says in (
        ({"shifts": (math.inf, 0.0)}, "shift of the first is inf"),
        ({"scale": -1.0}, "scale is -1"),
        ({"budget": 0.0}, "budget is 0"),
        ({"costs": (1.0, 0.0)}, "cost of the second"),
        ({"form": "blend"}, "unknown form"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 2, "measured_shift": [0.0, 0.0]}, "expected 3 measured shifts"),
        ({"steps": 1, "measured_shift": [0.0, math.nan]}, "below 0, or not a number"),
    ):
        options = {"shifts": (0.1, 0.2), "scale": 1.0, "budget": 10.0} | change
        with pytest.raises(SpecError, match=says):
            best_mixture(where, **options)
    with pytest.raises(SpecError, match="between is nan"):
        Spread(1.0, math.nan, 1.0)
    with pytest.raises(SpecError, match=r"expected vectors \(n, k, D\)"):
        spread(np.ones((2, 3, 4)), np.ones((2, 3, 5)))
    with pytest.raises(SpecError, match="two documents or more"):
        spread(np.ones((2, 1, 4)), np.ones((2, 3, 4)))
    broken = np.ones((2, 3, 4))
    broken[0, 1] = math.nan
    with pytest.raises(DataError, match="1 vectors are not finite"):
        spread(np.ones((2, 3, 4)), broken)
