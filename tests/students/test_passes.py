"""Forward and back in micro-batches: one padded batch's gradient, and the same bytes whatever memory lets be kept."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from rankstill.files import run_stage
from rankstill.records import Groups
from rankstill.students import room
from rankstill.students.architectures import StudentSpec, build_student
from rankstill.students.passes import Passes, accumulate, score_batch
from rankstill.students.room import kept_per_token, plan_passes
from tests.students.examples import ARCHITECTURES, batch_of
from tests.tiny_models import tiny_transformer

PAIRS = [(f"wing lift {'flow ' * (i % 3)}", "drag report7 tail " * (1 + i % 7)) for i in range(24)]


def _gradients(start, architecture, passes, dropout=0.0):
    student = build_student(StudentSpec(architecture, start, layers=2, max_length=40, dropout=dropout), seed=3)
    student.module.train()
    batch = batch_of(student, PAIRS)

    def objective(scores):
        return -torch.log_softmax(scores.view(4, 6), dim=1)[:, 0].mean()

    loss = accumulate(student, batch, objective, passes, seed_of=lambda number: 70 + number)
    return loss, {n: p.grad for n, p in student.module.named_parameters() if p.grad is not None}, (student, objective)


@pytest.mark.parametrize("budget", [16, 100, 1000])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_gradient_is_that_of_one_padded_batch(start, architecture, budget):
    loss, found, _ = _gradients(start, architecture, Passes(torch.float32, budget))
    student = build_student(StudentSpec(architecture, start, layers=2, max_length=40), seed=3)
    scores = score_batch(student, batch_of(student, PAIRS), Passes(torch.float32, 10**6))
    whole = -torch.log_softmax(scores.view(4, 6), dim=1)[:, 0].mean()
    whole.backward()
    expected = {n: p.grad for n, p in student.module.named_parameters() if p.grad is not None}
    assert float(loss) == pytest.approx(float(whole.detach()), rel=1e-6)
    assert found.keys() == expected.keys()
    assert max(float(g.abs().max()) for g in expected.values()) > 0.01
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_what_is_not_kept_is_computed_again_to_the_same_bytes(start, architecture, precision):
    """With dropout: the second pass forward draws what the first one drew."""
    kept, none, some = (
        _gradients(start, architecture, Passes(precision, 100, room), dropout=0.3) for room in (1e9, 0, 250)
    )
    assert kept[0] == none[0] == some[0]
    for name, gradient in kept[1].items():
        assert torch.equal(gradient, none[1][name]), name
        assert torch.equal(gradient, some[1][name]), name


def test_a_loss_that_is_not_finite_has_no_way_back(start):
    student = build_student(StudentSpec("static", start), seed=3)
    batch = batch_of(student, PAIRS)
    loss = accumulate(student, batch, lambda s: s.sum() * torch.nan, Passes(torch.float32, 64), seed_of=lambda n: n)
    assert torch.isnan(loss)
    assert all(p.grad is None for p in student.module.parameters())


def test_what_a_pass_keeps_is_measured(start):
    """A linear layer in float32 keeps at least its input; more layers keep more, bfloat16 less."""
    sizes = {
        (layers, precision): kept_per_token(
            build_student(StudentSpec("cross-encoder", start, layers=layers, max_length=32), 1), precision
        )
        for layers in (1, 2)
        for precision in (torch.float32, torch.bfloat16)
    }
    student = build_student(StudentSpec("cross-encoder", start, layers=1, max_length=32), 1)
    hidden, inner = student.module.config.hidden_size, student.module.config.intermediate_size
    assert sizes[1, torch.float32] > 4 * (3 * hidden + 2 * inner), "query, key, value, and what GELU takes and gives"
    assert sizes[2, torch.float32] > 1.5 * sizes[1, torch.float32]
    assert all(p.grad is None for p in student.module.parameters())


@pytest.mark.parametrize(
    ("tokens", "budget", "left"), [(10_000, 2048, 5904), (6_000, 1024, 3952), (800, 256, 288), (1, 256, 0)]
)
def test_micro_batches_fit_into_the_memory(start, monkeypatch, tokens, budget, left):
    student = build_student(StudentSpec("bi-encoder", start, layers=1, max_length=32), 1)
    weights = sum(p.numel() * 4 for p in student.module.parameters())
    monkeypatch.setattr(room, "kept_per_token", lambda *_: 1000.0)
    monkeypatch.setattr(room, "available_memory", lambda: (tokens * 1000 + 3 * weights) / 0.8)
    passes = plan_passes(student, torch.float32)
    assert (passes.budget, passes.room) == (budget, pytest.approx(left, abs=1e-6))
    monkeypatch.setattr(room, "available_memory", lambda: None)
    assert plan_passes(student, torch.float32) == Passes(torch.float32, 2048)


_LIMITED = """
import resource, sys
from pathlib import Path
import sentence_transformers, torch
from rankstill.memory import _field
from rankstill.students import room, train as training
from rankstill.students.architectures import StudentSpec
from rankstill.students.passes import Passes
from rankstill.students.train_spec import TrainSpec
collection, groups, start, out, extra, keep_all = sys.argv[1:]
torch.set_num_threads(1)
room.BUDGETS = (256,)
def plan(*given):
    # Loading a model reserves address space for its threads: the limit begins where training does.
    if int(extra):
        used = _field(Path("/proc/self/status"), "VmSize:", 1024)
        resource.setrlimit(resource.RLIMIT_AS, (used + (int(extra) << 20), resource.RLIM_INFINITY))
    return Passes(torch.float32, 256) if int(keep_all) else room.plan_passes(*given)
