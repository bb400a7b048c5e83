"""Our reading of ECI_sem."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, SpecError
from rankstill.measures.rivals.eci import ECI_NAME, EciSemStream, eci_sem, lexical_overlaps


def world(seed=0, n=6, m=4, dimensions=5):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(n, dimensions)),
        rng.normal(size=(n, dimensions)),
        rng.normal(size=(n, m, dimensions)),
        rng.random((n, m)),
    )


def test_one_example_by_hand():
    """q = (1, 0), p = (1, 0), n = (3, 4)/5, c = 1/4, temperature 0.4: s(1) · 0.6 · 0.75 and |n - p|² = 0.8."""
    found = eci_sem(
        np.array([[2.0, 0.0]]), np.array([[1.0, 0.0]]), np.array([[[3.0, 4.0]]]), np.array([[0.25]]), temperature=0.4
    )
    consistency = 1 / (1 + math.exp(-1))
    assert (found.consistency, found.locality, found.residuality) == pytest.approx((consistency, 0.6, 0.75))
    assert found.score == pytest.approx(math.log(1 + 2 * consistency * 0.45 * 0.8))
    assert (found.examples, found.diversity, found.name) == (1, 0.0, ECI_NAME)
    assert "reimplemented from the abstract" in found.name


@pytest.mark.parametrize("dimensions", [2, 5, 40])
def test_an_independent_computation(dimensions):
    """By loops and numpy's own determinant."""
    queries, positives, negatives, overlaps = world(3, dimensions=dimensions)
    matrix = np.zeros((dimensions, dimensions))
    for q, p, docs, shares in zip(queries, positives, negatives, overlaps, strict=True):
        q, p = q / np.linalg.norm(q), p / np.linalg.norm(p)
        for d, share in zip(docs, shares, strict=True):
            d = d / np.linalg.norm(d)
            weight = 1 / (1 + math.exp((q @ d - q @ p) / 0.05)) * max(q @ d, 0) * (1 - share)
            matrix += weight * np.outer(d - p, d - p) / 24
    expected = np.linalg.slogdet(np.eye(dimensions) + dimensions / 0.5 * matrix)[1]
    assert eci_sem(queries, positives, negatives, overlaps, ridge=0.5).score == pytest.approx(expected)


@given(seed=st.integers(0, 999))
@settings(max_examples=25, derandomize=True, deadline=None)
def test_invariances(seed):
    """Order, lengths of the vectors, rotation of the space, repetition of the sample, and splitting into blocks."""
    queries, positives, negatives, overlaps = world(seed)
    base = eci_sem(queries, positives, negatives, overlaps)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))
    order = np.random.default_rng(seed).permutation(6)
    for change in (
        (queries[order], positives[order], negatives[order][:, ::-1], overlaps[order][:, ::-1]),
        (queries * 3, positives / 7, negatives * 0.01, overlaps),
        (queries @ rotation, positives @ rotation, negatives @ rotation, overlaps),
    ):
        assert eci_sem(*change).score == pytest.approx(base.score)
    twice = eci_sem(*(np.concatenate([a, a]) for a in (queries, positives, negatives, overlaps)))
    assert (twice.score, twice.locality) == pytest.approx((base.score, base.locality))
    stream = EciSemStream(5)
    for rows in (slice(0, 2), slice(2, 6)):
        stream.add(queries[rows], positives[rows], negatives[rows], overlaps[rows])
    assert stream.result().score == pytest.approx(base.score)
    assert 0 <= base.diversity <= 1


def test_each_part_pulls_its_way():
    """More shared words, a positive that the encoder ranks below, negatives that are copies: all lower the score."""
    queries, positives, negatives, overlaps = world(5, n=40)
    positives = queries + 0.3 * positives
    negatives = queries[:, None] + negatives
    base = eci_sem(queries, positives, negatives, overlaps).score
    assert eci_sem(queries, positives, negatives, (1 + overlaps) / 2).score < base
    assert eci_sem(queries, -positives, negatives, overlaps).consistency < 0.1
    same = eci_sem(queries, positives, positives[:, None], overlaps[:, :1])
    assert same.score == 0  # a negative that is the positive teaches nothing
    far = eci_sem(queries, positives, -negatives, overlaps)
    assert far.locality < 0.1
    assert far.score < base


