from __future__ import annotations

import gzip
import math

import pytest

from rankstill.collection import folder
from rankstill.errors import DataError, SpecError

from .conftest import listed, write_lines


def contents(source):
    lists = list(source.lists()) if source.lists else None
    return list(source.documents()), list(source.queries()), sorted(source.judgements()), lists


def test_beir_folder(beir):
    source = folder.source(beir)
    assert source.name == "tiny"
    assert source.expected() == 3
    assert contents(source) == (
        [("d1", "Flea A flea lives a year."), ("d2", "Cats have fleas."), ("d3", "Hydrogen boils at 20 K.")],
        [("q1", "how long does a flea live"), ("q2", "when does hydrogen boil")],
        [("test", "q1", "d1", 1), ("test", "q1", "d2", 0), ("test", "q2", "d3", 2)],
        None,
    )


def test_every_file_may_be_gzipped(beir):
    expected = contents(folder.source(beir))
    for path in [p for p in beir.rglob("*") if p.is_file()]:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert contents(folder.source(beir)) == expected
    assert folder.source(beir).expected() is None


def test_names_of_ms_marco(beir):
    expected = contents(folder.source(beir))
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (beir / name).unlink()
    (beir / "qrels").rmdir()
    write_lines(beir / "collection.tsv", *("\t".join(pair) for pair in expected[0]))
    for number, split in enumerate(("train", "test")):
        write_lines(beir / f"queries.{split}.tsv", "\t".join(expected[1][1 - number]))
    write_lines(beir / "qrels.test.tsv", "q1\t0\td1\t1", "q1\t0\td2\t0", "q2\t0\td3\t2")
    assert contents(folder.source(beir)) == expected


def test_all_candidate_lists_unless_chosen(beir):
    write_lines(beir / "candidates.test.jsonl", listed("q1", "flea", ("d2", "", 2.5), ("d1", "", None)))
    write_lines(beir / "candidates.jsonl", listed("q2", "boil", ("d3", "", 1)))
    q1, q2 = [("q1", "d2"), ("q1", "d1")], [("q2", "d3")]

    def pairs(lists):
        return [(q, d) for q, d, _ in folder.source(beir, lists).lists()]

    assert sorted(pairs(None)) == sorted(q1 + q2)
    assert pairs("test") == pairs("candidates.test.jsonl") == pairs(beir / "candidates.test.jsonl") == q1
    assert pairs("candidates.jsonl") == q2
    assert folder.source(beir, "none").lists is None
    (_, _, first), (_, _, second) = folder.source(beir, "test").lists()
    assert first == 2.5
    assert math.isnan(second)


def test_unknown_lists(beir):
    with pytest.raises(SpecError, match=r"has no candidate lists 'bm25'\nhint: there are: no lists"):
        folder.source(beir, "bm25")


def test_no_documents(beir):
    (beir / "corpus.jsonl").unlink()
    with pytest.raises(DataError, match=r"tiny has no documents\nhint: name them corpus\.jsonl"):
        folder.source(beir)
    write_lines(beir / "candidates.jsonl", listed("q1", "flea", ("d2", "", 2.5)))
    with pytest.raises(DataError, match=r"or name one file of candidate lists: .*candidates\.jsonl"):
        folder.source(beir)


def test_no_queries(beir):
    (beir / "queries.jsonl").unlink()
    with pytest.raises(DataError, match=r"tiny has no queries\nhint: name them queries\.jsonl"):
        folder.source(beir)


@pytest.mark.parametrize(("name", "what"), [("documents.tsv", "documents"), ("queries.tsv", "queries")])
def test_two_files_that_would_serve(beir, name, what):
    write_lines(beir / name, "1\ttext")
    with pytest.raises(DataError, match=rf"has 2 files of {what}: .*\nhint: keep one"):
        folder.source(beir)
