"""Run and measure systems on tests: first stage, teacher, students, and students interpolated with the first stage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rankstill.collection.store import Collection
from rankstill.errors import MissingScores
from rankstill.files import read_manifest, write_json
from rankstill.measures.effectiveness import per_query
from rankstill.measures.measure import RESULTS, MeasureSpec, measure
from rankstill.progress import note
from rankstill.records import Pairs
from rankstill.runs.first_stage import GIVEN
from rankstill.runs.interpolate import InterpolateSpec, choose_weight, interpolate_runs
from rankstill.runs.rank import RankSpec, rank, teacher_run
from rankstill.runs.run_files import by_rank, read_run
from rankstill.studies.steps import Test, first_stage_of, score_pairs, slug
from rankstill.teachers import Teacher


@dataclass(frozen=True)
class Evaluation:
    """How to evaluate.

    Attributes:
        measures: Names in ir_measures' notation.
        headline: The one that chooses the interpolation weight and leads the tables.
        depth: Documents per query in a first stage made here.
        seed: Of the bootstrap.
        first: What the tables call the first stage; see `first_name`.
    """

    measures: tuple[str, ...]
    headline: str
    depth: int
    seed: int
    first: str = "BM25"


class Choice(NamedTuple):
    """What dev chose for a student.

    Attributes:
        weight: The student's share in the interpolation with the first stage.
        alone: The student's quality on dev.
        mixed: The quality of the interpolation.
    """

    weight: float
    alone: float
    mixed: float


def choose_on_dev(dev: Test, model: Path, name: str, how: Evaluation) -> Choice:
    """Choose a student's interpolation weight on dev; the choice and the grid are recorded beside its dev run."""
    first = first_stage_of(dev, how.depth)
    run = rank(dev.path, first, model, dev.folder / slug(name), RankSpec(tag=name))
    opened = Collection(dev.path)
    qrels = opened.qrels(dev.split)
    keep = np.isin(qrels.query, dev.queries)
    judged = type(qrels)(qrels.query[keep], qrels.doc[keep], qrels.grade[keep])

    def quality(mixed: Pairs) -> float:
        values = per_query(by_rank(mixed), judged, [how.headline], opened.relevant_from)[how.headline]
        return float(np.mean(list(values.values())))

    weight, tried = choose_weight(read_run(run), read_run(first), quality)
    write_json(dev.folder / f"{slug(name)}.weight.json", {"weight": weight, "measure": how.headline, "tried": tried})
    return Choice(weight, tried[1.0], tried[weight])


def evaluate(
    out: Path,
    test: Test,
    models: Mapping[str, Path],
    weights: Mapping[str, float],
    teacher: Teacher | None,
    how: Evaluation,
) -> list[dict[str, Any]]:
    """Run and measure every system on one test.

    Args:
        out: The output folder, which holds the score store.
        test: Where to evaluate.
        models: Students' folders by name.
        weights: Interpolation weights of those students that have one.
        teacher: The teacher, or None to leave it out.
        how: Depth, measures, seed.

    Returns:
        Rows of system, test, measure, mean, interval and paired difference from the first stage, whose own come first.
    """
    first = first_stage_of(test, how.depth)
    runs = {how.first: first}
    if teacher is not None and (run := _teacher_run(out, test, first, teacher)) is not None:
        runs[TEACHER] = run
    for name, model in models.items():
        runs[name] = rank(test.path, first, model, test.folder / slug(name), RankSpec(tag=name))
        if name in weights:
            to = test.folder / f"{slug(name)}-interpolated"
            mixed = mixed_name(name, how.first)
            runs[mixed] = interpolate_runs(test.path, runs[name], first, to, InterpolateSpec(weights[name], mixed))
    spec = MeasureSpec(test.split, how.first, how.measures, how.seed)
    measured = measure(test.path, runs, test.folder / "measures", spec)
    return [{**row, "test": test.name} for row in read_results(measured)]


TEACHER = "teacher"


def first_name(tests: Sequence[Test], depth: int) -> str:
    """Name the first stage of some tests for their table: a list that came with a test need not be BM25's."""
    given = {read_manifest(first_stage_of(test, depth))["counts"]["origin"] == GIVEN for test in tests}
    if given == {True}:
        return "given list"
    return "BM25 / given list" if len(given) == 2 else "BM25"


def mixed_name(student: str, first: str) -> str:
    """Name a student's interpolation with the first stage."""
    return f"{student} + {first}"


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Read what the stage `measure` found."""
    rows: list[dict[str, Any]] = json.loads((folder / RESULTS).read_text("utf-8"))
    return rows


def _teacher_run(out: Path, test: Test, first: Path, teacher: Teacher) -> Path | None:
    """Let the teacher rank the test's lists, where it has a score for every pair."""
    try:
        scores = score_pairs(out, test.path, [read_run(first)], teacher, test.folder / "teacher-scores")
    except MissingScores as error:
        note(f"no teacher row on {test.name}: {error.message}")
        return None
    return teacher_run(test.path, scores, test.folder / "teacher")


def describe_test(test: Test) -> dict[str, Any]:
    """Say what a test is, for the summary."""
    first = read_manifest(test.folder / "first-stage")
    opened = Collection(test.path)
    return {
        "name": test.name,
        "domain": test.domain,
        "split": test.split,
        "queries": len(test.queries),
        "documents": len(opened.documents),
        "depth": first["spec"]["depth"],
        "first_stage": _first_stage_words(first),
        "relevant_from": opened.relevant_from,
    }


def _first_stage_words(manifest: Mapping[str, Any]) -> str:
    origin, spec = manifest["counts"]["origin"], manifest["spec"]
    return origin if origin == GIVEN else f"{origin} (k1 {spec['k1']}, b {spec['b']})"
