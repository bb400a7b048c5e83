"""The stage `sample`: draw each training query's candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rankstill.candidates import STRATEGIES
from rankstill.candidates.strategy import Request
from rankstill.collection.store import Collection
from rankstill.errors import DataError, unknown_name
from rankstill.files import fingerprint, run_stage
from rankstill.records import Pairs, Rows

CANDIDATES = "candidates.parquet"


@dataclass(frozen=True)
class SampleSpec:
    """What determines a draw, besides the collection.

    Attributes:
        strategy: A name in `STRATEGIES`.
        negatives: Documents drawn per query.
        depth: How deep a ranked strategy looks.
        seed: The study's seed.
        split: The judged split that tells the positives; "" for a collection without judgements.
    """

    strategy: str
    negatives: int = 15
    depth: int = 100
    seed: int = 1
    split: str = "train"


def sample(collection: Path, out: Path, spec: SampleSpec, *, queries: Rows, wider: Path | None = None) -> Path:
    """Draw candidates for the given queries.

    Args:
        collection: A loaded collection's folder.
        out: The folder to write (`candidates.parquet`).
        spec: What to draw.
        queries: The rows to draw for.
        wider: For the strategy `teacher`: a folder of scores (stage `score`) of a wider list.

    Raises:
        SpecError: There is no such strategy.
        DataError: A query got no candidate at all.
    """
    if spec.strategy not in STRATEGIES:
        raise unknown_name("strategy", spec.strategy, STRATEGIES)
    inputs: dict[str, Path | str] = {"collection": collection, "queries": fingerprint(queries.tolist())}
    if wider is not None:
        inputs["wider"] = wider

    def build(work: Path) -> Mapping[str, Any]:
        opened = Collection(collection)
        request = Request(
            collection=opened,
            queries=queries,
            positives=opened.qrels(spec.split).positives(opened.relevant_from) if spec.split else {},
            negatives=spec.negatives,
            depth=max(spec.depth, spec.negatives),
            seed=spec.seed,
            wider=Pairs.read(wider / "scores.parquet") if wider is not None else None,
        )
        drawn = STRATEGIES[spec.strategy](request)
        _refuse_empty(opened, queries, drawn)
        drawn.write(work / CANDIDATES)
        return {"queries": len(queries), "candidates": len(drawn)}

    return run_stage(out, stage="sample", spec=spec, inputs=inputs, build=build)


def _refuse_empty(collection: Collection, queries: Rows, drawn: Pairs) -> None:
    without = np.setdiff1d(queries, drawn.query)
    if len(without):
        row = int(without[0])
        raise DataError(
            f"{len(without)} of {len(queries)} queries have no candidate "
            f"(first: {collection.queries.id(row)}: {collection.queries[row][:80]!r})",
            hint="use --strategy random for them, or leave them out",
        )
