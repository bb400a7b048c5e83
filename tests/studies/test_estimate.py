"""The plan of a dry run: the pairs that a real run scores, time by measured speeds, memory that grows with the work."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

import numpy as np
import pytest

from rankstill.files import read_manifest
from rankstill.students.architectures import StudentSpec
from rankstill.studies import estimate
from rankstill.studies.distill import DistillSpec
from rankstill.studies.estimate import Line, _memory, _pairs, _teacher_seconds, duration, plan
from rankstill.studies.steps import load_training, make_groups
from rankstill.teachers.table import open_table
from tests.tiny_folders import beir_folder, write_qrels


class Lengths:
    """A teacher that scores by the documents' rows, and counts the pairs that it was given."""

    name, kind, by_text, chunk, fingerprint = "lengths", "cross-encoder", True, 1000, "ab" * 32

    def __init__(self):
        self.scored = 0

    def score(self, collection, query, doc, shown=None):
        self.scored += len(query)
        return (doc % 17).astype(np.float32)

    def prepared(self, collection, query, doc, folder):
        return self


@pytest.fixture
def data(tmp_path):
    """Forty training queries, four test queries, and a second positive for ten of the training queries."""
    folder = beir_folder(tmp_path / "data", 60, train=range(40), test=range(40, 44))
    with (folder / "qrels" / "train.tsv").open("a") as file:
        file.writelines(f"q{i}\td{i + 10}\t1\n" for i in range(10))
    return folder


@pytest.fixture
def unjudged(data):
    shutil.rmtree(data / "qrels")
    return data


def spec_of(data, **options) -> DistillSpec:
    return DistillSpec(str(data), **{"size": 4, "depth": 10, "student": StudentSpec("static"), **options})


@pytest.mark.parametrize("folder", ["data", "unjudged"])
@pytest.mark.parametrize("strategy", ["random", "bm25", "teacher"])
def test_the_pairs_asked_for_are_those_of_a_real_run(tmp_path, request, folder, strategy):
    spec = spec_of(request.getfixturevalue(folder), strategy=strategy)
    training = load_training(tmp_path / "out", spec.collection, split=spec.split, limit=0)
    asked, most = _pairs(spec, training)
    teacher = Lengths()
    options = {"size": spec.size, "depth": spec.depth, "seed": 1, "on_short": "refuse"}
    made = make_groups(tmp_path / "out", training, teacher, strategy, **options)
    assert asked == sum(read_manifest(scores)["counts"]["asked"] for scores in made.paid())
    assert teacher.scored == most, "every text is another here, so nothing is saved"


def test_the_pairs_asked_for_by_hand(tmp_path, data):
    training = load_training(tmp_path / "out", str(data), split="train", limit=0)
    # 36 queries train, four are dev; each has one positive, and those of q0 to q9 that train have two.
    positives = 36 + sum(int(i) in training.split.train for i in range(10))
    assert _pairs(spec_of(data), training) == (36 * 3 + positives, 36 * 3 + positives)
    assert _pairs(spec_of(data, strategy="teacher"), training) == (36 * (10 + 3) + positives, 36 * 10 + positives)


@pytest.mark.parametrize("strategy", ["random", "bm25", "teacher"])
def test_more_queries_and_larger_groups_ask_for_more(tmp_path, data, strategy):
    def asked(limit: int, size: int) -> int:
        training = load_training(tmp_path / "out", str(data), split="train", limit=limit)
        return _pairs(spec_of(data, strategy=strategy, size=size), training)[0]

    assert asked(5, 4) < asked(10, 4) < asked(36, 4) == asked(0, 4)
    assert asked(10, 2) < asked(10, 3) < asked(10, 8)
    assert asked(10, 8) - asked(10, 3) == 10 * 5


def test_work_by_measured_speeds_by_hand(tmp_path, data, monkeypatch):
    """A teacher of 2 s a pair; a student that trains on 10 documents a second and ranks 40."""
    monkeypatch.setattr(estimate, "open_teacher", lambda *_, **__: Lengths())
    monkeypatch.setattr(estimate, "_teacher_seconds", lambda *_: 2.0)
    monkeypatch.setattr(estimate, "_student_rates", lambda *_: (10.0, 40.0))
    (data / "qrels" / "train.tsv").unlink()
    write_qrels(data / "qrels" / "train.tsv", {f"q{i}": f"d{i}" for i in range(40)})
    spec = spec_of(data, epochs=3, test_depth=20)
    lines = {line.stage: line for line in plan(spec, tmp_path / "plan")}
    assert list(lines) == ["load", "sample", "score", "group", "train", "rank", "measure"]
    assert lines["load"].work == "60 documents, 44 queries"
    assert lines["score"] == Line("score", "144 pairs asked, at most 144 scored by lengths", 288.0)
    assert lines["group"].work == "36 groups of 4"
    # Three epochs of 36 groups, 32 in a step: two steps an epoch.
    assert lines["train"] == Line("train", "static, kl, 6 steps: 432 documents seen", 43.2)
    # 4 test queries x 20 for the teacher; the student encodes the 60 documents once for them, once for 4 dev queries.
    assert lines["rank"] == Line("rank", "data (4 queries x 20)", 80 * 2 + (60 + 60) / 40)
    without = {line.stage: line for line in plan(replace(spec, interpolate=False), tmp_path / "without")}
    assert without["rank"].seconds == 80 * 2 + 60 / 40
    pairwise = {line.stage: line for line in plan(replace(spec, student=StudentSpec("cross-encoder")), tmp_path / "ce")}
    assert pairwise["rank"].seconds == 80 * 2 + (80 + 80) / 40


