from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankstill.teachers.normalise import NORMALISATIONS, combine

# Query 0 has pairs 0, 2, 3; query 1 has pairs 1 and 4 (equal scores); query 2 has pair 5 alone.
QUERY = np.array([0, 1, 0, 0, 1, 2], np.uint32)
X = np.array([2, 5, 4, 6, 5, 9], np.float32)
Y = np.array([10, 1, 30, 20, 3, 7], np.float32)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("none", X),
        ("min-max", [0, 0.5, 0.5, 1, 0.5, 0.5]),
        ("z", [-1.2247449, 0, 0, 1.2247449, 0, 0]),
        ("rank", [0, 0.5, 0.5, 1, 0.5, 0.5]),
        ("affine", X),
    ],
)
def test_each_normalisation_by_hand(how, expected):
    assert combine([X], QUERY, [1], how).tolist() == pytest.approx(list(expected))


def test_weights_multiply_and_are_not_scaled():
    # min-max of Y: 0, 0, 1, 0.5, 1, 0.5.
    assert combine([X, Y], QUERY, [2, 10], "min-max").tolist() == pytest.approx([0, 1, 11, 7, 11, 6])


def test_affine_moves_others_to_the_first_teachers_scale():
    """Y in query 0 has mean 20 and deviation 8.165, X mean 4 and 1.633: 10 becomes 2, 30 becomes 6, 20 becomes 4."""
    assert combine([X, Y], QUERY, [0, 1], "affine").tolist() == pytest.approx([2, 5, 6, 4, 5, 9])


def test_equal_scores_share_their_rank():
    query, x = np.zeros(4, np.uint32), np.array([3, 1, 3, 0], np.float32)
    assert combine([x], query, [1], "rank").tolist() == pytest.approx([5 / 6, 1 / 3, 5 / 6, 0])


lists = st.lists(st.tuples(st.integers(0, 3), st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=30)


@given(lists, st.sampled_from(NORMALISATIONS), st.randoms())
def test_never_nan_and_never_dependent_on_the_order_of_the_pairs(rows, how, random):
    query, x, y = (np.array(c) for c in zip(*rows, strict=True))
    scores = combine([x.astype(np.float32), y.astype(np.float32)], query, [0.7, 0.3], how)
    assert np.isfinite(scores).all()
    order = np.array(random.sample(range(len(rows)), len(rows)))
    again = combine([x[order].astype(np.float32), y[order].astype(np.float32)], query[order], [0.7, 0.3], how)
    np.testing.assert_allclose(again, scores[order], atol=1e-5)


@given(lists, st.sampled_from(["min-max", "z", "rank"]))
def test_a_teachers_scale_does_not_matter(rows, how):
    query, x, y = (np.array(c, np.float32) for c in zip(*rows, strict=True))
    np.testing.assert_allclose(
        combine([x, 1000 * y + 7], query, [1, 2], how), combine([x, y], query, [1, 2], how), atol=1e-4
    )
