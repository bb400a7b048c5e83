"""Temperatures: hand-worked values, the wanted entropy met, the calibrated one recovered, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, MissingScores, SpecError
from rankstill.measures.entropy import pairwise_entropy
from rankstill.measures.temperature import calibrated_temperature, default_temperature, temperature_for

LOG2 = math.log(2)


def normal(n: int = 100, size: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, size))


def test_default_temperature_by_hand():
    # Margins ±2, ±1, ±1 in one group and ±4, ±2, ±2 in the other: mean square (6 + 24) / 6 = 5.
    scores = np.array([[0.0, 1.0, 2.0], [10.0, 12.0, 14.0]])
    assert default_temperature(scores) == pytest.approx(0.5 * math.sqrt(5))
    assert default_temperature(scores, c=2.0) == pytest.approx(2 * math.sqrt(5))


def test_default_temperature_makes_teachers_of_any_scale_comparable():
    scores = np.random.default_rng(0).normal(size=(100, 8))
    other = 40 * scores + np.random.default_rng(1).normal(size=(100, 1))
    assert default_temperature(other) == pytest.approx(40 * default_temperature(scores))
    values = [pairwise_entropy(s, default_temperature(s)) for s in (scores, other)]
    assert values[0] == pytest.approx(values[1])


def test_a_share_of_the_spread_that_is_not_above_0_is_refused_by_its_name():
    with pytest.raises(SpecError, match="c is 0; it must be above 0"):
        default_temperature(np.eye(3), 0)


def test_a_constant_teacher_is_refused():
    with pytest.raises(DataError, match=r"constant score to the documents of all 3 groups \(first: 0.5\)"):
        default_temperature(np.full((3, 4), 0.5, np.float32))
    # Constant within each group is constant enough, and so are differences in the last digit.
    with pytest.raises(DataError, match="constant"):
        default_temperature(np.repeat(np.arange(3.0)[:, None], 4, axis=1))
    jitter = np.float32(0.9) + np.float32(6e-8) * (np.arange(12).reshape(3, 4) % 2)
    with pytest.raises(DataError, match="constant"):
        default_temperature(jitter.astype(np.float32))
    # One group with a preference is enough.
    assert default_temperature(np.array([[0.5, 0.5], [0.5, 0.6]])) > 0


def test_the_wanted_entropy_by_hand():
    """One pair with margin log 3: p = 3/4 at temperature 1, and 9/10 at half of it."""
    scores = np.array([[0.0, math.log(3)]])
    for p, temperature in ((0.75, 1.0), (0.9, 0.5)):
        wanted = -(p * math.log(p) + (1 - p) * math.log(1 - p)) / LOG2
        assert temperature_for(scores, wanted) == pytest.approx(temperature, rel=1e-10)


@given(seed=st.integers(0, 999), wanted=st.floats(0.001, 0.999), scale=st.floats(1e-3, 1e3), shift=st.floats(-9, 9))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_the_wanted_entropy_is_met_at_any_scale(seed: int, wanted: float, scale: float, shift: float):
    scores = normal(20, 5, seed)
    temperature = temperature_for(scores, wanted)
    assert pairwise_entropy(scores, temperature, normalised=True).mean() == pytest.approx(wanted, abs=1e-9)
    # Scale law of the temperature.
    assert temperature_for(scale * scores + shift, wanted) == pytest.approx(scale * temperature, rel=1e-6)


def test_entropy_of_ties_cannot_be_had_less_of():
    scores = np.array([[1.0, 1.0, 2.0]])  # a third of the pairs is tied
    assert temperature_for(scores, 0.34) < 0.25
    for wanted in (1 / 3, 0.2, 1.0, 1.5, math.nan):
        with pytest.raises(
            SpecError, match=r"(?s)entropy of .*between 0.333, the share of pairs that the teacher ties"
        ):
            temperature_for(scores, wanted)


def test_a_margin_a_billion_times_the_others_does_not_hide_the_answer():
    scores = np.array([[0.0, 1.0], [0.0, 1e9]])
    assert pairwise_entropy(scores, temperature_for(scores, 0.25), normalised=True).mean() == pytest.approx(0.25)
    assert pairwise_entropy(scores, temperature_for(scores, 0.75), normalised=True).mean() == pytest.approx(0.75)


def test_calibration_by_hand():
    """Margin 1 in four groups, of which people agree with three: s(1/t) = 3/4 at t = 1/log 3."""
    scores = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
    got = calibrated_temperature(scores, np.array([[1, 0]] * 4))
    assert got.temperature == pytest.approx(1 / math.log(3), rel=1e-9)
    assert got.edge is None
    assert got.entropy == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert (got.pairs, got.groups) == (4, 4)


@given(seed=st.integers(0, 999))
@settings(max_examples=20, derandomize=True, deadline=None)
def test_the_calibrated_temperature_is_where_cross_entropy_equals_entropy_and_nothing_is_better(seed: int):
    """[8.4], with graded labels, gaps in the judgements, and groups of different numbers of pairs."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (200, 6)).astype(float)
    labels[rng.random(labels.shape) < 0.3] = np.nan
    scores = 5 * (np.nan_to_num(labels) + rng.normal(size=labels.shape)) + 3
    got = calibrated_temperature(scores, labels)
    assert got.edge is None
    assert got.cross_entropy == pytest.approx(got.entropy, abs=1e-9)
    assert got.cross_entropy == pytest.approx(plain_cross_entropy(scores, labels, got.temperature), abs=1e-12)
    for factor in (0.8, 0.99, 1.01, 1.3):
        assert plain_cross_entropy(scores, labels, factor * got.temperature) > got.cross_entropy
    # Order within groups, shifts and scale.
    other = calibrated_temperature(2 * scores[:, ::-1] + 7, labels[:, ::-1])
    assert other.temperature == pytest.approx(2 * got.temperature, rel=1e-9)


