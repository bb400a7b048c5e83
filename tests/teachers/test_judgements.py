from __future__ import annotations

import numpy as np
import pytest

from rankstill.collection.load import load
from rankstill.collection.source import Source
from rankstill.collection.store import Collection
from rankstill.errors import SpecError
from rankstill.teachers import open_teacher
from tests.tiny_collections import make_collection


@pytest.fixture
def collection(tmp_path):
    judged = [("train", "q1", "d1", 1), ("train", "q1", "d2", 0), ("test", "q2", "d2", 1)]
    return make_collection(tmp_path / "c", {"d1": "a", "d2": "b"}, {"q1": "x", "q2": "y"}, judged)


def test_a_judged_positive_is_1_and_any_other_0(collection):
    query, doc = np.array([0, 0, 1, 1], np.uint32), np.array([0, 1, 0, 1], np.uint32)
    teacher = open_teacher("judgements")
    assert (teacher.name, teacher.kind, teacher.by_text) == ("judgements:train", "judgements", False)
    assert teacher.score(collection, query, doc).tolist() == [1, 0, 0, 0]
    test = open_teacher("judgements:test")
    assert test.score(collection, query, doc).tolist() == [0, 0, 0, 1]
    assert test.fingerprint != teacher.fingerprint


def test_what_is_relevant_is_the_collections_to_say(tmp_path):
    judged = [("train", "q", "d1", 1), ("train", "q", "d2", 2)]
    source = Source("tiny", lambda: iter({"d1": "a", "d2": "b"}.items()), lambda: iter([("q", "x")]),
                    lambda: iter(judged), identity="tiny")  # fmt: skip
    collection = Collection(load(source, tmp_path / "c", relevant_from=2))
    scores = open_teacher("judgements").score(collection, np.zeros(2, np.uint32), np.arange(2, dtype=np.uint32))
    assert scores.tolist() == [0, 1]


def test_a_split_must_exist(collection):
    with pytest.raises(SpecError, match="unknown split 'dev'"):
        open_teacher("judgements:dev").score(collection, np.zeros(1, np.uint32), np.zeros(1, np.uint32))
    with pytest.raises(SpecError, match="names no split"):
        open_teacher("judgements:")
