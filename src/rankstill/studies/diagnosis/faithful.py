"""How faithful a student is to its teacher at one place: seen groups, held-out groups, the lists of a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.files import Json, to_json
from rankstill.measures.entropy import pairwise_entropy
from rankstill.measures.fidelity import LOG2, agreement, group_excess, inversions, listwise_excess
from rankstill.measures.intervals import mean_interval
from rankstill.records import Pairs
from rankstill.runs.run_files import read_run

Matrix = NDArray[np.float64]

SHORTEST = 2
"""Documents of a list that a pair needs."""


def faithful(where: str, kind: str, teacher: list[Matrix], student: list[Matrix], *, seed: int) -> Json:
    """Compare teacher and student at one place.

    Args:
        where: Its name.
        kind: "seen", "held out" or "lists".
        teacher: Scores over the teacher's temperature, one (n, k) matrix for each size k of groups.
        student: Scores over the student's temperature, likewise.
        seed: Of the bootstrap.

    Returns:
        `where`, `kind`, `groups`; intervals over groups of the `excess` (pairwise, nats), `listwise_excess`, the
        teacher's `entropy` (normalised), `tau`, `first`, `top`; `inversions` by confidence; `per_group`, the excess
        and tau of each.
    """
    both = list(zip(teacher, student, strict=True))
    excess = np.concatenate([group_excess(t, s) for t, s in both])
    agreed = [agreement(t, s) for t, s in both]
    tau = np.concatenate([a.tau for a in agreed])
    columns = {
        "excess": excess,
        "listwise_excess": np.concatenate([listwise_excess(t, s) for t, s in both]),
        "entropy": np.concatenate([pairwise_entropy(t) for t in teacher]) / LOG2,
        "tau": tau[np.isfinite(tau)],
        "first": np.concatenate([a.first for a in agreed]),
        "top": np.concatenate([a.top for a in agreed]),
    }
    intervals = {name: to_json(mean_interval(values, seed=seed)) for name, values in columns.items() if len(values)}
    return {
        "where": where,
        "kind": kind,
        "groups": len(excess),
        "depth": agreed[0].depth,
        **intervals,
        "inversions": _inversions(both, len(excess)),
        "per_group": {"excess": _round(excess), "tau": _round(tau)},
    }


def _inversions(both: list[tuple[Matrix, Matrix]], groups: int) -> list[Json]:
    """Join the inversions of matrices of different widths: means over groups."""
    each = [(len(t) / groups, inversions(t, s)) for t, s in both]
    joined = []
    for i, first in enumerate(each[0][1]):
        share, bound = (sum(w * getattr(found[i], name) for w, found in each) for name in ("share", "bound"))
        joined.append({"sure": first.sure, "share": share, "bound": bound})
    return joined


def _round(values: NDArray[np.float64]) -> list[float | None]:
    return [round(float(v), 5) if np.isfinite(v) else None for v in values]


def by_size(teacher: Pairs, student: Pairs) -> tuple[list[Matrix], list[Matrix]]:
    """Arrange both sides' scores of the same pairs as matrices, one for each length of list, longest first.

    Lists of a single document are left out. The student may hold the pairs in another order.
    """
    known = dict(zip(student.key().tolist(), student.score.astype(np.float64).tolist(), strict=True))
    rows: dict[int, list[tuple[Any, Any]]] = {}
    for t, s in _lists(teacher, known):
        if len(t) >= SHORTEST:
            rows.setdefault(len(t), []).append((t, s))
    sides = [[np.array([pair[side] for pair in rows[k]]) for k in sorted(rows, reverse=True)] for side in (0, 1)]
    return sides[0], sides[1]


def _lists(teacher: Pairs, known: dict[int, float]) -> Iterator[tuple[NDArray[np.float64], list[float]]]:
    keys = teacher.key()
    for span in teacher.per_query().values():
        yield teacher.score[span].astype(np.float64), [known[int(key)] for key in keys[span]]


def read_lists(scores: Path, run: Path) -> tuple[Pairs, Pairs]:
    """Read a test's lists as the teacher scored them (stage `score`) and as the student ranked them."""
    return Pairs.read(scores / "scores.parquet"), read_run(run)
