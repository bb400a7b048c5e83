"""Locality: the centroid form against all pairs, hand-worked diameters, unbiasedness, streams, refusals."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, SpecError
from rankstill.measures.locality import (
    LocalityStream,
    locality,
    reference_diameter,
    robust_diameter,
    squared_diameters,
)


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


@given(seed=st.integers(0, 9999), cuts=st.lists(st.integers(0, 70), max_size=4), half=st.booleans())
@settings(max_examples=10, derandomize=True, deadline=None)
def test_a_stream_ends_with_the_same_bits(seed: int, cuts: list[int], half: bool):
    """However the groups are cut into blocks, empty ones too; in float64, and in halves, whose blocks are smaller."""
    embeddings = points(90, 700, seed=seed).astype(np.float16 if half else np.float64)
    docs = np.random.default_rng(seed).integers(0, 90, (70, 16))
    stream = LocalityStream(16, share=0.3, level=0.9)
    for part in np.split(embeddings[docs], sorted(cuts)):
        stream.add(part)
    assert stream.result(7) == locality(embeddings, docs, seed=7, share=0.3, level=0.9)
    assert (stream.squared_diameters() == squared_diameters(embeddings, docs)).all()
    assert stream.robust() == robust_diameter(embeddings, docs, share=0.3, level=0.9)
    assert stream.reference() == reference_diameter(embeddings, docs)


def test_what_a_stream_refuses_leaves_it_as_it_was():
    embeddings, docs = points(60, 700).astype(np.float32), np.arange(60).reshape(-1, 2)
    stream = LocalityStream(2, share=0.5)
    with pytest.raises(SpecError, match="no group was added"):
        stream.result(1)
    stream.add(embeddings[docs])
    before = stream.result(1)
    broken = np.tile(embeddings[docs], (20, 1, 1))  # two blocks, the second one broken
    broken[599, 1] = 0
    with pytest.raises(DataError, match=r"1 vectors are .* \(first: document 1 of group 599\)"):
        stream.add(broken)
    for shape in ((3, 3, 700), (3, 2)):
        with pytest.raises(SpecError, match=r"of shape \(groups, 2, dimensions\), got"):
            stream.add(np.ones(shape))
    assert stream.result(1) == before
    with pytest.raises(SpecError, match="a group of 1 has no pairs"):
        LocalityStream(1)


def test_the_diameter_of_the_reference_by_hand():
    """Of 0, 45 and 90 degrees: distances 0.765, 0.765 and 1.414; the 0.99-quantile lies 98% of the way up."""
    embeddings = np.array([[1.0, 0], [1, 1], [0, 1]])
    near, far = 2 * math.sin(math.pi / 8), math.sqrt(2)
    group = near + 0.98 * (far - near)
    assert reference_diameter(embeddings, np.array([[0, 1, 2]])) == pytest.approx(group)
    # A second group with a single distance everywhere: 0.99 of the way between the two.
    alike = reference_diameter(embeddings, np.array([[0, 1, 2], [0, 0, 0]]))
    assert alike == pytest.approx(0.99 * group)
    assert reference_diameter(embeddings, np.array([[0, 2]])) == pytest.approx(far)


def test_the_diameter_of_the_reference_against_plain_quantiles():
    embeddings, docs = points(100), np.random.default_rng(1).integers(0, 100, (50, 16))
    within = [np.quantile(distances, 0.99) for distances in all_pairs(embeddings, docs)]
    assert reference_diameter(embeddings, docs) == pytest.approx(np.quantile(within, 0.99), abs=1e-12)
    assert locality(embeddings, docs, seed=1).reference == reference_diameter(embeddings, docs)


def test_the_diameter_of_the_reference_tends_to_something_that_depends_on_the_size():
    """[6.3] Why it is for comparison only: more documents, another limit, where the rms diameter stays."""
    embeddings = points(500, 30)
    docs = np.random.default_rng(1).integers(0, 500, (3000, 16))
    small, large = (reference_diameter(embeddings, docs[:, :k]) for k in (3, 16))
    assert large > small + 0.02
    rms = [math.sqrt(squared_diameters(embeddings, docs[:, :k]).mean()) for k in (3, 16)]
    assert rms[0] == pytest.approx(rms[1], rel=0.02)


@given(seed=st.integers(0, 999), factor=st.floats(0.05, 0.9))
@settings(max_examples=25, derandomize=True, deadline=None)
def test_every_diameter_shrinks_in_proportion(seed: int, factor: float):
    """Scale law, exact: points on one circle around a pole, drawn towards it, keep the ratios of their distances."""
    rng = np.random.default_rng(seed)
    around = rng.normal(size=(40, 5))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    docs = rng.integers(0, 40, (30, 6))

    def circle(radius: float) -> np.ndarray:
        return np.column_stack([radius * around, np.full(40, math.sqrt(1 - radius**2))])

    wide, near = (locality(circle(r), docs, seed=1, share=0.4) for r in (1.0, factor))
    assert near.rms.mean == pytest.approx(factor * wide.rms.mean, rel=1e-9)
    assert near.reference == pytest.approx(factor * wide.reference, rel=1e-7)
    assert near.robust.maximum == pytest.approx(factor * wide.robust.maximum, rel=1e-7)
    assert near.robust.value == pytest.approx(factor * wide.robust.value, abs=2 / 65536)


def test_identical_documents_are_at_distance_0_and_near_ones_keep_their_digits():
    """In float32, 2 - 2 cos would be off by 3e-4."""
    embeddings = np.array([[1, 0], [1, 0], [1, 2e-4]], np.float32)
    assert robust_diameter(embeddings, np.array([[0, 1, 0]])).maximum == 0
    assert robust_diameter(embeddings, np.array([[0, 1, 2]])).maximum == pytest.approx(2e-4, rel=1e-3)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak memory is read from /proc")
def test_a_pass_over_a_mapped_file_gives_its_pages_back(tmp_path: Path):
    """In a process of its own: 240 MB are read in any order, and the peak grows by half of that at most."""
    with (tmp_path / "embeddings.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": (120_000, 1000)})
        part = points(1000, 1000).astype(np.float16).tobytes()
        for _ in range(120):
            file.write(part)
    done = subprocess.run(
        [sys.executable, "-c", ONE_PASS, str(tmp_path / "embeddings.npy")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    grown, diameter = map(float, done.stdout.split())
    assert diameter == pytest.approx(math.sqrt(2), abs=0.02)
    assert grown < 120


ONE_PASS = """
import sys
import numpy as np
from rankstill.measures.locality import locality
# Not ru_maxrss, which starts at the memory of the process that started this one.
peak = lambda: next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
mapped = np.load(sys.argv[1], mmap_mode="r")
docs = np.random.default_rng(0).permutation(120_000).reshape(-1, 10)
locality(mapped, docs[:50], seed=1)
before = peak()
found = locality(mapped, docs, seed=1)
print(peak() - before, found.rms.mean)
"""


@pytest.mark.parametrize("measure", [squared_diameters, robust_diameter, reference_diameter])
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
