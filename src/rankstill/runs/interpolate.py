"""Interpolation of a ranker with its first stage: w · ranker + (1 - w) · first stage, on scores of equal scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import run_stage
from rankstill.records import Pairs
from rankstill.runs.run_files import read_run, write_run

WEIGHTS = tuple(round(w / 20, 2) for w in range(21))
"""The weights tried on dev: 0 (the first stage alone) to 1 (the ranker alone)."""


def standardise(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Shift and scale one query's scores to mean 0 and standard deviation 1; equal scores become 0."""
    values = scores.astype(np.float64)
    deviation = values.std()
    return (values - values.mean()) / deviation if deviation > 0 else np.zeros(len(values))


def interpolate(ranker: Pairs, first: Pairs, weight: float) -> Pairs:
    """Mix two runs over the same lists and rank by the result.

    Args:
        ranker: The ranker's run.
        first: The first stage's run, of the same queries and documents.
        weight: The ranker's share, 0 to 1.

    Raises:
        DataError: The two do not hold the same pairs.
    """
    order, other = np.argsort(ranker.key(), kind="stable"), np.argsort(first.key(), kind="stable")
    if not np.array_equal(ranker.key()[order], first.key()[other]):
        raise DataError(
            "cannot interpolate runs over different lists", hint="rerank the lists of this very first stage"
        )
    query, doc = ranker.query[order], ranker.doc[order]
    mixed = np.empty(len(query), np.float64)
    for span in Pairs(query, doc, ranker.score[order]).per_query().values():
        mixed[span] = weight * standardise(ranker.score[order][span])
        mixed[span] += (1 - weight) * standardise(first.score[other][span])
    return Pairs(query, doc, mixed.astype(np.float32)).ranked()


def choose_weight(ranker: Pairs, first: Pairs, quality: Callable[[Pairs], float]) -> tuple[float, dict[float, float]]:
    """Choose the weight of highest quality on dev; of equal ones the largest, which trusts the ranker most.

    Args:
        ranker: The ranker's run of the dev queries.
        first: The first stage's run of them.
        quality: Maps a run to the mean of the measure that chooses.

    Returns:
        The weight, and every weight's quality.
    """
    found = {weight: quality(interpolate(ranker, first, weight)) for weight in WEIGHTS}
    best = max(found.values())
    return max(w for w, q in found.items() if q == best), found


@dataclass(frozen=True)
class InterpolateSpec:
    """What determines an interpolated run: the ranker's share, and the run's name in TREC form."""

    weight: float
    tag: str = "interpolated"


def interpolate_runs(collection: Path, ranker: Path, first: Path, out: Path, spec: InterpolateSpec) -> Path:
    """Write the interpolation of two runs as a run (`run.parquet`, `run.trec`)."""

    def build(work: Path) -> Mapping[str, Any]:
        run = interpolate(read_run(ranker), read_run(first), spec.weight)
        write_run(work, run, Collection(collection), spec.tag)
        return {"pairs": len(run)}

    inputs = {"collection": collection, "ranker": ranker, "first": first}
    return run_stage(out, stage="interpolate", spec=spec, inputs=inputs, build=build)
