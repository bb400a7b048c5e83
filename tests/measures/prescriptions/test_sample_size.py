"""Queries, seeds and groups needed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import SpecError
from rankstill.measures.prescriptions.choice import RootLaw, TailLaw
from rankstill.measures.prescriptions.sample_size import (
    certain_gap,
    certain_queries_needed,
    groups_needed,
    informative_distance,
    queries_needed,
    seeds_needed,
    smallest_gap,
)

Z = 1.959964 + 0.841621
POSITIVE = st.floats(0.01, 1.0)


def test_the_textbook_number():
    """A gap of half a standard deviation at 5% and 80%: (2.8016/0.5)² = 31.4, so 32."""
    assert queries_needed(0.5, 1.0).number == 32
    assert queries_needed(0.01, 0.25).number == math.ceil((Z * 25) ** 2)
    assert smallest_gap(100, 0.25) == pytest.approx(Z * 0.025, rel=1e-6)


def test_seeds_by_hand():
    """sd 0.01 over 2 seeds each: 2 · 0.0001/2 = 0.0001 of variance, hidden gap 0.028; N for 0.03 from what is left."""
    found = queries_needed(0.03, 0.2, seed_sd=0.01, seeds=2)
    assert found.smallest_gap == pytest.approx(Z * 0.01, rel=1e-6)
    assert found.number == math.ceil(0.04 / ((0.03 / Z) ** 2 - 0.0001))
    assert str(found) == f"{found.number:,} queries"


def test_no_number_of_queries_removes_the_seeds():
    found = queries_needed(0.02, 0.2, seed_sd=0.01, seeds=2)
    assert found.number is None
    assert str(found) == "no number of queries: even infinitely many show no gap below 0.028"
    assert smallest_gap(10**12, 0.2, seed_sd=0.01, seeds=2) == pytest.approx(found.smallest_gap, rel=1e-4)
    # Seeds do remove it, as long as the queries suffice for the gap.
    assert seeds_needed(0.02, 0.2, 10_000, 0.01).number == math.ceil(0.0002 / ((0.02 / Z) ** 2 - 0.04 / 10_000))
    assert seeds_needed(0.02, 0.2, 43, 0.01).number is None
    assert seeds_needed(0.02, 0.2, 43, 0.01).smallest_gap == pytest.approx(Z * 0.2 / math.sqrt(43), rel=1e-6)
    assert seeds_needed(0.02, 0.0, 43, 0.0).number == 1


@given(gap=POSITIVE, sd=POSITIVE, seed_sd=st.floats(0, 0.05), seeds=st.integers(1, 9), power=st.floats(0.3, 0.99))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_the_number_is_the_first_that_suffices(gap, sd, seed_sd, seeds, power):
    options = {"power": power, "seed_sd": seed_sd, "seeds": seeds}
    found = queries_needed(gap, sd, **options)
    if found.number is None:
        assert found.smallest_gap >= gap
    else:
        assert smallest_gap(found.number, sd, **options) <= gap * (1 + 1e-9)
        assert found.number == 2 or smallest_gap(found.number - 1, sd, **options) > gap * (1 - 1e-9)
        enough = seeds_needed(gap, sd, found.number, seed_sd, power=power).number
        assert enough is None or enough <= seeds  # None: only by rounding at the edge, where seeds cost nothing


def test_power_by_simulation():
    """Trainings and queries are drawn, and the test done, 4,000 times: it finds the gap in 80% (± 0.6%)."""
    gap, sd, seed_sd, seeds = 0.03, 0.2, 0.01, 3
    queries = queries_needed(gap, sd, seed_sd=seed_sd, seeds=seeds).number
    rng = np.random.default_rng(4)
    means = gap + sd * rng.normal(size=(4000, queries)).mean(axis=1)
    means += seed_sd * (rng.normal(size=(4000, seeds)) - rng.normal(size=(4000, seeds))).mean(axis=1)
    error = math.sqrt(sd**2 / queries + 2 * seed_sd**2 / seeds)
    assert np.mean(np.abs(means) / error > 1.959964) == pytest.approx(0.8, abs=0.02)
    # The queries alone believed, seeds forgotten: the test is wrong too often where there is no gap.
    assert np.mean(np.abs(means - gap) / (sd / math.sqrt(queries)) > 1.959964) > 0.08


def test_the_certain_gap_by_hand():
    """delta = 2/e: log(2/delta) = 1; sd 0.2, N = 101: 0.2 √(2/101) + 14/300."""
    assert certain_gap(101, 0.2, delta=2 / math.e) == pytest.approx(0.2 * math.sqrt(2 / 101) + 14 / 300)


@given(gap=POSITIVE, sd=st.floats(0, 1), span=st.floats(0.5, 2), delta=st.floats(0.001, 0.2))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_the_certain_number_is_the_first_that_suffices(gap, sd, span, delta):
    found = certain_queries_needed(gap, sd, span=span, delta=delta)
    assert certain_gap(found, sd, span=span, delta=delta) <= gap
    assert found == 2 or certain_gap(found - 1, sd, span=span, delta=delta) > gap


def test_certainty_costs_more_than_the_central_limit():
    assert certain_queries_needed(0.02, 0.2) > queries_needed(0.02, 0.2).number


def test_the_certain_gap_holds_as_often_as_it_says():
    """Rare large differences, mean 0: an observed mean above the half-width comes in at most 5% of 4,000 samples."""
    rng = np.random.default_rng(6)
    values = np.where(rng.random((4000, 200)) < 0.02, 0.98, -0.02)
    wide = np.array([certain_gap(200, s) for s in values.std(axis=1, ddof=1)])
    assert np.mean(values.mean(axis=1) > wide) <= 0.05


def test_groups_needed_by_hand():
    """Room log 2 - 0.3 - 0.05 - 0.1 = 0.2431, c = 5: (5/0.2431)² = 422.9."""
    found = groups_needed(RootLaw(5.0), target_entropy=0.3, fit=0.05, shift=0.1)
    assert found == math.ceil((5 / (math.log(2) - 0.45)) ** 2) == 423
    assert groups_needed(RootLaw(0.0), target_entropy=0.3) == 1
    assert groups_needed(RootLaw(5.0), target_entropy=0.3, shift=0.4) is None
    assert groups_needed(RootLaw(5.0), target_entropy=0.3, shift=math.inf) is None
    assert groups_needed(lambda n, delta: 1.0, target_entropy=0.3) is None  # never falls


@given(
    mean=st.floats(0, 9), moment=st.floats(0, 9), span=st.floats(0, 50), entropy=st.floats(0, 0.6),
    delta=st.floats(0.001, 0.5),
)  # fmt: skip
@settings(max_examples=60, derandomize=True, deadline=None)
def test_groups_needed_is_the_first_number_that_says_something(mean, moment, span, entropy, delta):
    law = TailLaw(mean, moment, span)
    found = groups_needed(law, target_entropy=entropy, delta=delta)
    assert law(found, delta) < math.log(2) - entropy
    assert found == 1 or law(found - 1, delta) >= math.log(2) - entropy


def test_the_informative_distance_fills_the_room():
    """At that W1 the shift term (B + B_g)/(2 tau) W1 is log 2 - H_mu."""
    distance = informative_distance(target_entropy=0.2, temperature=0.5, reach=8.0, teacher_reach=2.0)
    assert 10 / (2 * 0.5) * distance == pytest.approx(math.log(2) - 0.2)
    assert informative_distance(target_entropy=math.log(2), temperature=1, reach=1, teacher_reach=1) == 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: queries_needed(0.0, 0.2), "gap is 0"),
        (lambda: queries_needed(0.1, math.nan), "sd is nan"),
        (lambda: queries_needed(0.1, 0.2, level=1.0), "level is 1"),
        (lambda: queries_needed(0.1, 0.2, power=0.02), "power is 0.02"),
        (lambda: queries_needed(0.1, 0.2, seeds=0), "seeds is 0"),
        (lambda: queries_needed(0.1, 0.2, seed_sd=-1), "seed sd is -1"),
        (lambda: seeds_needed(0.1, 0.2, 0, 0.1), "queries is 0"),
        (lambda: smallest_gap(0, 0.2), "queries is 0"),
        (lambda: certain_gap(1, 0.2), "queries is 1"),
        (lambda: certain_gap(9, 0.2, delta=0), "delta is 0"),
        (lambda: certain_gap(9, 0.2, span=0), "span is 0"),
        (lambda: certain_queries_needed(1e-12, 0.2), "out of reach"),
        (lambda: groups_needed(RootLaw(1), target_entropy=0.7), "target entropy is 0.7"),
        (lambda: groups_needed(RootLaw(1), target_entropy=math.nan), "target entropy is nan"),
        (lambda: groups_needed(RootLaw(1), target_entropy=0.1, shift=math.nan), "shift is nan"),
        (lambda: groups_needed(RootLaw(1), target_entropy=0.1, fit=-1), "fit is -1"),
        (lambda: informative_distance(target_entropy=0.1, temperature=0, reach=1, teacher_reach=1), "temperature is 0"),
        (lambda: informative_distance(target_entropy=0.1, temperature=1, reach=0, teacher_reach=0), "sum of reaches"),
    ],
)
def test_refusals(call, says):
    with pytest.raises(SpecError, match=says):
        call()
