from __future__ import annotations

import json
import math
import sys
import types
from dataclasses import replace

import numpy as np
import pytest

from rankstill.collection.load import find, load
from rankstill.collection.reference import Reference
from rankstill.collection.source import Source
from rankstill.collection.store import Collection
from rankstill.errors import DataError, OutputError, SpecError

from .conftest import listed, write_lines


def of(documents=(("d1", "a"), ("d2", "b")), queries=(("q1", "x"), ("q2", "y")), judgements=(), lists=None):
    """A source of what stands here."""
    return Source(
        name="here",
        documents=lambda: iter(documents),
        queries=lambda: iter(queries),
        judgements=lambda: iter(judgements),
        lists=(lambda: iter(lists)) if lists is not None else None,
        identity="test",
    )


def test_everything_of_a_folder_stands_in_the_collection(beir, tmp_path):
    write_lines(
        beir / "candidates.jsonl", listed("q2", "", ("d3", "", 2), ("d1", "", None)), listed("q1", "", ("d2", "", 1))
    )
    collection = Collection(load(f"{beir}#relevant_from=2", tmp_path / "out"))
    assert collection.documents.ids() == ["d1", "d2", "d3"]
    assert collection.documents[0] == "Flea A flea lives a year."
    assert collection.queries.ids() == ["q1", "q2"]
    qrels = collection.qrels("test")
    # Sorted by query, then document, whatever the order in the file.
    assert (qrels.query.tolist(), qrels.doc.tolist(), qrels.grade.tolist()) == ([0, 0, 1], [0, 1, 2], [1, 0, 2])
    lists = collection.lists()
    assert (lists.query.tolist(), lists.doc.tolist()) == ([1, 1, 0], [2, 0, 1])
    np.testing.assert_array_equal(lists.score, np.array([2, math.nan, 1], np.float32))
    assert collection.relevant_from == 2
    assert collection.manifest["counts"] == {
        "documents": 3,
        "queries": 2,
        "judgements": {"test": {"queries": 2, "pairs": 3, "positives": 1}},
        "lists": 3,
        "empty_documents": 0,
        "repeated_judgements": 0,
    }
    assert set(collection.manifest["inputs"]) == {"documents", "queries", "qrels.test", "lists"}


