"""Geometry: dimensions and densities of known clouds, hand-worked neighbours and coverage, invariances, refusals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, SpecError
from rankstill.measures.geometry import coverage, distance_to_drawn, knn_density, two_nn


def circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.column_stack([np.cos(angles), np.sin(angles)])


def chord(degrees: float) -> float:
    return 2 * math.sin(math.radians(degrees) / 2)


def torus(n: int, dimension: int, seed: int = 0) -> np.ndarray:
    """Points even on a torus: no edges, and all of one length."""
    angles = np.random.default_rng(seed).uniform(0, 2 * math.pi, (n, dimension))
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def test_two_nn_by_hand():
    """At 0, 10, 30 and 180 degrees: neighbours at 10 and 30, 10 and 20, 20 and 30, 150 and 170."""
    ratios = [chord(30) / chord(10), chord(20) / chord(10), chord(30) / chord(20), chord(170) / chord(150)]
    expected = 3 / sum(map(math.log, ratios))
    cloud = circle(0, 10, 30, 180)
    for docs in (np.arange(4), np.array([3, 1, 0, 2, 2]), np.arange(4)[None]):
        got = two_nn(cloud, docs)
        assert got.value == pytest.approx(expected, rel=1e-9)
        assert got.sd == pytest.approx(expected / math.sqrt(2))
        assert (got.points, got.duplicates) == (4, 0)


@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_two_nn_finds_the_dimension_of_a_torus_of_one_cloud_and_of_groups(dimension: int):
    got = two_nn(torus(1500, dimension), np.arange(1500))
    assert got.value == pytest.approx(dimension, abs=4 * got.sd)
    assert got.sd == pytest.approx(dimension / math.sqrt(1500), rel=0.1)
    # Few points are far apart, where a torus is no longer flat: within a group the estimate is rougher.
    within = two_nn(torus(24_000, dimension), np.arange(24_000).reshape(-1, 60))
    assert within.value == pytest.approx(dimension, rel=0.15)


def test_two_nn_does_not_depend_on_scale_rotation_order_or_added_dimensions():
    cloud, docs = torus(120, 2), np.arange(120).reshape(6, 20)
    expected = two_nn(cloud, docs).value
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 9)))
    wide = np.pad(cloud, ((0, 0), (0, 5))) @ rotation
    for vectors, rows in ((7 * cloud, docs), (wide, docs), (cloud, docs[::-1, ::-1])):
        assert two_nn(vectors, rows).value == pytest.approx(expected, rel=1e-9)


def test_duplicates_are_left_out_and_counted():
    cloud = circle(0, 10, 30, 180, 180)
    got = two_nn(cloud, np.arange(5))
    assert (got.points, got.duplicates) == (3, 2)
    in_a_group = two_nn(np.float16(1) * cloud.astype(np.float16), np.arange(5)[None])
    assert (in_a_group.points, in_a_group.duplicates) == (3, 2)
    with pytest.raises(DataError, match="1 of 6 documents have a nearest neighbour in another place, too few"):
        two_nn(circle(0, 0, 90, 90), np.array([[0, 1, 2], [3, 2, 3]]))


def test_density_by_hand():
    """On a circle, four points 90 degrees apart and one between: distances 45 and 90."""
    cloud = circle(0, 90, 180, 270, 45)
    got = knn_density(cloud, np.array([4, 2]), dimension=1.0, neighbours=2)
    assert got.radius == pytest.approx([chord(45), chord(90)])
    # 2 of the 4 others, on a line of length 2r.
    assert got.log_density == pytest.approx([math.log(2 / 4 / (2 * r)) for r in got.radius])
    assert (got.neighbours, got.reference) == (2, 5)
    # A document outside the reference has all of it around itself.
    outside = knn_density(cloud, np.array([4]), dimension=1.0, neighbours=2, reference=np.array([3, 2, 1, 0, 0]))
    assert outside.log_density == pytest.approx([math.log(2 / 4 / (2 * chord(45)))])
    assert outside.reference == 4


def test_density_of_even_points_is_one_over_their_volume(tmp_path: Path):
    """A torus of two circles of length 2 pi / sqrt(2) each; halves in a mapped file."""
    np.save(tmp_path / "e.npy", torus(3000, 2).astype(np.float16))
    mapped = np.load(tmp_path / "e.npy", mmap_mode="r")
    got = knn_density(mapped, np.arange(0, 3000, 10), dimension=2.0, neighbours=20)
    assert np.exp(got.log_density).mean() == pytest.approx(1 / (2 * math.pi**2), rel=0.1)


def test_copies_make_an_infinite_density():
    got = knn_density(circle(0, 0, 0, 90), np.array([0, 3]), dimension=1.0, neighbours=2)
    assert got.radius == pytest.approx([0, chord(90)])
    assert got.log_density[0] == math.inf


def test_density_agrees_with_plain_distances():
    cloud = np.random.default_rng(0).normal(size=(200, 8))
    unit = cloud / np.linalg.norm(cloud, axis=1, keepdims=True)
    got = knn_density(cloud, np.arange(50), dimension=7.0, neighbours=5)
    distances = np.sort(np.linalg.norm(unit[:50, None] - unit[None], axis=2), axis=1)
    assert got.radius == pytest.approx(distances[:, 5], abs=1e-12)


def test_coverage_by_hand():
    cloud = circle(0, 10, 30, 90, 100)
    drawn, target = np.array([[0], [3]]), np.array([[0, 1, 2], [0, 3, 4]])
    assert distance_to_drawn(cloud, drawn, target) == pytest.approx(
        np.array([[0, chord(10), chord(30)], [chord(90), 0, chord(10)]]), abs=1e-7
    )
    assert coverage(cloud, drawn, target, chord(10) + 1e-9) == pytest.approx([2 / 3, 2 / 3])
    assert coverage(cloud, drawn, target, 0.0) == pytest.approx([1 / 3, 1 / 3])
    assert coverage(cloud, drawn, target, 2.0) == pytest.approx([1, 1])


@given(seed=st.integers(0, 999), radius=st.floats(0, 2))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_coverage_grows_with_the_radius_and_with_what_is_drawn_and_in_blocks_alike(seed: int, radius: float):
    rng = np.random.default_rng(seed)
    cloud = rng.normal(size=(40, 4)).astype(np.float32)
    drawn, target = rng.integers(0, 40, (9, 3)), rng.integers(0, 40, (9, 6))
    covered = coverage(cloud, drawn, target, radius)
    assert (covered <= coverage(cloud, drawn, target, min(2.0, radius + 0.3))).all()
    assert (covered >= coverage(cloud, drawn[:, :2], target, radius)).all()
    assert (coverage(cloud, target, target, radius) == 1).all()
    assert (coverage(cloud, drawn[:, ::-1], target[:, ::-1], radius) == covered).all()
    assert (np.concatenate([coverage(cloud, d[None], t[None], radius) for d, t in zip(drawn, target, strict=True)])
            == covered).all()  # fmt: skip
    unit = cloud / np.linalg.norm(cloud, axis=1, keepdims=True)
    plain = [
        [min(np.linalg.norm(unit[t] - unit[d]) for d in ds) for t in ts] for ds, ts in zip(drawn, target, strict=True)
    ]
    assert distance_to_drawn(cloud, drawn, target) == pytest.approx(np.array(plain), abs=1e-6)


def test_refusals():
    cloud, docs = circle(0, 10, 30, 90), np.arange(4)
    broken = cloud.copy()
    broken[2] = math.nan
    for measure in (
        lambda e: two_nn(e, docs),
        lambda e: two_nn(e, docs[None]),
        lambda e: knn_density(e, docs[:1], dimension=1.0, neighbours=1),
        lambda e: knn_density(e, docs[2:], dimension=1.0, neighbours=1, reference=docs[:2]),
        lambda e: coverage(e, docs[None, :1], docs[None], 1.0),
    ):
        with pytest.raises(DataError, match=r"zero or not finite \(first: row 2\)"):
            measure(broken)
        with pytest.raises(DataError, match=r"zero or not finite \(first: row 2\)"):
            measure(np.where(np.arange(4)[:, None] == 2, 0, cloud))
    for few in (docs[:2], np.array([0, 1, 1]), docs[None, :2]):
        with pytest.raises(SpecError, match="three documents or more"):
            two_nn(cloud, few)
    with pytest.raises(DataError, match="first: row 4 of 4"):
        two_nn(cloud, np.arange(5))
    with pytest.raises(DataError, match="first: row -1 of 4"):
        knn_density(cloud, np.array([-1]), dimension=1.0, neighbours=1)
    with pytest.raises(SpecError, match="no neighbour number 4 among 4 documents"):
        knn_density(cloud, docs, dimension=1.0, neighbours=4)
    with pytest.raises(SpecError, match="the dimension is 0"):
        knn_density(cloud, docs, dimension=0, neighbours=1)
    with pytest.raises(SpecError, match=r"expected rows of documents \(m,\)"):
        knn_density(cloud, docs[None], dimension=1.0, neighbours=1)
    with pytest.raises(SpecError, match="distances of unit vectors go from 0 to 2"):
        coverage(cloud, docs[None], docs[None], 2.5)
    with pytest.raises(SpecError, match="drawn for 2 queries and targets given for 1"):
        coverage(cloud, docs.reshape(2, 2), docs[None], 1.0)
