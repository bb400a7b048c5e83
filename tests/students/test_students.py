"""Students score as sentence-transformers does, train as one padded batch would, and resume exactly."""

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer

from rankstill.errors import ModelError, SpecError
from rankstill.files import run_stage
from rankstill.records import Groups
from rankstill.students import train as training
from rankstill.students.architectures import Batch, StudentSpec, build_student
from rankstill.students.losses import LOSSES
from rankstill.students.train import TrainSpec, train
from tests.tiny_collections import word_collection
from tests.tiny_models import tiny_transformer

QUERIES = ["wing lift", "shock heat plate cone " * 10, "flow"]
DOCS = ["wing lift drag report7", "tail flap gas wave " * 20, "nose", "jet stream"]
PAIRS = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 3), (2, 1)]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return str(tiny_transformer(tmp_path_factory.mktemp("start") / "model"))


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return word_collection(tmp_path_factory.mktemp("words") / "c", documents=60, queries=24)


@pytest.fixture(scope="module")
def groups(tmp_path_factory, collection):
    """Eleven groups of four whose teacher prefers the first document."""
    rng = np.random.default_rng(2)
    doc = np.stack([rng.choice(60, 4, replace=False) for _ in range(11)]).astype(np.uint32)
    score = rng.normal(size=doc.shape).astype(np.float32)
    score[:, 0] += 3
    label = np.zeros(doc.shape, np.float32)
    label[:, 0] = 1
    table = Groups(np.arange(11, dtype=np.uint32), doc, score, label)

    def build(work):
        table.write(work / "groups.parquet")
        return {"strategy": "bm25", "teacher": "made up"}

    out = tmp_path_factory.mktemp("groups") / "g"
    return run_stage(out, stage="group", spec={"size": 4}, inputs={}, build=build)


def _batch(student) -> Batch:
    def ids(texts):
        return [np.array(student.tokenizer.encode(t, add_special_tokens=False).ids, np.uint32) for t in texts]

    query, doc = np.array(PAIRS).T
    return Batch(ids(QUERIES), ids(DOCS), query, doc)


def _scores(student, budget=10_000):
    student.module.eval()
    return student.scores(_batch(student), torch.float32, budget)


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder", "static"])
def test_a_saved_student_scores_the_same_in_sentence_transformers(tmp_path, start, architecture):
    student = build_student(StudentSpec(architecture, start, layers=1, max_length=32), seed=3)
    ours = _scores(student).detach().numpy()
    student.save(tmp_path / "model")
    pairs = [(QUERIES[q], DOCS[d]) for q, d in PAIRS]
    if architecture == "cross-encoder":
        theirs = CrossEncoder(str(tmp_path / "model"), device="cpu").predict(pairs, show_progress_bar=False)
    else:
        model = SentenceTransformer(str(tmp_path / "model"), device="cpu")
        a, b = (model.encode([p[i] for p in pairs], show_progress_bar=False) for i in (0, 1))
        theirs = (a * b).sum(axis=1)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_micro_batches_have_the_gradient_of_one_padded_batch(start, architecture):
    gradients = []
    for budget in (48, 10_000):
        student = build_student(StudentSpec(architecture, start, layers=2, max_length=40), seed=3)
        scores = _scores(student, budget)
        (scores * torch.arange(1, 7)).sum().backward()
        gradients.append((scores.detach(), [p.grad for p in student.module.parameters() if p.grad is not None]))
    (a, first), (b, second) = gradients
    torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder", "static"])
def test_training_the_tokens_in_use_is_training_them_all(
    tmp_path, monkeypatch, start, collection, groups, architecture
):
    spec = _spec(start, architecture, "kl")
    focused = train(collection.path, groups, tmp_path / "focused", spec)
    from rankstill.students.static import StaticStudent
    from rankstill.students.transformer import Transformer

    for kind in (StaticStudent, Transformer):
        monkeypatch.setattr(kind, "focus", lambda *_: None)
    whole = train(collection.path, groups, tmp_path / "whole", spec)
    from safetensors.torch import load_file

    a, b = (
        load_file(f / "model.safetensors" if architecture != "static" else next(f.rglob("model.safetensors")))
        for f in (focused, whole)
    )
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=1e-6, rtol=1e-5)


