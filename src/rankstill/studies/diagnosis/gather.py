"""Making what a diagnosis reads: strategies' groups, the target pool, their scores and vectors, and assessments."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import numpy as np

from rankstill.collection.splits import training_split
from rankstill.errors import DataError
from rankstill.files import Json
from rankstill.groups.build import GROUPS
from rankstill.measures.temperature import default_temperature
from rankstill.records import Groups, Rows
from rankstill.students.train import set_threads
from rankstill.studies.diagnosis.assess import ASSESSMENT, AssessSpec, Inputs, assess
from rankstill.studies.diagnosis.costs import Cost, call_seconds, cost_of, paid_pairs
from rankstill.studies.diagnosis.ratio import largest_ratio
from rankstill.studies.diagnosis.spec import DiagnoseSpec
from rankstill.studies.diagnosis.target import Target, TargetSpec, make_target, pools, positives_and_copies
from rankstill.studies.steps import Negatives, Training, load_training, make_groups, score_pairs
from rankstill.teachers import Encoder, Teacher, encode_collection, open_teacher


@dataclass(frozen=True)
class Assessed:
    """A strategy and what was found of it.

    Attributes:
        name: Its reference.
        inputs: The folders that it was assessed on.
        folder: The stage `assess`.
        found: What `assessment.json` holds.
        cost: Of one group.
        paid: The folders of all scores that it took.
        kappa: See `largest_ratio`; None where the strategy's law is not known.
    """

    name: str
    inputs: Inputs
    folder: Path
    found: Json
    cost: Cost
    paid: list[Path]
    kappa: Json | None


@dataclass(frozen=True)
class Gathered:
    """All strategies' assessments, on the same queries, at the same temperature.

    Attributes:
        training: The collection and the queries diagnosed.
        all_queries: How many training queries the collection has.
        teacher: The teacher's name.
        target: The target pool.
        how: How every strategy was assessed.
        strategies: In the order asked for.
    """

    training: Training
    all_queries: int
    teacher: str
    target: Target
    how: AssessSpec
    strategies: list[Assessed]


def gather(spec: DiagnoseSpec, out: Path) -> Gathered:
    """Make and assess everything; what is finished is used again.

    Raises:
        DataError: Strategies have no query in common, or as the stages say.
    """
    set_threads()
    teacher = open_teacher(spec.teacher, precision=spec.precision)
    training = load_training(out, spec.collection, split=spec.split, limit=spec.queries)
    opened, judged = training.open(), training.split.judged
    everything = training_split(opened, split=judged, limit=0)
    made = [_groups(out, training, teacher, strategy, spec) for strategy in spec.strategies]
    wanted = TargetSpec(spec.size - 1, spec.target_depth, judged, spec.seed)
    target = make_target(out / "target", training.path, training.split.train, wanted)
    sampled = target.read().pairs
    target_scores = score_pairs(out, training.path, [sampled], teacher, out / "target" / "scores")
    without = positives_and_copies(opened, judged, training.split.train)
    pool = pools(target.lists, without)
    tables = [Groups.read(m.groups / GROUPS) for m in made]
    if not all(len(table) for table in tables):
        raise DataError("a strategy has no group at all", hint="lower --size, or raise --depth")
    if not len(reduce(np.intersect1d, (table.query for table in tables))):
        raise DataError(
            "no query has groups of all these strategies, so nothing can be compared",
            hint="diagnose them apart, lower --size, or raise --depth",
        )
    temperature = spec.temperature or default_temperature(np.concatenate([table.score for table in tables]))
    encoder = Encoder(spec.model, precision=spec.precision)
    encoder.keep_in(out / "store")
    call = call_seconds([folder for m in made for folder in m.paid()])
    how = AssessSpec(temperature, spec.delta / len(made), spec.seed)
    found = []
    for m, table in zip(made, tables, strict=True):
        inputs = _encoded(training, m, table, target, sampled.doc, target_scores, encoder)
        ratio = largest_ratio(training, m, table.query, pool, without, spec)
        asked = replace(how, pair_ratio=ratio["pairs"] if ratio else None)
        folder = assess(m.groups.with_name("assessment"), inputs, asked)
        summary = json.loads((folder / ASSESSMENT).read_text("utf-8"))
        found.append(Assessed(m.strategy, inputs, folder, summary, cost_of(m, call, spec.price), m.paid(), ratio))
    return Gathered(training, len(everything.train), teacher.name, target, how, found)


def _groups(out: Path, training: Training, teacher: Teacher, strategy: str, spec: DiagnoseSpec) -> Negatives:
    return make_groups(
        out,
        training,
        teacher,
        strategy,
        size=spec.size,
        depth=spec.depth,
        seed=spec.seed,
        on_short=spec.on_short,
    )


def _encoded(
    training: Training,
    made: Negatives,
    table: Groups,
    target: Target,
    sampled: Rows,
    target_scores: Path,
    encoder: Encoder,
) -> Inputs:
    """Encode a strategy's documents and queries, each text once for the whole output."""
    collection, folder = made.collection(training), made.groups.parent
    docs = np.unique(np.concatenate([table.doc.reshape(-1), sampled]))
    queries = np.unique(table.query)
    return Inputs(
        collection,
        made.groups,
        target,
        target_scores,
        encode_collection(collection, "queries", encoder, folder / "queries", rows=queries, dtype="float32"),
        encode_collection(collection, "documents", encoder, folder / "documents", rows=docs),
    )


def scored_pairs(gathered: Gathered) -> tuple[int, int]:
    """Count the pairs that all strategies asked for, wider lists included, and the distinct ones among them."""
    keys = [paid_pairs(s.paid) for s in gathered.strategies]
    return sum(map(len, keys)), len(np.unique(np.concatenate(keys)))
