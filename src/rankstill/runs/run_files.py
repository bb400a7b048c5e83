"""A run on disk: `run.parquet` for us, `run.trec` for everybody."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from rankstill.collection.store import Collection
from rankstill.files import whole_or_absent
from rankstill.records import Pairs

RUN = "run.parquet"


def write_run(folder: Path, run: Pairs, collection: Collection, tag: str) -> None:
    """Write a ranked run in both forms; each query's documents stand in rank order."""
    run.write(folder / RUN)
    tag = re.sub(r"\s+", "-", tag.strip()) or "rankstill"
    queries, docs = collection.queries.ids(run.query), collection.documents.ids(run.doc)
    with whole_or_absent(folder / "run.trec", "w") as file:
        for span in run.per_query().values():
            for rank, i in enumerate(range(span.start, span.stop), 1):
                file.write(f"{queries[i]} Q0 {docs[i]} {rank} {run.score[i]:.9g} {tag}\n")


def read_run(folder: Path) -> Pairs:
    """Read a run in its own order, which is its ranking."""
    return Pairs.read(folder / RUN)


def by_rank(run: Pairs) -> Pairs:
    """Replace the scores by falling ones, so that every tool sees the run's own order, ties included."""
    score = np.empty(len(run), np.float32)
    for span in run.per_query().values():
        score[span] = np.arange(span.stop - span.start, 0, -1)
    return Pairs(run.query, run.doc, score)
