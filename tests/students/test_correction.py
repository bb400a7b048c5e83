"""The correction for how documents were drawn: a sample's normaliser becomes that of its whole list."""

import dataclasses

import numpy as np
import pytest
import torch

from rankstill.errors import DataError, SpecError
from rankstill.records import Groups
from rankstill.students.architectures import StudentSpec
from rankstill.students.losses import kl, lce
from rankstill.students.passes import score_batch
from rankstill.students.train import _Run
from rankstill.students.train_spec import TrainSpec


def test_the_normaliser_is_that_of_the_whole_list_on_average():
    """Of 10 negatives 4 are drawn uniformly: with 1/p = 2.5 the sum of exponentials is unbiased (Horvitz-Thompson)."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=10)
    sums = [2.5 * np.exp(scores[rng.choice(10, 4, replace=False)]).sum() for _ in range(20_000)]
    spread = np.std(sums) / np.sqrt(len(sums))
    assert abs(np.mean(sums) - np.exp(scores).sum()) < 5 * spread


def test_a_document_drawn_with_one_half_counts_twice():
    scores = torch.tensor([[1.0, 0.3, -0.2]])
    labels = torch.tensor([[1.0, 0.0, 0.0]])
    corrected = scores - torch.log(torch.tensor([[1.0, 0.5, 0.5]]))
    doubled = torch.tensor([[1.0, 0.3, 0.3, -0.2, -0.2]])
    twice = torch.tensor([[1.0, 0, 0, 0, 0]])
    assert float(lce(corrected, corrected, labels)) == pytest.approx(float(lce(doubled, doubled, twice)), rel=1e-6)


def _run(collection, groups, tmp_path, start, **options):
    table = Groups.read(groups / "groups.parquet")
    probability = np.full(table.doc.shape, options.pop("drawn_with"), np.float32)
    probability[:, 0] = 1
    table = dataclasses.replace(table, probability=probability)
    spec = TrainSpec(StudentSpec("static", start, max_length=32), temperature=0.5, **options)
    return _Run(collection, table, spec, tmp_path, 1e9), table


@pytest.mark.parametrize(("loss", "function"), [("lce", lce), ("kl", kl)])
def test_training_uses_it(collection, groups, tmp_path, start, loss, function):
    run, table = _run(collection, groups, tmp_path, start, loss=loss, correct=True, drawn_with=0.25)
    rows = np.arange(4)
    batch, objective, _ = run._task(rows)
    scores = score_batch(run.student, batch, run.passes)
    found, scores = objective(scores), scores.view(4, 4)
    drawn = torch.log(torch.from_numpy(table.probability[rows]))
    teacher, labels = torch.from_numpy(table.score[rows]), torch.from_numpy(table.label[rows])
    expected = function(
        scores / 0.05 - drawn, teacher / 0.5 - drawn, labels, temperature=1.0, student_temperature=1.0
    ) * (0.05**2 if loss == "kl" else 1)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_equal_probabilities_of_all_documents_change_nothing(collection, groups, tmp_path, start):
    plain, _ = _run(collection, groups, tmp_path / "a", start, loss="kl", drawn_with=1.0)
    corrected, _ = _run(collection, groups, tmp_path / "b", start, loss="kl", correct=True, drawn_with=1.0)
    rows = np.arange(4)
    values = []
    for run in (plain, corrected):
        batch, objective, _ = run._task(rows)
        values.append(objective(score_batch(run.student, batch, run.passes)))
    assert torch.equal(*values)


def test_unknown_probabilities_are_refused(collection, groups, tmp_path, start):
    with pytest.raises(DataError, match="11 of 11 groups hold documents of which the strategy cannot say"):
        _run(collection, groups, tmp_path, start, loss="kl", correct=True, drawn_with=np.nan)


def test_a_loss_without_a_normaliser_is_refused():
    with pytest.raises(SpecError, match="only lce and kl have a normaliser to correct"):
        TrainSpec(StudentSpec("static"), "margin_mse", correct=True)
