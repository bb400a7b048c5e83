"""`rankstill demo`: the main job on the documentation of this Python environment, small enough for minutes.

Six static students (three strategies x two losses) show what negatives and labels do; a bi-encoder of two transformer
layers and a cross-encoder of three, distilled with the strategy and loss that dev chose among them, show what small
transformers reach in a minute of training each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rankstill.measures.entropy import default_temperature
from rankstill.progress import say
from rankstill.records import Groups
from rankstill.students.architectures import StudentSpec
from rankstill.students.train import set_threads, train
from rankstill.studies.distill import Distilled, DistillSpec, Student, conclude, describe_groups, groups_of, own_tests
from rankstill.studies.evaluate import choose_on_dev
from rankstill.studies.steps import Negatives, Training, dev_test, load_training, slug
from rankstill.teachers import open_teacher

STRATEGIES = ("random", "bm25", "teacher")
LOSSES = ("lce", "kl")
STATIC = StudentSpec("static", max_length=256)
DEEP = {
    StudentSpec("bi-encoder", layers=2, max_length=64): 6_000,
    # Two layers learn nothing from so little: their loss stays where it starts.
    StudentSpec("cross-encoder", layers=3, max_length=56): 6_500,
}
"""Students with a transformer, and how many documents each sees: a minute of training. The static ones see twenty times
as much in less."""
SPEC = DistillSpec(
    collection="pydocs#size=3500",
    student=STATIC,
    tests=("pydocs#size=3500,split=test", "pydocs#size=1400,part=ood"),
    size=16,
    epochs=3,
    test_depth=50,
    headline="RR@10",
    on_short="drop",
)


def demo(out: Path, *, seed: int = 1, command: str = "rankstill demo") -> Distilled:
    """Run the demo.

    Args:
        out: The output folder; a killed demo continues there.
        seed: Of everything that is drawn.
        command: The command line, for the report.

    Returns:
        The cross-encoder's folder, the report, and what it shows.
    """
    set_threads()
    spec = replace(SPEC, seed=seed)
    teacher = open_teacher(spec.teacher, precision=spec.precision)
    training = load_training(out, spec.collection, split=spec.split, limit=spec.queries)
    tests = own_tests(out, training, spec.tests)
    made = [groups_of(out, training, teacher, name, spec) for name in STRATEGIES]
    temperature = _shared_temperature(made)
    described = describe_groups(out, training, made, temperature, seed)
    students = [
        _train(out, training, negatives, replace(spec, loss=loss), temperature) for negatives in made for loss in LOSSES
    ]
    strategy, loss = _best_on_dev(out, training, students, spec)
    say(f"dev chose {strategy} negatives and {loss} for the students with a transformer")
    chosen = next(n for n in made if n.strategy == strategy)
    for student, documents in DEEP.items():
        deep = replace(spec, loss=loss, student=student, documents=documents)
        students.append(_train(out, training, chosen, deep, temperature))
    return conclude(
        out,
        spec,
        training,
        teacher,
        tests,
        described,
        students,
        title="Which negatives, which labels? A small ranker from a larger one, in minutes",
        subtitle="Students distilled from all-MiniLM-L6-v2 on the documentation of this Python environment",
        command=command,
        settings={"static": STATIC, **{s.architecture: s for s in DEEP}, "spec": spec, "temperature": temperature},
    )


def _shared_temperature(made: Sequence[Negatives]) -> float:
    """Derive one temperature from all strategies' groups: entropies at different ones could not be compared."""
    return default_temperature(np.concatenate([Groups.read(n.groups / "groups.parquet").score for n in made]))


def _train(out: Path, training: Training, negatives: Negatives, spec: DistillSpec, temperature: float) -> Student:
    name = f"{spec.student.name}, {negatives.strategy}, {spec.loss}"
    collection = negatives.collection(training)
    model = train(collection, negatives.groups, out / "models" / slug(name), spec.train_spec(temperature))
    return name, model, negatives.strategy, spec.loss, spec.student


def _best_on_dev(out: Path, training: Training, students: Sequence[Student], spec: DistillSpec) -> tuple[str, str]:
    """Choose the strategy and the loss whose student is best on dev."""
    dev = dev_test(training, out)
    if dev is None:
        return students[-1][2], students[-1][3]
    quality = {s[0]: choose_on_dev(dev, s[1], s[0], spec.evaluation)[1] for s in students}
    best = max(students, key=lambda s: quality[s[0]])
    return best[2], best[3]
