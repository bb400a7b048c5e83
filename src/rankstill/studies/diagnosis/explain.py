"""`rankstill explain`: why a trained student is as it is: where it follows its teacher, where not, and since when.

Three gaps, each with its interval: what it did not learn of the groups it has seen (fit), what it lost on groups drawn
the same way for queries it has not seen (locality: what the sample could not pin down), and what it lost on the lists
that it reranks (shift).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import Json, versions, write_json
from rankstill.groups.build import GROUPS
from rankstill.measures.bounds.held_out import betting
from rankstill.measures.fidelity import CLIP, LOG2
from rankstill.progress import note
from rankstill.randomness import rng_for
from rankstill.records import Groups, Pairs
from rankstill.students.train import set_threads
from rankstill.studies.diagnosis.curve import first_epoch
from rankstill.studies.diagnosis.faithful import Matrix, by_size, faithful, read_lists
from rankstill.studies.diagnosis.finished import Finished, finished
from rankstill.studies.diagnosis.spec import DIAGNOSIS
from rankstill.studies.diagnosis.words import words
from rankstill.studies.steps import Negatives, Training, make_groups, score_pairs
from rankstill.teachers import lookup, open_teacher

EXPLANATION = "explanation.json"


@dataclass(frozen=True)
class ExplainSpec:
    """How to explain.

    Attributes:
        groups: At most so many seen groups, and as many held-out ones, are scored by the student.
        delta: The probability with which a bound may fail.
        seed: Of the choice of groups and of the bootstrap.
    """

    groups: int = 300
    delta: float = 0.05
    seed: int = 1


def explain(model: Path, out: Path, spec: ExplainSpec, *, diagnosis: Path | None = None) -> Json:
    """Explain a student that `distill` or `demo` trained.

    Args:
        model: Its folder, inside the output that made it.
        out: The folder to write: `explanation.json`, and the stages it took.
        spec: How.
        diagnosis: The output of `diagnose`, whose predictions are set beside what this student does.

    Returns:
        What `explanation.json` holds; see docs/formats.md.

    Raises:
        DataError: The model is not ours, or lies outside the output that made it.
    """
    set_threads()
    run = finished(model)
    # A wrong diagnosis is refused before anything is scored.
    entry = _diagnosed(run.strategy, diagnosis) if diagnosis else None
    places = [_seen(run, out, spec), *_held_out(run, out, spec)]
    for lists in run.lists():
        teacher, student = by_size(*read_lists(lists.teacher, lists.student))
        if teacher:
            places.append(_place(run, f"lists of {lists.name}", "lists", teacher, student, spec))
        else:
            note(f"no list of {lists.name} has two documents: nothing can be said of them")
    found = {
        "model": str(model),
        "strategy": run.strategy,
        "teacher": run.spec["teacher"],
        "loss": run.trained["loss"],
        "student": run.trained["student"],
        "temperature": run.temperature,
        "student_temperature": run.student_temperature,
        "places": places,
        "gaps": gaps(places),
        "curve": first_epoch(run, spec.delta),
        "predicted": predicted(entry, places) if entry else [],
        "versions": versions(),
    }
    found["words"] = words(found)
    write_json(out / EXPLANATION, found)
    return found


def _seen(run: Finished, out: Path, spec: ExplainSpec) -> Json:
    groups = _some(Groups.read(run.groups / GROUPS), spec)
    return _groups_place(run, run.collection, "groups it has seen", "seen", groups, out / "seen", spec)


def _held_out(run: Finished, out: Path, spec: ExplainSpec) -> list[Json]:
    """Compare on groups of dev queries; nothing where there are none, or none that the strategy and teacher know."""
    held_out = run.held_out()
    if held_out is None:
        note("no dev queries: nothing is held out of the training collection")
        return []
    try:
        made = _made_alike(run, held_out, out / "held-out")
    except DataError as error:
        # A file of negatives or of scores may hold the training queries only.
        note(f"no groups of held-out queries: {error}")
        return []
    groups = _some(Groups.read(made.groups / GROUPS), spec)
    name, path = f"{run.strategy} groups of held-out queries", made.collection(held_out)
    return [_groups_place(run, path, name, "held out", groups, out / "held-out", spec)]


def _made_alike(run: Finished, held_out: Training, out: Path) -> Negatives:
    """Draw, score, filter and group just as for the training queries."""
    how = run.spec
    judge, filters = how.get("judge"), run.filters
    return make_groups(
        out,
        held_out,
        open_teacher(how["teacher"], precision=how["precision"]),
        run.strategy,
        size=how["size"],
        depth=how["depth"],
        seed=how["seed"],
        on_short="drop",
        filters=filters,
        judge=open_teacher(judge, precision=how["precision"]) if judge else None,
        spare=how.get("spare") or (how["size"] - 1 if filters else 0),
    )


def _groups_place(
    run: Finished, collection: Path, name: str, kind: str, groups: Groups, out: Path, spec: ExplainSpec
) -> Json:
    """Let the student score groups, and compare."""
    query, doc = np.repeat(groups.query, groups.size), groups.doc.reshape(-1)
    pairs = Pairs(query, doc, np.full(len(query), np.nan, np.float32))
    student = open_teacher(str(run.model), precision=run.trained["precision"])
    scored = Pairs.read(score_pairs(out, collection, [pairs], student, out / "student-scores") / "scores.parquet")
    own = lookup(Collection(collection), scored, query, doc).astype(np.float64).reshape(groups.score.shape)
    return _place(run, name, kind, [groups.score.astype(np.float64)], [own], spec)


def _place(
    run: Finished, name: str, kind: str, teacher: list[Matrix], student: list[Matrix], spec: ExplainSpec
) -> Json:
    found = faithful(
        name,
        kind,
        [t / run.temperature for t in teacher],
        [s / run.student_temperature for s in student],
        seed=spec.seed,
    )
    if kind != "seen" and found["groups"] > 1:
        excess = np.array(found["per_group"]["excess"])
        trivial = (1 - found["entropy"]["mean"]) * LOG2
        order = rng_for(spec.seed, "order", name).permutation(len(excess))
        bound = betting(excess[order], highest=CLIP, delta=spec.delta, clip=True, trivial=trivial)
        found["bound"] = bound.to_json()
    return found


def gaps(places: list[Json]) -> list[Json]:
    """Split the excess on each test's lists into what was not fitted, not pinned down, and shifted.

    Differences of means over different queries: their intervals add up the two variances.
    """
    seen = places[0]["excess"]
    held_out = next((p["excess"] for p in places if p["kind"] == "held out"), None)
    found: list[Json] = [{"name": "fit", "what": "excess on groups it has seen", **seen}]
    if held_out is not None:
        what = "more on groups drawn the same way for unseen queries"
        found.append({"name": "locality", "what": what, **_difference(held_out, seen)})
    for place in (p for p in places if p["kind"] == "lists"):
        base = held_out or seen
        found.append(
            {"name": f"shift, {place['where']}", "what": "more on those lists", **_difference(place["excess"], base)}
        )
    return found


def _diagnosed(strategy: str, diagnosis: Path) -> Json:
    """Find what a diagnosis said of a strategy.

    Raises:
        DataError: There is no diagnosis, or it did not look at this strategy.
    """
    path = diagnosis / DIAGNOSIS
    try:
        said = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(f"{diagnosis} holds no {DIAGNOSIS}", hint="run `rankstill diagnose` first") from None
    entry = next((s for s in said["strategies"] if s["name"] == strategy), None)
    if entry is None:
        known = ", ".join(s["name"] for s in said["strategies"])
        raise DataError(f"{path} says nothing of the strategy {strategy}", hint=f"it knows: {known}")
    found: Json = entry
    return found


def predicted(entry: Json, places: list[Json]) -> list[Json]:
    """Set what a diagnosis said of the strategy beside what the student does: the probe was a linear head."""
    by_kind = {p["kind"]: p["excess"]["mean"] for p in reversed(places)}
    probe, score = entry["probe"], entry["score"]
    first = next((p["where"] for p in places if p["kind"] == "lists"), "lists")
    rows = [
        ("excess on seen groups: fit of the bound's best head", score["fit"], by_kind.get("seen")),
        (
            "excess on unseen groups of the strategy: linear head",
            probe["own"] and probe["own"]["mean"],
            by_kind.get("held out"),
        ),
        (
            f"excess on {first}: linear head",
            probe["target"] and probe["target"]["mean"],
            by_kind.get("lists"),
        ),
        (f"excess on {first}: at most, by the bound", score["total"], by_kind.get("lists")),
    ]
    return [{"what": what, "predicted": p, "actual": a} for what, p, a in rows]


def _difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> Json:
    mean = a["mean"] - b["mean"]
    if any(end is None for side in (a, b) for end in (side["low"], side["high"])):
        return {"mean": mean, "low": None, "high": None, "n": min(a["n"], b["n"])}
    low = mean - float(np.hypot(a["mean"] - a["low"], b["high"] - b["mean"]))
    high = mean + float(np.hypot(a["high"] - a["mean"], b["mean"] - b["low"]))
    return {"mean": mean, "low": low, "high": high, "n": min(a["n"], b["n"])}


def _some(groups: Groups, spec: ExplainSpec) -> Groups:
    """Pick at most as many groups as asked, the same ones whenever there are the same groups."""
    rows: NDArray[np.int64] = np.sort(rng_for(spec.seed, "explain").permutation(len(groups))[: spec.groups])
    return groups.take(rows)
