"""The stage `rank`: a model orders the documents of given lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import run_stage
from rankstill.progress import note
from rankstill.records import Pairs
from rankstill.runs.run_files import read_run, write_run
from rankstill.teachers import open_teacher


@dataclass(frozen=True)
class RankSpec:
    """What determines a run, besides the model and the lists.

    Attributes:
        tag: The run's name, its last column in TREC form.
        precision: Of the model's body.
    """

    tag: str = "student"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


def rank(collection: Path, lists: Path, model: Path, out: Path, spec: RankSpec) -> Path:
    """Rerank lists with a model.

    Args:
        collection: The collection's folder.
        lists: A folder with a run (stage `first-stage` or `rank`), whose documents are reranked.
        model: A model's folder, ours or any that sentence-transformers loads.
        out: The folder to write (`run.parquet`, `run.trec`).
        spec: How.

    Raises:
        DataError: The model's scores are not finite.
    """

    def build(work: Path) -> Mapping[str, Any]:
        opened, pairs = Collection(collection), read_run(lists)
        scores = open_teacher(str(model), precision=spec.precision).score(opened, pairs.query, pairs.doc)
        run = ranked_by(opened, pairs, scores)
        write_run(work, run, opened, spec.tag)
        return {"pairs": len(run), "queries": len(run.per_query())}

    return run_stage(
        out, stage="rank", spec=spec, inputs={"collection": collection, "lists": lists, "model": model}, build=build
    )


def ranked_by(collection: Collection, pairs: Pairs, scores: np.ndarray[Any, np.dtype[np.float32]]) -> Pairs:
    """Order lists by a model's scores; refuse what is not a score, and say when the model tells nothing apart."""
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        query, doc = int(pairs.query[bad[0]]), int(pairs.doc[bad[0]])
        raise DataError(
            f"the model gives {len(bad)} of {len(scores)} pairs a score that is not finite (first: query "
            f"{collection.queries.id(query)}, document {collection.documents.id(doc)})",
            hint="the model is broken: train again with a lower learning rate, or in float32",
        )
    if len(scores) > 1 and np.ptp(scores) < 1e-6:
        note("the model gives every pair the same score; it has collapsed to a constant")
    return Pairs(pairs.query, pairs.doc, np.asarray(scores, np.float32)).ranked()


def teacher_run(collection: Path, scores: Path, out: Path, tag: str = "teacher") -> Path:
    """Turn scored pairs (stage `score`) into a run, so that the teacher stands in every table."""

    def build(work: Path) -> Mapping[str, Any]:
        opened, pairs = Collection(collection), Pairs.read(scores / "scores.parquet")
        run = ranked_by(opened, pairs, pairs.score)
        write_run(work, run, opened, tag)
        return {"pairs": len(run), "queries": len(run.per_query())}

    inputs = {"collection": collection, "scores": scores}
    return run_stage(out, stage="rank", spec=RankSpec(tag=tag), inputs=inputs, build=build)
