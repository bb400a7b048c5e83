"""The demo without running it: its constants fit together, and dev chooses what the students with layers learn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rankstill.collection.reference import Reference
from rankstill.measures.entropy import pairwise_entropy
from rankstill.records import Groups
from rankstill.studies import demo as job
from rankstill.studies import steps
from rankstill.studies.demo import SPEC, STATIC, _best_on_dev, _shared_temperature, demo
from rankstill.studies.steps import Negatives, slug


def negatives(folder: Path, strategy: str, scores=((1.0, 0.0),)) -> Negatives:
    score = np.array(scores, np.float32)
    doc = np.arange(score.size, dtype=np.uint32).reshape(score.shape)
    (folder / strategy).mkdir(parents=True)
    Groups(np.arange(len(score), dtype=np.uint32), doc, score, np.zeros_like(score)).write(
        folder / strategy / "groups.parquet"
    )
    return Negatives(strategy, folder, folder, folder / strategy)


def test_its_strategies_and_losses_exist_and_differ():
    for strategy in job.STRATEGIES:
        for loss in job.LOSSES:
            replace(SPEC, strategy=strategy, loss=loss)  # a spec refuses names that do not exist
    assert len(set(job.STRATEGIES)) * len(set(job.LOSSES)) == 6, "six static students"
    assert STATIC.architecture == "static"
    assert SPEC.headline in SPEC.measures


def test_its_tests_are_the_training_collection_and_packages_that_it_does_not_have():
    training = Reference.parse(SPEC.collection)
    own, other = map(Reference.parse, SPEC.tests)
    assert (own.location, own.part, own.size) == (training.location, training.part, training.size)
    assert own.split == "test"
    assert other.part == "ood"
    assert steps.test_name(own) != steps.test_name(other)


@pytest.fixture
def stubbed(monkeypatch, tmp_path):
    """Replace every stage by a record of what it was asked; `dev` is the quality of each student."""
    seen = SimpleNamespace(trained=[], dev={}, concluded=None)

    def train(_collection, groups, out, spec):
        seen.trained.append((groups.name, spec, out))
        return out

    def conclude(_out, _spec, _training, _teacher, _tests, _described, students, **options):
        seen.concluded = (students, options)
        return "done"

    stages = {
        "set_threads": lambda: 1,
        "open_teacher": lambda *_, **__: "teacher",
        "load_training": lambda *_, **__: SimpleNamespace(path=tmp_path),
        "own_tests": lambda *_: [],
        "groups_of": lambda _out, _training, _teacher, name, _spec: negatives(tmp_path, name),
        "describe_groups": lambda *_: [],
        "train": train,
        "dev_test": lambda *_: "dev",
        "choose_on_dev": lambda _dev, _model, name, _how: (1.0, seen.dev.get(name, 0.1)),
        "conclude": conclude,
    }
    for name, stage in stages.items():
        monkeypatch.setattr(job, name, stage)
    return seen


def test_dev_chooses_what_the_students_with_layers_learn_from(stubbed, tmp_path):
    stubbed.dev = {"static, bm25, lce": 0.7, "static, teacher, kl": 0.6}
    assert demo(tmp_path / "out", seed=4) == "done"
    students, _ = stubbed.concluded
    static = [(strategy, loss) for _, _, strategy, loss, made in students if made == STATIC]
    assert static == [(strategy, loss) for strategy in job.STRATEGIES for loss in job.LOSSES]
    deep = [(made.architecture, strategy, loss) for _, _, strategy, loss, made in students if made != STATIC]
    assert deep
    assert {(strategy, loss) for _, strategy, loss in deep} == {("bm25", "lce")}
    assert len({name for name, *_ in students}) == len(students), "each has a name of its own"
    assert len({out for _, _, out in stubbed.trained}) == len(students), "and a folder"


def test_all_students_see_the_same_temperature_and_seed(stubbed, tmp_path):
    demo(tmp_path / "out", seed=4)
    specs = [spec for _, spec, _ in stubbed.trained]
    # Every margin of the stubbed groups is ±1: the temperature is half of that.
    assert {spec.temperature for spec in specs} == {0.5}
    assert {spec.seed for spec in specs} == {4}
    for groups, spec, out in stubbed.trained:
        assert out.name == slug(f"{spec.student.name}, {groups}, {spec.loss}")


def test_a_student_with_layers_sees_fewer_documents(stubbed, tmp_path):
    """Its minute of training is what the demo can afford; four thousand pairs make some thousands of groups."""
    demo(tmp_path / "out")
    seen = {}
    for _, spec, _ in stubbed.trained:
        steps = spec.steps(3000, SPEC.size)
        seen[spec.student.architecture] = spec.documents_in(steps, 3000, SPEC.size)
    static = seen.pop("static")
    assert static == 3 * 3000 * SPEC.size, "three epochs"
    assert all(documents * 10 < static for documents in seen.values())


def test_one_temperature_for_all_strategies_by_hand(tmp_path):
    """Margins ±2, ±1, ±1 in one group and ±4, ±2, ±2 in the other: mean square (6 + 24) / 6 = 5."""
    easy = negatives(tmp_path, "random", [[10.0, 12.0, 14.0]])
    hard = negatives(tmp_path, "teacher", [[0.0, 1.0, 2.0]])
    shared = _shared_temperature([easy, hard])
    assert shared == pytest.approx(0.5 * np.sqrt(5))
    assert _shared_temperature([hard, easy]) == pytest.approx(shared)
    # With one of its own, each strategy would seem equally undecided; with the shared one the harder groups do.
    scores = [Groups.read(n.groups / "groups.parquet").score for n in (easy, hard)]
    own = [pairwise_entropy(s, _shared_temperature([n]))[0] for s, n in zip(scores, (easy, hard), strict=True)]
    assert own[0] == pytest.approx(own[1])
    assert pairwise_entropy(scores[0], shared)[0] < pairwise_entropy(scores[1], shared)[0]


def student(strategy: str, loss: str):
    return (f"static, {strategy}, {loss}", Path(strategy), strategy, loss, STATIC)


STUDENTS = [student(strategy, loss) for strategy in ("random", "bm25") for loss in ("lce", "kl")]


@pytest.mark.parametrize(
    ("quality", "chosen"),
    [
        ([0.1, 0.4, 0.3, 0.2], ("random", "kl")),
        ([0.1, 0.2, 0.3, 0.4], ("bm25", "kl")),
        ([0.3, 0.3, 0.3, 0.1], ("random", "lce")),  # of equal ones the first
    ],
)
def test_the_best_on_dev(monkeypatch, tmp_path, quality, chosen):
    by_name = {s[0]: q for s, q in zip(STUDENTS, quality, strict=True)}
    monkeypatch.setattr(job, "dev_test", lambda *_: "dev")
    monkeypatch.setattr(job, "choose_on_dev", lambda _dev, _model, name, _how: (0.5, by_name[name]))
    assert _best_on_dev(tmp_path, None, STUDENTS, SPEC) == chosen


def test_without_dev_the_last_is_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(job, "dev_test", lambda *_: None)
    monkeypatch.setattr(job, "choose_on_dev", lambda *_: pytest.fail("there is nothing to choose on"))
    assert _best_on_dev(tmp_path, None, STUDENTS, SPEC) == ("bm25", "kl")
