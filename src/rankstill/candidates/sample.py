"""The stage `sample`: draw each training query's candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rankstill.candidates import STRATEGIES
from rankstill.candidates.strategy import Request
from rankstill.collection.store import Collection
from rankstill.errors import DataError, unknown_name
from rankstill.files import fingerprint, run_stage
from rankstill.progress import note
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
        on_short: What to do with a query that gets no candidate at all: refuse, or drop the query.
    """

    strategy: str
    negatives: int = 15
    depth: int = 100
    seed: int = 1
    split: str = "train"
    on_short: Literal["refuse", "drop"] = "refuse"


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
        DataError: A query got no candidate at all, and such queries are not to be dropped.
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
        dropped = _without_candidate(opened, queries, drawn, spec)
        drawn.write(work / CANDIDATES)
        return {"queries": len(queries), "candidates": len(drawn), "dropped": dropped}

    return run_stage(out, stage="sample", spec=spec, inputs=inputs, build=build)


def _without_candidate(collection: Collection, queries: Rows, drawn: Pairs, spec: SampleSpec) -> int:
    """Refuse queries without any candidate, or count them."""
    without = np.setdiff1d(queries, drawn.query)
    if not len(without):
        return 0
    row = int(without[0])
    what = (
        f"{len(without)} of {len(queries)} queries have no candidate "
        f"(first: {collection.queries.id(row)}: {collection.queries[row][:80]!r})"
    )
    if spec.on_short == "refuse" or len(without) == len(queries):
        raise DataError(what, hint="use --strategy random, or drop those queries: --on-short drop")
    note(f"{what}; dropped")
    return len(without)
