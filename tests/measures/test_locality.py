"""Locality: the centroid form against all pairs, hand-worked diameters, unbiasedness, invariances, refusals."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, SpecError
from rankstill.measures.locality import locality, robust_diameter, squared_diameters


def points(n: int = 30, dimensions: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dimensions))


def all_pairs(embeddings: np.ndarray, docs: np.ndarray) -> list[list[float]]:
    """Distances by definition, one pair at a time."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return [[float(np.linalg.norm(unit[i] - unit[j])) for i, j in combinations(group, 2)] for group in docs]


@given(seed=st.integers(0, 9999), size=st.integers(2, 9))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_the_centroid_form_is_the_mean_over_all_pairs(seed: int, size: int):
    """[6.1], in float64 to 1e-10; and the closed form for unit vectors."""
    embeddings = points(seed=seed)
    docs = np.random.default_rng(seed).integers(0, 30, (4, size))
    got = squared_diameters(embeddings, docs)
    expected = [np.mean(np.square(distances)) for distances in all_pairs(embeddings, docs)]
    assert np.abs(got - expected).max() < 1e-10
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    closed = 2 * size / (size - 1) * (1 - np.square(np.linalg.norm(unit[docs].mean(axis=1), axis=1)))
    assert np.abs(got - closed).max() < 1e-10


def test_by_hand():
    # Two axes, both ends of one of them: d² = 2, 2, 4.
    embeddings = np.array([[1.0, 0], [0, 1], [-1, 0], [5, 0]])
    assert squared_diameters(embeddings, np.array([[0, 1, 2]])) == pytest.approx([8 / 3])
    # Twice the same direction: length does not matter. Opposite ends: as far as it goes.
    assert squared_diameters(embeddings, np.array([[0, 3], [0, 2]])) == pytest.approx([0, 4])
    got = locality(embeddings, np.array([[0, 1, 2], [0, 0, 3]]), seed=1, share=0.5)
    assert got.rms.mean == pytest.approx(math.sqrt(4 / 3))
    assert got.robust.maximum == pytest.approx(2)
    assert got.size == 3


def test_d_squared_is_twice_the_cosine_distance():
    embeddings = points(2)
    cosine = embeddings[0] @ embeddings[1] / math.prod(np.linalg.norm(embeddings, axis=1))
    assert squared_diameters(embeddings, np.array([[0, 1]])) == pytest.approx([2 * (1 - cosine)])


@pytest.mark.parametrize("size", [2, 4, 16])
def test_the_expectation_does_not_depend_on_the_size_of_a_group(size: int):
    """Documents drawn independently: E d² of a pair, whatever k; 8,000 groups leave under 1% of noise."""
    embeddings = points(500, 5) + 1.0
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    expected = 2 * (1 - np.square(np.linalg.norm(unit.mean(axis=0))))
    docs = np.random.default_rng(1).integers(0, 500, (8000, size))
    assert squared_diameters(embeddings, docs).mean() == pytest.approx(expected, rel=0.03)


def test_a_tighter_cloud_has_a_smaller_diameter_in_proportion():
    """Scale law: halving all offsets from a common direction halves the diameter (to first order)."""
    direction, offsets = np.r_[np.zeros(5), 1.0], points()
    docs = np.random.default_rng(1).integers(0, 30, (50, 8))
    means = [squared_diameters(direction + s * offsets, docs).mean() for s in (1e-3, 5e-4)]
    assert math.sqrt(means[0] / means[1]) == pytest.approx(2, rel=0.01)


@given(seed=st.integers(0, 9999))
@settings(max_examples=15, derandomize=True, deadline=None)
def test_invariances(seed: int):
    """Order within a group, rotation of the space, lengths of the vectors, and other groups change nothing."""
    rng = np.random.default_rng(seed)
    embeddings, docs = points(seed=seed), rng.integers(0, 30, (9, 5))
    expected, robust = squared_diameters(embeddings, docs), robust_diameter(embeddings, docs, share=0.3)
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    lengths = rng.uniform(0.1, 10, (30, 1))
    for vectors, rows in ((embeddings, docs[:, ::-1]), (embeddings @ rotation, docs), (embeddings * lengths, docs)):
        assert squared_diameters(vectors, rows) == pytest.approx(expected, abs=1e-12)
        assert robust_diameter(vectors, rows, share=0.3).value == pytest.approx(robust.value, abs=2 / 65536)
    assert squared_diameters(embeddings, docs[3:4]) == pytest.approx(expected[3:4], abs=1e-15)


def test_normalisation_is_over_the_dimensions_not_over_the_group():
    """Elsewhere a group's documents are normalised against each other: copies would then not be one point."""
    embeddings = np.tile([3.0, 4.0, 12.0], (4, 1))
    assert squared_diameters(embeddings, np.array([[0, 1, 2, 3]])) == pytest.approx([0], abs=1e-15)


def test_near_duplicates_keep_their_small_distance():
    # 1 - |mean|² in float32 would be noise of 1e-7; the centred form has the true 1e-8.
    embeddings = np.array([[1, 0], [1, 1e-4]], np.float32)
    assert squared_diameters(embeddings, np.array([[0, 1]])) == pytest.approx([1e-8], rel=1e-3)