def test_diversity_by_hand():
    """An example with residual (1, -1), and the same turned by 90°: both moments are the weight w = s(0) √½."""
    half = math.sqrt(0.5)
    queries, positives = np.array([[half, half], [-half, half]]), np.array([[0.0, 1.0], [-1.0, 0.0]])
    negatives = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    spread = eci_sem(queries, positives, negatives, np.zeros((2, 1)))
    assert spread.score == pytest.approx(2 * math.log(1 + 2 * 0.5 * half))
    assert spread.diversity == pytest.approx(1)
    # Two examples fill two directions at most, however many there are.
    wide = [np.pad(a, [*[(0, 0)] * (a.ndim - 1), (0, 3)]) for a in (queries, positives, negatives)]
    assert eci_sem(*wide, np.zeros((2, 1))).diversity == pytest.approx(1)
    first = slice(0, 1)
    line = eci_sem(
        *(np.tile(a[first], (5, *[1] * (a.ndim - 1))) for a in (queries, positives, negatives)), np.zeros((5, 1))
    )
    assert line.score == pytest.approx(math.log(1 + 4 * 0.5 * half))  # the same trace in one direction
    assert line.diversity == pytest.approx(0)


def test_places_without_a_negative_are_left_out():
    queries, positives, negatives, overlaps = world(2)
    base = eci_sem(queries, positives, negatives[:, :3], overlaps[:, :3])
    overlaps[:, 3], negatives[:, 3] = np.nan, 0
    found = eci_sem(queries, positives, negatives, overlaps)
    assert found.examples == 18
    assert found.score == pytest.approx(base.score)


def test_shares_of_words_by_hand():
    """Terms 0, 1, 2 of weights 1, 2, 3: a negative with 2 (twice) and 9 has 3/6 of the query 0 1 1 2."""
    idf = np.array([1.0, 2.0, 3.0, 0.0] + [1.0] * 6)
    found = lexical_overlaps(
        [np.array([0, 1, 1, 2]), np.array([3]), np.array([], np.int64)],
        [[np.array([2, 2, 9]), np.array([0, 1, 2])]] * 3,
        idf,
    )
    assert found == pytest.approx(np.array([[0.5, 1.0], [0, 0], [0, 0]]))


def test_more_than_one_block():
    queries, positives, negatives, overlaps = world(4, n=1200, m=20, dimensions=64)
    negatives = negatives.astype(np.float16)
    base = eci_sem(queries[:600], positives[:600], negatives[:600], overlaps[:600])
    stream = EciSemStream(64)
    stream.add(*(np.concatenate([a[:600], a[:600]]) for a in (queries, positives, negatives, overlaps)))
    assert stream.result().score == pytest.approx(base.score)
    negatives[1100, 3] = 0
    with pytest.raises(DataError, match=r"first: document 3 of group 1100"):
        eci_sem(queries, positives, negatives, overlaps)
    before = stream.result()
    with pytest.raises(DataError, match="document 3 of group 1100"):
        stream.add(queries, positives, negatives, overlaps)
    assert stream.result() == before, "nothing of what is refused is taken in"


def test_refusals():
    queries, positives, negatives, overlaps = world()
    for shapes in (
        (queries, positives[:3], negatives, overlaps),
        (queries, positives, negatives[..., :4], overlaps),
        (queries, positives, negatives, overlaps[:, :2]),
        (queries, positives, negatives[:, 0], overlaps),
    ):
        with pytest.raises(SpecError, match="expected queries and positives"):
            eci_sem(*shapes)
    for place, bad in (((0, 0), 1.5), ((1, 2), -0.1)):
        wrong = overlaps.copy()
        wrong[place] = bad
        with pytest.raises(DataError, match=f"1 overlaps are outside 0 to 1 .first: {bad}"):
            eci_sem(queries, positives, negatives, wrong)
    for bad in (0.0, math.nan, math.inf):
        broken = negatives.copy()
        broken[2, 1] = bad
        with pytest.raises(DataError, match=r"1 vectors are zero or not finite \(first: document 1 of group 2\)"):
            eci_sem(queries, positives, broken, overlaps)
    with pytest.raises(DataError, match="no negatives"):
        eci_sem(queries, positives, negatives, np.full((6, 4), np.nan))
    for options in ({"temperature": 0.0}, {"ridge": 0.0}, {"temperature": math.nan}):
        with pytest.raises(SpecError, match="above 0"):
            eci_sem(queries, positives, negatives, overlaps, **options)
    with pytest.raises(SpecError, match="as many negatives"):
        lexical_overlaps([np.array([0])], [], np.ones(2))
    with pytest.raises(DataError, match="1 IDFs"):
        lexical_overlaps([np.array([0])], [[np.array([0])]], np.array([math.nan, 1]))
