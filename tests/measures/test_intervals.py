"""Intervals: hand-worked bounds, coverage by simulation, scipy's bootstrap, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, SpecError
from rankstill.measures.intervals import (
    BOOTSTRAP_UP_TO,
    Interval,
    difference_interval,
    hoeffding_interval,
    mean_interval,
)


def reciprocal_ranks(n: int, seed: int = 0) -> np.ndarray:
    """Skewed values with many ties, as RR@10 has."""
    return 1.0 / np.random.default_rng(seed).geometric(0.4, n)


def test_one_value_says_nothing_of_the_spread():
    assert mean_interval([0.25], seed=1) == Interval(0.25, None, None, 1)
    assert difference_interval([0.5], [0.25], seed=1) == Interval(0.25, None, None, 1)


def test_values_all_alike_give_an_interval_of_no_width():
    got = mean_interval([0.1] * 7, seed=1)
    assert got.low == got.mean == got.high == pytest.approx(0.1)


def test_two_values_by_hand():
    # Resampled means of (0, 1): 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4, so both tails beyond 1/4 end at 0 and 1.
    assert mean_interval([0.0, 1.0], seed=1) == Interval(0.5, 0.0, 1.0, 2)


def test_above_the_limit_it_is_the_normal_interval():
    n = BOOTSTRAP_UP_TO + 1
    values = np.r_[np.zeros(n // 2), np.ones(n - n // 2)]
    got = mean_interval(values, seed=1)
    half = 1.959964 * values.std(ddof=1) / math.sqrt(n)
    assert (got.low, got.high) == pytest.approx((got.mean - half, got.mean + half), rel=1e-6)


def test_the_two_methods_meet_at_the_limit():
    values = reciprocal_ranks(BOOTSTRAP_UP_TO)
    bootstrap = mean_interval(values, seed=1)
    half = 1.959964 * values.std(ddof=1) / math.sqrt(len(values))
    assert bootstrap.low == pytest.approx(bootstrap.mean - half, abs=0.05 * half)
    assert bootstrap.high == pytest.approx(bootstrap.mean + half, abs=0.05 * half)


@pytest.mark.parametrize(
    ("values", "correction"),
    [(reciprocal_ranks(43), 0.0), (np.random.default_rng(3).exponential(1.0, 12) ** 2, 0.05)],
)
def test_it_is_scipys_bca_bootstrap(values: np.ndarray, correction: float):
    bootstrap = pytest.importorskip("scipy.stats").bootstrap
    theirs, percentile = (
        bootstrap((values,), np.mean, n_resamples=20_000, method=m, rng=np.random.default_rng(5)).confidence_interval
        for m in ("BCa", "percentile")
    )
    ours = mean_interval(values, seed=1, resamples=20_000)
    width = ours.high - ours.low
    assert ours.low == pytest.approx(theirs.low, abs=0.015 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.02 * width)
    assert ours.high >= percentile.high + correction * width  # for the second sample, well beyond the noise


@pytest.mark.parametrize(("n", "least"), [(15, 0.88), (50, 0.92)])
def test_it_covers_the_expectation_of_skewed_values(n: int, least: float):
    """Nominally 95%; 400 samples leave a standard error of 1%. Exponential values: skew 2."""
    rng = np.random.default_rng(3)
    samples = rng.exponential(1.0, (400, n))
    intervals = [mean_interval(sample, seed=i, resamples=1000) for i, sample in enumerate(samples)]
    covered = np.mean([i.low <= 1.0 <= i.high for i in intervals])
    assert least <= covered <= 0.98


def test_the_interval_follows_the_skew():
    got = mean_interval(np.random.default_rng(1).exponential(1.0, 40), seed=1)
    assert got.high - got.mean > 1.1 * (got.mean - got.low)


def test_a_paired_difference_is_the_interval_of_the_differences():
    a, b = reciprocal_ranks(50, 1), reciprocal_ranks(50, 2)
    assert difference_interval(a, b, seed=4) == mean_interval(a - b, seed=4)
    # Pairing pays: two systems that differ by a constant differ for certain, however much queries vary.
    assert difference_interval(a + 0.25, a, seed=4).low == pytest.approx(0.25)


@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=30),
    shift=st.floats(-5, 5),
    factor=st.floats(0.1, 10),
)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_it_moves_and_stretches_with_the_values(values: list[float], shift: float, factor: float):
    first = mean_interval(values, seed=2, resamples=300)
    assert first.low <= first.mean + 1e-12
    assert first.mean <= first.high + 1e-12
    assert min(values) - 1e-12 <= first.low <= first.high <= max(values) + 1e-12
    rounded = np.round(values, 6)  # lest the shift absorb tiny differences
    first = mean_interval(rounded, seed=2, resamples=300)
    moved = mean_interval(rounded * factor + shift, seed=2, resamples=300)
    for bound in ("mean", "low", "high"):
        assert getattr(moved, bound) == pytest.approx(getattr(first, bound) * factor + shift, abs=1e-6)


def test_the_same_seed_gives_the_same_bounds_and_another_others():
    values = reciprocal_ranks(60)
    assert mean_interval(values, seed=1) == mean_interval(list(values), seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_a_higher_level_is_wider():
    values = reciprocal_ranks(60)
    widths = [(i := mean_interval(values, seed=1, level=level)).high - i.low for level in (0.5, 0.9, 0.99)]
    assert widths == sorted(widths)


def test_hoeffding_by_hand():
    # sqrt(log(40) / 200) = 0.13581 for 100 values in [0, 1], twice that in [0, 2], cut at the range.
    got = hoeffding_interval(np.full(100, 0.5), lowest=0, highest=1)
    assert (got.low, got.high) == pytest.approx((0.5 - 0.135810, 0.5 + 0.135810), abs=1e-6)
    got = hoeffding_interval(np.full(100, 0.1), lowest=0, highest=2)
    assert (got.low, got.high) == pytest.approx((0.0, 0.1 + 0.271620), abs=1e-6)
    assert hoeffding_interval([0.3], lowest=0, highest=1) == Interval(0.3, 0.0, 1.0, 1)


def test_hoeffding_covers_more_than_it_promises():
    rng = np.random.default_rng(0)
    intervals = [hoeffding_interval(rng.random(30) < 0.1, lowest=0, highest=1, level=0.9) for _ in range(300)]
    assert np.mean([i.low <= 0.1 <= i.high for i in intervals]) >= 0.9


def test_scaled_changes_the_unit():
    assert Interval(1.0, 0.5, 2.0, 9).scaled(2.0) == Interval(2.0, 1.0, 4.0, 9)
    assert Interval(1.0, None, None, 1).scaled(2.0) == Interval(2.0, None, None, 1)


def test_refusals():
    with pytest.raises(DataError, match=r"shape \(n,\) with n >= 1, got \(0,\)"):
        mean_interval([], seed=1)
    with pytest.raises(DataError, match=r"1 of 3 values are not finite \(first: number 1\)"):
        mean_interval([0.0, math.nan, 1.0], seed=1)
    with pytest.raises(DataError, match="got 3 and 2 values"):
        difference_interval([1.0, 2.0, 3.0], [1.0, 2.0], seed=1)
    with pytest.raises(DataError, match=r"1 of 2 values are outside \[0, 1\] \(first: 1.5\)"):
        hoeffding_interval([0.5, 1.5], lowest=0, highest=1)
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(SpecError, match="must be between 0 and 1"):
            mean_interval([0.0, 1.0], seed=1, level=level)
    with pytest.raises(SpecError, match="too few"):
        mean_interval([0.0, 1.0], seed=1, resamples=10)
