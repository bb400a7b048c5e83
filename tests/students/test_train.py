"""Training: the same bytes however often it was killed, every group once an epoch, and something learnt."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.files import read_manifest, run_stage
from rankstill.records import Groups
from rankstill.students import train as training
from rankstill.students.architectures import StudentSpec, build_student
from rankstill.students.losses import LOSSES
from rankstill.students.train import measure_speed, train
from rankstill.students.train_spec import TrainSpec
from tests.students.examples import ARCHITECTURES, files_of, train_spec, weights_in

STEPS = 9
"""Of `train_spec`: three epochs of eleven groups, four at a time."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, start, collection, groups):
    """Train each architecture once, with dropout where it has some."""
    root = tmp_path_factory.mktemp("uninterrupted")
    return {a: train(collection.path, groups, root / a / "m", train_spec(start, a)) for a in ARCHITECTURES}


class Killed(BaseException):
    """Stands for a kill: nothing in rankstill catches it."""


def _kill_at(patch, where: str, call: int):
    """Kill the process before the given call (1, 2, ...) of a function of the training."""
    owner, name = {
        "step": (training._Run, "_step"),
        "save": (training._Run, "finish"),
        "card": (training, "write_card"),
        "counts": (training, "read_counts"),
    }[where]
    inner, calls = getattr(owner, name), []

    def counted(*args):
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return inner(*args)

    patch.setattr(owner, name, counted)


@pytest.mark.parametrize(
    ("where", "calls", "steps"),
    [
        ("step", [1], STEPS),  # before anything
        ("step", [6], STEPS),  # after the fifth step's checkpoint
        ("step", [3, 1, 4], STEPS),  # several times, once without a step in between
        ("step", [STEPS], STEPS),
        # The last checkpoint is that of the last step but one.
        ("save", [1], STEPS + 1),
        ("card", [1], STEPS + 1),
        ("counts", [1], STEPS),
    ],
)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_killed_training_ends_with_the_same_bytes(
    tmp_path, monkeypatch, start, collection, groups, uninterrupted, architecture, where, calls, steps
):
    spec, out, taken = train_spec(start, architecture), tmp_path / "x" / "m", []
    for call in calls:
        with monkeypatch.context() as patch:
            inner = training._Run._step
            patch.setattr(training._Run, "_step", lambda run, n, inner=inner: (taken.append(n), inner(run, n))[1])
            _kill_at(patch, where, call)
            with pytest.raises(Killed):
                train(collection.path, groups, out, spec, checkpoint_every=0)
            assert not out.exists()
    with monkeypatch.context() as patch:
        inner = training._Run._step
        patch.setattr(training._Run, "_step", lambda run, n: (taken.append(n), inner(run, n))[1])
        train(collection.path, groups, out, spec, checkpoint_every=0)
    assert len(taken) == steps, "no step is taken twice but the last"
    assert sorted(set(taken)) == list(range(STEPS))
    assert files_of(out) == files_of(uninterrupted[architecture])
    assert [p.name for p in out.parent.iterdir() if not p.name.startswith(".")] == ["m"]


def test_the_dropout_of_a_step_is_its_own(tmp_path, start, collection, groups, uninterrupted):
    """The runs above would agree without dropout as well: it is there, and drawn by the seed."""
    without = train(collection.path, groups, tmp_path / "m", train_spec(start, "bi-encoder", dropout=0.0))
    assert weights_in(without).read_bytes() != weights_in(uninterrupted["bi-encoder"]).read_bytes()


