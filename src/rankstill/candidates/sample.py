"""The stage `sample`: draw each training query's candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rankstill.candidates import open_strategy
from rankstill.candidates.strategy import Request, Vectors
from rankstill.collection.extend import EDITED
from rankstill.collection.store import Collection, write_texts
from rankstill.errors import DataError
from rankstill.files import fingerprint, path_fingerprint, run_stage
from rankstill.progress import note
from rankstill.records import Candidates, Pairs, Rows

CANDIDATES = "candidates.parquet"


@dataclass(frozen=True)
class SampleSpec:
    """What determines a draw, besides the collection.

    Attributes:
        strategy: A name in `STRATEGIES`, with options; see `open_strategy`.
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


@dataclass(frozen=True)
class Given:
    """What was made for a strategy beforehand, as folders; see `Needs`.

    Attributes:
        wider: Scores (stage `score`) of the wider list.
        queries, documents: Vectors (stage `encode`).
    """

    wider: Path | None = None
    queries: Path | None = None
    documents: Path | None = None


def sample(collection: Path, out: Path, spec: SampleSpec, *, queries: Rows, given: Given | None = None) -> Path:
    """Draw candidates for the given queries.

    Args:
        collection: A loaded collection's folder.
        out: The folder to write (`candidates.parquet`; where the strategy edits texts, also `edited.arrow`).
        spec: What to draw.
        queries: The rows to draw for.
        given: What the strategy needs.

    Raises:
        SpecError: There is no such strategy, or it has no such option.
        DataError: The strategy lacks what it needs; or a query got no candidate at all, and such queries are not to be
            dropped.
    """
    strategy, given = open_strategy(spec.strategy), given or Given()
    inputs: dict[str, Path | str] = {"collection": collection, "queries": fingerprint(queries.tolist())}
    inputs |= {name: path for name, path in vars(given).items() if path is not None}
    inputs |= {f"file {number}": path_fingerprint(path) for number, path in enumerate(strategy.files())}

    def build(work: Path) -> Mapping[str, Any]:
        opened = Collection(collection)
        request = Request(
            collection=opened,
            queries=queries,
            positives=opened.qrels(spec.split).positives(opened.relevant_from) if spec.split else {},
            negatives=spec.negatives,
            depth=max(spec.depth, spec.negatives),
            seed=spec.seed,
            wider=Pairs.read(given.wider / "scores.parquet") if given.wider is not None else None,
            query_vectors=Vectors.open(given.queries) if given.queries is not None else None,
            document_vectors=Vectors.open(given.documents) if given.documents is not None else None,
        )
        drawn = strategy.sample(request)
        dropped = _without_candidate(opened, queries, drawn, spec)
        drawn.write(work / CANDIDATES)
        counts = {"queries": len(queries), "candidates": len(drawn), "dropped": dropped, **_sources(drawn)}
        if drawn.edited:
            counts["edited"] = write_texts(work / EDITED, drawn.edited, "edited texts")
        return counts

    return run_stage(out, stage="sample", spec=spec, inputs=inputs, build=build)


def _sources(drawn: Candidates) -> dict[str, Any]:
    """Count how many candidates each part of a compound strategy gave."""
    if not drawn.sources:
        return {}
    counts = np.bincount(drawn.source, minlength=len(drawn.sources))
    return {"sources": dict(zip(drawn.sources, counts.tolist(), strict=True))}


def _without_candidate(collection: Collection, queries: Rows, drawn: Candidates, spec: SampleSpec) -> int:
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
