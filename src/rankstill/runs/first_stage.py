"""The stage `first-stage`: the lists that a ranker reranks, and the baseline that it has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rankstill.candidates import bm25
from rankstill.candidates.analyser import Analyser
from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import fingerprint, run_stage
from rankstill.records import Pairs, Rows
from rankstill.runs.run_files import write_run

GIVEN = "given list"
"""The origin of lists that came with a collection, in an order of their own."""


@dataclass(frozen=True)
class FirstStageSpec:
    """What determines a first stage, besides the collection and the queries.

    Attributes:
        depth: Documents per query at most.
        k1, b: BM25's parameters.
    """

    depth: int = 100
    k1: float = bm25.K1
    b: float = bm25.B
    analyser: str = Analyser.description


def first_stage(collection: Path, queries: Rows, out: Path, spec: FirstStageSpec) -> Path:
    """Rank the queries' first lists: those that came with the collection, or BM25 over all its documents.

    Lists with scores keep their own order. Lists without scores (a pool, in no order) are ordered by BM25.

    Args:
        collection: The collection's folder.
        queries: Rows to rank.
        out: The folder to write (`run.parquet`, `run.trec`).
        spec: How.
    """

    def build(work: Path) -> Mapping[str, Any]:
        opened = Collection(collection)
        lists = opened.lists()
        if lists is None:
            run, origin = bm25.retrieve(opened, queries, spec.depth), "BM25"
        else:
            run, origin = _given(opened, lists, queries, spec.depth)
        if not len(run):
            raise DataError(
                "the first stage found no document for any query", hint="check the queries and the documents"
            )
        write_run(work, run, opened, origin)
        without = np.setdiff1d(queries, run.query)
        return {"queries": len(queries), "pairs": len(run), "queries_without": len(without), "origin": origin}

    inputs: dict[str, Path | str] = {"collection": collection, "queries": fingerprint(queries.tolist())}
    return run_stage(out, stage="first-stage", spec=spec, inputs=inputs, build=build)


def _given(collection: Collection, lists: Pairs, queries: Rows, depth: int) -> tuple[Pairs, str]:
    keep = np.isin(lists.query, queries)
    lists = Pairs(lists.query[keep], lists.doc[keep], lists.score[keep])
    origin = GIVEN
    if np.isnan(lists.score).any():
        lists, origin = bm25.rescore(collection, lists), "given list, ordered by BM25"
    spans = [slice(s.start, min(s.stop, s.start + depth)) for s in lists.per_query().values()]
    return Pairs.concatenate([Pairs(lists.query[s], lists.doc[s], lists.score[s]) for s in spans]), origin