def test_same_input_same_bytes(beir, tmp_path):
    first, second = load(str(beir), tmp_path / "one"), load(str(beir), tmp_path / "two")
    names = sorted(p.name for p in first.iterdir() if p.name != "cost.json")
    assert names == ["documents.arrow", "manifest.json", "qrels.parquet", "queries.arrow"]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_moved_folder_gives_the_same_bytes(beir, tmp_path):
    first = load(str(beir), tmp_path / "one")
    (tmp_path / "elsewhere").mkdir()
    moved = beir.rename(tmp_path / "elsewhere" / "tiny")
    second = load(str(moved), tmp_path / "two")
    assert (first / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()


def test_a_finished_collection_is_left_alone(beir, tmp_path):
    out = load(str(beir), tmp_path / "out")
    before = (out / "cost.json").read_bytes()
    assert load(str(beir), out) == out
    assert (out / "cost.json").read_bytes() == before


def test_a_changed_source_is_not_taken_for_the_old_one(beir, tmp_path):
    out = load(str(beir), tmp_path / "out")
    write_lines(beir / "queries.jsonl", {"_id": "q1", "text": "new"}, {"_id": "q2", "text": "boil"})
    with pytest.raises(OutputError, match="is the output of another run: its inputs differ"):
        load(str(beir), out)


def test_without_judgements_and_lists(tmp_path):
    collection = Collection(load(of(), tmp_path / "out"))
    assert collection.splits == []
    assert collection.lists() is None
    assert collection.manifest["counts"]["lists"] == 0


def test_splits_keep_their_order_and_may_alternate(tmp_path):
    judgements = [("train", "q2", "d1", 1), ("dev", "q1", "d2", 3), ("train", "q1", "d1", 0)]
    collection = Collection(load(of(judgements=judgements), tmp_path / "out"))
    assert collection.splits == ["train", "dev"]
    assert collection.qrels("train").grade.tolist() == [0, 1]
    assert collection.qrels("dev").grade.tolist() == [3]


def test_judgements_with_the_same_grade_twice_count_once(tmp_path):
    judgements = [("test", "q1", "d1", 1), ("test", "q1", "d2", 0), ("test", "q1", "d1", 1)]
    counts = Collection(load(of(judgements=judgements), tmp_path / "out")).manifest["counts"]
    assert counts["judgements"] == {"test": {"queries": 1, "pairs": 2, "positives": 1}}
    assert counts["repeated_judgements"] == 1


def test_the_same_pair_may_be_judged_in_two_splits(tmp_path):
    judgements = [("binary", "q1", "d1", 1), ("graded", "q1", "d1", 3)]
    assert Collection(load(of(judgements=judgements), tmp_path / "out")).qrels("graded").grade.tolist() == [3]


def test_some_empty_documents_stay_and_are_mentioned(tmp_path, capsys):
    documents = [("d1", "a"), ("d2", ""), ("d3", " \n"), ("d4", "b")]
    collection = Collection(load(of(documents), tmp_path / "out"))
    assert collection.documents.ids() == ["d1", "d2", "d3", "d4"]
    assert collection.manifest["counts"]["empty_documents"] == 2
    assert "2 of 4 documents are empty (first: d2); they stay" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (of(documents=[]), "the collection has no documents"),
        (of(queries=[]), "the collection has no queries"),
        (of(documents=[("d1", "a"), ("d2", "b"), ("d1", "c")]), "1 documents have an id that came before .first: 'd1'"),
        (of(queries=[("q1", "a"), ("q1", "a")]), "1 queries have an id that came before .first: 'q1'"),
        (of(documents=[("d1", ""), ("d2", " "), ("d3", "x")]), r"2 of 3 documents are empty \(first: d1\)"),
        (of(queries=[("q1", "x"), ("q2", "")]), r"1 of 2 queries are empty \(first: q2\)"),
        (
            of(documents=[("d1", "a"), ("d 2", "b")]),
            "id 'd 2' of entry 2 of the documents is empty or",
        ),
        (of(queries=[("", "a")]), "id '' of entry 1 of the queries is empty or holds white space"),
        (
            of(judgements=[("test", "q1", "d1", 1), ("test", "q8", "d1", 1), ("test", "q9", "d1", 0)]),
            r"here, split test: 2 of 3 entries name queries that the collection does not have \(first: q8\)",
        ),
        (
            of(judgements=[("test", "q1", "d1", 1), ("test", "q1", "d7", 0)]),
            r"here, split test: 1 of 2 entries name documents that the collection does not have \(first: d7\)",
        ),
        (
            of(judgements=[("test", "q1", "d1", 1), ("test", "q2", "d2", 1), ("test", "q1", "d1", 0)]),
            r"1 pairs are judged again with another grade \(first: query q1, document d1: 0 and 1\)",
        ),
        (of(judgements=[("test", "q1", "d1", 0)]), "no judgement has a grade of at least 1; the highest is 0"),
        (
            of(lists=[("q1", "d1", 1.0), ("q7", "d1", 1.0)]),
            r"here, candidate lists: 1 of 2 entries name queries that the collection does not have \(first: q7\)",
        ),
        (
            of(lists=[("q1", "d1", 1.0), ("q1", "d5", 1.0)]),
            r"1 of 2 entries name documents that the collection does not have \(first: d5\)",
        ),
        (
            of(lists=[("q1", "d1", 2.0), ("q2", "d1", 2.0), ("q1", "d1", 1.0)]),
            r"1 of 3 candidates stand twice in a list \(first: query q1, document d1\)",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_broken_sources_leave_nothing(tmp_path, source, message):
    with pytest.raises(DataError, match=message):
        load(source, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == []


def test_unknown_ids_name_their_file(beir, tmp_path):
    write_lines(beir / "qrels" / "test.tsv", "q1\td1\t1", "q1\td9\t1")
    with pytest.raises(DataError, match=r"qrels/test\.tsv: 1 of 2 entries name documents .* \(first: d9\)"):
        load(str(beir), tmp_path / "out")


def test_a_broken_line_deep_in_a_file_leaves_nothing(beir, tmp_path):
    with (beir / "corpus.jsonl").open("a") as file:
        file.write('{"_id": "d4", "text": "cut of')
    with pytest.raises(DataError, match=r"corpus\.jsonl, line 4: not valid JSON"):
        load(str(beir), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.part").exists()


def test_an_interrupted_load_ends_with_the_same_bytes(beir, tmp_path):
    whole = load(str(beir), tmp_path / "whole")
    source = find(Reference(str(beir)))

    def interrupted():
        yield next(source.documents())
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        load(replace(source, documents=interrupted), out)
    assert not out.exists()
    load(source, out)
    assert (out / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()
    assert not (tmp_path / "out.part").exists()


def test_relevant_from_beside_the_reference(beir, tmp_path):
    assert Collection(load(str(beir), tmp_path / "out", relevant_from=2)).relevant_from == 2
    with pytest.raises(SpecError, match="relevant_from is 1 in the reference and 2 beside it"):
        load(f"{beir}#relevant_from=1", tmp_path / "other", relevant_from=2)
    with pytest.raises(SpecError, match="relevant_from must be at least 1: got -1"):
        load(str(beir), tmp_path / "other", relevant_from=-1)


def test_relevant_from_above_all_grades(beir, tmp_path):
    with pytest.raises(DataError, match=r"at least 4; the highest is 2\nhint: lower relevant_from to 2"):
        load(str(beir), tmp_path / "out", relevant_from=4)


def test_a_split_without_positives_is_mentioned(tmp_path, capsys):
    judgements = [("dev", "q1", "d1", 0), ("test", "q1", "d1", 1)]
    load(of(judgements=judgements), tmp_path / "out")
    assert "here: split dev has no judgement of grade 1 or more" in capsys.readouterr().err


def test_a_list_file_beside_a_corpus_means_the_folder(beir):
    path = write_lines(beir / "candidates.test.jsonl", listed("q1", "", ("d2", "", 1)))
    write_lines(beir / "candidates.dev.jsonl", listed("q2", "", ("d2", "", 1)))
    source = find(Reference(str(path)))
    assert len(list(source.documents())) == 3
    assert [(q, d) for q, d, _ in source.lists()] == [("q1", "d2")]


def test_a_list_file_alone(tmp_path):
    lines = listed("q1", "flea", ("d2", "cats", 3.5), ("d1", "fleas", 2)), listed("q2", "boil", ("d1", "fleas", None))
    path = write_lines(tmp_path / "bm25" / "candidates.jsonl", *lines)
    write_lines(path.parent / "qrels.tsv", "q2 0 d1 1")
    collection = Collection(load(str(path), tmp_path / "out"))
    assert collection.documents.ids() == ["d2", "d1"]
    assert collection.lists().doc.tolist() == [0, 1, 1]
    assert collection.qrels("test").query.tolist() == [1]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["spec"]["facts"]["kind"] == "candidate lists"


@pytest.mark.parametrize(
    ("reference", "part", "size"), [("pydocs", "main", "full"), ("pydocs#part=ood,size=demo", "ood", "demo")]
)
def test_pydocs_by_name(monkeypatch, reference, part, size):
    fake = types.ModuleType("rankstill.collection.pydocs")
    fake.source = lambda part, size: (part, size)
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    assert find(Reference.parse(reference)) == (part, size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("part=ood", "only pydocs has parts"),
        ("size=9", "only pydocs has sizes"),
        ("lists=bm25", "has no candidate lists 'bm25'"),
    ],
)
def test_options_that_do_not_fit(beir, options, message):
    with pytest.raises(SpecError, match=message):
        find(Reference.parse(f"{beir}#{options}"))


def test_lists_of_a_file_cannot_be_chosen(beir):
    with pytest.raises(SpecError, match="there is no choice of candidate lists here"):
        find(Reference(str(beir / "corpus.jsonl"), lists="dev"))


def test_a_loaded_collection_is_no_source(beir, tmp_path):
    out = load(str(beir), tmp_path / "out")
    with pytest.raises(DataError, match="is an output of rankstill, not a source"):
        load(str(out), tmp_path / "again")


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match=r"there is no file, folder or ir_datasets id '.*nowhere'"):
        load(str(tmp_path / "nowhere"), tmp_path / "out")
