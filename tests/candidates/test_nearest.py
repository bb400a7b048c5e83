"""The nearest vectors are those of a plain sort of all cosines, whatever the chunks, ties and other queries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.candidates import nearest as module
from rankstill.candidates.nearest import nearest
from rankstill.candidates.strategy import Vectors, unit_length
from rankstill.errors import DataError


def brute_force(queries, documents, depth):
    """Sort all cosines, each summed by itself; equal ones by row."""
    values = documents.values.astype(np.float32)
    norms = np.sqrt((values * values).sum(axis=1))
    found = []
    for query in queries:
        cosines = (values * query).sum(axis=1) / np.where(norms > 0, norms, np.float32(1)) + np.float32(0)
        order = np.lexsort((np.arange(len(values)), -cosines))[:depth]
        found.append((documents.rows[order].tolist(), cosines[order].tolist()))
    return found


def found(queries, documents, depth):
    rows, scores = nearest(queries, documents, depth)
    return [(r.tolist(), s.tolist()) for r, s in zip(rows, scores, strict=True)]


def vectors(values, rows=None):
    values = np.asarray(values)
    return Vectors(np.arange(len(values), dtype=np.uint32) if rows is None else rows, values)


@pytest.fixture(params=[(1024, 1 << 14, 1 << 15), (3, 7, 5), (1, 16, 1)])
def chunks(request, monkeypatch):
    for name, size in zip(("QUERIES", "DOCUMENTS", "PAIRS"), request.param, strict=True):
        monkeypatch.setattr(module, name, size)


@pytest.mark.parametrize("dimension", [1, 3, 33])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_random_vectors(chunks, dimension, dtype):
    rng = np.random.default_rng(dimension)
    documents = vectors(rng.normal(size=(150, dimension)).astype(dtype), np.arange(0, 450, 3, dtype=np.uint32))
    queries = unit_length(rng.normal(size=(8, dimension)))
    for depth in (1, 10, 149, 400):
        assert found(queries, documents, depth) == brute_force(queries, documents, depth)


def test_equal_cosines_stand_in_the_order_of_the_rows_also_at_the_cut(chunks):
    # 60 copies of three vectors, and zero vectors, interleaved.
    documents = vectors(np.tile([[0.6, 0.8], [1, 0], [0, 0], [-0.6, 0.8], [-1, 0]], (60, 1)).astype(np.float32))
    queries = unit_length(np.array([[1, 0], [0.6, 0.8], [-1, 0], [0, 0]], np.float32))
    for depth in (1, 60, 61, 150):
        assert found(queries, documents, depth) == brute_force(queries, documents, depth)
    assert found(queries, documents, 62)[0][0][:62] == [*range(1, 300, 5), 0, 5]


def test_a_zero_query_is_equally_near_to_all(chunks):
    documents = vectors(np.random.default_rng(0).normal(size=(90, 4)))
    assert found(np.zeros((1, 4), np.float32), documents, 5) == [([0, 1, 2, 3, 4], [0.0] * 5)]


def test_negative_cosines_are_ordered_too(chunks):
    documents = vectors([[-1, 0], [-1, 1e-3], [-1, 1], [-1, -1], [0, -1]])
    assert found(np.array([[1, 0]], np.float32), documents, 5)[0][0] == [4, 2, 3, 1, 0]


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.tuples(*[st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])] * 3), min_size=1, max_size=60),
    asked=st.lists(st.tuples(*[st.sampled_from([-1.0, 0.0, 1.0])] * 3), min_size=1, max_size=4),
    depth=st.integers(1, 70),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(0, 20)),
)
def test_any_few_vectors_full_of_ties(values, asked, depth, sizes):
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("QUERIES", "DOCUMENTS", "PAIRS", "SPARE"), sizes, strict=True):
            patch.setattr(module, name, size)
        documents, queries = vectors(np.array(values, np.float32)), unit_length(np.array(asked, np.float32))
        assert found(queries, documents, depth) == brute_force(queries, documents, depth)


def test_a_query_alone_has_the_same_bytes_as_among_others():
    """A matrix product of other shapes differs in its last bits; the lists must not."""
    rng = np.random.default_rng(3)
    base = rng.normal(size=(300, 384)).astype(np.float32)
    # Every document thrice, the copies as near as float32 can tell apart or not.
    documents = vectors(np.concatenate([base, base * np.float32(1.7), np.nextafter(base, np.float32(9))]))
    queries = unit_length(rng.normal(size=(40, 384)))
    together = found(queries, documents, 25)
    assert together == brute_force(queries, documents, 25)
    for number in (0, 7, 39):
        assert found(queries[number : number + 1], documents, 25) == together[number : number + 1]


@pytest.mark.parametrize("dimension", [5, 100, 384])
def test_the_cosines_are_right_to_six_digits(dimension):
    rng = np.random.default_rng(1)
    values, queries = rng.normal(size=(300, dimension)), rng.normal(size=(4, dimension))
    rows, scores = nearest(unit_length(queries), vectors(values), 20)
    for query, own, cosines in zip(queries, rows, scores, strict=True):
        near = values[own] / np.linalg.norm(values[own], axis=1, keepdims=True)
        assert cosines == pytest.approx(near @ query / np.linalg.norm(query), abs=1e-6)


def test_memory_mapped_vectors_are_the_same(tmp_path):
    values = np.random.default_rng(0).normal(size=(500, 16)).astype(np.float16)
    np.save(tmp_path / "embeddings.npy", values)
    np.save(tmp_path / "rows.npy", np.arange(500, dtype=np.uint32))
    queries = unit_length(values[:5])
    assert found(queries, Vectors.open(tmp_path), 9) == found(queries, vectors(values), 9)


def test_the_nearest_to_a_document_is_itself():
    values = np.random.default_rng(0).normal(size=(50, 8))
    rows, scores = nearest(unit_length(values), vectors(values), 1)
    assert [r.tolist() for r in rows] == [[i] for i in range(50)]
    assert np.concatenate(scores) == pytest.approx(np.ones(50))


def test_no_documents_and_no_queries_give_empty_lists():
    assert found(np.ones((2, 3), np.float32), vectors(np.empty((0, 3))), 4) == [([], []), ([], [])]
    assert found(np.empty((0, 3), np.float32), vectors(np.ones((5, 3))), 4) == []


def test_vectors_that_are_not_finite_are_refused():
    values = np.ones((30, 3), np.float32)
    values[3, 1] = np.nan
    with pytest.raises(DataError, match="1 of 1 queries have cosines that are not finite"):
        nearest(np.ones((1, 3), np.float32), vectors(values), 30)


def test_different_dimensions_are_refused():
    with pytest.raises(DataError, match="queries have 3 dimensions and documents 4"):
        nearest(np.ones((1, 3), np.float32), vectors(np.ones((5, 4))), 2)