training.plan_passes = plan
spec = StudentSpec("cross-encoder", start, layers=0, max_length=64)
spec = TrainSpec(spec, epochs=1, batch_groups=5, precision="float32")
training.train(Path(collection), Path(groups), Path(out), spec)
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Start from a model of 4 million weights that keeps 200 kB for each token."""
    folder = tiny_transformer(tmp_path_factory.mktemp("wide") / "model")
    sizes = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 4096}
    config = BertConfig.from_pretrained(folder, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def large_groups(tmp_path_factory, collection):
    """Five groups of 32: a step of 3,800 tokens, which keeps 800 MB."""
    rng = np.random.default_rng(2)
    doc = np.stack([rng.choice(60, 32, replace=False) for _ in range(5)]).astype(np.uint32)
    label = np.zeros(doc.shape, np.float32)
    label[:, 0] = 1
    table = Groups(np.arange(5, dtype=np.uint32), doc, rng.normal(size=doc.shape).astype(np.float32), label)

    def build(work):
        table.write(work / "groups.parquet")
        return {"strategy": "bm25", "teacher": "made up", "stand_ins": 0, "dropped_short": 0}

    out = tmp_path_factory.mktemp("large") / "g"
    return run_stage(out, stage="group", spec={"size": 32}, inputs={"collection": collection.path}, build=build)


def _train_within(megabytes, out, keep_all, *inputs):
    line = [sys.executable, "-c", _LIMITED, *inputs, out, megabytes, keep_all]
    return subprocess.run([str(a) for a in line], check=False, capture_output=True, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_little_memory_is_no_death(tmp_path, wide, large_groups, collection):
    """A step that keeps 800 MB runs in 350 MB, to the bytes of one without a limit; keeping all would die there."""
    inputs = collection.path, large_groups, wide
    assert _train_within(350, tmp_path / "dead" / "m", 1, *inputs).returncode != 0
    for name, limit in (("free", 0), ("limited", 350)):
        done = _train_within(limit, tmp_path / name / "m", 0, *inputs)
        assert done.returncode == 0, done.stderr[-2000:]
    free, limited = ((tmp_path / n / "m" / "model.safetensors").read_bytes() for n in ("free", "limited"))
    assert free == limited
