from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from rankstill.errors import DataError, SpecError
from rankstill.records import Groups
from rankstill.studies.train_teacher import TrainTeacherSpec, train_teacher
from rankstill.teachers import open_scorer, open_teacher
from tests.tiny_collections import WORDS
from tests.tiny_models import tiny_transformer


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models this small are slower on several threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rankstill.studies.train_teacher.set_threads", lambda: torch.set_num_threads(1))
        before = torch.get_num_threads()
        yield
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Write a BEIR folder in which a query is four words of its document, and a start model."""
    root = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS, 12)) for _ in range(60)]
    data = root / "data"
    (data / "qrels").mkdir(parents=True)
    for name, prefix, rows in (("corpus", "d", texts), ("queries", "q", [" ".join(t.split()[:4]) for t in texts[:30]])):
        lines = [json.dumps({"_id": f"{prefix}{i}", "text": text}) for i, text in enumerate(rows)]
        (data / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    for split, rows in (("train", range(24)), ("test", range(24, 30))):
        lines = ["query-id\tcorpus-id\tscore", *(f"q{i}\td{i}\t1" for i in rows)]
        (data / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    tiny_transformer(root / "start")
    return root


def spec(world, **options):
    chosen = {"start": str(world / "start"), "size": 4, "depth": 20, "max_length": 48, "epochs": 2, "test_depth": 20}
    return TrainTeacherSpec(str(world / "data"), **{**chosen, **options})


@pytest.fixture(scope="module")
def done(world, tmp_path_factory):
    return train_teacher(spec(world), tmp_path_factory.mktemp("out") / "teacher")


def test_all_layers_are_trained_by_lce_on_judgements(world, done):
    card = json.loads((done.model / "rankstill.json").read_text())
    assert card["spec"]["loss"] == "lce"
    assert card["spec"]["student"]["architecture"] == "cross-encoder"
    assert card["teacher"] == "judgements:train"
    assert card["strategy"] == "bm25"
    config = json.loads((done.model / "config.json").read_text())
    assert config["num_hidden_layers"] == json.loads((world / "start" / "config.json").read_text())["num_hidden_layers"]


def test_the_groups_hold_judgements_and_nothing_that_pretends_to_be_a_score(done):
    groups = Groups.read(done.model.parent / "negatives" / "bm25" / "groups" / "groups.parquet")
    assert (groups.score == groups.label).all()
    assert (groups.score == np.eye(4)[0]).all()


def test_the_seed_draws_the_negatives(world, done, tmp_path):
    place = "negatives/bm25/groups/groups.parquet"
    train_teacher(spec(world, seed=2, epochs=1), tmp_path / "t")
    one, other = (Groups.read(out / place) for out in (done.model.parent, tmp_path / "t"))
    assert not np.array_equal(one.doc, other.doc)


def test_it_is_measured_beside_the_first_stage_and_serves_as_a_teacher(done):
    found = {(row["system"], row["test"]) for row in done.results}
    assert found == {("BM25", "data"), ("trained teacher", "data")}
    assert 0 <= done.dev <= 1
    written = json.loads((done.model.parent / "results.json").read_text())
    assert written["dev"] == done.dev
    assert open_teacher(str(done.model)).kind == "cross-encoder"
    assert np.isfinite(open_scorer(str(done.model))(["jet flow"], ["wing slip"])).all()


def test_it_learns_to_prefer_the_judged_documents(world, tmp_path):
    """After enough steps on 21 groups, its own training positives stand first in nearly all of them."""
    made = train_teacher(spec(world, epochs=40, learning_rate=3e-3, strategy="random", tests=()), tmp_path / "t")
    groups = Groups.read(tmp_path / "t" / "negatives" / "random" / "groups" / "groups.parquet")
    collection_docs, queries = (
        [json.loads(line)["text"] for line in (world / "data" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("corpus", "queries")
    )
    score = open_scorer(str(made.model))
    texts = [queries[q] for q in np.repeat(groups.query, 4)], [collection_docs[d] for d in groups.doc.reshape(-1)]
    best = score(*texts).reshape(-1, 4).argmax(axis=1)
    assert (best == 0).mean() > 0.8


def test_without_judgements_there_is_nothing_to_train_on(world, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("corpus.jsonl", "queries.jsonl"):
        (bare / name).write_text((world / "data" / name).read_text())
    with pytest.raises(DataError, match="has no judgements"):
        train_teacher(TrainTeacherSpec(str(bare), start=str(world / "start"), max_length=48), tmp_path / "out")


def test_a_strategy_that_needs_a_teacher_is_refused(world, tmp_path):
    with pytest.raises(SpecError, match="chooses by a teacher's scores, and there is no teacher yet"):
        train_teacher(spec(world, strategy="teacher"), tmp_path / "out")
    with pytest.raises(SpecError, match="unknown strategy"):
        spec(world, strategy="guess")


def test_a_start_that_is_refused_is_refused_before_anything_is_made(world, tmp_path):
    with pytest.raises(SpecError, match="takes 64 tokens, 65 were asked for"):
        train_teacher(spec(world, max_length=65), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_line(world, rankstill):
    args = ["--start", world / "start", "--size", 4, "--depth", 20, "--max-length", 48, "--epochs", 1]
    ran = rankstill("train-teacher", world / "data", "--out", "teacher", *args)
    assert ran.code == 0, ran.err
    assert ran.out == "teacher/model\n"
    assert "trained teacher" in ran.err
    assert "nDCG@10 on the held-out queries" in ran.err
