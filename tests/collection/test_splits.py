"""Which queries train and which choose: by hand, apart from each other, and by id rather than by place."""

from __future__ import annotations

import numpy as np
import pytest

from rankstill.collection.load import load
from rankstill.collection.source import Source
from rankstill.collection.splits import positives_of, training_split
from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from tests.tiny_collections import make_collection

DOCUMENTS = {f"d{i}": f"text {i}" for i in range(4)}


def judged(folder, judgements, queries=None) -> Collection:
    queries = sorted({q for _, q, _, _ in judgements}) if queries is None else queries
    return make_collection(folder, DOCUMENTS, {q: f"ask {q}" for q in queries}, judgements)


def many(folder, count: int, backwards: bool = False) -> Collection:
    """So many training queries, each with one positive."""
    rows = range(count)[::-1] if backwards else range(count)
    return judged(folder, [("train", f"q{i}", "d0", 1) for i in rows], [f"q{i}" for i in rows])


def ids(collection: Collection, rows) -> list[str]:
    return collection.queries.ids(rows)


def test_the_collections_own_dev_split_is_dev(tmp_path):
    train = [("train", f"q{i}", "d0", 1) for i in range(20)]
    dev = [("dev", q, "d1", 1) for q in ("q3", "x1", "x2")]
    collection = judged(tmp_path / "c", [*train, *dev])
    split = training_split(collection)
    assert sorted(ids(collection, split.dev)) == ["q3", "x1", "x2"]
    # q3 is in both: it chooses, so it does not train.
    assert sorted(ids(collection, split.train)) == sorted(f"q{i}" for i in range(20) if i != 3)
    assert (split.judged, split.dev_judged) == ("train", "dev")
    assert split.note == "the collection's own dev split, 3 queries"


@pytest.mark.parametrize(("queries", "dev"), [(9, 0), (10, 1), (40, 4), (2500, 200)])
def test_otherwise_a_tenth_is_held_out_and_two_hundred_at_most(tmp_path, queries, dev):
    split = training_split(many(tmp_path / "c", queries))
    assert (len(split.train), len(split.dev)) == (queries - dev, dev)
    assert np.array_equal(np.sort(np.r_[split.train, split.dev]), np.arange(queries)), "each query is in one of them"
    assert (split.judged, split.dev_judged) == ("train", "train")
    assert split.note.startswith(f"{dev} of the training queries, held out")


def test_what_is_held_out_depends_on_ids_not_on_places(tmp_path):
    first, second = many(tmp_path / "one", 50), many(tmp_path / "two", 50, backwards=True)
    a, b = training_split(first), training_split(second)
    assert set(ids(first, a.dev)) == set(ids(second, b.dev))
    assert a.dev.tolist() != b.dev.tolist()
    assert set(ids(first, a.train)) == set(ids(second, b.train))
    # printf q38 | sha256sum begins with 0505, those of the others with 0bb3, 0bd7, 0e3e, 112f; the next is q19's 16ea.
    assert set(ids(first, a.dev)) == {"q38", "q18", "q7", "q24", "q4"}


def test_a_limit_keeps_dev_and_a_larger_one_keeps_what_a_smaller_one_had(tmp_path):
    collection = many(tmp_path / "c", 50)
    whole = training_split(collection)
    kept: set[int] = set()
    for limit in (1, 5, 20, 45, 100):
        split = training_split(collection, limit=limit)
        assert split.dev.tolist() == whole.dev.tolist()
        assert len(split.train) == min(limit, 45)
        assert (np.diff(split.train.astype(int)) > 0).all()
        assert kept <= set(split.train.tolist()) <= set(whole.train.tolist())
        kept = set(split.train.tolist())


def test_only_queries_with_a_relevant_document_train(tmp_path):
    judgements = [("train", "q0", "d0", 0), ("train", "q1", "d1", 1), ("train", "q2", "d2", 2), ("test", "q3", "d3", 2)]
    lenient = judged(tmp_path / "one", judgements)
    assert ids(lenient, training_split(lenient).train) == ["q1", "q2"]
    source = Source(
        "strict",
        lambda: iter(DOCUMENTS.items()),
        lambda: ((f"q{i}", "ask") for i in range(4)),
        lambda: iter(judgements),
        identity="strict",
    )
    strict = Collection(load(source, tmp_path / "two", relevant_from=2))
    assert ids(strict, training_split(strict).train) == ["q2"]


def test_without_judgements_all_queries_train(tmp_path):
    collection = make_collection(tmp_path / "c", DOCUMENTS, {f"q{i}": "ask" for i in range(30)})
    split = training_split(collection)
    assert split.train.tolist() == list(range(30))
    assert (len(split.dev), split.judged, split.dev_judged) == (0, "", "")
    assert "the teacher's best document stands in for the positive" in split.note
    assert len(training_split(collection, limit=7).train) == 7


def test_a_split_that_is_not_there_is_refused(tmp_path):
    collection = judged(tmp_path / "c", [("test", "q0", "d0", 1), ("extra", "q1", "d0", 1)])
    with pytest.raises(SpecError, match="no split 'train' to train on; it has test, extra") as error:
        training_split(collection)
    assert error.value.hint == "name one: --split test"
    assert ids(collection, training_split(collection, split="extra").train) == ["q1"]


def test_a_split_without_a_relevant_document_is_refused(tmp_path):
    collection = judged(tmp_path / "c", [("train", "q0", "d0", 0), ("test", "q1", "d0", 1)])
    with pytest.raises(DataError, match="no query of split 'train' has a relevant document"):
        training_split(collection)


def test_dev_may_be_what_is_trained_on(tmp_path):
    dev = [("dev", f"q{i}", "d0", 1) for i in range(20)]
    collection = judged(tmp_path / "c", [*dev, ("test", "t", "d0", 1)])
    split = training_split(collection, split="dev")
    assert (len(split.train), len(split.dev), split.judged, split.dev_judged) == (18, 2, "dev", "dev")
    assert not np.isin(split.train, split.dev).any()


def test_positives_by_hand(tmp_path):
    rows = [("q0", "d3", 1), ("q0", "d1", 2), ("q1", "d0", 0), ("q2", "d2", 1), ("q3", "d0", 1)]
    collection = judged(tmp_path / "c", [("train", *row) for row in rows])
    found = positives_of(collection, "train", np.array([2, 0, 1, 0], np.uint32))
    # q0 is asked for twice and comes once; q1 has no positive; q3 was not asked for.
    assert list(zip(found.query.tolist(), found.doc.tolist(), strict=True)) == [(0, 1), (0, 3), (2, 2)]
    assert np.isnan(found.score).all()
    assert len(positives_of(collection, "train", np.array([1], np.uint32))) == 0
    assert len(positives_of(collection, "", np.array([0], np.uint32))) == 0
