"""Shift: exact ratios, exact W1 by hand and by other ways, metric axioms, invariances, the null value, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from rankstill.errors import DataError, MissingScores, SpecError
from rankstill.measures.shift import (
    aligned,
    kappa,
    shift_estimate,
    total_variation,
    w1_cost,
    w1_embeddings,
    w1_ragged,
    w1_scores,
    w1_two_scores,
)
from rankstill.measures.transport import transport_costs


def sample(seed: int, size: int, n: int = 4, dimension: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, size, dimension))


def test_kappa_of_nested_lists_is_the_ratio_of_their_lengths():
    """nu uniform on 6 documents, mu uniform on 2 of them: 6/2; the other way round: infinite."""
    wide, narrow = np.ones(6), np.array([1.0, 0, 0, 1, 0, 0])
    assert kappa(wide, narrow) == pytest.approx(3)
    assert kappa(narrow, wide) == math.inf
    assert total_variation(wide, narrow) == pytest.approx(2 / 3)
    # Never below 1, which rounding of equal laws could make it.
    laws = np.random.default_rng(0).random((500, 6))
    assert (kappa(laws, 1.1 * laws) >= 1).all()
    assert kappa(laws, 1.1 * laws) == pytest.approx(1)
    assert total_variation(wide, 5 * wide) == 0


def test_kappa_by_hand():
    drawn = np.array([[1.0, 1, 2], [3, 1, 0], [1, 1, 1]])
    target = np.array([[2.0, 1, 1], [1, 1, 0], [0, 0, 1]])
    assert kappa(drawn, target) == pytest.approx([2, 2, 3])
    assert total_variation(drawn, target) == pytest.approx([0.25, 0.25, 2 / 3])


def test_mixing_in_the_target_bounds_kappa():
    """nu_a = (1 - a) nu + a mu has kappa <= 1/a, and W1 to mu at most (1 - a) times as large [4.3]."""
    rng = np.random.default_rng(0)
    nu, mu = rng.dirichlet(np.full(8, 0.1), 50), rng.dirichlet(np.full(8, 0.1), 50)
    for a in (0.1, 0.5):
        assert (kappa((1 - a) * nu + a * mu, mu) <= 1 / a + 1e-9).all()
        assert total_variation((1 - a) * nu + a * mu, mu) == pytest.approx((1 - a) * total_variation(nu, mu))


def test_laws_on_different_lists_are_aligned():
    p, q = aligned(np.array([7, 2]), np.array([1.0, 3.0]), np.array([2, 9]), np.array([5.0, 5.0]))
    assert p == pytest.approx([0.75, 0.25, 0])
    assert q == pytest.approx([0.5, 0, 0.5])
    with pytest.raises(DataError, match="comes twice"):
        aligned(np.array([7, 7]), np.ones(2), np.array([2]), np.ones(1))
    with pytest.raises(SpecError, match="as many weights"):
        aligned(np.array([7, 2]), np.ones(3), np.array([2]), np.ones(1))


def test_w1_by_hand():
    """Unit vectors at 0°, 90° and 180°: distances √2 and 2."""
    axes = np.array([[1.0, 0], [0, 1], [-1, 0]])
    first, second = axes[None, [0, 1]], axes[None, [1, 2]]
    # Either both move by √2, or one stays and the other goes from 0° to 180°: the mean is 1, less than √2.
    assert w1_embeddings(first, second) == pytest.approx([1])
    assert w1_embeddings(first[:, :1], second[:, 1:]) == pytest.approx([2])
    # L = 2 and scores that differ by 3: 2·√2 + 3.
    scores = np.array([[3.0]]), np.array([[0.0]])
    assert w1_cost(first[:, :1], second[:, :1], *scores, radius=2.0) == pytest.approx([2 * math.sqrt(2) + 3])
    assert w1_scores(np.array([[0.0, 4]]), np.array([[1.0, 1, 1, 3]])) == pytest.approx([(1 + 1 + 3 + 1) / 4])


@pytest.mark.parametrize(("a", "b"), [(5, 5), (4, 6), (1, 7), (16, 100)])
def test_w1_of_scores_against_scipy(a, b):
    rng = np.random.default_rng(a)
    first, second = rng.normal(size=(20, a)).round(1), rng.normal(size=(20, b)).round(1)
    expected = [wasserstein_distance(x, y) for x, y in zip(first, second, strict=True)]
    assert w1_scores(first, second) == pytest.approx(expected, abs=1e-12)
    assert w1_ragged(list(first), list(second)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("a", "b"), [(6, 6), (4, 6)])
def test_on_a_line_all_ways_agree(a, b):
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(10, a)), rng.normal(size=(10, b))
    expected = w1_scores(first, second)
    assert transport_costs(np.abs(first[:, :, None] - second[:, None, :])) == pytest.approx(expected, abs=1e-12)
    assert w1_embeddings(first[..., None], second[..., None], unit=False) == pytest.approx(expected, abs=1e-12)
    zero = np.zeros_like(first), np.zeros_like(second)
    assert w1_two_scores(first, second, *zero) == pytest.approx(expected, abs=1e-12)
    # A student that equals the teacher moves twice as far.
    assert w1_two_scores(first, second, first, second) == pytest.approx(2 * expected, abs=1e-12)
    assert w1_cost(first[..., None], second[..., None], first, second, radius=3.0, unit=False) == pytest.approx(
        4 * expected, abs=1e-12
    )


@given(seed=st.integers(0, 9999), a=st.integers(1, 6), b=st.integers(1, 6))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_it_is_a_metric_and_knows_no_order(seed: int, a: int, b: int):
    x, y, z = sample(seed, a), sample(seed + 1, b), sample(seed + 2, a)
    forth = w1_embeddings(x, y)
    assert w1_embeddings(y, x) == pytest.approx(forth, abs=1e-12)
    assert (forth <= w1_embeddings(x, z) + w1_embeddings(z, y) + 1e-9).all()
    assert w1_embeddings(x, x) == pytest.approx(0, abs=1e-15)
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert w1_embeddings(x[:, rng.permutation(a)], y[:, rng.permutation(b)]) == pytest.approx(forth, abs=1e-9)
    assert w1_embeddings(x @ turn, 7 * y @ turn) == pytest.approx(forth, abs=1e-9)
    assert w1_embeddings(3 * x + 1e6, 3 * y + 1e6, unit=False) == pytest.approx(
        3 * w1_embeddings(x, y, unit=False), abs=1e-8
    )


def test_no_projection_exceeds_it():
    """W1 along one direction is a lower bound, never to be used as an upper one [6.4]."""
    x, y = sample(1, 8, n=20), sample(2, 8, n=20)
    direction = np.array([0.6, 0.8, 0, 0, 0])
    assert (w1_scores(x @ direction, y @ direction) <= w1_embeddings(x, y, unit=False) + 1e-12).all()


def test_samples_of_one_law_are_not_at_distance_0():
    """Two samples of one law against samples of two: the null value tells them apart, and falls as samples grow."""
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(200, 8)), rng.normal(size=(200, 8))
    shifted = rng.normal(size=(200, 8)) + 1
    same = shift_estimate(w1_scores(one, two), w1_scores(one, two), seed=1)
    assert same.value.mean == same.null.mean > 0.2
    moved = shift_estimate(w1_scores(shifted, two), w1_scores(one, two), seed=1)
    assert moved.value.low > moved.null.high
    assert moved.n == 200
    assert shift_estimate(w1_scores(one, two), seed=1).null is None
    large = w1_scores(rng.normal(size=(200, 200)), rng.normal(size=(200, 200))).mean()
    # On average it is never below the distance of the laws, which is 1 here.
    assert large < same.value.mean / 3
    assert moved.value.mean > 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_half_precision_and_many_blocks(dtype):
    x, y = sample(5, 16, n=150, dimension=384), sample(6, 16, n=150, dimension=384)
    whole = w1_embeddings(x.astype(dtype), y.astype(dtype))
    assert whole == pytest.approx(w1_embeddings(x, y), abs=2e-3)
    each = [w1_embeddings(x[i : i + 1].astype(dtype), y[i : i + 1].astype(dtype))[0] for i in (0, 149)]
    assert whole[[0, 149]] == pytest.approx(each, abs=1e-12)


def test_refusals():
    x, y = sample(0, 3), sample(1, 4)
    for first, second in ((x[0], y[0]), (x, y[:2]), (x, y[:, :, :2]), (x[:0], y[:0]), (x[:, :0], y)):
        with pytest.raises(SpecError):
            w1_embeddings(first, second)
    zero = x.copy()
    zero[2, 1] = 0
    with pytest.raises(DataError, match=r"zero or not finite .*document 1 of group 2"):
        w1_embeddings(zero, y)
    many = np.ones((300, 4, 128))
    many[299, 3] = 0  # in the second block
    with pytest.raises(DataError, match="document 3 of group 299"):
        w1_embeddings(np.ones((300, 4, 128)), many)
    w1_embeddings(zero, y, unit=False)
    zero[2, 1, 0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        w1_embeddings(y, zero, unit=False)
    g, other = np.zeros((4, 3)), np.zeros((4, 4))
    for scores in ((g[:2], other), (g, other[:, :2])):
        with pytest.raises(SpecError, match="do not fit"):
            w1_cost(x, y, *scores, radius=1.0)
    for radius in (-1.0, math.nan, math.inf):
        with pytest.raises(SpecError, match="radius"):
            w1_cost(x, y, g, other, radius=radius)
    with pytest.raises(MissingScores, match="1 of 4 groups"):
        w1_cost(x, y, np.where(np.arange(4)[:, None] == 2, np.nan, g), other, radius=1.0)
    with pytest.raises(SpecError):
        w1_scores(np.zeros((2, 3)), np.zeros((3, 3)))
    with pytest.raises(SpecError):
        w1_scores(np.zeros((2, 0)), np.zeros((2, 3)))
    with pytest.raises(SpecError):
        w1_ragged([np.zeros(2)], [])
    with pytest.raises(SpecError):
        w1_two_scores(g, other, other, g)
    for bad in ([-1.0, 2], [math.nan, 1], [0.0, 0]):
        with pytest.raises(DataError):
            kappa(np.array(bad), np.ones(2))
    with pytest.raises(SpecError):
        total_variation(np.ones(2), np.ones(3))