def plain_cross_entropy(scores: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    groups = []
    for g, y in zip(scores, labels, strict=True):
        pairs = [(i, j) for i in range(len(g)) for j in range(len(g)) if y[i] > y[j]]
        if pairs:
            groups.append(np.mean([math.log1p(math.exp(-(g[i] - g[j]) / temperature)) for i, j in pairs]))
    return float(np.mean(groups))


def test_calibration_recovers_the_temperature_that_labels_were_drawn_at():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(40_000, 2))
    won = rng.random(40_000) < 1 / (1 + np.exp(-(scores[:, 0] - scores[:, 1]) / 0.6))
    got = calibrated_temperature(scores, np.column_stack([won, ~won]).astype(float))
    assert got.temperature == pytest.approx(0.6, rel=0.03)


def test_calibration_at_the_edges():
    scores, spread = normal(50, 4), default_temperature(normal(50, 4), 1.0)
    agrees = calibrated_temperature(scores, scores.argsort(axis=1).argsort(axis=1))
    assert (agrees.edge, agrees.temperature) == ("lowest", pytest.approx(spread / 100))
    opposed = calibrated_temperature(scores, -scores)
    assert (opposed.edge, opposed.temperature) == ("highest", pytest.approx(spread * 100))
    # A teacher that ties all labelled pairs says nothing about them.
    tied = calibrated_temperature(np.array([[1.0, 1.0, 5.0]]), np.array([[1.0, 0.0, np.nan]]))
    assert tied.edge == "highest"
    assert tied.cross_entropy == pytest.approx(LOG2)


def test_calibration_refuses():
    scores = normal(3, 4)
    with pytest.raises(DataError, match="none of 3 groups holds two documents with different labels"):
        calibrated_temperature(scores, np.zeros((3, 4)))
    with pytest.raises(DataError, match="none of 3 groups"):
        calibrated_temperature(scores, np.full((3, 4), np.nan))
    with pytest.raises(SpecError, match="must belong together"):
        calibrated_temperature(scores, np.zeros((3, 3)))
    with pytest.raises(DataError, match="constant score"):
        calibrated_temperature(np.ones((3, 4)), np.eye(3, 4))
    with pytest.raises(MissingScores):
        calibrated_temperature(np.full((3, 4), np.nan), np.eye(3, 4))
    with pytest.raises(DataError, match="constant score"):
        temperature_for(np.ones((3, 4)), 0.5)
    with pytest.raises(SpecError, match="two documents or more, got"):
        temperature_for(np.ones((3, 1)), 0.5)
