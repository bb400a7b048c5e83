"""First stages: given lists in their own order, pools ordered by BM25, BM25 where there is no list."""

import json

import numpy as np
import pytest

from rankstill.collection.load import load
from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import read_manifest
from rankstill.runs.first_stage import FirstStageSpec, first_stage
from rankstill.runs.run_files import read_run
from tests.tiny_collections import make_collection, word_collection


def _lists(tmp_path, scores):
    texts = {"a": "wing lift", "b": "wing wing wing", "c": "heat"}
    candidates = [{"_id": i, "text": t, "score": s} for (i, t), s in zip(texts.items(), scores, strict=True)]
    path = tmp_path / "candidates.jsonl"
    path.write_text(json.dumps({"_id": "q", "text": "wing", "candidates": candidates}) + "\n")
    return Collection(load(str(path), tmp_path / "c"))


def test_given_lists_keep_their_order(tmp_path):
    collection = _lists(tmp_path, [3.0, 2.0, 2.0])
    out = first_stage(collection.path, np.array([0], np.uint32), tmp_path / "out", FirstStageSpec())
    assert collection.documents.ids(read_run(out).doc) == ["a", "b", "c"]
    assert read_manifest(out)["counts"]["origin"] == "given list"


def test_a_pool_without_scores_is_ordered_by_bm25(tmp_path):
    collection = _lists(tmp_path, [None, None, None])
    out = first_stage(collection.path, np.array([0], np.uint32), tmp_path / "out", FirstStageSpec())
    assert collection.documents.ids(read_run(out).doc) == ["b", "a", "c"]
    assert read_manifest(out)["counts"]["origin"] == "given list, ordered by BM25"


def test_without_lists_bm25_retrieves(tmp_path):
    collection = word_collection(tmp_path / "c")
    queries = np.array([2, 5], np.uint32)
    out = first_stage(collection.path, queries, tmp_path / "out", FirstStageSpec(depth=7))
    run = read_run(out)
    assert {q: s.stop - s.start for q, s in run.per_query().items()} == {2: 7, 5: 7}
    assert read_manifest(out)["counts"]["origin"] == "BM25"


def test_nothing_found_at_all_is_refused(tmp_path):
    collection = make_collection(tmp_path / "c", {"a": "wing"}, {"q": "zyzzyva"})
    with pytest.raises(DataError, match="found no document for any query"):
        first_stage(collection.path, np.array([0], np.uint32), tmp_path / "out", FirstStageSpec())
