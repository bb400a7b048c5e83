"""Teacher entropy: hand-worked values, scipy's entropy, theory's numbers and bounds, streams, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rankstill.errors import DataError, MissingScores, SpecError
from rankstill.measures.entropy import (
    STEEPEST,
    EntropyStream,
    default_temperature,
    entropy,
    entropy_gap_bound,
    listwise_entropy,
    pairwise_entropy,
)

LOG2 = math.log(2)
BOTH = [pairwise_entropy, listwise_entropy]
groups = arrays(np.float64, (3, 5), elements=st.floats(-30, 30))


def h(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def test_pairwise_by_hand():
    # Odds 1 : 3 : 3, so two pairs with p = 1/4 and a tie.
    scores = np.log([[1.0, 3.0, 3.0]])
    assert pairwise_entropy(scores) == pytest.approx([(2 * h(0.25) + LOG2) / 3])


def test_listwise_by_hand():
    # Probabilities 1/2, 1/4, 1/4: 3/2 log 2.
    assert listwise_entropy(np.log([[2.0, 1.0, 1.0]])) == pytest.approx([1.5 * LOG2])
    assert listwise_entropy(np.log([[4.0, 1.0, 1.0]]), 2.0) == pytest.approx([1.5 * LOG2])


def test_the_counterexample_of_the_theory():
    """[2.4] Documents a, b, c with g/tau = (5, 5, -5): easy pairs (a, c) 0.0005, mined pairs (a, b) log 2."""
    easy, mined = pairwise_entropy(np.array([[5.0, -5.0], [5.0, 5.0]]))
    assert easy == pytest.approx(0.0005, abs=5e-5)
    assert mined == LOG2
    assert mined / easy == pytest.approx(1390, rel=0.01)


def test_scores_over_their_sum_would_not_do_but_a_softmax_does():
    """(3, -1, -1): divided by the sum, no distribution; theory section 6."""
    scores = np.array([[3.0, -1.0, -1.0]])
    p = np.exp(scores) / np.exp(scores).sum()
    assert listwise_entropy(scores) == pytest.approx(-(p * np.log(p)).sum(1))


@given(scores=groups, temperature=st.floats(0.2, 5))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_against_plain_loops(scores: np.ndarray, temperature: float):
    scipy_entropy = pytest.importorskip("scipy.stats").entropy
    for row, pairwise, listwise in zip(
        scores, pairwise_entropy(scores, temperature), listwise_entropy(scores, temperature), strict=True
    ):
        logits = row / temperature
        p = np.exp(logits - logits.max())
        assert listwise == pytest.approx(scipy_entropy(p), abs=1e-12)
        pairs = [(logits[i], logits[j]) for i in range(5) for j in range(i)]
        coins = [scipy_entropy(np.exp(np.array(pair) - max(pair))) for pair in pairs]
        assert pairwise == pytest.approx(np.mean(coins), abs=1e-12)


@pytest.mark.parametrize("measure", BOTH)
@given(scores=groups, shift=st.floats(-100, 100), order=st.permutations(range(5)), factor=st.floats(0.5, 4))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_invariances(measure, scores: np.ndarray, shift: float, order: list[int], factor: float):
    expected = measure(scores, 1.5)
    assert measure(scores + shift, 1.5) == pytest.approx(expected, abs=1e-9)
    assert measure(scores[:, order], 1.5) == pytest.approx(expected, abs=1e-12)
    assert measure(scores * factor, 1.5 * factor) == pytest.approx(expected, abs=1e-9)
    assert measure(-scores, 1.5) == pytest.approx(expected, abs=1e-12) or measure is listwise_entropy
    highest = LOG2 if measure is pairwise_entropy else math.log(5)
    assert ((expected >= 0) & (expected <= highest)).all()
    normalised = measure(scores, 1.5, normalised=True)
    assert normalised * highest == pytest.approx(expected)
    assert (normalised <= 1).all()


@pytest.mark.parametrize("measure", BOTH)
def test_entropy_rises_with_the_temperature_from_certain_to_undecided(measure):
    scores = np.random.default_rng(0).normal(size=(20, 8))
    values = np.array([measure(scores, tau, normalised=True) for tau in (1e-6, 0.1, 1.0, 10.0, 1e6)])
    assert (np.diff(values, axis=0) > 0).all()
    assert values[0] == pytest.approx(0, abs=1e-12)
    assert values[-1] == pytest.approx(1)


def test_for_two_documents_both_coincide():
    scores = np.random.default_rng(0).normal(size=(50, 2))
    assert pairwise_entropy(scores) == pytest.approx(listwise_entropy(scores), abs=1e-14)


def test_all_alike_is_exactly_the_maximum_and_ties_of_a_certain_teacher_keep_theirs():
    same = np.full((2, 7), 3.3, np.float32)
    assert pairwise_entropy(same, normalised=True).tolist() == [1, 1]
    assert listwise_entropy(same, normalised=True).tolist() == [1, 1]
    # The mean of many log 2 rounds above log 2 at some sizes; the result does not.
    assert max(pairwise_entropy(np.zeros((1, k)), normalised=True)[0] for k in range(2, 60)) == 1
    cold = np.array([[1e6, 1e6, -1e6]])
    assert pairwise_entropy(cold) == pytest.approx([LOG2 / 3])
    assert listwise_entropy(cold) == pytest.approx([LOG2])


def test_large_and_small_margins_keep_their_digits():
    # h(s(50)) = 51 e^-50 to first order: computed from p, which rounds to 1, it would be 0 or NaN.
    assert pairwise_entropy(np.array([[50.0, 0.0]])) == pytest.approx([51 * math.exp(-50)], rel=1e-9, abs=0)
    assert listwise_entropy(np.array([[0.0, -30.0]])) == pytest.approx([31 * math.exp(-30)], rel=1e-2, abs=0)
    assert np.isfinite(pairwise_entropy(np.array([[3e38, -3e38]], np.float32))).all()


def test_blocks_do_not_show():
    scores = np.random.default_rng(0).normal(size=(40_000, 16)).astype(np.float32)
    whole = pairwise_entropy(scores)
    picked = [0, 8737, 8738, 39_999]
    assert (pairwise_entropy(scores[picked]) == whole[picked]).all()


def test_summary():
    scores = np.random.default_rng(0).normal(size=(200, 4))
    got = entropy(scores, 0.5)
    assert (got.temperature, got.size) == (0.5, 4)
    assert got.pairwise.mean == pytest.approx(pairwise_entropy(scores, 0.5).mean())
    assert got.listwise.mean == pytest.approx(listwise_entropy(scores, 0.5).mean())
    # Hoeffding: log 2 · sqrt(log(40) / 400).
    assert got.pairwise.high - got.pairwise.mean == pytest.approx(LOG2 * math.sqrt(math.log(40) / 400))
    assert got.pairwise_normalised.mean == pytest.approx(got.pairwise.mean / LOG2)
    assert got.listwise_normalised.mean == pytest.approx(got.listwise.mean / math.log(4))
    assert got.pairwise.n == 200


@given(
    scores=arrays(np.float64, (9, 6), elements=st.floats(-9, 9, width=16)), cuts=st.lists(st.integers(0, 9), max_size=4)
)
@settings(max_examples=30, derandomize=True, deadline=None)
def test_a_stream_ends_with_the_same_bits(scores: np.ndarray, cuts: list[int]):
    stream = EntropyStream(6, 0.7)
    for part in np.split(scores, sorted(cuts)):
        stream.add(part)
    assert stream.result(level=0.9) == entropy(scores, 0.7, level=0.9)


@pytest.mark.parametrize("measure", BOTH)
def test_a_group_has_the_same_bits_alone(measure):
    scores = np.random.default_rng(0).normal(size=(50, 6))
    alone = [measure(row[None])[0] for row in scores]
    assert (measure(scores) == alone).all()


def test_a_stream_ends_with_the_same_bits_over_many_blocks():
    scores = np.random.default_rng(0).normal(size=(9000, 16)).astype(np.float32)
    stream = EntropyStream(16, 0.5)
    for start in range(0, 9000, 700):
        stream.add(scores[start : start + 700])
    assert stream.result() == entropy(scores, 0.5)


def test_what_a_stream_refuses_leaves_it_as_it_was():
    stream = EntropyStream(3, 1.0)
    with pytest.raises(SpecError, match="no group was added"):
        stream.result()
    stream.add(np.zeros((2, 3)))
    with pytest.raises(DataError, match="1 of 2 groups"):
        stream.add(np.array([[0.0, 1, 2], [0, 1, np.inf]]))
    with pytest.raises(SpecError, match=r"of shape \(groups, 3\), got \(2, 4\)"):
        stream.add(np.zeros((2, 4)))
    assert stream.result() == entropy(np.zeros((2, 3)), 1.0)
    with pytest.raises(SpecError, match="a group of 1 has no pairs"):
        EntropyStream(1, 1.0)
    with pytest.raises(SpecError, match="must be above 0"):
        EntropyStream(3, 0.0)


def test_missing_scores_are_called_so():
    with pytest.raises(MissingScores, match=r"(?s)1 of 2 groups.*score these pairs first; a missing score is not 0"):
        entropy(np.array([[1.0, 2.0], [np.nan, 3.0]]), 1.0)


def with_replacement(scores: np.ndarray, temperature: float) -> float:
    """Entropy of pairs drawn independently from each row: all k² of them, a document with itself too."""
    margins = (scores[:, :, None] - scores[:, None, :]).ravel() / temperature
    return float(pairwise_entropy(np.column_stack([margins, np.zeros_like(margins)])).mean())


def test_the_constant_of_the_gap_bound():
    """c_h = max |v| s'(v), on a grid; the theory gives it as 0.2238717, rounded up."""
    v = np.linspace(0, 40, 400_001)
    slope = v * np.exp(-v) / (1 + np.exp(-v)) ** 2
    assert slope.max() <= STEEPEST <= 0.2238717
    assert slope.max() == pytest.approx(STEEPEST, abs=1e-9)


