"""The texts on disk: rows across batches, ids both ways, keys by text, and what a broken folder is told."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from rankstill.collection import store
from rankstill.collection.store import Collection, Texts, text_key, write_qrels, write_texts
from rankstill.errors import DataError, SpecError
from rankstill.records import Qrels, read_parquet
from tests.tiny_collections import make_collection


def written(path, texts: dict[str, str], what: str = "documents") -> Texts:
    assert write_texts(path, iter(texts.items()), what) == len(texts)
    return Texts(path, what)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 11])
def test_rows_are_found_in_every_batch(tmp_path, monkeypatch, count):
    monkeypatch.setattr(store, "BATCH", 4)
    given = {f"d{i}": "wing " * (i % 3) + "ü" for i in range(count)}
    texts = written(tmp_path / "documents.arrow", given)
    assert len(texts) == count
    assert [texts[row] for row in range(count)] == list(texts) == list(given.values())
    assert [texts.id(row) for row in range(count)] == texts.ids() == list(given)
    backwards = np.arange(count, dtype=np.uint32)[::-1]
    assert texts.take(backwards) == list(given.values())[::-1]
    assert texts.ids(backwards) == list(given)[::-1]
    assert texts.rows(list(given)).tolist() == list(range(count))
    assert [bytes(key) for key in texts.keys] == [text_key(text) for text in given.values()]
    # Rows i and j have one text where i = j modulo 3.
    same = texts.same_text
    assert all((same[i] == same[j]) == (i % 3 == j % 3) for i in range(count) for j in range(count))
    assert sorted(set(same.tolist())) == list(range(min(count, 3)))


def test_rows_around_the_edge_of_a_real_batch(tmp_path):
    texts = written(tmp_path / "documents.arrow", {str(i): f"t{i}" for i in range(store.BATCH + 2)})
    for row in (0, store.BATCH - 1, store.BATCH, store.BATCH + 1):
        assert (texts[row], texts.id(row)) == (f"t{row}", str(row))
    assert len(np.unique(texts.same_text)) == len(texts)


def test_a_key_is_pinned_and_says_nothing_of_the_id(tmp_path):
    # printf flow | b2sum -l 128
    assert text_key("flow").hex() == "e8f00fc33306114c29e157bd65172664"
    documents = written(tmp_path / "a", {"d1": "flow", "d2": "jet"})
    queries = written(tmp_path / "b", {"q1": "jet", "q2": "flow "}, "queries")
    assert documents.keys[1] == queries.keys[0]
    assert documents.keys[0] != queries.keys[1], "a blank more is another text"


def test_the_same_texts_are_the_same_bytes(tmp_path):
    given = {f"d{i}": f"text {i}" for i in range(50)}
    for name in ("one", "two"):
        written(tmp_path / name, given)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_texts_stay_on_disk(tmp_path):
    """Ten megabytes of texts are open, and one is read, for less than a tenth of that in Arrow's memory."""
    write_texts(tmp_path / "documents.arrow", ((str(i), "x" * 500) for i in range(20_000)), "documents")
    before = pa.total_allocated_bytes()
    texts = Texts(tmp_path / "documents.arrow", "documents")
    assert texts[19_999] == "x" * 500
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_rows_of_ids(tmp_path):
    texts = written(tmp_path / "documents.arrow", {"d1": "a", "d2": "b", "d10": "c"})
    assert texts.rows(["d10", "d1", "d10"]).tolist() == [2, 0, 2]
    assert texts.rows(["d2"]).dtype == np.uint32
    assert texts.rows([]).tolist() == []
    with pytest.raises(DataError, match=r"^qrels\.tsv: 2 of 4 entries name documents that .* \(first: D1\)") as error:
        texts.rows(["d1", "D1", "d2", "d3"], "qrels.tsv")
    assert "drop the lines" in error.value.hint
    with pytest.raises(DataError, match=r"^1 of 1 entries name documents"):
        texts.rows(["nowhere"])


def test_ids_that_come_twice_are_refused(tmp_path):
    items = [("d1", "a"), ("d2", "b"), ("d3", "c"), ("d2", "b"), ("d1", "x")]
    with pytest.raises(DataError, match=r"2 documents have an id that came before \(first: 'd2', entries 2 and 4\)"):
        write_texts(tmp_path / "documents.arrow", iter(items), "documents")


def test_no_text_at_all_is_refused(tmp_path):
    with pytest.raises(DataError, match="the collection has no queries"):
        write_texts(tmp_path / "queries.arrow", iter(()), "queries")


def test_a_source_that_breaks_leaves_nothing(tmp_path):
    def broken():
        yield "d1", "a"
        raise DataError("line 2 is broken")

    with pytest.raises(DataError, match="line 2"):
        write_texts(tmp_path / "documents.arrow", broken(), "documents")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_of_texts_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no file") as error:
        Texts(tmp_path / "documents.arrow", "documents")
    assert "rankstill load" in error.value.hint
    (tmp_path / "documents.arrow").write_text("d1\ta\n")
    with pytest.raises(DataError, match=r"documents\.arrow is not an Arrow file"):
        Texts(tmp_path / "documents.arrow", "documents")
    written(tmp_path / "whole", {str(i): "a" * 100 for i in range(100)})
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-100])
    with pytest.raises(DataError, match="cut is not an Arrow file"):
        Texts(tmp_path / "cut", "documents")


def test_judgements_by_split(tmp_path):
    judged = [("train", "q2", "d1", 2), ("test", "q1", "d2", 0), ("test", "q1", "d1", 1), ("train", "q1", "d1", 1)]
    documents, queries = {"d1": "a", "d2": "b"}, {"q1": "x", "q2": "y"}
    collection = make_collection(tmp_path / "c", documents, queries, judged)
    found = {}
    for split in collection.splits:
        qrels = collection.qrels(split)
        found[split] = list(zip(qrels.query.tolist(), qrels.doc.tolist(), qrels.grade.tolist(), strict=True))
    assert found == {"train": [(0, 0, 1), (1, 0, 2)], "test": [(0, 0, 1), (0, 1, 0)]}
    assert collection.relevant_from == 1
    assert collection.lists() is None
    with pytest.raises(SpecError, match="unknown split 'tests'") as error:
        collection.qrels("tests")
    assert error.value.hint.startswith("did you mean 'test'?")


def test_a_collection_without_judgements(tmp_path):
    collection = make_collection(tmp_path / "c", {"d1": "a"}, {"q1": "x"})
    assert collection.splits == []
    with pytest.raises(SpecError, match="unknown split 'test'") as error:
        collection.qrels("test")
    assert "no judgements" in error.value.hint
    write_qrels(tmp_path / "qrels.parquet", {})
    assert {name: len(c) for name, c in read_parquet(tmp_path / "qrels.parquet", ["query", "grade"]).items()} == {
        "query": 0,
        "grade": 0,
    }


def test_a_split_without_entries_takes_no_room(tmp_path):
    none = Qrels(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.int32))
    one = Qrels(np.array([3], np.uint32), np.array([4], np.uint32), np.array([1], np.int32))
    write_qrels(tmp_path / "qrels.parquet", {"dev": none, "test": one})
    columns = read_parquet(tmp_path / "qrels.parquet", ["split", "query", "doc", "grade"])
    assert [column.to_pylist() for column in columns.values()] == [["test"], [3], [4], [1]]


def test_a_folder_that_was_not_loaded_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not a finished stage"):
        Collection(tmp_path)
