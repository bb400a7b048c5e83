"""`--dry-run`: what a distillation would do, how many pairs it would score, and about how long that would take.

The input is read once to count it; the teacher's and the student's speed are measured on a handful of the input's own
texts, in about ten seconds. Nothing is written.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from rankstill.candidates import open_strategy
from rankstill.collection.store import Collection
from rankstill.progress import console, note, say
from rankstill.randomness import rng_for
from rankstill.records import Groups, Rows
from rankstill.students.train import measure_speed, set_threads
from rankstill.studies.distill import DistillSpec, own_tests
from rankstill.studies.steps import Test, Training, load_training
from rankstill.teachers import Encoder, Teacher, open_teacher
from rankstill.teachers.ensemble import EnsembleTeacher

_SAMPLE = 64
"""Pairs that the speeds are measured on."""
_ENCODERS = ("bi-encoder", "static", "sparse", "late-interaction")
"""Kinds of models that encode each text once, however many pairs it is in."""
_ALL_LAYERS = 6
"""Of the embedded default."""


@dataclass(frozen=True)
class Line:
    """One stage of the plan: how much of what, and about how many seconds."""

    stage: str
    work: str
    seconds: float


def print_plan(spec: DistillSpec) -> None:
    """Print what `distill` would do, on stderr."""
    set_threads()
    with tempfile.TemporaryDirectory(prefix="rankstill-plan-") as folder:
        lines = plan(spec, Path(folder))
    table = Table("stage", "work", "about", title="what would be done (nothing was written)", title_justify="left")
    for line in lines:
        table.add_row(line.stage, line.work, duration(line.seconds))
    table.add_section()
    table.add_row("all", "", duration(sum(line.seconds for line in lines)))
    console.print(table)
    say(f"memory: at most about {_memory(spec):,} MB while training, besides memory-mapped files")


def plan(spec: DistillSpec, folder: Path) -> list[Line]:
    """Plan a distillation: load its input into `folder`, count, and measure speeds on a sample."""
    began = time.monotonic()
    training = load_training(folder, spec.collection, split=spec.split, limit=spec.queries)
    tests = own_tests(folder, training, spec.tests)
    loading = time.monotonic() - began
    teacher = open_teacher(spec.teacher, precision=spec.precision)
    opened, queries = training.open(), len(training.split.train)
    per_pair = _teacher_seconds(opened, training.split.train, teacher, spec.seed)
    asked, unique = _pairs(spec, training)
    ranked = _lists(spec, training, tests)
    steps = spec.train_spec(1.0).steps(queries, spec.size)
    seen = spec.train_spec(1.0).documents_in(steps, queries, spec.size)
    train_rate, rank_rate = _student_rates(opened, training, spec)
    documents = len(opened.documents) + sum(len(Collection(t.path).documents) for t in tests if t.domain != "in domain")
    judged = sum(_texts(teacher.kind, *ranked[test.name]) for test in tests)
    reranked = sum(_texts(spec.student.architecture, *size) for size in ranked.values())
    return [
        Line("load", f"{len(opened.documents):,} documents, {len(opened.queries):,} queries", loading),
        Line(
            "sample",
            f"{queries:,} queries x {spec.size - 1 + spec.spares} from {spec.strategy}",
            documents / 25_000 + queries / 500 + _encoding_seconds(spec, training),
        ),
        Line(
            "score",
            f"{asked:,} pairs asked, at most {unique:,} scored by {teacher.name}",
            _texts(teacher.kind, unique, len(opened.documents)) * per_pair,
        ),
        Line("group", f"{queries:,} groups of {spec.size}", queries / 20_000),
        Line("train", f"{spec.student.name}, {spec.loss}, {steps:,} steps: {seen:,} documents seen", seen / train_rate),
        Line("rank", _tests_words(tests, spec), judged * per_pair + reranked / rank_rate),
        Line("measure", f"{', '.join(spec.measures)}, 95% intervals; report", 5.0),
    ]


def _tests_words(tests: list[Test], spec: DistillSpec) -> str:
    if not tests:
        return "no test"
    return "; ".join(f"{t.name} ({len(t.queries):,} queries x {spec.test_depth})" for t in tests)


def _pairs(spec: DistillSpec, training: Training) -> tuple[int, int]:
    """Count the pairs asked for in training, and those that are distinct for certain to be scored at most."""
    queries = len(training.split.train)
    # Without judgements one more candidate is drawn: the teacher's best becomes the positive.
    others = (spec.size - 1 if training.split.judged else spec.size) + spec.spares
    drawn = queries * others + len(training.positives())
    needs = open_strategy(spec.strategy).needs()
    wider = queries * (needs.depth or spec.depth) if needs.wider else 0
    return drawn + wider, (wider + len(training.positives())) if wider else drawn


def _lists(spec: DistillSpec, training: Training, tests: list[Test]) -> dict[str, tuple[int, int]]:
    """Count the pairs of each test's lists, and the documents that they can come from; dev's too, under its name."""
    found = {t.name: (len(t.queries) * spec.test_depth, len(Collection(t.path).documents)) for t in tests}
    if spec.interpolate and len(training.split.dev):
        found[" dev"] = len(training.split.dev) * spec.test_depth, len(training.open().documents)
    return found


def _texts(kind: str, pairs: int, documents: int) -> int:
    """Count what a model works on: every pair, or, where it encodes texts, each document once."""
    return min(pairs, documents) if kind in _ENCODERS else pairs


def _encoding_seconds(spec: DistillSpec, training: Training) -> float:
    """Measure what a strategy that compares vectors needs for encoding; all documents, which bounds a list's."""
    model = open_strategy(spec.strategy).needs().model
    if not model:
        return 0.0
    collection, rng = training.open(), rng_for(spec.seed, "plan vectors")
    encoder = Encoder(model, spec.precision)
    texts = collection.documents.take(rng.integers(len(collection.documents), size=_SAMPLE))
    encoder.encode(texts[:8])
    began = time.monotonic()
    encoder.encode(texts)
    return (len(collection.documents) + len(training.split.train)) * (time.monotonic() - began) / _SAMPLE


