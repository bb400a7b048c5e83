"""What the tables call things, and which tests are run."""

import json

import pytest

from rankstill.studies import evaluate
from rankstill.studies.distill import own_tests
from rankstill.studies.evaluate import Evaluation, choose_on_dev, first_name, mixed_name
from rankstill.studies.steps import Test, first_stage_of, load_test, load_training
from tests.tiny_folders import beir_folder


@pytest.fixture
def beir(tmp_path):
    return beir_folder(tmp_path / "mine", 30, train=range(6), test=range(6, 8))


@pytest.fixture
def listed(tmp_path):
    """Write a file of candidate lists with scores and judgements, as somebody else's system gives them."""
    folder = tmp_path / "theirs"
    (folder / "qrels").mkdir(parents=True)
    texts = {"a": "wing lift", "b": "wing", "c": "heat"}
    candidates = [{"_id": i, "text": t, "score": 3 - n} for n, (i, t) in enumerate(texts.items())]
    (folder / "candidates.jsonl").write_text(json.dumps({"_id": "q", "text": "wing", "candidates": candidates}) + "\n")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tb\t1\n")
    return folder / "candidates.jsonl"


def test_a_given_list_is_not_called_bm25(tmp_path, beir, listed):
    training = load_training(tmp_path / "out", str(beir), split="train", limit=0)
    tests = own_tests(tmp_path / "out", training, [str(listed)])
    own, other = tests
    assert first_name([own], 10) == "BM25"
    assert first_name([other], 10) == "given list"
    assert first_name(tests, 10) == "BM25 / given list"
    assert first_name([], 10) == "BM25"
    assert mixed_name("static", "given list") == "static + given list"


def test_the_collections_own_test_split_is_always_run_once(tmp_path, beir, listed):
    out = tmp_path / "out"
    training = load_training(out, str(beir), split="train", limit=0)
    assert [t.domain for t in own_tests(out, training, [])] == ["in domain"]
    assert [t.domain for t in own_tests(out, training, [str(listed)])] == ["in domain", "out of domain"]
    assert [t.domain for t in own_tests(out, training, [str(listed), str(beir)])] == ["out of domain", "in domain"]
    assert load_test(out, str(beir), training).path == training.path


def test_dev_tells_the_quality_alone_and_at_the_chosen_weight(tmp_path, monkeypatch, beir):
    out = tmp_path / "out"
    training = load_training(out, str(beir), split="train", limit=0)
    dev = Test("dev", training.path, "train", training.split.train[:2], "in domain", out / "tests" / "dev")
    lists = first_stage_of(dev, 5)
    monkeypatch.setattr(evaluate, "rank", lambda *_: lists)
    monkeypatch.setattr(evaluate, "choose_weight", lambda *_: (0.4, {0.4: 0.9, 1.0: 0.5}))
    assert choose_on_dev(dev, tmp_path, "mine", Evaluation(("RR@10",), "RR@10", 5, 1)) == (0.4, 0.5, 0.9)
    kept = json.loads((dev.folder / "mine.weight.json").read_text())
    assert kept == {"weight": 0.4, "measure": "RR@10", "tried": {"0.4": 0.9, "1.0": 0.5}}
