"""The real collections load, with the counts that their SOURCE.md states."""

from __future__ import annotations

import pytest

from rankstill.collection.load import load
from rankstill.collection.store import Collection
from rankstill.errors import DataError

pytestmark = pytest.mark.shared

# name, documents, queries, {split: (judged queries, pairs, positives of grade >= 1)}, pairs in lists, empty documents
KNOWN = [
    ("scifact", 5183, 1109, {"test": (300, 339, 339), "train": (809, 919, 919)}, 0, 0),
    (
        "cranfield",
        1400,
        225,
        # In original_codes the 225 source documents have the code -1.
        {"no_source_docs": (225, 1612, 1612), "original_codes": (225, 1837, 1612), "test": (225, 1837, 1837)},
        0,
        2,
    ),
    ("npl", 11429, 93, {"test": (93, 2083, 2083)}, 0, 0),
    (
        "wikiqa",
        11406,
        1242,
        {"dev": (126, 1130, 140), "test": (243, 2350, 293), "train": (873, 8672, 1040)},
        1130 + 2350 + 8672,
        0,
    ),
    ("dl19-passage", 20281, 43, {"test": (43, 9260, 1601 + 1804 + 697)}, 4300, 0),
    ("dl20-passage", 21581, 54, {"test": (54, 11386, 1940 + 1020 + 646)}, 5400, 0),
    ("dl22-passage", 16660, 76, {}, 7600, 0),
]


@pytest.mark.parametrize(("name", "documents", "queries", "splits", "lists", "empty"), KNOWN, ids=[k[0] for k in KNOWN])
def test_counts(shared_data, tmp_path, name, documents, queries, splits, lists, empty):
    counts = Collection(load(str(shared_data(name)), tmp_path / name)).manifest["counts"]
    assert counts == {
        "documents": documents,
        "queries": queries,
        "judgements": {s: {"queries": q, "pairs": n, "positives": p} for s, (q, n, p) in splits.items()},
        "lists": lists,
        "empty_documents": empty,
        "repeated_judgements": 0,
    }


def test_trec_counts_grade_2_as_relevant(shared_data, tmp_path):
    collection = Collection(load(f"{shared_data('dl19-passage')}#relevant_from=2", tmp_path / "dl19"))
    assert collection.manifest["counts"]["judgements"]["test"]["positives"] == 1804 + 697
    lists = collection.lists()
    assert {s.stop - s.start for s in lists.per_query().values()} == {100}
    # BM25's own order: scores never rise within a list.
    assert all((lists.score[s][1:] <= lists.score[s][:-1]).all() for s in lists.per_query().values())


def test_a_spot_check(shared_data, tmp_path):
    """SOURCE.md of scifact: claim 770 is judged with document 15476777."""
    collection = Collection(load(str(shared_data("scifact")), tmp_path / "scifact"))
    query, doc = collection.queries.rows(["770"])[0], collection.documents.rows(["15476777"])[0]
    assert collection.queries[query].startswith("Metastatic colorectal cancer treated with a single agent")
    assert collection.documents[doc].startswith("Chemotherapy options in elderly and frail patients with metastatic")
    assert collection.qrels("test").positives()[query].tolist() == [doc]


def test_lists_alone_lack_positives(shared_data, tmp_path):
    """BM25 missed positives of dl19-passage: its lists alone would raise nDCG, so they are refused."""
    source, alone = shared_data("dl19-passage"), tmp_path / "alone"
    (alone / "qrels").mkdir(parents=True)
    for name in ("candidates.jsonl", "qrels/test.tsv"):
        (alone / name).symlink_to(source / name)
    with pytest.raises(DataError, match=r"judgements are positive and name documents that no list has"):
        load(str(alone / "candidates.jsonl"), tmp_path / "out")


def test_wikiqa_lists_alone_are_whole(shared_data, tmp_path):
    """Every judged sentence of a test question is in its list, and the other splits belong to other lists."""
    source, alone = shared_data("wikiqa"), tmp_path / "alone"
    alone.mkdir()
    for name in ("candidates.test.jsonl", "qrels"):
        (alone / name).symlink_to(source / name)
    collection = Collection(load(str(alone / "candidates.test.jsonl"), tmp_path / "out"))
    assert collection.manifest["counts"]["judgements"] == {"test": {"queries": 243, "pairs": 2350, "positives": 293}}
    assert collection.manifest["spec"]["facts"]["skipped_splits"] == ["dev", "train"]
    assert len(collection.queries) == 243
