"""The stage `measure`: how good the runs of one test are, per query, with intervals, next to the first stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rankstill.collection.store import Collection
from rankstill.files import run_stage, write_json
from rankstill.measures.effectiveness import DEFAULT_MEASURES, per_query
from rankstill.measures.intervals import difference_interval, mean_interval
from rankstill.records import Qrels, write_parquet
from rankstill.runs.run_files import by_rank, read_run

PER_QUERY = "per_query.parquet"
RESULTS = "results.json"


@dataclass(frozen=True)
class MeasureSpec:
    """What determines the figures of one test, besides its runs.

    Attributes:
        split: The judged split.
        baseline: The run that differences are taken against; no difference is taken where it is not among the runs.
        measures: Names in ir_measures' notation.
        seed: Of the bootstrap.
        level: Coverage of the intervals.
    """

    split: str = "test"
    baseline: str = "BM25"
    measures: tuple[str, ...] = DEFAULT_MEASURES
    seed: int = 1
    level: float = 0.95


def measure(collection: Path, runs: Mapping[str, Path], out: Path, spec: MeasureSpec) -> Path:
    """Measure runs against the judgements of a split.

    Args:
        collection: The test collection's folder.
        runs: Folders with a run, by the name of the system.
        out: The folder to write: `per_query.parquet` (system, query id, measure, value) and `results.json` (a list of
            system, measure, mean, low, high, n and the paired difference from the baseline with its interval).
        spec: What to measure.

    Raises:
        SpecError: The split or a measure is unknown.
        DataError: A run holds none of the judged queries.
    """

    def build(work: Path) -> Mapping[str, Any]:
        opened = Collection(collection)
        qrels = opened.qrels(spec.split)
        values = {name: measure_run(path, qrels, spec.measures, opened.relevant_from) for name, path in runs.items()}
        _write_per_query(work / PER_QUERY, opened, values)
        write_json(work / RESULTS, _results(values, spec))
        return {"queries": len(qrels.queries()), "systems": list(runs)}

    inputs = {"collection": collection, **{f"run {name}": path for name, path in runs.items()}}
    return run_stage(out, stage="measure", spec=spec, inputs=inputs, build=build)


Values = dict[str, dict[int, float]]


def measure_run(run: Path, qrels: Qrels, measures: tuple[str, ...], relevant_from: int) -> Values:
    """Measure one run in its own order: for each measure, each judged query's value."""
    return per_query(by_rank(read_run(run)), qrels, measures, relevant_from)


def _write_per_query(path: Path, collection: Collection, values: Mapping[str, Values]) -> None:
    rows = [(s, q, m, v) for s, found in values.items() for m, by_query in found.items() for q, v in by_query.items()]
    system, query, name, value = zip(*rows, strict=True)
    columns = {
        "system": pa.array(system).dictionary_encode(),
        "query": pa.array(collection.queries.ids(list(query))),
        "measure": pa.array(name).dictionary_encode(),
        "value": np.array(value, np.float64),
    }
    write_parquet(path, columns)


def _results(values: Mapping[str, Values], spec: MeasureSpec) -> list[dict[str, Any]]:
    rows = []
    for system, found in values.items():
        for name, by_query in found.items():
            own = np.array(list(by_query.values()))
            mean = mean_interval(own, seed=spec.seed, level=spec.level)
            row = {
                "system": system,
                "measure": name,
                "mean": mean.mean,
                "low": mean.low,
                "high": mean.high,
                "n": mean.n,
            }
            if system != spec.baseline and spec.baseline in values:
                base = np.array(list(values[spec.baseline][name].values()))
                gap = difference_interval(own, base, seed=spec.seed, level=spec.level)
                row |= {"difference": gap.mean, "difference_low": gap.low, "difference_high": gap.high}
            rows.append(row)
    return rows