def test_half_precision_from_a_memory_mapped_file_in_blocks(tmp_path: Path):
    embeddings = points(400, 64).astype(np.float16)
    np.save(tmp_path / "embeddings.npy", embeddings)
    mapped = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    docs = np.random.default_rng(2).integers(0, 400, (1500, 8)).astype(np.uint32)  # two blocks
    expected = squared_diameters(embeddings.astype(np.float64), docs)
    assert squared_diameters(mapped, docs) == pytest.approx(expected, abs=1e-6)
    assert (squared_diameters(mapped, docs)[-3:] == squared_diameters(mapped, docs[-3:])).all()
    coarse, fine = (robust_diameter(e, docs) for e in (mapped, embeddings.astype(np.float64)))
    assert coarse.value == pytest.approx(fine.value, abs=1e-4)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
def test_the_robust_diameter_is_the_pooled_quantile(share: float):
    embeddings, docs = points(100), np.random.default_rng(1).integers(0, 100, (200, 6))
    distances = np.sort(np.concatenate(all_pairs(embeddings, docs)))
    got = robust_diameter(embeddings, docs, share=share)
    # inf{t: P(d <= t) >= 1 - share}
    expected = distances[math.ceil(len(distances) * (1 - share)) - 1]
    assert expected - 1e-9 <= got.value <= expected + 2 / 65536
    assert got.maximum == pytest.approx(distances[-1])
    assert (got.share, got.level) == (share, 0.95)


def test_the_upper_bound_by_hand_and_where_it_says_nothing():
    embeddings, docs = points(100), np.random.default_rng(1).integers(0, 100, (600, 6))
    slack = math.sqrt(math.log(20) / 1200)  # 0.04996
    got = robust_diameter(embeddings, docs, share=0.2)
    assert got.upper == robust_diameter(embeddings, docs, share=0.2 - slack).value
    assert got.value < got.upper <= got.maximum
    assert robust_diameter(embeddings, docs, share=0.05).upper < 2
    assert robust_diameter(embeddings, docs, share=0.04).upper == 2


def test_the_upper_bound_holds_as_often_as_it_says():
    """The pooled quantile of the population stays below the bound in at least 95% of samples of 150 groups."""
    embeddings, rng = points(60), np.random.default_rng(5)
    grid = np.array(list(combinations(range(60), 2)))
    truth = robust_diameter(embeddings, grid, share=0.2).value
    # Groups of 6 that share one document: pairs within a group depend on each other.
    bounds = [robust_diameter(embeddings, rng.permuted(np.tile(np.arange(60), (150, 1)), axis=1)[:, :6], share=0.2)
              for _ in range(60)]  # fmt: skip
    assert np.mean([b.upper >= truth for b in bounds]) >= 0.95


def test_summary_interval():
    embeddings, docs = points(100), np.random.default_rng(1).integers(0, 100, (200, 6))
    got = locality(embeddings, docs, seed=3)
    assert got == locality(embeddings, docs, seed=3)
    values = squared_diameters(embeddings, docs)
    assert got.rms.mean == pytest.approx(math.sqrt(values.mean()))
    assert got.rms.low < got.rms.mean < got.rms.high
    # About ± 2 standard errors, by the rule of thumb for a root.
    half = 1.96 * values.std() / math.sqrt(200) / (2 * got.rms.mean)
    assert got.rms.high - got.rms.mean == pytest.approx(half, rel=0.1)
    assert got.rms.n == 200
    # [6.2] D_rms² <= (1 - eps) Q_eps² + eps D_max²
    robust = got.robust
    assert got.rms.mean**2 <= (1 - robust.share) * robust.value**2 + robust.share * robust.maximum**2
    single = locality(embeddings, docs[:1], seed=3)
    assert (single.rms.low, single.rms.high) == (None, None)


@pytest.mark.parametrize("measure", [squared_diameters, robust_diameter])
def test_refusals(measure):
    embeddings, docs = points(), np.array([[0, 1, 2], [3, 4, 5]])
    for bad in (math.nan, math.inf, 0.0):
        broken = embeddings.copy()
        broken[4] = bad
        with pytest.raises(
            DataError, match=r"1 documents have an embedding that is zero or not finite \(first: row 4\)"
        ):
            measure(broken, docs)
        broken[29] = bad
        broken[4] = 1.0
        measure(broken, docs)  # row 29 is in no group
    with pytest.raises(DataError, match=r"1 entries of the groups name .* \(first: row 30 of 30\)"):
        measure(embeddings, np.array([[0, 30]], np.uint32))
    with pytest.raises(DataError, match="first: row -1 of 30"):
        measure(embeddings, np.array([[0, -1]]))
    for shape in ((3, 1), (0, 4)):
        with pytest.raises(SpecError, match="one group or more of two documents or more"):
            measure(embeddings, np.zeros(shape, np.uint32))
    with pytest.raises(SpecError, match=r"groups \(n, k\), got \(30, 6\) and \(3,\)"):
        measure(embeddings, np.zeros(3, np.uint32))


def test_share_and_level_are_checked():
    for options in ({"share": 0.0}, {"share": 1.0}, {"level": 1.0}):
        with pytest.raises(SpecError, match="must be between 0 and 1"):
            robust_diameter(points(), np.array([[0, 1]]), **options)
