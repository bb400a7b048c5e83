"""Reading groups of embeddings: the same vectors from memory and from a mapped file, in any order; halves converted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, SpecError
from rankstill.measures import row_blocks
from rankstill.measures import unit_groups as module
from rankstill.measures.column import Column
from rankstill.measures.unit_groups import (
    check_groups,
    checked_vectors,
    pair_distances,
    to_unit,
    unit_blocks,
    unit_groups,
)


def read(embeddings: np.ndarray, docs: np.ndarray) -> np.ndarray:
    """All blocks in one array; the rows that come with them are those of `docs`, one after the other."""
    found = np.full((*docs.shape, embeddings.shape[1]), np.nan)
    for rows, vectors in unit_groups(embeddings, docs):
        assert np.isnan(found[rows]).all()
        found[rows] = vectors
    return found


@given(
    seed=st.integers(0, 999), bytes_at_once=st.sampled_from([100, 5000, 1 << 26]), window=st.sampled_from([64, 4096])
)
@settings(max_examples=30, derandomize=True, deadline=None)
def test_a_mapped_file_gives_the_same_vectors_however_it_is_read(
    tmp_path_factory: pytest.TempPathFactory, seed: int, bytes_at_once: int, window: int
):
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(300, 7)).astype(rng.choice(["f2", "f4", "f8"]))
    path = tmp_path_factory.mktemp("mapped") / "e.npy"
    np.save(path, embeddings)
    docs = rng.integers(0, 300, (90, 3)).astype(np.uint32)
    expected = read(embeddings, docs)
    assert np.linalg.norm(expected, axis=2) == pytest.approx(np.ones((90, 3)), abs=1e-6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BYTES_AT_ONCE", bytes_at_once)
        patch.setattr(module, "_WINDOW", window)
        patch.setattr(row_blocks, "BYTES_AT_ONCE", 256)
        mapped = np.load(path, mmap_mode="r")
        assert (read(mapped, docs) == expected).all()
        # A part of the file, and one without the type that says so.
        assert (read(mapped[100:], docs % 200) == read(embeddings, docs % 200 + 100)).all()
        assert (read(np.asarray(mapped), docs) == expected).all()
        assert (
            read(mapped, np.sort(docs.ravel()).reshape(docs.shape))
            == read(embeddings, np.sort(docs.ravel()).reshape(docs.shape))
        ).all()


def test_changes_to_a_private_mapping_are_not_lost(tmp_path: Path):
    """Giving back the pages of such a mapping would undo them."""
    np.save(tmp_path / "e.npy", np.ones((4, 2), np.float32))
    mapped = np.load(tmp_path / "e.npy", mmap_mode="c")
    mapped[2] = [0, -3]
    for _ in range(2):
        assert read(mapped, np.array([[2, 1]]))[0, 0].tolist() == [0, -1]


def test_every_half_is_converted_exactly():
    """All 65,536 bit patterns, more than are converted at once; without a direction, not of length 1."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    with np.errstate(all="ignore"):
        unit, bad = to_unit(np.column_stack([halves, np.full_like(halves, 1)]).copy())
        wide = halves.astype(np.float32)
        expected = wide / np.sqrt(wide * wide + 1)
    assert (bad == ~np.isfinite(wide)).all()
    assert unit[~bad, 0] == pytest.approx(expected[~bad], rel=1e-6, abs=0)
    assert not to_unit(np.array([[np.float16(6e-8)]]))[1].any()  # the smallest half has a direction


def test_given_vectors_are_not_changed():
    vectors = np.full((2, 3, 4), 2.0)
    for block in unit_blocks(vectors):
        block[:] = 0
    assert (vectors == 2).all()


@given(seed=st.integers(0, 999), groups=st.integers(1, 5), size=st.integers(2, 7))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_pair_distances_in_the_order_of_triu_indices(seed: int, groups: int, size: int):
    vectors, _ = to_unit(np.random.default_rng(seed).normal(size=(groups, size, 5)))
    first, second = np.triu_indices(size, 1)
    expected = np.linalg.norm(vectors[:, first] - vectors[:, second], axis=2)
    assert pair_distances(vectors.copy()) == pytest.approx(expected, abs=1e-12)
    # A group's distances have the same bits alone.
    assert (pair_distances(vectors[:1].copy()) == pair_distances(vectors.copy())[:1]).all()


def test_a_column_grows_in_order():
    column, other = Column(), Column()
    column.add(np.array([1.5, 2]))
    other.add(np.arange(6, dtype=np.float32).reshape(2, 3)[:, 1])  # not doubles, nor side by side in memory
    column.extend(other)
    assert column.values().tolist() == [1.5, 2, 1, 4]
    assert len(column) == 4
    column.values()[0] = 9
    assert column.values()[0] == 1.5


def test_embeddings_without_dimensions_are_refused():
    with pytest.raises(SpecError, match=r"expected embeddings \(N, D\)"):
        check_groups(np.empty((3, 0)), np.array([[0, 1]]))


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_vectors_that_are_taken_are_copies_of_the_least_precision(kind: str):
    raw = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(kind)
    before = raw.copy()
    for precision in (np.float32, np.float64):
        whole, unit = (checked_vectors(raw, unit=u, precision=precision) for u in (False, True))
        assert whole.dtype == unit.dtype == np.promote_types(kind, precision)
        assert (whole == raw).all()
        assert unit == pytest.approx(raw / np.linalg.norm(raw.astype(float), axis=2, keepdims=True), abs=1e-6)
        whole[:], unit[:] = 0, 0
        assert (raw == before).all()


def test_vectors_without_a_direction_are_refused_where_they_need_one():
    vectors = np.ones((3, 2, 4))
    vectors[1, 0] = 0
    assert (checked_vectors(vectors, unit=False) == vectors).all()
    with pytest.raises(DataError, match=r"^1 vectors are zero or not finite \(first: document 0 of group 8\)"):
        checked_vectors(vectors, 7)
    vectors[2, 1, 3] = np.inf
    with pytest.raises(DataError, match=r"^1 vectors are not finite \(first: document 1 of group 2\)"):
        checked_vectors(vectors, unit=False)
    with pytest.raises(DataError, match=r"^2 vectors are zero or not finite \(first: group 1\)"):
        checked_vectors(np.array([[1.0], [0.0], [np.nan]]))
