"""In-batch negatives: who counts for whom, and that the loss is that of the whole batch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rankstill.errors import SpecError
from rankstill.files import run_stage
from rankstill.records import Groups
from rankstill.students.architectures import StudentSpec
from rankstill.students.in_batch import InBatch
from rankstill.students.losses import lce
from rankstill.students.train import _positives, train
from rankstill.students.train_spec import TrainSpec
from tests.tiny_collections import make_collection


def texts(*numbers):
    return SimpleNamespace(same_text=np.array(numbers))


def groups(query, doc):
    doc = np.array(doc, np.uint32)
    label = np.zeros(doc.shape, np.float32)
    label[:, 0] = 1
    return Groups(np.array(query, np.uint32), doc, np.zeros(doc.shape, np.float32), label)


def test_every_other_document_counts():
    table = groups([0, 1], [[0, 1], [2, 3]])
    docs, labels, mask = InBatch(table, texts(0, 1, 2, 3), {0: np.array([0]), 1: np.array([2])}).over(np.arange(2))
    assert docs.tolist() == [0, 1, 2, 3]
    assert labels.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert mask.all()


def test_a_known_positive_of_another_group_does_not_count():
    table = groups([0, 1], [[0, 1], [2, 3]])
    _, labels, mask = InBatch(table, texts(0, 1, 2, 3), {0: np.array([0, 2]), 1: np.array([2])}).over(np.arange(2))
    assert mask.tolist() == [[True, True, False, True], [True] * 4]
    assert labels[0].tolist() == [1, 0, 0, 0]


def test_a_copy_of_a_positive_does_not_count_nor_does_a_copy_counted_already():
    # Document 4 has the text of query 0's positive, document 5 that of document 3.
    table = groups([0, 1, 2], [[0, 1], [2, 3], [4, 5]])
    docs, _, mask = InBatch(table, texts(0, 1, 2, 3, 0, 3), {0: np.array([0])}).over(np.arange(3))
    assert docs.tolist() == [0, 1, 2, 3, 4, 5]
    assert mask[0].tolist() == [True, True, True, True, False, False]
    # Query 2 has documents 4 and 5 in its own group: they count, and their copies do not.
    assert mask[2].tolist() == [False, True, True, False, True, True]


def test_a_batch_knows_its_own_documents_only():
    table = groups([0, 1, 2], [[0, 1], [2, 3], [4, 5]])
    docs, labels, _ = InBatch(table, texts(*range(6)), {}).over(np.array([2, 0]))
    assert docs.tolist() == [0, 1, 4, 5]
    assert labels.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]


def test_the_loss_by_hand():
    """One positive against three others: -log(e^1 / (e^1 + 2 e^0 + e^-1)), the masked one left out."""
    scores = torch.tensor([[1.0, 0.0, 9.0, 0.0, -1.0]])
    mask = torch.tensor([[True, True, False, True, True]])
    labels = torch.tensor([[1.0, 0, 0, 0, 0]])
    expected = np.log(np.exp(1) + 2 + np.exp(-1)) - 1
    assert float(lce(scores, torch.zeros_like(scores), labels, mask=mask)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("architecture", ["static", "bi-encoder"])
def test_training_with_them_is_another_training(tmp_path, collection, groups, start, architecture):
    def spec(in_batch):
        student = StudentSpec(architecture, start, layers=1, max_length=32)
        return TrainSpec(student, "lce", epochs=2, batch_groups=4, in_batch=in_batch)

    plain, with_them = (
        train(collection.path, groups, tmp_path / str(in_batch), spec(in_batch)) for in_batch in (False, True)
    )
    files = [next(path.rglob("model.safetensors")).read_bytes() for path in (plain, with_them)]
    assert files[0] != files[1]


def test_training_knows_the_positives_of_its_split(tmp_path):
    documents = {f"d{i}": f"t{i}" for i in range(4)}
    judged = [("train", "q", "d0", 1), ("train", "q", "d2", 1), ("test", "q", "d3", 1)]
    collection = make_collection(tmp_path / "c", documents, {"q": "x"}, judged)
    built = run_stage(tmp_path / "g", stage="group", spec={"split": "train"}, inputs={}, build=lambda _: {})
    spec = TrainSpec(StudentSpec("static"), "lce", in_batch=True)
    assert {q: d.tolist() for q, d in _positives(collection, built, spec).items()} == {0: [0, 2]}
    assert _positives(collection, built, TrainSpec(StudentSpec("static"), "lce")) == {}


@pytest.mark.parametrize(
    "options", [{"loss": "kl"}, {"loss": "lce", "correct": True}, {"loss": "lce", "student": StudentSpec()}]
)
def test_what_makes_no_sense_is_refused(options):
    with pytest.raises(SpecError, match="in-batch negatives"):
        TrainSpec(**{"student": StudentSpec("static"), **options}, in_batch=True)
