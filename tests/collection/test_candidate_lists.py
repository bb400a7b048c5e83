from __future__ import annotations

import math

import pytest

from rankstill.collection.candidate_lists import listed_pairs, source
from rankstill.errors import DataError

from .conftest import listed, write_lines


@pytest.fixture
def alone(tmp_path):
    """Two lists that share a document, with nothing beside them."""
    return write_lines(
        tmp_path / "bm25" / "candidates.jsonl",
        listed("q1", "flea", ("d2", "cats", 3.5), ("d1", "fleas", 2)),
        listed("q2", "boil", ("d1", "fleas", None)),
    )


def test_documents_and_queries_come_from_the_lists(alone):
    found = source(alone)
    assert found.name == "bm25-candidates"
    assert list(found.documents()) == [("d2", "cats"), ("d1", "fleas")]
    assert list(found.queries()) == [("q1", "flea"), ("q2", "boil")]
    assert list(found.judgements()) == []
    pairs = list(found.lists())
    assert [(q, d) for q, d, _ in pairs] == [("q1", "d2"), ("q1", "d1"), ("q2", "d1")]
    assert [s for _, _, s in pairs[:2]] == [3.5, 2.0]
    assert math.isnan(pairs[2][2])


def test_equal_ids_must_have_equal_texts(alone):
    write_lines(alone, listed("q1", "flea", ("d1", "fleas", 1)), listed("q2", "boil", ("d1", "dogs", 1)))
    with pytest.raises(DataError, match="line 2: document d1 has another text than where it came before"):
        list(source(alone).documents())


def test_judged_documents_outside_the_lists(alone):
    """Grade 0 outside changes no measure but Judged@k and is left out; q3 is the business of other lists."""
    folder = alone.parent
    write_lines(folder / "qrels" / "test.tsv", "q1\td1\t1", "q1\td2\t0", "q1\td9\t0", "q2\td1\t0")
    write_lines(folder / "qrels" / "train.tsv", "q3\td8\t1")
    found = source(alone)
    assert list(found.judgements()) == [("test", "q1", "d1", 1), ("test", "q1", "d2", 0), ("test", "q2", "d1", 0)]
    assert found.facts["left_out_judgements"] == 1
    assert found.facts["skipped_splits"] == ["train"]
    assert set(found.files) == {"lists.candidates.jsonl", "qrels.test"}


def test_positives_outside_the_lists_are_refused(alone):
    write_lines(alone.parent / "qrels" / "test.tsv", "q1\td1\t1", "q1\td9\t1", "q2\td8\t2")
    message = r"test\.tsv: 2 of 3 judgements are positive and name documents .* \(first: query q1, document d9\)"
    with pytest.raises(DataError, match=message):
        source(alone)


def test_judgements_of_queries_without_a_list_are_left_to_the_loader_to_refuse(alone):
    write_lines(alone.parent / "qrels" / "test.tsv", "q1\td1\t1", "q3\td9\t1")
    assert ("test", "q3", "d9", 1) in list(source(alone).judgements())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"_id": "q2", "text": "t"}, r"line 2: `candidates` must be a list of objects\nhint: a line is"),
        ({"_id": "q2", "text": "t", "candidates": ["d1"]}, r"line 2: `candidates` must be a list of objects"),
        (listed("q2", "t"), r"line 2: query q2 has no candidates\nhint: remove the line"),
        (listed("q1", "t", ("d1", "x", 1)), r"line 2: query q1 has a list already \(.*line 1\)"),
        (listed("q2", "t", ("d1", "x", math.inf)), r"line 2: `score` must be a finite number or null: got inf"),
        (listed("q2", "t", ("d1", "x", "1")), r"line 2: `score` must be a finite number or null: got '1'"),
        ({"_id": "q2", "candidates": [{"_id": "d1"}]}, r"line 2: there is no `text`"),
    ],
)
def test_broken_lines(tmp_path, line, message):
    path = write_lines(tmp_path / "candidates.jsonl", listed("q1", "flea", ("d1", "x", 1)), line)
    with pytest.raises(DataError, match=message):
        list(listed_pairs([path]))


def test_a_query_with_lists_in_two_files(tmp_path):
    line = listed("q1", "flea", ("d1", "x", 1))
    paths = [write_lines(tmp_path / name, line) for name in ("candidates.jsonl", "candidates.dev.jsonl")]
    with pytest.raises(DataError, match=r"dev\.jsonl, line 1: query q1 has a list already \(.*line 1\)"):
        list(listed_pairs(paths))