def _spec(start, architecture, loss, **options) -> TrainSpec:
    dropout = 0.0 if architecture == "static" else 0.2
    student = StudentSpec(architecture, start, layers=1, max_length=32, dropout=dropout)
    settings = {"epochs": 3, "batch_groups": 4, "precision": "float32", "learning_rate": 1e-3, **options}
    return TrainSpec(student, loss, **settings)


def _bytes(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "cost.json"
    }


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder", "static"])
def test_an_interrupted_training_ends_with_the_same_bytes(
    tmp_path, monkeypatch, start, collection, groups, architecture
):
    spec = _spec(start, architecture, "ranknet")
    whole = train(collection.path, groups, tmp_path / "whole" / "m", spec)
    step, taken = training._Run._step, []

    def fail_at_sixth(self, number):
        taken.append(number)
        if len(taken) == 6:
            raise KeyboardInterrupt
        return step(self, number)

    monkeypatch.setattr(training._Run, "_step", fail_at_sixth)
    with pytest.raises(KeyboardInterrupt):
        train(collection.path, groups, tmp_path / "again" / "m", spec, checkpoint_every=0)
    again = train(collection.path, groups, tmp_path / "again" / "m", spec, checkpoint_every=0)
    assert taken[5:7] == [5, 5], "it did not continue at the sixth step"
    assert _bytes(again) == _bytes(whole)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_learnt(tmp_path, start, collection, groups, loss):
    import pyarrow.parquet as pq

    spec = _spec(start, "static", loss, epochs=30, learning_rate=3e-2)
    out = train(collection.path, groups, tmp_path / "m", spec)
    curve = pq.read_table(out / "training.parquet").to_pydict()
    assert curve["step"] == list(range(1, 91))
    assert np.mean(curve["loss"][-5:]) < 0.8 * np.mean(curve["loss"][:5])
    assert min(curve["excess"]) > -1e-6


def test_another_seed_is_another_model(tmp_path, start, collection, groups):
    models = [
        train(collection.path, groups, tmp_path / str(s), _spec(start, "cross-encoder", "kl", seed=s)) for s in (1, 2)
    ]
    assert (models[0] / "model.safetensors").read_bytes() != (models[1] / "model.safetensors").read_bytes()


def test_the_card_tells_what_made_it(tmp_path, start, collection, groups):
    import json

    out = train(collection.path, groups, tmp_path / "m", _spec(start, "cross-encoder", "lce"))
    card = json.loads((out / "rankstill.json").read_text())
    assert (card["collection"], card["strategy"], card["teacher"]) == ("words", "bm25", "made up")
    assert card["spec"]["loss"] == "lce"
    assert set(card["fingerprints"]) == {"collection", "groups"}
    assert card["counts"]["documents_seen"] == 3 * 11 * 4
    readme = (out / "README.md").read_text()
    assert "CrossEncoder" in readme
    assert "negatives | bm25" in readme


def test_the_learning_rate_rises_and_falls():
    spec = TrainSpec(StudentSpec(), learning_rate=1.0, warmup=0.2)
    assert [round(spec.rate(s, 10), 3) for s in range(10)] == [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]


def test_steps_and_documents_by_hand():
    spec = TrainSpec(StudentSpec(), epochs=3, batch_groups=4)
    assert spec.steps(11, 16) == 9  # three batches an epoch, the last of three groups
    assert spec.documents_in(9, 11, 16) == 3 * 11 * 16
    assert TrainSpec(StudentSpec(), documents=640, batch_groups=4).steps(1000, 16) == 10


def test_impossible_students_are_refused(tmp_path, start):
    with pytest.raises(SpecError, match="has 2 layers, 3 were asked for"):
        build_student(StudentSpec("bi-encoder", start, layers=3), 1)
    with pytest.raises(SpecError, match="unknown student 'colbert'"):
        StudentSpec("colbert")
    with pytest.raises(SpecError, match="did you mean 'ranknet'"):
        TrainSpec(StudentSpec(), "ranknets")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text('{"architectures": ["BertModel"]}')
    (pickled / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(ModelError, match="pickled form only"):
        build_student(StudentSpec("bi-encoder", str(pickled)), 1)