@given(seed=st.integers(0, 9999), sizes=st.tuples(st.integers(2, 6), st.integers(2, 6)), tau=st.floats(0.2, 5))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_the_gap_bound_holds(seed: int, sizes: tuple[int, int], tau: float):
    rng = np.random.default_rng(seed)
    a, b = (rng.normal(rng.normal(), rng.uniform(0, 3), (4, size)) for size in sizes)
    bound = entropy_gap_bound(a, b, tau)
    assert abs(with_replacement(a, tau) - with_replacement(b, tau)) <= bound.value + 1e-12
    assert bound.vacuous == (bound.value >= LOG2)


def test_the_gap_bound_is_nearly_reached_so_a_smaller_constant_would_fail():
    """Pairs at the steepest margin, moved a little: half of the pairs of two documents change, and half the bound."""
    a, b = np.array([[0.0, 1.5434]]), np.array([[0.0, 1.5435]])
    change = with_replacement(a, 1.0) - with_replacement(b, 1.0)
    # W1 is half of 0.0001; two of the four pairs change by c_h times 0.0001.
    assert change == pytest.approx(STEEPEST * 0.0001 / 2, rel=1e-4)
    assert change / entropy_gap_bound(a, b, 1.0).value == pytest.approx(0.5, rel=1e-4)


