"""Explaining a student that was really trained, on word salads."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.groups.filters.rules import FilterSpec
from rankstill.measures.fidelity import group_excess
from rankstill.records import Groups, Pairs, read_parquet
from rankstill.runs.run_files import read_run
from rankstill.students.architectures import StudentSpec
from rankstill.studies.diagnosis import explain as explanation
from rankstill.studies.diagnosis.explain import ExplainSpec, explain, gaps
from rankstill.studies.diagnosis.finished import Finished, finished
from rankstill.studies.distill import DistillSpec, distill
from tests.tiny_folders import beir_folder
from tests.tiny_models import tiny_bi_encoder, tiny_transformer


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Distil a bi-encoder of one layer, for two epochs."""
    root = tmp_path_factory.mktemp("world")
    beir_folder(root / "data", 60, train=range(30), test=range(30, 38))
    tiny_bi_encoder(root / "teacher")
    tiny_transformer(root / "start")
    spec = DistillSpec(
        str(root / "data"),
        str(root / "teacher"),
        StudentSpec("bi-encoder", str(root / "start"), 1, 48),
        size=6,
        depth=20,
        test_depth=20,
        epochs=2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rankstill.studies.distill.embedded_is_installed", lambda: False)
        distill(spec, root / "out")
    return root


@pytest.fixture(scope="module")
def explained(world):
    return explain(world / "out" / "model", world / "why", ExplainSpec(groups=12))


def place(found, kind):
    return next(p for p in found["places"] if p["kind"] == kind)


def test_it_finds_its_own_output_without_the_source(world):
    run = finished(world / "out" / "model")
    assert run.strategy == "bm25"
    assert run.student_temperature == 0.05
    assert run.groups == (world / "out" / "negatives" / "bm25" / "groups").resolve()
    held_out = run.held_out()
    assert set(held_out.split.train.tolist()).isdisjoint(run.training.split.train.tolist())
    assert [lists.name for lists in run.lists()] == ["data"]


def test_the_excess_on_a_tests_lists_is_that_of_the_two_runs(world, explained):
    run = finished(world / "out" / "model")
    lists = run.lists()[0]
    teacher, student = Pairs.read(lists.teacher / "scores.parquet"), read_run(lists.student)
    known = dict(zip(student.key().tolist(), student.score.tolist(), strict=True))
    each = []
    for span in teacher.per_query().values():
        t = teacher.score[span].astype(float)[None] / run.temperature
        s = np.array([[known[int(k)] for k in teacher.key()[span]]]) / 0.05
        each.append(float(group_excess(t, s)[0]))
    found = place(explained, "lists")
    assert found["excess"]["mean"] == pytest.approx(np.mean(each))
    assert found["groups"] == len(each)


def test_held_out_groups_are_of_queries_that_did_not_train(world, explained):
    groups = Groups.read(next((world / "why" / "held-out").rglob("groups.parquet")))
    run = finished(world / "out" / "model")
    assert set(groups.query.tolist()) <= set(run.training.split.dev.tolist())
    assert place(explained, "held out")["groups"] == len(groups)
    assert place(explained, "seen")["groups"] == 12


def test_the_gaps_add_up_to_the_excess_on_the_lists(explained):
    total = sum(gap["mean"] for gap in explained["gaps"])
    assert total == pytest.approx(place(explained, "lists")["excess"]["mean"])


def test_only_what_was_not_seen_has_a_bound(explained):
    assert {p["kind"]: "bound" in p for p in explained["places"]} == {"seen": False, "held out": True, "lists": True}


def test_held_out_groups_are_filtered_as_the_training_groups_were(world, monkeypatch):
    run = finished(world / "out" / "model")
    monkeypatch.setitem(run.spec, "filters", {"skip_ranks": 2})
    asked = {}
    monkeypatch.setattr(explanation, "make_groups", lambda *_, **how: asked.update(how))
    explanation._made_alike(run, run.held_out(), world / "none")
    assert asked["filters"] == FilterSpec(skip_ranks=2)
    assert asked["spare"] == 5, "as many again as a group of 6 needs"
    assert asked["on_short"] == "drop"


def test_a_dev_split_of_its_own_has_its_own_judgements(world, monkeypatch):
    run = finished(world / "out" / "model")
    training = run.training
    of_its_own = replace(training, split=replace(training.split, dev_judged="dev"))
    monkeypatch.setattr(Finished, "training", of_its_own)
    held_out = run.held_out()
    assert held_out.split.judged == "dev"
    assert held_out.split.train.tolist() == training.split.dev.tolist()


def test_confident_inversions_stay_below_what_the_excess_allows(explained):
    for found in explained["places"]:
        for inversion in found["inversions"]:
            assert 0 <= inversion["share"] <= inversion["bound"] + 1e-12


def test_the_curve_is_the_first_epoch_of_the_log(world, explained):
    log = read_parquet(world / "out" / "model" / "training.parquet", ["step", "excess"])
    excess = log["excess"].to_numpy()
    groups = len(Groups.read(world / "out" / "negatives" / "bm25" / "groups" / "groups.parquet"))
    curve = explained["curve"]
    assert curve["groups"][-1] == groups
    assert len(excess) == 2 * len(curve["steps"]), "two epochs were trained, one is a test"
    sizes = np.diff([0, *curve["groups"]])
    # The log holds τ² KL; the student's temperature is 0.05.
    expected = np.average(excess[: len(sizes)], weights=sizes) / 0.05**2
    assert curve["mean"][-1] == pytest.approx(expected, rel=1e-4)
    assert curve["bound"]["value"] >= curve["mean"][-1]


def test_it_speaks_in_words_and_shows_every_place(world, explained, tmp_path):
    from rankstill.studies.diagnosis.pages import write_explanation

    assert explained["words"][0].startswith("On groups it has seen")
    page = write_explanation(explained, tmp_path / "page.html").read_text("utf-8")
    for found in explained["places"]:
        assert found["where"] in page
    assert "https://" not in page
    saved = json.loads((world / "why" / "explanation.json").read_text())
    assert saved == json.loads(json.dumps(explained, allow_nan=False))


def test_what_a_diagnosis_predicted_stands_beside_what_came(world, tmp_path):
    entry = {
        "name": "bm25",
        "probe": {"own": {"mean": 0.1}, "target": {"mean": 0.2}},
        "score": {"fit": 0.05, "total": 0.5},
    }
    (tmp_path / "diagnosis.json").write_text(json.dumps({"strategies": [entry]}))
    found = explain(world / "out" / "model", world / "why", ExplainSpec(groups=12), diagnosis=tmp_path)
    assert [row["predicted"] for row in found["predicted"]] == [0.05, 0.1, 0.2, 0.5]
    assert found["predicted"][2]["actual"] == place(found, "lists")["excess"]["mean"]
    entry["name"] = "random"
    (tmp_path / "diagnosis.json").write_text(json.dumps({"strategies": [entry]}))
    with pytest.raises(DataError, match="nothing of the strategy bm25"):
        explain(world / "out" / "model", world / "why", ExplainSpec(groups=12), diagnosis=tmp_path)
    with pytest.raises(DataError, match="holds no diagnosis"):
        explain(world / "out" / "model", world / "why", ExplainSpec(groups=12), diagnosis=tmp_path / "none")


def test_a_model_outside_its_output_is_refused(world, tmp_path):
    shutil.copytree(world / "out" / "model", tmp_path / "model")
    with pytest.raises(DataError, match="does not lie in the output"):
        finished(tmp_path / "model")
    with pytest.raises(DataError, match="not a trained model"):
        finished(world / "out" / "collection")
    with pytest.raises(DataError, match="manifest"):
        finished(tmp_path)


def test_gaps_without_held_out_queries_leave_locality_out():
    interval = {"mean": 0.1, "low": 0.09, "high": 0.12, "n": 10}
    places = [
        {"kind": "seen", "where": "a", "excess": interval},
        {"kind": "lists", "where": "b", "excess": {**interval, "mean": 0.3, "low": 0.26, "high": 0.35}},
    ]
    fit, shift = gaps(places)
    assert fit["mean"] == 0.1
    assert (shift["name"], shift["mean"]) == ("shift, b", pytest.approx(0.2))
    # It is low where the lists' is low and the seen one's high.
    assert shift["low"] == pytest.approx(0.2 - np.hypot(0.04, 0.02))
    assert shift["high"] == pytest.approx(0.2 + np.hypot(0.05, 0.01))
    places[1]["excess"] = {"mean": 0.3, "low": None, "high": None, "n": 1}
    assert gaps(places)[1]["low"] is None


def test_the_command(rankstill, world):
    done = rankstill("explain", world / "out" / "model", "--out", world / "why2", "--groups", 4)
    assert done.code == 0, done.err
    assert done.out.strip().endswith("explanation.html")
    assert "On groups it has seen" in done.err
    assert Collection(world / "out" / "collection").documents


def test_the_tests_of_the_training_collection_come_first(tmp_path, world):
    shutil.copytree(world / "out", tmp_path / "out")
    other = tmp_path / "out" / "tests" / "another"
    shutil.copytree(tmp_path / "out" / "tests" / "data", other)
    shutil.copytree(tmp_path / "out" / "collection", other / "collection")
    assert [lists.name for lists in finished(tmp_path / "out" / "model").lists()] == ["data", "another"]