def test_a_teacher_that_encodes_texts_reads_each_document_once(tmp_path, data, monkeypatch):
    """144 pairs and 80 pairs to rank, of 60 documents: 60 and 60 texts of 2 s."""
    monkeypatch.setattr(Lengths, "kind", "bi-encoder")
    monkeypatch.setattr(estimate, "open_teacher", lambda *_, **__: Lengths())
    monkeypatch.setattr(estimate, "_teacher_seconds", lambda *_: 2.0)
    monkeypatch.setattr(estimate, "_student_rates", lambda *_: (10.0, np.inf))
    lines = {line.stage: line for line in plan(spec_of(data, test_depth=20), tmp_path / "plan")}
    assert (lines["score"].seconds, lines["rank"].seconds) == (120.0, 120.0)


def test_a_strategy_that_compares_vectors_encodes_every_document(tmp_path, data, monkeypatch):
    class Encoder:
        def __init__(self, model, precision):
            assert model == "mine"

        def encode(self, texts):
            time.sleep(0.001 * len(texts))

    monkeypatch.setattr(estimate, "Encoder", Encoder)
    training = load_training(tmp_path / "out", str(data), split="train", limit=0)
    # 60 documents and 36 queries (4 are dev) of a millisecond and a little more.
    assert 0.096 < estimate._encoding_seconds(spec_of(data, strategy="dense:mine"), training) < 1
    assert estimate._encoding_seconds(spec_of(data, strategy="bm25"), training) == 0


def test_without_any_test_there_is_nothing_to_rank(tmp_path, unjudged, monkeypatch):
    monkeypatch.setattr(estimate, "open_teacher", lambda *_, **__: Lengths())
    monkeypatch.setattr(estimate, "_student_rates", lambda *_: (10.0, 40.0))
    lines = {line.stage: line for line in plan(spec_of(unjudged), tmp_path / "plan")}
    assert lines["rank"] == Line("rank", "no test", 0.0)


def test_a_table_of_scores_takes_no_time(tmp_path, data):
    training = load_training(tmp_path / "out", str(data), split="train", limit=0)
    (tmp_path / "labels.tsv").write_text("q0\td0\t1.5\n")
    teacher = open_table(tmp_path / "labels.tsv", "labels")
    assert _teacher_seconds(training.open(), training.split.train, teacher, 1) == 0
    assert _teacher_seconds(training.open(), training.split.train, Lengths(), 1) > 0


def memory(architecture="cross-encoder", layers=3, size=16, batch=0, max_length=128) -> int:
    student = StudentSpec(architecture, layers=layers, max_length=max_length)
    return _memory(DistillSpec("data", student=student, size=size, batch_groups=batch))


def test_memory_grows_with_the_model_and_with_the_step():
    for architecture in ("cross-encoder", "bi-encoder"):
        assert memory("static") < memory(architecture, 1) < memory(architecture, 3) < memory(architecture, 6)
        assert memory(architecture, 0) == memory(architecture, 6), "0 keeps all layers of the embedded default"
    for name, values in {"size": (4, 8, 16), "batch": (2, 8, 16), "max_length": (32, 64, 256)}.items():
        found = [memory(**{name: value}) for value in values]
        assert found == sorted(set(found)), name
        assert len({memory("static", **{name: value}) for value in values}) == 1, "a bag of tokens has no layers"


def test_memory_by_hand():
    # 12 million weights of 16 bytes are 183 MB; a layer adds 27 MB of weights.
    assert memory("static") == 700 + 183
    # 8 groups x 16 documents x 128 tokens x 34 vectors of 384 numbers of 4 bytes: 816 MB a layer.
    assert memory(layers=3) - memory(layers=2) == pytest.approx(816 + 27, abs=1)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "1 s"),
        (0.4, "1 s"),
        (40.4, "40 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (720, "12 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (12_600, "3.5 h"),
        (400_000, "111.1 h"),
    ],
)
def test_durations(seconds, said):
    assert duration(seconds) == said
