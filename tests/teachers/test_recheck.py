"""A sample scored a second time: what differs is counted, and said; what is deterministic is not suspected."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rankstill.errors import DataError, SpecError
from rankstill.teachers import open_teacher
from rankstill.teachers.scoring import score
from tests.teachers.test_scoring import Counting, every, pairs
from tests.tiny_collections import make_collection, word_collection
from tests.tiny_models import tiny_bi_encoder, tiny_cross_encoder


class Drifting(Counting):
    """A teacher that adds an eighth to the documents `wing !` each time that it is asked."""

    def __init__(self, step=0.125):
        super().__init__()
        self.step, self.times = step, 0

    def value(self, query, doc, place):
        return super().value(query, doc, place) + self.step * self.times * (doc == "wing !")

    def score(self, collection, query, doc, shown=None):
        values = super().score(collection, query, doc, shown)
        self.times += 1
        return values


@pytest.fixture
def collection(tmp_path):
    documents = {f"d{i}": "wing " * i + "!" for i in range(4)}
    return make_collection(tmp_path / "collection", documents, {"q0": "a", "q1": "bcd"})


def _cost(out):
    return json.loads((out / "cost.json").read_text())


def test_a_drifting_teacher_is_found_out(tmp_path, collection, capfd):
    """Eight pairs in two chunks: d1 of the first query differs by 2 steps, that of the second by 2 as well."""
    teacher = Drifting()
    out = score(collection.path, every(collection), teacher, tmp_path / "out", tmp_path / "store", recheck=100)
    found = _cost(out)["recheck"]
    assert (found["pairs"], found["differ"], found["largest"]) == (8, 2, 0.25)
    assert found["mean"] == pytest.approx(2 * 0.25 / 8)
    assert found["example"] == "query q0, document d1: 106, then 106.25"
    said = " ".join(capfd.readouterr().err.split())
    assert "counting is not deterministic: of 8 pairs scored a second time 2 got another score, by 0.25 at most" in said
    assert _cost(out)["scored"] == 8
    plain = score(collection.path, every(collection), Drifting(0), tmp_path / "plain")
    kept = [json.loads((folder / "manifest.json").read_text()) for folder in (out, plain)]
    assert kept[0]["counts"] == kept[1]["counts"]
    assert kept[0]["spec"] == kept[1]["spec"], "it is the same stage, rechecked or not"


def test_a_steady_teacher_is_cleared_also_afterwards(tmp_path, collection, capfd):
    """Of a finished stage too; nothing but its cost changes, and nothing but the sample is scored."""
    teacher = Counting()
    out = score(collection.path, every(collection), teacher, tmp_path / "out", tmp_path / "store")
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    asked = len(teacher.asked)
    assert score(collection.path, every(collection), teacher, out, tmp_path / "store", recheck=5) == out
    assert len(teacher.asked) == asked + 5
    assert len(set(teacher.asked[asked:])) == 5
    found = _cost(out)["recheck"]
    assert found == {"pairs": 5, "differ": 0, "largest": 0, "mean": 0, "example": ""}
    assert "5 pairs scored a second time by counting: the same scores" in capfd.readouterr().err
    after = {p.name: p.read_bytes() for p in out.iterdir()}
    assert {n for n in after if after[n] != before.get(n)} == {"cost.json"}
    sample = teacher.asked[asked:]
    score(collection.path, every(collection), teacher, out, recheck=5)
    assert teacher.asked[-5:] == sample, "always the same sample"


@pytest.mark.parametrize("make", [tiny_cross_encoder, tiny_bi_encoder])
def test_models_say_the_same_again_and_are_really_asked(tmp_path, make, monkeypatch):
    """A bi-encoder keeps vectors in the store; the second time it does not take them from there."""
    collection = word_collection(tmp_path / "c", documents=12, queries=4)
    teacher = open_teacher(str(make(tmp_path / "model")))
    out = score(collection.path, every(collection), teacher, tmp_path / "out", tmp_path / "store", recheck=20)
    assert (_cost(out)["recheck"]["pairs"], _cost(out)["recheck"]["differ"]) == (20, 0)
    if make is tiny_bi_encoder:
        real = type(teacher.encoder)._encode

        def broken(self, texts, prompt, into):
            real(self, texts, prompt, into)
            into[:] *= np.linspace(1, 2, into.shape[1], dtype=np.float32)

        monkeypatch.setattr(type(teacher.encoder), "_encode", broken)
        score(collection.path, every(collection), teacher, out, tmp_path / "store", recheck=20)
        assert _cost(out)["recheck"]["differ"] > 10
        monkeypatch.undo()
        assert not list((tmp_path / "store").glob("vectors-*/*.part"))
        again = score(collection.path, every(collection), teacher, tmp_path / "o2", tmp_path / "store")
        assert (again / "scores.parquet").read_bytes() == (out / "scores.parquet").read_bytes()


def test_bad_counts_and_broken_seconds_are_refused(tmp_path, collection):
    with pytest.raises(SpecError, match="-3 is not a number of pairs"):
        score(collection.path, pairs((0, 1), (0, 2)), Counting(), tmp_path / "a", recheck=-3)
    teacher = Drifting(np.inf)
    teacher.times = 0
    teacher.chunk = 100

    class Failing(Drifting):
        def value(self, query, doc, place):
            return np.nan if self.times and doc == "wing !" else super().value(query, doc, place)

    failing = Failing()
    failing.chunk = 100
    with pytest.raises(DataError, match=r"1 of 2 pairs have a score that is not finite \(first: query q0, document d1"):
        score(collection.path, pairs((0, 1), (0, 2)), failing, tmp_path / "b", recheck=2)


class Listwise(Counting):
    """A teacher whose score of a document is its place among the documents of its query that it is given."""

    by_text = False

    def score(self, collection, query, doc, shown=None):
        return np.array([np.sum((query == q) & (doc < d)) for q, d in zip(query, doc, strict=True)], np.float32)


def test_a_teacher_of_lists_is_asked_about_whole_lists_again(tmp_path, collection):
    """Two lists of four: a sample of two pairs would give other places, and accuse it wrongly."""
    out = score(collection.path, every(collection), Listwise(), tmp_path / "out", recheck=2)
    found = _cost(out)["recheck"]
    assert (found["pairs"], found["differ"]) == (4, 0)
    both = score(collection.path, every(collection), Listwise(), tmp_path / "both", recheck=8)
    assert _cost(both)["recheck"]["pairs"] == 8