def _teacher_seconds(collection: Collection, queries: Rows, teacher: Teacher, seed: int) -> float:
    """Measure the teacher's seconds per pair, on random pairs; 0 for teachers that only look scores up."""
    if teacher.kind in ("run", "labels", "judgements"):
        return 0.0
    if teacher.kind == "llm":
        note("an LLM teacher costs money and is not asked in a dry run: its seconds are not counted")
        return 0.0
    if isinstance(teacher, EnsembleTeacher):
        return sum(_teacher_seconds(collection, queries, member, seed) for member in teacher.members)
    rng = rng_for(seed, "plan")
    query = rng.choice(queries, _SAMPLE).astype(np.uint32)
    doc = rng.integers(len(collection.documents), size=_SAMPLE).astype(np.uint32)
    teacher.score(collection, query[:8], doc[:8])
    began = time.monotonic()
    teacher.score(collection, query, doc)
    return (time.monotonic() - began) / _SAMPLE


def _student_rates(collection: Collection, training: Training, spec: DistillSpec) -> tuple[float, float]:
    """Measure documents per second trained and ranked, on groups of random documents."""
    rng = rng_for(spec.seed, "plan groups")
    count = max(_SAMPLE // spec.size, 2)
    doc = rng.integers(len(collection.documents), size=(count, spec.size)).astype(np.uint32)
    label = np.zeros(doc.shape, np.float32)
    label[:, 0] = 1
    score = rng.normal(size=doc.shape).astype(np.float32)
    groups = Groups(rng.choice(training.split.train, count).astype(np.uint32), doc, score, label)
    return measure_speed(collection, groups, spec.train_spec(1.0))


def _memory(spec: DistillSpec) -> int:
    """Estimate resident memory in MB: the libraries, weights with gradients and moments, a step's activations.

    The activations of all micro-batches of a step wait for its one backward pass. Sizes are those of the embedded
    default, texts are taken to be as long as the student reads, and a token takes 34 vectors a layer: 18 to 24 that are
    kept for the backward pass (counted at 64 to 256 tokens), and room for what that pass makes.
    """
    student = spec.student
    layers = 0 if student.architecture == "static" else student.layers or _ALL_LAYERS
    weights = 16 * (12e6 + 1.8e6 * layers)
    tokens = spec.train_spec(1.0).batch * spec.size * student.max_length
    return round(700 + (weights + tokens * 34 * 384 * 4 * layers) / 2**20)


def duration(seconds: float) -> str:
    """Write seconds as a person says them: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
