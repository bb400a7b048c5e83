"""Runs are read by score, then rank; broken ones are refused with their line."""

import gzip

import numpy as np
import pytest

from rankstill.collection import trec_run
from rankstill.collection.trec_run import read_trec_run
from rankstill.errors import DataError
from tests.tiny_collections import make_collection


@pytest.fixture
def collection(tmp_path):
    texts = {f"d{i}": f"text {i}" for i in range(5)}
    return make_collection(tmp_path / "c", texts, {"q1": "x", "q2": "y"})


def write(tmp_path, *lines, name="a.run"):
    path = tmp_path / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


GOOD = ("q2 Q0 d1 1 3.5 t", "q1 Q0 d4 2 1 t", "q1 Q0 d0 1 1 t", "q1\tQ0  d3 3 2e0 t", "", "q2 0 d0 2 -1 t")


def test_documents_stand_by_falling_score_then_rank(collection, tmp_path):
    run = read_trec_run(write(tmp_path, *GOOD), collection)
    assert run.query.tolist() == [0, 0, 0, 1, 1]
    assert run.doc.tolist() == [3, 0, 4, 1, 0]
    assert run.score.tolist() == [2, 1, 1, 3.5, -1]
    assert (run.query.dtype, run.doc.dtype, run.score.dtype) == (np.uint32, np.uint32, np.float32)


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_the_result_does_not_depend_on_the_chunks(collection, tmp_path, monkeypatch, size):
    path = write(tmp_path, *GOOD)
    whole = read_trec_run(path, collection)
    monkeypatch.setattr(trec_run, "_LINES", size)
    found = read_trec_run(path, collection)
    assert all(np.array_equal(getattr(found, c), getattr(whole, c)) for c in ("query", "doc", "score"))


def test_a_gzipped_run_is_the_same(collection, tmp_path):
    path = write(tmp_path, *GOOD)
    (packed := tmp_path / "b.run.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read_trec_run(packed, collection).doc.tolist() == read_trec_run(path, collection).doc.tolist()


def test_lines_of_other_queries_are_skipped_with_a_note(collection, tmp_path, capfd):
    run = read_trec_run(write(tmp_path, "q1 Q0 d1 1 3 t", "q9 Q0 alien 1 3 t"), collection)
    assert run.doc.tolist() == [1]
    assert "1 of 2 lines belong to other queries; skipped" in capfd.readouterr().err


def test_a_run_of_other_queries_only_is_refused(collection, tmp_path):
    with pytest.raises(DataError, match="none of its queries"):
        read_trec_run(write(tmp_path, "q9 Q0 d1 1 3 t"), collection)


def test_an_empty_file_is_refused(collection, tmp_path):
    with pytest.raises(DataError, match="none of its queries"):
        read_trec_run(write(tmp_path, ""), collection)


@pytest.mark.parametrize(
    "line",
    [
        "q1 Q0 d1 1 3",
        "q1 Q0 d1 1 3 t more",
        "q1 Q0 d1 first 3 t",
        "q1 Q0 d1 1 nan t",
        "q1 Q0 d1 1 inf t",
        "q1 Q0 d1 1 1e39 t",
    ],
)
def test_a_broken_line_is_refused_with_its_number(collection, tmp_path, line):
    with pytest.raises(DataError, match=r"a\.run, line 2: not a line of a TREC run"):
        read_trec_run(write(tmp_path, "q1 Q0 d0 1 3 t", line), collection)


def test_broken_lines_of_other_queries_are_refused_too(collection, tmp_path):
    with pytest.raises(DataError, match="line 1"):
        read_trec_run(write(tmp_path, "q9 Q0 d1 x 3 t", "q1 Q0 d0 1 3 t"), collection)


def test_a_document_that_comes_twice_is_refused(collection, tmp_path):
    with pytest.raises(DataError, match=r"1 documents come twice for a query \(first: query q1, document d1\)"):
        read_trec_run(write(tmp_path, "q1 Q0 d1 1 3 t", "q2 Q0 d1 1 3 t", "q1 Q0 d1 2 2 t"), collection)


def test_unknown_documents_are_refused_or_skipped(collection, tmp_path, capfd):
    path = write(tmp_path, "q1 Q0 alien 1 3 t", "q1 Q0 d1 2 2 t", "q2 Q0 martian 1 2 t", "q9 Q0 other 1 2 t")
    what = r"2 of 3 lines name documents that the collection does not have \(first: alien\)"
    with pytest.raises(DataError, match=what):
        read_trec_run(path, collection)
    run = read_trec_run(path, collection, missing="skip")
    assert (run.query.tolist(), run.doc.tolist()) == ([0], [1])
    assert "2 of 3 lines name documents" in capfd.readouterr().err


def test_a_run_of_unknown_documents_only_is_refused_even_where_they_are_skipped(collection, tmp_path):
    with pytest.raises(DataError, match="1 of 1 lines name documents"):
        read_trec_run(write(tmp_path, "q1 Q0 alien 1 3 t"), collection, missing="skip")
