"""An inverted file: exact over the cells that a query looks into, and the same whatever else is asked for."""

import numpy as np
import pytest

from rankstill.candidates import cells as module
from rankstill.candidates import nearest as exact
from rankstill.candidates import open_strategy
from rankstill.candidates.cells import build_cells, cells_for, nearest_in_cells
from rankstill.candidates.nearest import nearest
from rankstill.candidates.strategy import Request, Vectors, unit_length
from rankstill.errors import DataError, SpecError
from tests.candidates.requests import check_probability, rows
from tests.tiny_collections import word_collection


def _clustered(count, seed, centres=12, dimension=16, kind=np.float16):
    middles = np.random.default_rng(0).normal(size=(centres, dimension)) * 2
    rng = np.random.default_rng(seed)
    values = middles[rng.integers(centres, size=count)] + rng.normal(size=(count, dimension))
    return values.astype(kind)


@pytest.fixture(scope="module")
def documents():
    return Vectors(np.arange(600, dtype=np.uint32) * 3, _clustered(600, 1))


@pytest.fixture(scope="module")
def queries():
    return unit_length(_clustered(50, 2))


@pytest.fixture(scope="module")
def cells(documents):
    return build_cells(documents, 20)


def _same(found, other):
    return all(
        a.tobytes() == b.tobytes()
        for left, right in zip(found, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


def test_every_document_is_in_one_cell_the_nearest(documents, cells):
    assert sorted(cells.places.tolist()) == list(range(600))
    cosines = unit_length(documents.values).astype(np.float64) @ cells.centres.T
    for cell in range(20):
        for place in cells.members(cell).tolist():
            assert cosines[place, cell] >= cosines[place].max() - 1e-6
        assert (np.diff(cells.members(cell)) > 0).all()


def test_all_cells_together_give_the_exact_list(documents, queries, cells):
    assert _same(nearest_in_cells(queries, documents, cells, 20, 30), nearest(queries, documents, 30))
    assert _same(nearest_in_cells(queries, documents, cells, 99, 700), nearest(queries, documents, 700))


def test_the_list_is_exact_over_the_cells_looked_into(documents, queries, cells):
    found, scores = nearest_in_cells(queries, documents, cells, 3, 200)
    vectors = unit_length(documents.values).astype(np.float64)
    for query, docs, cosines in zip(queries, found, scores, strict=True):
        near = np.argsort(-(cells.centres.astype(np.float64) @ query), kind="stable")[:3]
        places = np.concatenate([cells.members(int(cell)) for cell in near])
        order = places[np.lexsort((places, -(vectors[places] @ query)))][:200]
        # The last bits of cosines differ; no two documents here are that close.
        assert docs.tolist() == documents.rows[order].tolist()
        np.testing.assert_allclose(cosines, vectors[order] @ query, atol=1e-6)


def test_a_query_alone_has_the_same_bytes_as_among_others(documents, queries, cells):
    together = nearest_in_cells(queries, documents, cells, 4, 10)
    for number in range(0, 50, 7):
        alone = nearest_in_cells(queries[number : number + 1], documents, cells, 4, 10)
        assert _same(alone, [side[number : number + 1] for side in together])


def test_chunks_change_nothing(documents, queries, cells, monkeypatch):
    before = nearest_in_cells(queries, documents, cells, 4, 10)
    for name, size in (("QUERIES", 7), ("DOCUMENTS", 11), ("PAIRS", 13)):
        monkeypatch.setattr(exact, name, size)
    monkeypatch.setattr(module, "BLOCK", 64)
    again = build_cells(documents, 20)
    assert again.centres.tobytes() == cells.centres.tobytes()
    assert again.places.tolist() == cells.places.tolist()
    assert _same(nearest_in_cells(queries, documents, again, 4, 10), before)


def test_equal_documents_stand_in_the_order_of_their_rows(queries):
    """All documents are one of four vectors: ties everywhere, also at the cut, where the second pass decides."""
    values = _clustered(4, 5)[np.arange(400) % 4]
    documents = Vectors(np.arange(400, dtype=np.uint32), values)
    cells = build_cells(documents, 8)
    assert _same(nearest_in_cells(queries, documents, cells, 8, 30), nearest(queries, documents, 30))


def test_few_cells_find_most_of_the_nearest(documents, queries, cells):
    true = [set(docs.tolist()) for docs in nearest(queries, documents, 10)[0]]
    recall = []
    for probes in (1, 4, 20):
        found = nearest_in_cells(queries, documents, cells, probes, 10)[0]
        recall.append(np.mean([len(a & set(b.tolist())) / 10 for a, b in zip(true, found, strict=True)]))
    assert recall[0] > 0.5
    assert recall[1] > 0.9
    assert recall[2] == 1


def test_vectors_that_are_not_finite_are_refused(queries):
    values = _clustered(100, 1)
    values[7, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        build_cells(Vectors(np.arange(100, dtype=np.uint32), values), 5)


def test_the_number_of_cells_grows_with_the_square_root():
    assert [cells_for(n) for n in (1, 3, 100, 10_000, 1_000_000)] == [1, 3, 20, 200, 2000]


@pytest.mark.parametrize("reference", ["dense#cells=10", "dense#approximate=11,cells=10"])
def test_more_cells_than_there_are_cannot_be_looked_into(reference):
    with pytest.raises(SpecError, match="of 10 cells"):
        open_strategy(reference)


def test_the_stated_probability_is_the_frequency(tmp_path):
    """The cells do not depend on the seed: how likely a draw is, given its list, is known."""
    collection = word_collection(tmp_path / "c", 60, 2)
    vectors = [Vectors(np.arange(n, dtype=np.uint32), _clustered(n, n)) for n in (2, 60)]

    def make(seed):
        return Request(collection, rows(0), {0: rows(4)}, 4, 10, seed, None, *vectors)

    stated = check_probability("dense#approximate=2,cells=6", make, 300)
    assert sum(stated.values()) == pytest.approx(4)
    assert len(stated) > 4