def test_the_gap_bound_by_hand_and_its_laws():
    """Scores 0, 1 against 2: both move, by 2 and by 1, so W1 = 1.5; of 0, 0 against 0, 3, half moves by 3."""
    a, b = np.array([[0.0, 1.0], [0, 0]]), np.array([[2.0, 2.0], [0, 3]])
    assert entropy_gap_bound(a, b, 2.0).value == pytest.approx(2 * STEEPEST * 1.5 / 2)
    scipy_w1 = pytest.importorskip("scipy.stats").wasserstein_distance
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 4)), rng.normal(size=(30, 7))
    bound = entropy_gap_bound(a, b, 1.0)
    expected = 2 * STEEPEST * np.mean([scipy_w1(x, y) for x, y in zip(a, b, strict=True)])
    assert bound.value == pytest.approx(expected, rel=1e-12)
    assert entropy_gap_bound(b, a, 1.0).value == pytest.approx(bound.value)
    assert entropy_gap_bound(a[:, ::-1] + 5, b[:, ::-1] + 5, 1.0).value == pytest.approx(bound.value)
    assert entropy_gap_bound(3 * a, 3 * b, 3.0).value == pytest.approx(bound.value)
    assert entropy_gap_bound(a, a, 1.0).value == 0
    assert (bound.trivial, bound.confidence, bound.source) == (LOG2, None, "theory [2.3]")
    with pytest.raises(SpecError, match="for 30 queries and the other for 29"):
        entropy_gap_bound(a, b[1:], 1.0)
    with pytest.raises(MissingScores):
        entropy_gap_bound(a, np.full((30, 2), np.nan), 1.0)


@pytest.mark.parametrize("measure", [*BOTH, default_temperature])
def test_refusals(measure):
    bad = np.zeros((4, 3))
    bad[2, 1], bad[3, 0] = math.nan, math.inf
    with pytest.raises(DataError, match=r"2 of 4 groups hold a score that is not finite \(first: row 2\)"):
        measure(bad)
    for shape in ((4,), (0, 3), (4, 1)):
        with pytest.raises(SpecError, match="two documents or more"):
            measure(np.zeros(shape))
    for tau in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(SpecError, match="must be above 0"):
            measure(np.zeros((4, 3)), tau)