def test_without_checkpoints_a_killed_training_begins_anew(
    tmp_path, monkeypatch, start, collection, groups, uninterrupted
):
    with monkeypatch.context() as patch:
        _kill_at(patch, "step", 6)
        with pytest.raises(Killed):
            train(collection.path, groups, tmp_path / "m", train_spec(start, "static"))
    out = train(collection.path, groups, tmp_path / "m", train_spec(start, "static"))
    assert files_of(out) == files_of(uninterrupted["static"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(
    tmp_path, start, collection, groups, uninterrupted, architecture
):
    same = train(collection.path, groups, tmp_path / "same", train_spec(start, architecture))
    assert files_of(same) == files_of(uninterrupted[architecture])
    other = train(collection.path, groups, tmp_path / "other", train_spec(start, architecture, seed=2))
    assert weights_in(other).read_bytes() != weights_in(same).read_bytes()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_student_learns_by_every_loss(tmp_path, start, collection, groups, architecture, loss):
    rate = {"cross-encoder": 3e-3, "bi-encoder": 3e-3, "static": 3e-2}[architecture]
    spec = train_spec(start, architecture, loss, epochs=12, learning_rate=rate, temperature=1.5, dropout=0.0)
    out = train(collection.path, groups, tmp_path / "m", spec)
    curve = pq.read_table(out / "training.parquet").to_pydict()
    assert list(curve) == ["step", "loss", "excess", "learning_rate"]
    assert curve["step"] == list(range(1, 37))
    assert np.mean(curve["excess"][-3:]) < 0.6 * np.mean(curve["excess"][:3])
    assert min(curve["excess"]) > -1e-6, "no loss falls below its floor"
    if loss == "ranknet":
        assert min(np.subtract(curve["loss"], curve["excess"])) > 0.05, "the teacher's entropy"
    else:
        assert curve["excess"] == curve["loss"], "the floor is 0"


def _rows_seen(monkeypatch, collection, groups, spec, out):
    seen = []
    inner = training.GroupTexts.batch
    monkeypatch.setattr(
        training.GroupTexts, "batch", lambda data, rows: (seen.append(rows.tolist()), inner(data, rows))[1]
    )
    train(collection.path, groups, out, spec)
    return seen


def test_each_epoch_sees_each_group_once(tmp_path, monkeypatch, start, collection, groups):
    seen = _rows_seen(monkeypatch, collection, groups, train_spec(start, "static"), tmp_path / "m")
    assert [len(rows) for rows in seen] == [4, 4, 3] * 3, "the last batch of an epoch is what is left"
    epochs = [seen[i] + seen[i + 1] + seen[i + 2] for i in (0, 3, 6)]
    assert all(sorted(order) == list(range(11)) for order in epochs)
    assert len({tuple(order) for order in epochs}) == 3, "in another order each time"


def test_training_stops_after_so_many_documents(tmp_path, monkeypatch, start, collection, groups):
    spec = train_spec(start, "static", documents=70)  # 4 groups of 4 a step: 70 / 16 is nearest to 4 steps
    seen = _rows_seen(monkeypatch, collection, groups, spec, tmp_path / "m")
    assert [len(rows) for rows in seen] == [4, 4, 3, 4]
    counts = read_manifest(tmp_path / "m")["counts"]
    assert (counts["steps"], counts["documents_seen"], counts["groups"]) == (4, (11 + 4) * 4, 11)


def test_steps_and_documents_by_hand():
    spec = TrainSpec(StudentSpec(), epochs=3, batch_groups=4)
    assert spec.steps(11, 16) == 9  # three batches an epoch, the last of three groups
    assert spec.documents_in(9, 11, 16) == 3 * 11 * 16
    assert spec.documents_in(4, 11, 16) == (11 + 4) * 16
    assert TrainSpec(StudentSpec(), epochs=5, batch_groups=20).steps(11, 16) == 5
    assert TrainSpec(StudentSpec(), documents=640, batch_groups=4).steps(1000, 16) == 10
    assert TrainSpec(StudentSpec(), documents=1, batch_groups=4).steps(1000, 16) == 1


def test_the_learning_rate_rises_and_falls():
    spec = TrainSpec(StudentSpec(), learning_rate=1.0, warmup=0.2)
    assert [round(spec.rate(s, 10), 3) for s in range(10)] == [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    # One step of warming up at least; without it the first step would be the longest.
    assert [TrainSpec(StudentSpec(), learning_rate=6.0, warmup=0).rate(s, 4) for s in range(4)] == [6, 6, 4, 2]
    assert TrainSpec(StudentSpec(), learning_rate=6.0).rate(0, 1) == 6


def test_the_curve_holds_the_rates_of_the_steps(start, uninterrupted):
    spec = train_spec(start, "static")
    curve = pq.read_table(uninterrupted["static"] / "training.parquet").to_pydict()
    assert curve["learning_rate"] == pytest.approx([spec.rate(s, STEPS) for s in range(STEPS)])


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_weight_decay_is_for_matrices(start, architecture):
    student = build_student(StudentSpec(architecture, start, layers=1, max_length=32), 1)
    student.focus(np.arange(4, 20))
    names = {id(p): name for name, p in student.module.named_parameters()}
    decayed, spared = training._optimizer(student, TrainSpec(student.spec, weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)
    matrices, others = ({names[id(p)] for p in part["params"]} for part in (decayed, spared))
    assert matrices | others == set(names.values())
    assert not matrices & others
    assert others == {n for n in names.values() if n.endswith("bias") or "LayerNorm" in n or "embeddings" in n}


def test_a_static_student_has_no_weight_decay(start):
    student = build_student(StudentSpec("static", start), 1)
    (only,) = training._optimizer(student, TrainSpec(student.spec, weight_decay=0.3)).param_groups
    assert only["weight_decay"] == 0


def test_a_step_is_no_longer_than_the_clip(tmp_path, start, collection, groups):
    """Under gradients of length 1e-12, far below Adam's epsilon, the weights stay where they were."""
    spec = train_spec(start, "bi-encoder", epochs=1, clip=1e-12, weight_decay=0.0, learning_rate=0.1)
    trained = load_file(weights_in(train(collection.path, groups, tmp_path / "m", spec)))
    untrained = build_student(spec.student, spec.seed)
    for name, weight in untrained.module.state_dict().items():
        torch.testing.assert_close(trained[name], weight, atol=1e-4, rtol=0)


def test_a_loss_that_is_not_a_number_is_reported(tmp_path, start, collection, groups):
    spec = train_spec(start, "cross-encoder", learning_rate=1e30)
    with pytest.raises(DataError, match=r"the loss is (nan|inf) at step \d of 9") as caught:
        train(collection.path, groups, tmp_path / "m", spec)
    assert "--learning-rate" in caught.value.hint
    assert not (tmp_path / "m").exists()


def test_no_groups_are_refused(tmp_path, start, collection):
    def build(work):
        empty = np.empty((0, 4))
        Groups(
            np.empty(0, np.uint32), empty.astype(np.uint32), empty.astype(np.float32), empty.astype(np.float32)
        ).write(work / "groups.parquet")
        return {"strategy": "bm25", "teacher": "made up"}

    nothing = run_stage(tmp_path / "g", stage="group", spec={"size": 4}, inputs={}, build=build)
    with pytest.raises(DataError, match="no groups to train on"):
        train(collection.path, nothing, tmp_path / "m", train_spec(start, "static"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "ranknets"}, "did you mean 'ranknet'"),
        ({"temperature": 0.0}, "temperatures are above 0"),
        ({"student_temperature": -1.0}, "temperatures are above 0"),
        ({"epochs": -1}, "not negative"),
        ({"learning_rate": -1.0}, "not negative"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        TrainSpec(StudentSpec(), **options)


def test_another_setting_does_not_continue_a_killed_training(
    tmp_path, monkeypatch, start, collection, groups, uninterrupted
):
    with monkeypatch.context() as patch:
        _kill_at(patch, "step", 6)
        with pytest.raises(Killed):
            train(collection.path, groups, tmp_path / "m", train_spec(start, "static", "lce"), checkpoint_every=0)
    out = train(collection.path, groups, tmp_path / "m", train_spec(start, "static"), checkpoint_every=0)
    assert files_of(out) == files_of(uninterrupted["static"])


def test_a_moved_start_model_is_the_same_model(tmp_path, start, collection, groups):
    """The start's place is a setting; what it is stands in the inputs, by its content."""
    out = train(collection.path, groups, tmp_path / "m", train_spec(start, "static"))
    before = read_manifest(out)["inputs"]["start"]
    shutil.copytree(start, tmp_path / "elsewhere")
    again = train(collection.path, groups, tmp_path / "n", train_spec(str(tmp_path / "elsewhere"), "static"))
    assert read_manifest(again)["inputs"]["start"] == before
    assert weights_in(again).read_bytes() == weights_in(out).read_bytes()


def test_measuring_the_speed_leaves_nothing(tmp_path, monkeypatch, start, collection, groups):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    table = Groups.read(groups / "groups.parquet")
    trained, ranked = measure_speed(Collection(collection.path), table, train_spec(start, "cross-encoder"))
    assert trained > 0
    assert ranked > 0
    assert list(tmp_path.iterdir()) == []
