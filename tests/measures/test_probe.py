import math

import numpy as np
import pytest
from scipy.optimize import minimize

from rankstill.errors import DataError, SpecError
from rankstill.measures.probe import Bags, Probe, fit
from rankstill.randomness import rng_for


def unit(values):
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def bags(n=30, k=4, size=3, seed=1):
    rng = rng_for(seed, "bags")
    return Bags(
        unit(rng.standard_normal((n, size))), unit(rng.standard_normal((n, k, size))), rng.standard_normal((n, k))
    )


def test_a_wide_ball_holds_the_head_that_a_general_optimiser_finds():
    given = bags()

    def mean_excess(weight):
        return Probe(weight.reshape(3, 3).astype(np.float32), 1e9).excess(given).mean()

    best = minimize(mean_excess, np.zeros(9), method="Powell", tol=1e-9)
    found = fit(given, 1e3, iterations=400)
    assert found.excess(given).mean() == pytest.approx(best.fun, abs=1e-5)
    np.testing.assert_allclose(found.weight.reshape(-1), best.x, atol=0.02)


def test_a_head_stays_in_its_ball_and_a_wider_ball_fits_better():
    given, last = bags(), math.inf
    for radius in (0.1, 0.3, 1.0, 3.0):
        found = fit(given, radius)
        assert np.linalg.norm(found.weight) <= radius
        excess = found.excess(given).mean()
        assert excess <= last + 1e-7
        last = excess


def test_a_start_inside_another_ball_comes_to_the_same_end():
    given = bags()
    warm = fit(given, 2.0, start=fit(given, 1.0), iterations=300)
    assert warm.excess(given).mean() == pytest.approx(fit(given, 2.0, iterations=300).excess(given).mean(), abs=1e-6)


def test_a_teacher_without_preferences_needs_no_head():
    given = bags()
    even = Bags(given.queries, given.documents, np.zeros_like(given.scores))
    found = fit(even, 1.0)
    assert not found.weight.any()
    assert not found.excess(even).any()


def test_some_of_the_groups():
    given = bags()
    some = given.take(np.array([3, 1]))
    head = fit(given, 1.0)
    np.testing.assert_array_equal(head.excess(some), head.excess(given)[[3, 1]])


@pytest.mark.parametrize("radius", [0.0, -1.0, math.inf, math.nan])
def test_a_ball_without_heads_is_refused(radius):
    with pytest.raises(SpecError, match="ball"):
        fit(bags(), radius)


def test_groups_that_do_not_fit_together_are_refused():
    given = bags()
    with pytest.raises(SpecError, match="groups of two"):
        Bags(given.queries, given.documents[:, :1], given.scores[:, :1])
    with pytest.raises(SpecError, match="groups of two"):
        Bags(given.queries[:-1], given.documents, given.scores)
    broken = given.scores.copy()
    broken[0, 0] = math.nan
    with pytest.raises(DataError, match="not finite"):
        Bags(given.queries, given.documents, broken)
