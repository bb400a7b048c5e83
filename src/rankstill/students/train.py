"""The stage `train`: fit a student to groups.

One step takes `batch_groups` groups, sends their pairs through the student in micro-batches of similar length, and
computes the loss once over the whole batch (see `passes`). A run that was killed continues from its last checkpoint and
ends with the same bytes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import cores, read_manifest, run_stage
from rankstill.memory import keep_freed_memory
from rankstill.models import model_fingerprint, resolve_model
from rankstill.progress import bar
from rankstill.randomness import rng_for, seed_for
from rankstill.records import Groups, Rows, write_parquet
from rankstill.students.architectures import Batch, Student, build_student
from rankstill.students.card import CARD, read_counts, write_card
from rankstill.students.checkpoint import Curve, load_checkpoint, save_checkpoint
from rankstill.students.group_texts import GroupTexts
from rankstill.students.in_batch import InBatch
from rankstill.students.losses import LOSSES, floor
from rankstill.students.passes import Objective, accumulate, score_batch
from rankstill.students.room import plan_passes
from rankstill.students.train_spec import TrainSpec
from rankstill.teachers.precision import body_precision

_CURVE = ("loss", "excess", "learning_rate")
_CHECKPOINT = "checkpoint.safetensors"


def train(collection: Path, groups: Path, out: Path, spec: TrainSpec, *, checkpoint_every: float = 30.0) -> Path:
    """Train a student.

    Args:
        collection: The collection's folder.
        groups: A folder of the stage `group`.
        out: The model's folder, which sentence-transformers loads unchanged.
        spec: What to train and how.
        checkpoint_every: Seconds between checkpoints; changes nothing in the result.
    """
    start = resolve_model(spec.student.start)

    def build(work: Path) -> Mapping[str, Any]:
        # The card comes last: where it stands, a kill before the manifest loses nothing.
        if not (work / CARD).is_file():
            table = Groups.read(groups / "groups.parquet")
            opened = Collection(collection)
            run = _Run(opened, table, spec, work, checkpoint_every, _positives(opened, groups, spec))
            run.finish(run.fit(), collection, groups)
        (work / _CHECKPOINT).unlink(missing_ok=True)
        return read_counts(work)

    inputs: dict[str, Path | str] = {
        "collection": collection,
        "groups": groups,
        "start": model_fingerprint(Path(start)),
    }
    return run_stage(out, stage="train", spec=spec, inputs=inputs, build=build)


def _positives(collection: Collection, groups: Path, spec: TrainSpec) -> dict[int, Rows]:
    """List the positives of the split that the groups were built from, where in-batch negatives need them."""
    split = read_manifest(groups)["spec"].get("split", "")
    return collection.qrels(split).positives(collection.relevant_from) if spec.in_batch and split else {}


def _refuse_unknown_draws(groups: Groups) -> None:
    unknown = np.isnan(groups.probability).any(axis=1)
    if unknown.any():
        raise DataError(
            f"{int(unknown.sum())} of {len(groups)} groups hold documents of which the strategy cannot say how likely "
            "it was to draw them",
            hint="train without the correction, or draw by random, bm25, dense, run or stratified",
        )


class _Run:
    """One training run: its data, its student, its optimizer."""

    def __init__(
        self,
        collection: Collection,
        groups: Groups,
        spec: TrainSpec,
        work: Path,
        every: float,
        positives: Mapping[int, Rows] | None = None,
    ) -> None:
        if not len(groups):
            raise DataError("there are no groups to train on", hint="look at the counts of the stage `group`")
        torch.use_deterministic_algorithms(True)
        # Filling new memory with NaN finds reads of what was never written; none is there, and it costs 6% of a step.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        self.groups, self.spec, self.work, self.every = groups, spec, work, every
        self.precision = body_precision(spec.precision)
        self.student = build_student(spec.student, spec.seed, self.precision)
        self.parameters = _size(self.student)
        self.data = GroupTexts(collection, groups, self.student, work)
        self.student.focus(self.data.vocabulary())
        self.passes = plan_passes(self.student, self.precision)
        self.optimizer = _optimizer(self.student, spec)
        self._order = -1, np.empty(0, np.int64)
        self.steps = spec.steps(len(groups), groups.size)
        if spec.correct:
            _refuse_unknown_draws(groups)
        self.in_batch = InBatch(groups, collection.documents, positives or {}) if spec.in_batch else None

    def fit(self) -> Curve:
        """Take all steps that a checkpoint does not have already."""
        path = self.work / _CHECKPOINT
        step = 0
        curve: Curve = {name: [] for name in _CURVE}
        if path.is_file():
            step, curve, budget = load_checkpoint(path, self.student.module, self.optimizer)
            self.passes = replace(self.passes, budget=budget)
        self.student.module.train()
        saved = time.monotonic()
        seen = self.spec.batch * self.groups.size
        with bar(f"train {self.spec.student.architecture}", self.steps * seen, "documents") as shown:
            shown.advance(step * seen)
            for now in range(step, self.steps):
                for name, value in self._step(now).items():
                    curve[name].append(value)
                shown.advance(seen)
                if time.monotonic() - saved > self.every and now + 1 < self.steps:
                    save_checkpoint(path, self.student.module, self.optimizer, now + 1, curve, self.passes.budget)
                    saved = time.monotonic()
        return curve

    def _step(self, step: int) -> dict[str, float]:
        rows = self._rows(step)
        rate = self.spec.rate(step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        batch, objective, low = self._task(rows)
        value = float(accumulate(self.student, batch, objective, self.passes, lambda n: self._dropout(step, n)))
        if not math.isfinite(value):
            raise DataError(
                f"the loss is {value} at step {step + 1} of {self.steps}",
                hint="lower the learning rate (--learning-rate)",
            )
        torch.nn.utils.clip_grad_norm_(self.student.module.parameters(), self.spec.clip)
        self.optimizer.step()
        return {"loss": value, "excess": value - low, "learning_rate": rate}

    def _dropout(self, step: int, micro: int) -> int:
        return seed_for(self.spec.seed, "dropout", step, micro) % 2**63

    def _task(self, rows: NDArray[np.int64]) -> tuple[Batch, Objective, float]:
        """Gather the pairs of some groups, the loss of their scores, and the least value that it could have."""
        spec, groups = self.spec, self.groups
        own = spec.student_temperature or self.student.temperature
        mask = None
        if self.in_batch is None:
            teacher, labels = torch.from_numpy(groups.score[rows]), torch.from_numpy(groups.label[rows])
            batch = self.data.batch(rows)
        else:
            docs, label, counts = self.in_batch.over(rows)
            labels, mask = torch.from_numpy(label), torch.from_numpy(counts)
            teacher, batch = torch.zeros_like(labels), self.data.every_pair(rows, docs)
        drawn = torch.from_numpy(np.log(groups.probability[rows])) if spec.correct else torch.zeros(())
        teacher = teacher - spec.temperature * drawn
        low = floor(spec.loss, teacher, labels, mask=mask, temperature=spec.temperature)

        def objective(scores: Tensor) -> Tensor:
            scores = scores.view(teacher.shape) - own * drawn
            return LOSSES[spec.loss](
                scores, teacher, labels, mask=mask, temperature=spec.temperature, student_temperature=own
            )

        return batch, objective, float(low)

    def _rows(self, step: int) -> NDArray[np.int64]:
        """Choose the groups of a step: each epoch is a permutation of its own, derived from the seed."""
        batch = self.spec.batch
        epoch, place = divmod(step, math.ceil(len(self.groups) / batch))
        if self._order[0] != epoch:
            self._order = epoch, rng_for(self.spec.seed, "order", epoch).permutation(len(self.groups))
        return self._order[1][place * batch : (place + 1) * batch]

    def finish(self, curve: Curve, collection: Path, groups: Path) -> None:
        """Save the model and its card; remove what only training needed."""
        self.student.module.eval()
        self.student.save(self.work)
        write_parquet(
            self.work / "training.parquet", {"step": np.arange(1, self.steps + 1, dtype=np.int32), **_columns(curve)}
        )
        self.data.remove()
        write_card(self.work, self.spec, self.counts(), collection, groups)

    def counts(self) -> dict[str, Any]:
        """Count what was trained on what."""
        return {
            "groups": len(self.groups),
            "steps": self.steps,
            "documents_seen": self.spec.documents_in(self.steps, len(self.groups), self.groups.size),
            "parameters": self.parameters,
            "precision": str(self.precision).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "micro_batch_tokens": self.passes.budget,
        }


def _size(student: Student) -> int:
    return sum(p.numel() for p in student.module.parameters())


def _columns(curve: Curve) -> dict[str, NDArray[np.float32]]:
    # In this order always: a checkpoint gives the columns back in another one.
    return {name: np.array(curve[name], np.float32) for name in _CURVE}


def _optimizer(student: Student, spec: TrainSpec) -> torch.optim.Optimizer:
    """Make AdamW; weight decay on matrices only: not on biases and norms, nor on embeddings (see `vocabulary`)."""
    tables = {id(m.weight) for m in student.module.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)}
    matrices = [p for p in student.module.parameters() if p.ndim > 1 and id(p) not in tables]
    chosen = {id(p) for p in matrices}
    others = [p for p in student.module.parameters() if id(p) not in chosen]
    parts = [{"params": matrices, "weight_decay": spec.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([p for p in parts if p["params"]], lr=0.0, fused=True)


def set_threads(threads: int = 0) -> int:
    """Use so many threads, all allowed cores where 0, and keep freed memory for the next pass.

    Results' last bits depend on the number of threads.
    """
    keep_freed_memory()
    torch.set_num_threads(threads or cores())
    return torch.get_num_threads()


def measure_speed(collection: Collection, groups: Groups, spec: TrainSpec) -> tuple[float, float]:
    """Measure a student's speed on a few groups: documents per second trained, and ranked."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="rankstill-speed-") as folder:
        run = _Run(collection, groups, replace(spec, epochs=2, batch_groups=len(groups)), Path(folder), math.inf)
        documents = len(groups) * groups.size
        run._step(0)
        began = time.monotonic()
        run._step(1)
        trained = documents / (time.monotonic() - began)
        began = time.monotonic()
        with torch.inference_mode():
            score_batch(run.student, run.data.batch(np.arange(len(groups))), run.passes)
        return trained, documents / (time.monotonic() - began)
