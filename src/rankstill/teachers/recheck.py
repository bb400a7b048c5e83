"""Does the teacher say the same when it is asked again? A sample of scored pairs is scored a second time.

A model on a processor does; one on a GPU, one behind a network, or one with dropout left on may not.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.files import COST, write_json
from rankstill.progress import bar, note, say
from rankstill.randomness import rng_for
from rankstill.records import Pairs, Scores32
from rankstill.teachers.teacher import Teacher, keep_in


@dataclass(frozen=True)
class Recheck:
    """How a second scoring differs from the first.

    Attributes:
        pairs: Scored a second time.
        differ: How many got another score.
        largest, mean: Of the absolute differences, over all pairs scored a second time.
        example: The pair that differs most, by its ids, with both scores; empty where none differs.
    """

    pairs: int
    differ: int
    largest: float
    mean: float
    example: str


def recheck(collection: Collection, scored: Pairs, teacher: Teacher, count: int, store: Path | None = None) -> Recheck:
    """Score a sample of pairs a second time.

    Args:
        collection: Whose pairs they are.
        scored: All scored pairs, in the order of their rows; the same table and teacher give the same sample.
        teacher: Who scored them.
        count: Pairs at most; of a teacher whose scores depend on the list, whole lists, one at least.
        store: Where the teacher keeps the vectors of texts. They are not used here: the texts are encoded anew.

    Raises:
        SpecError: `count` is below 1.
        DataError: The second time a score is not finite.
    """
    if count < 1:
        raise SpecError(f"recheck {count} is not a number of pairs", hint="give how many to score a second time")
    rows = _sample(scored, teacher, count)
    query, doc, first = scored.query[rows], scored.doc[rows], scored.score[rows]
    again = np.empty(len(rows), np.float32)
    with tempfile.TemporaryDirectory(prefix="rankstill-") as empty, bar("scoring again", len(rows), "pairs") as shown:
        if store is not None:
            keep_in(teacher, Path(empty))
        try:
            ready = teacher if teacher.by_text else teacher.prepared(collection, query, doc, Path(empty))
            for start in range(0, len(rows), ready.chunk):
                part = slice(start, start + ready.chunk)
                again[part] = ready.score(collection, query[part], doc[part], shown)
        finally:
            keep_in(teacher, store)
    return _compare(collection, Pairs(query, doc, first), again)


def _sample(scored: Pairs, teacher: Teacher, count: int) -> NDArray[np.int64]:
    """Choose rows of the table: pairs, or the lists of whole queries where a pair alone has no score."""
    rng = rng_for(0, "recheck", teacher.fingerprint)
    if teacher.by_text:
        return np.sort(rng.choice(len(scored), min(count, len(scored)), replace=False))
    queries, sizes = np.unique(scored.query, return_counts=True)
    order = rng.permutation(len(queries))
    few = max(int(np.searchsorted(np.cumsum(sizes[order]), count, side="right")), 1)
    return np.flatnonzero(np.isin(scored.query, queries[order[:few]]))


def _compare(collection: Collection, first: Pairs, again: Scores32) -> Recheck:
    def told(row: int) -> str:
        query, doc = collection.queries.id(int(first.query[row])), collection.documents.id(int(first.doc[row]))
        return f"query {query}, document {doc}: {first.score[row]:g}, then {again[row]:g}"

    if len(bad := np.flatnonzero(~np.isfinite(again))):
        raise DataError(
            f"scored a second time, {len(bad)} of {len(again)} pairs have a score that is not finite "
            f"(first: {told(bad[0])})",
            hint="the teacher is not deterministic, and breaks at times; use another, or --precision float32",
        )
    difference = np.abs(again.astype(np.float64) - first.score)
    differ = int(np.count_nonzero(difference))
    example = told(int(np.argmax(difference))) if differ else ""
    return Recheck(len(again), differ, float(difference.max()), float(difference.mean()), example)


def report(found: Recheck, out: Path, name: str) -> None:
    """Tell people on stderr, and programs in the stage's `cost.json`, what a second scoring found."""
    cost = json.loads((out / COST).read_text("utf-8"))
    write_json(out / COST, {**cost, "recheck": asdict(found)})
    if found.differ:
        note(
            f"the teacher {name} is not deterministic: of {found.pairs} pairs scored a second time {found.differ} got "
            f"another score, by {found.largest:.3g} at most and {found.mean:.3g} on average ({found.example})"
        )
    else:
        say(f"{found.pairs} pairs scored a second time by {name}: the same scores")
