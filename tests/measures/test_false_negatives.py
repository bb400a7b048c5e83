"""Suspected false negatives: hand-worked rates, what they do not depend on, a known rate recovered, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, MissingScores, SpecError
from rankstill.measures.false_negatives import FalseNegativeStream, false_negative_rate


def normal(n: int = 50, size: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, size))


def test_false_negatives_by_hand():
    """One of two negatives above the positive; a tie counts; of two positives, each negative is above one: 3 of 4."""
    scores = np.array([[1.0, 2, 0, 9], [1, 1, 0, 0], [3, 1, 2, 5]])
    labels = np.array([[1, 0, 0, 1], [1, 0, 0, np.nan], [1, 1, 0, 0]])
    got = false_negative_rate(scores, labels)
    # Group 1: negatives 2 and 0 against 1 and 9. Group 2: 1, 0 and 0 against 1. Group 3: 2 and 5 against 3 and 1.
    assert got.share.mean == pytest.approx(np.mean([1 / 4, 1 / 3, 3 / 4]))
    assert (got.groups, got.pairs, got.share.n) == (3, 11, 3)
    half = math.sqrt(math.log(2 / 0.1) / 6)
    assert false_negative_rate(scores, labels, level=0.9).share.high == pytest.approx(min(1, got.share.mean + half))


def test_groups_without_positives_or_negatives_say_nothing():
    scores, labels = normal(4, 3), np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1], [2, 0, 1]])
    got = false_negative_rate(scores, labels)
    assert got.groups == 2
    assert got == false_negative_rate(scores[[0, 3]], labels[[0, 3]])
    with pytest.raises(DataError, match="no group holds both a positive and a negative"):
        false_negative_rate(scores[1:3], labels[1:3])


@given(seed=st.integers(0, 999), cuts=st.lists(st.integers(1, 19), max_size=3, unique=True))
@settings(max_examples=25, derandomize=True, deadline=None)
def test_a_stream_ends_with_the_same_bits(seed: int, cuts: list[int]):
    scores, labels = normal(20, 5, seed), np.random.default_rng(seed).integers(0, 2, (20, 5))
    stream = FalseNegativeStream()
    for g, y in zip(*(np.split(a, sorted(cuts)) for a in (scores, labels)), strict=True):
        stream.add(g, y)
    assert stream.result() == false_negative_rate(scores, labels)


def test_false_negatives_do_not_depend_on_shift_scale_or_order():
    scores, labels = normal(30, 6), np.random.default_rng(1).integers(0, 2, (30, 6))
    got = false_negative_rate(scores, labels)
    assert false_negative_rate(3 * scores + 7, labels) == got
    assert false_negative_rate(scores[:, ::-1], labels[:, ::-1]).share.mean == pytest.approx(got.share.mean)


def test_the_rate_is_recovered_where_the_teacher_knows():
    rng = np.random.default_rng(0)
    relevant = rng.random((4000, 16)) < 0.3
    relevant[:, 0] = True
    labels = np.zeros((4000, 16))
    labels[:, 0] = 1
    got = false_negative_rate(relevant.astype(np.float32), labels)
    assert got.share.mean == pytest.approx(0.3, abs=0.01)
    assert got.share.low < 0.3 < got.share.high


def test_refusals():
    scores, labels = normal(3, 4), np.eye(3, 4)
    broken = scores.copy()
    broken[1, 2] = math.nan
    with pytest.raises(MissingScores, match=r"1 of 3 groups hold a score .* \(first: row 1\)"):
        false_negative_rate(broken, labels)
    with pytest.raises(SpecError, match="must belong together"):
        false_negative_rate(scores, labels[:, :3])
    with pytest.raises(SpecError, match="two documents or more"):
        false_negative_rate(scores[:, :1], labels[:, :1])
