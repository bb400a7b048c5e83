"""The summary of a distillation: everything that the tables and the report show, as plain JSON (docs/formats.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.files import hardware, path_fingerprint, read_manifest, to_json, versions
from rankstill.measures.describe import DESCRIPTION
from rankstill.records import Pairs, Rows, row_keys
from rankstill.studies.evaluate import TEACHER, Choice, Evaluation, describe_test, mixed_name
from rankstill.studies.sentences import verdict
from rankstill.studies.steps import Negatives, Test, Training
from rankstill.teachers import Teacher
from rankstill.teachers.scoring import SCORES

_CURVE_POINTS = 120


@dataclass(frozen=True)
class Trained:
    """A student and what made it."""

    name: str
    model: Path
    strategy: str
    loss: str
    architecture: str
    choice: Choice | None = None


@dataclass(frozen=True)
class Described:
    """A strategy's groups and their description."""

    negatives: Negatives
    description: Path


def summarise(
    *,
    title: str,
    subtitle: str,
    command: str,
    settings: Mapping[str, Any],
    training: Training,
    teacher: Teacher,
    described: Sequence[Described],
    trained: Sequence[Trained],
    tests: Sequence[Test],
    results: Sequence[Mapping[str, Any]],
    how: Evaluation,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Put the summary together from the folders of finished stages."""
    opened = training.open()
    paid = _paid(opened, described)
    summary = {
        "title": title,
        "subtitle": subtitle,
        "command": command,
        "notes": list(notes),
        "collection": {
            "name": opened.manifest["spec"]["name"],
            "documents": len(opened.documents),
            "queries": len(opened.queries),
            "training_queries": len(training.split.train),
            "facts": {"dev": training.split.note, **opened.manifest["spec"].get("facts", {})},
        },
        "teacher": {"name": teacher.name, "kind": teacher.kind, "fingerprint": teacher.fingerprint},
        "settings": to_json(settings),
        "tests": [describe_test(test) for test in tests],
        "systems": _systems(trained, results, how.first),
        "measures": list(how.measures),
        "headline": how.headline,
        "results": [dict(row) for row in results],
        "strategies": [_strategy(d, p) for d, p in zip(described, paid, strict=True)],
        "curves": [_curve(student) for student in trained],
        "examples": [
            {"strategy": d.negatives.strategy, **_read(d.description / DESCRIPTION)["example"]} for d in described
        ],
        "cost": _cost(paid, trained),
        "provenance": {
            "hardware": hardware(),
            "seed": how.seed,
            "versions": versions(),
            "fingerprints": {
                "collection": path_fingerprint(training.path),
                **{f"groups {d.negatives.strategy}": path_fingerprint(d.negatives.groups) for d in described},
                **{f"student {s.name}": path_fingerprint(s.model) for s in trained},
            },
        },
    }
    return {**summary, "verdict": verdict(summary)}


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _systems(trained: Sequence[Trained], results: Sequence[Mapping[str, Any]], first: str) -> list[dict[str, Any]]:
    systems: list[dict[str, Any]] = [{"name": first, "kind": "first stage"}]
    if any(row["system"] == TEACHER for row in results):
        systems.append({"name": TEACHER, "kind": "teacher"})
    for student in trained:
        made = {"strategy": student.strategy, "loss": student.loss, "architecture": student.architecture}
        parameters = read_manifest(student.model)["counts"]["parameters"]
        choice = student.choice
        dev = {"dev": choice.alone if choice is not None else None}
        systems.append({"name": student.name, "kind": "student", "parameters": parameters, **dev, **made})
        if choice is not None:
            mixed = {
                "name": mixed_name(student.name, first),
                "kind": "interpolated",
                "of": student.name,
                "weight": choice.weight,
                "dev": choice.mixed,
            }
            systems.append({**mixed, "parameters": parameters, **made})
    return systems


@dataclass(frozen=True)
class _Paid:
    """Pairs of a strategy: asked for, and scored, which is each pair of texts once for all strategies."""

    asked: int
    scored: int


def _paid(collection: Collection, described: Sequence[Described]) -> list[_Paid]:
    """Count what the teacher scored for each strategy.

    From the scores themselves and not from `cost.json`, which also says what an older run had left in the store.
    """
    found, known = [], np.empty(0, np.uint64)
    number = _Texts(collection)
    for d in described:
        folders = d.negatives.paid()
        pairs = Pairs.concatenate([Pairs.read(folder / SCORES) for folder in folders])
        query, doc = number.queries(pairs.query), number.documents(d.negatives.extended, pairs.doc)
        everything = np.union1d(known, row_keys(query, doc))
        asked = sum(read_manifest(folder)["counts"]["asked"] for folder in folders)
        found.append(_Paid(asked, len(everything) - len(known)))
        known = everything
    return found


class _Texts:
    """Numbers for the texts of a collection and of what extends it, each text once."""

    def __init__(self, collection: Collection) -> None:
        self._own = collection
        self._edited: dict[bytes, int] = {}

    def queries(self, rows: Rows) -> NDArray[np.int64]:
        return self._own.queries.same_text[rows]

    def documents(self, extended: Path | None, rows: Rows) -> NDArray[np.int64]:
        own = len(self._own.documents)
        numbers = self._own.documents.same_text[np.minimum(rows, own - 1)]
        behind = np.flatnonzero(rows >= own)
        if len(behind) and extended is not None:
            distinct, which = np.unique(rows[behind], return_inverse=True)
            keys = Collection(extended).documents.keys[distinct].tolist()
            numbers[behind] = np.array([self._edited.setdefault(key, own + len(self._edited)) for key in keys])[which]
        return numbers


def _strategy(described: Described, paid: _Paid) -> dict[str, Any]:
    found = _read(described.description / DESCRIPTION)
    robust = found.pop("robust_diameter", None)
    found.pop("example")
    return {
        "name": described.negatives.strategy,
        **found,
        **({"robust_diameter": robust["value"]} if robust else {}),
        "pairs_asked": paid.asked,
        "pairs_scored": paid.scored,
    }


def _curve(student: Trained) -> dict[str, Any]:
    """Thin a training curve to what a picture can show: means over equal stretches of steps."""
    table = pq.read_table(student.model / "training.parquet").to_pydict()
    stretches = np.array_split(np.arange(len(table["step"])), min(_CURVE_POINTS, len(table["step"])))

    def thinned(name: str) -> list[float]:
        values = np.array(table[name], np.float64)
        return [round(float(values[s].mean()), 6) for s in stretches]

    return {
        "system": student.name,
        "steps": [int(table["step"][s[-1]]) for s in stretches],
        "loss": thinned("loss"),
        "excess": thinned("excess"),
    }


def _cost(paid: Sequence[_Paid], trained: Sequence[Trained]) -> dict[str, Any]:
    """Count what was paid, in units that do not depend on the machine's mood; seconds stand in each cost.json."""
    return {
        "pairs_asked": sum(p.asked for p in paid),
        "pairs_scored": sum(p.scored for p in paid),
        "documents_seen": sum(read_manifest(s.model)["counts"]["documents_seen"] for s in trained),
        "students": len(trained),
    }
