"""`rankstill train-teacher`: train a cross-encoder on judgements alone, to be a teacher afterwards.

The recipe is that of arXiv 2101.08751: all layers of a pretrained model, localized contrastive estimation, each judged
positive against negatives that BM25 ranked high. No other teacher has a part in it: the groups' scores are those of the
judgements (see `teachers.judgements`), which LCE does not read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rankstill.candidates import open_strategy
from rankstill.errors import DataError, SpecError
from rankstill.files import write_json
from rankstill.groups.build import GroupSpec
from rankstill.measures.effectiveness import DEFAULT_MEASURES
from rankstill.progress import console, say
from rankstill.students.architectures import StudentSpec, refuse_unfit
from rankstill.students.train import set_threads, train
from rankstill.students.train_spec import TrainSpec
from rankstill.studies.distill import own_tests
from rankstill.studies.evaluate import Evaluation, choose_on_dev, evaluate, first_name
from rankstill.studies.steps import Negatives, Test, Training, dev_test, load_training, make_groups
from rankstill.studies.table import results_table
from rankstill.teachers.judgements import JudgementsTeacher

RESULTS = "results.json"
NAME = "trained teacher"
HEADLINE = "nDCG@10"


@dataclass(frozen=True)
class TrainTeacherSpec:
    """One teacher to train.

    Attributes:
        collection: What to train on: a folder, a file, an ir_datasets id, or `pydocs`; see `Reference`. It has
            judgements.
        start: The pretrained model: "minilm", a folder, or a hub id.
        strategy: How negatives are chosen, without any teacher's scores.
        tests: What to evaluate on, besides the collection's own dev and test queries.
        split: The judged split to train on.
        queries: Train on at most so many queries; 0 for all.
        size: Documents per group: a positive and size-1 negatives.
        depth: How deep BM25 looks.
        epochs, learning_rate, batch_groups, precision: See `TrainSpec`.
        max_length: Tokens of a pair at most.
        seed: Of everything that is drawn.
        on_short: What to do with queries that have too few candidates: "refuse" or "drop".
        test_depth: Documents per query in a first stage made here.
    """

    collection: str
    start: str = "minilm"
    strategy: str = "bm25"
    tests: tuple[str, ...] = ()
    split: str = "train"
    queries: int = 0
    size: int = 16
    depth: int = 100
    epochs: int = 0
    learning_rate: float = 0.0
    batch_groups: int = 0
    max_length: int = 256
    seed: int = 1
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    on_short: Literal["refuse", "drop"] = "refuse"
    test_depth: int = 100

    def __post_init__(self) -> None:
        # What is wrong here is said before anything is loaded.
        open_strategy(self.strategy)
        GroupSpec(self.size)
        self.train_spec()

    def train_spec(self) -> TrainSpec:
        """The part that says how to train: a cross-encoder of all layers, by LCE."""
        return TrainSpec(
            StudentSpec("cross-encoder", self.start, 0, self.max_length),
            loss="lce",
            epochs=self.epochs,
            batch_groups=self.batch_groups,
            learning_rate=self.learning_rate,
            seed=self.seed,
            precision=self.precision,
        )


@dataclass(frozen=True)
class TrainedTeacher:
    """What the training made.

    Attributes:
        model: The teacher's folder, to be named with `--teacher`.
        results: Rows as `evaluate` returns them: the first stage and the teacher on each test.
        dev: Its nDCG@10 on the held-out queries, reranking the first stage; None where there are none.
    """

    model: Path
    results: list[dict[str, Any]]
    dev: float | None


def train_teacher(spec: TrainTeacherSpec, out: Path | str, *, checkpoint_every: float = 30.0) -> TrainedTeacher:
    """Train a teacher, and measure it next to the first stage.

    Args:
        spec: On what, and how.
        out: The output folder: `model`, `results.json` and the stages' folders; a run that was killed continues.
        checkpoint_every: Seconds between checkpoints of the training.

    Raises:
        DataError: The collection has no judgements.
        SpecError: The strategy chooses by a teacher's scores.
        RankstillError: See `rankstill.errors`; nothing is half-written.
    """
    out = Path(out)
    set_threads()
    refuse_unfit(spec.train_spec().student)
    training = load_training(out, spec.collection, split=spec.split, limit=spec.queries)
    if not training.split.judged:
        raise DataError(
            f"{spec.collection} has no judgements, and a teacher is trained on nothing else",
            hint="give it qrels, or distil from a teacher that exists",
        )
    # Tests come first: a wrong one is refused before hours of training.
    tests = own_tests(out, training, spec.tests)
    groups = _groups(out, training, spec)
    model = train(training.path, groups.groups, out / "model", spec.train_spec(), checkpoint_every=checkpoint_every)
    results, quality = _measured(out, dev_test(training, out), tests, model, spec)
    write_json(out / RESULTS, {"measure": HEADLINE, "dev": quality, "tests": results})
    return TrainedTeacher(model, results, quality)


def _groups(out: Path, training: Training, spec: TrainTeacherSpec) -> Negatives:
    if open_strategy(spec.strategy).edits:
        raise SpecError(
            f"the strategy {spec.strategy} edits positives, and by labels a teacher would learn that they are wrong",
            hint="use a strategy that draws documents as they are, such as bm25",
        )
    if open_strategy(spec.strategy).needs().wider:
        raise SpecError(
            f"the strategy {spec.strategy} chooses by a teacher's scores, and there is no teacher yet",
            hint="use --strategy bm25",
        )
    return make_groups(
        out,
        training,
        JudgementsTeacher(training.split.judged),
        spec.strategy,
        size=spec.size,
        depth=spec.depth,
        seed=spec.seed,
        on_short=spec.on_short,
    )


def _measured(
    out: Path, dev: Test | None, tests: list[Test], model: Path, spec: TrainTeacherSpec
) -> tuple[list[dict[str, Any]], float | None]:
    lists = [*tests, *([dev] if dev else [])]
    how = Evaluation(DEFAULT_MEASURES, HEADLINE, spec.test_depth, spec.seed)
    if lists:
        how = replace(how, first=first_name(lists, spec.test_depth))
    quality = choose_on_dev(dev, model, NAME, how)[1] if dev else None
    return [row for test in tests for row in evaluate(out, test, {NAME: model}, {}, None, how)], quality


def print_results(done: TrainedTeacher) -> None:
    """Show what a trained teacher reaches, on stderr."""
    if done.dev is not None:
        say(f"{HEADLINE} on the held-out queries: {done.dev:.3f}")
    for name in dict.fromkeys(row["test"] for row in done.results):
        say(f"\n{name}")
        console.print(results_table([row for row in done.results if row["test"] == name]))
