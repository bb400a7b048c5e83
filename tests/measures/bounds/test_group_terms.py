"""What Theorem 3 needs of each group: against the definitions, by hand, and what must not change it."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, SpecError
from rankstill.measures.bounds.group_terms import Head, PerGroup, per_group, ranges
from tests.measures.bounds.worlds import by_definition, soft_labels, world

NAMES = ("signed", "saturating", "fourth", "excess", "swing", "entropy", "squared_diameter")


def table(found: PerGroup) -> np.ndarray:
    return np.stack([getattr(found, name) for name in NAMES])


@given(seed=st.integers(0, 9999), size=st.integers(2, 5))
@settings(max_examples=25, derandomize=True, deadline=None)
def test_soft_labels_against_the_definitions(seed: int, size: int):
    w = world(seed, groups=4, size=size, dimension=3)
    head = Head(w.radius, w.temperature)
    expected = [
        by_definition(vectors, soft_labels(scores, w.temperature), w.radius, w.temperature)
        for vectors, scores in zip(w.vectors, w.scores, strict=True)
    ]
    got = table(per_group(w.vectors, w.scores, head))
    assert np.abs(got - np.array([[e[name] for e in expected] for name in NAMES])).max() < 1e-10


def test_hard_and_given_labels_against_the_definitions():
    w = world(3, groups=5)
    w.scores[0, 1] = w.scores[0, 0]  # a tie counts half
    head = Head(w.radius, w.temperature)
    pairs = list(combinations(range(3), 2))
    hard = np.array([[0.5 + 0.5 * np.sign(g[i] - g[j]) for i, j in pairs] for g in w.scores])
    expected = np.array(
        [
            [e[name] for name in NAMES]
            for e in (
                by_definition(v, dict(zip(pairs, p, strict=True)), w.radius, w.temperature, soft=False)
                for v, p in zip(w.vectors, hard, strict=True)
            )
        ]
    ).T
    assert np.abs(table(per_group(w.vectors, w.scores, head, labels="hard")) - expected).max() < 1e-10
    given_ = per_group(w.vectors, None, head, labels="hard", pair_labels=hard)
    assert np.abs(table(given_) - expected).max() < 1e-10
    soft = np.array([[soft_labels(g, w.temperature)[pair] for pair in pairs] for g in w.scores])
    same = table(per_group(w.vectors, None, head, pair_labels=soft))
    assert np.abs(same - table(per_group(w.vectors, w.scores, head))).max() < 1e-10


def test_by_hand():
    """Two documents a right angle apart (d² = 2), margin log 3 (p = 3/4), L = τ = 1."""
    vectors = np.array([[[1.0, 0], [0, 7]]])
    found = per_group(vectors, np.array([[math.log(3), 0.0]]), Head(1.0, 1.0))
    d = math.sqrt(2)
    assert found.signed == pytest.approx([1 / 16 * 2])
    assert found.saturating == pytest.approx([2 * math.tanh(d / 2) ** 2])
    assert found.fourth == pytest.approx([4])
    assert found.swing == pytest.approx([d / 4 + math.log(math.cosh(d / 2))])
    entropy = 2 * math.log(2) - 0.75 * math.log(3)
    assert found.entropy == pytest.approx([entropy])
    assert found.excess == pytest.approx([math.log1p(math.exp(-d)) + 0.75 * d - entropy])
    # Alike documents: no head can do anything, and nothing can be learnt.
    alike = per_group(np.ones((1, 3, 2)), np.zeros((1, 3)), Head(1.0, 1.0))
    assert table(alike)[:5] == pytest.approx(0, abs=1e-12)
    assert alike.entropy == pytest.approx([math.log(2)])


@given(seed=st.integers(0, 9999))
@settings(max_examples=15, derandomize=True, deadline=None)
def test_what_changes_nothing(seed: int):
    """Order of documents, a shift of scores, a rotation, the unit of scores; and of distance, where it is not 1."""
    w = world(seed, groups=3, size=4, dimension=3)
    head = Head(w.radius, w.temperature)
    plain = table(per_group(w.vectors, w.scores, head))
    rng = np.random.default_rng(seed)
    order = rng.permutation(4)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    variants = [
        per_group(w.vectors[:, order], w.scores[:, order], head),
        per_group(w.vectors, w.scores + 10 * rng.normal(size=(3, 1)), head),
        per_group(w.vectors @ turn, w.scores, head),
        per_group(w.vectors * 5, w.scores, head),
        per_group(w.vectors, 3 * w.scores, Head(3 * w.radius, 3 * w.temperature)),
    ]
    for variant in variants:
        assert np.abs(table(variant) - plain).max() < 1e-9
    longer = per_group(2 * w.vectors, w.scores, Head(w.radius / 2, w.temperature, 4.0), unit=False)
    power = np.array([2, 2, 4, 0, 0, 0, 2])[:, None]
    assert np.abs(table(longer) / 2.0**power - plain).max() < 1e-9


def test_nothing_is_outside_the_ranges_known_without_data():
    """The ranges are reached: two opposite documents, and a teacher that is sure."""
    head = Head(1.5, 0.7)
    opposite = per_group(np.array([[[1.0, 0], [-1, 0]]]), np.array([[100.0, 0]]), head)
    reached = opposite.columns()[0] / ranges(head)
    assert reached[:5] == pytest.approx(1, rel=1e-9)
    for seed in range(5):
        w = world(seed, groups=50)
        head = Head(w.radius, w.temperature)
        assert (per_group(w.vectors, w.scores, head).columns() <= ranges(head) * (1 + 1e-12)).all()


def test_half_precision_is_near_double():
    w = world(1, groups=300, size=6, dimension=32)
    head = Head(w.radius, w.temperature)
    double, half = (table(per_group(w.vectors.astype(t), w.scores, head)) for t in (np.float64, np.float16))
    assert np.abs(half - double).max() < 5e-3
    single = table(per_group(w.vectors.astype(np.float32), w.scores, head))
    assert np.abs(single - double).max() < 1e-5


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda v, g: (v[:, :1], g[:, :1]), SpecError, "two documents or more"),
        (lambda v, g: (v[:0], g[:0]), SpecError, "two documents or more"),
        (lambda v, g: (v[0], g), SpecError, "two documents or more"),
        (lambda v, g: (v, g[:, :2]), SpecError, r"scores of shape \(5, 3\), got \(5, 2\)"),
        (lambda v, g: (v * np.array([1, 1, 0])[:, None], g), DataError, "5 vectors are zero .* document 2 of group 0"),
        (lambda v, g: (np.where(v == v[3, 1, 0], np.nan, v), g), DataError, "1 vectors .* document 1 of group 3"),
        (lambda v, g: (v, np.where(g == g[2, 0], np.inf, g)), DataError, "1 of 5 groups .* row 2"),
        (lambda v, g: (v, None), SpecError, "either"),
    ],
)
def test_refusals(change, error, says):
    w = world(0, groups=5)
    vectors, scores = change(w.vectors, w.scores)
    with pytest.raises(error, match=says):
        per_group(vectors, scores, Head(1.0, 1.0))


def test_more_refusals():
    w = world(0, groups=5)
    with pytest.raises(DataError, match="outside"):
        per_group(w.vectors, None, Head(1.0, 1.0), pair_labels=np.full((5, 3), 1.5))
    with pytest.raises(DataError, match="outside"):
        per_group(w.vectors, None, Head(1.0, 1.0), pair_labels=np.full((5, 3), np.nan))
    with pytest.raises(SpecError, match="either"):
        per_group(w.vectors, w.scores, Head(1.0, 1.0), pair_labels=np.full((5, 3), 0.5))
    with pytest.raises(DataError, match="apart, more than the largest distance stated"):
        per_group(w.vectors, w.scores, Head(1.0, 1.0, 1.5), unit=False)
    zero = per_group(0 * w.vectors, w.scores, Head(1.0, 1.0), unit=False)
    assert zero.squared_diameter == pytest.approx(0)
    with pytest.raises(SpecError, match="'medium'"):
        per_group(w.vectors, w.scores, Head(1.0, 1.0), labels="medium")
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(SpecError, match="radius"):
            Head(bad, 1.0)
        with pytest.raises(SpecError, match="temperature"):
            Head(1.0, bad)
