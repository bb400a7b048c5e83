"""The stage `group`: turn candidates, teacher scores and judgements into training examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.files import read_manifest, run_stage
from rankstill.progress import note
from rankstill.randomness import rng_for
from rankstill.records import Groups, Pairs, Rows
from rankstill.teachers import lookup

GROUPS = "groups.parquet"


@dataclass(frozen=True)
class GroupSpec:
    """What determines the groups, besides candidates and scores.

    Attributes:
        size: Documents per group, k: the positive and k-1 others.
        seed: Chooses the positive of a query that has several, and k-1 of more candidates.
        split: The judged split that tells the positives; "" where there are no judgements.
        on_short: What to do with a query that has fewer than k-1 candidates: refuse, or drop the query.
    """

    size: int = 16
    seed: int = 1
    split: str = "train"
    on_short: Literal["refuse", "drop"] = "refuse"

    def __post_init__(self) -> None:
        if self.size < 2:
            raise SpecError(f"a group has two documents at least, not {self.size}")


def build_groups(collection: Path, candidates: Path, scores: Path, out: Path, spec: GroupSpec) -> Path:
    """Build one group per query.

    Args:
        collection: The collection's folder.
        candidates: A folder of the stage `sample`.
        scores: A folder of the stage `score` that holds every candidate's and every positive's teacher score.
        out: The folder to write (`groups.parquet`).
        spec: What to build.

    Raises:
        DataError: Queries have fewer candidates than a group needs, or the teacher gives a constant.
        MissingScores: A candidate or a positive has no score.
    """

    def build(work: Path) -> Mapping[str, Any]:
        opened = Collection(collection)
        drawn = Pairs.read(candidates / "candidates.parquet")
        scored = Pairs.read(scores / "scores.parquet")
        positives = opened.qrels(spec.split).positives(opened.relevant_from) if spec.split else {}
        groups, counts = _assemble(opened, drawn, scored, positives, spec)
        groups.write(work / GROUPS)
        sampled, paid = read_manifest(candidates), read_manifest(scores)
        return {
            **counts,
            "strategy": sampled["spec"]["strategy"],
            "teacher": paid["counts"]["teacher"],
            "teacher_fingerprint": paid["spec"]["teacher"],
        }

    inputs = {"collection": collection, "candidates": candidates, "scores": scores}
    return run_stage(out, stage="group", spec=spec, inputs=inputs, build=build)


def _assemble(
    collection: Collection, drawn: Pairs, scored: Pairs, positives: Mapping[int, Rows], spec: GroupSpec
) -> tuple[Groups, dict[str, int]]:
    members: list[Rows] = []
    queries: list[int] = []
    short: list[tuple[int, int]] = []
    stand_ins = 0
    for query, span in drawn.per_query().items():
        rng = rng_for(spec.seed, "groups", collection.queries.id(query))
        docs = drawn.doc[span]
        known = positives.get(query)
        if known is None:
            positive, docs = _teachers_best(collection, scored, query, docs)
            stand_ins += 1
        else:
            positive = int(rng.choice(known))
        if len(docs) < spec.size - 1:
            short.append((query, len(docs)))
            continue
        if len(docs) > spec.size - 1:
            docs = docs[np.sort(rng.choice(len(docs), spec.size - 1, replace=False))]
        members.append(np.concatenate([np.array([positive], np.uint32), docs]))
        queries.append(query)
    _short_queries(collection, short, len(queries) + len(short), spec)
    return _with_scores(collection, scored, queries, members, spec.size), {
        "groups": len(queries),
        "dropped_short": len(short),
        "stand_ins": stand_ins,
    }


def _teachers_best(collection: Collection, scored: Pairs, query: int, docs: Rows) -> tuple[int, Rows]:
    """Let the teacher's best candidate stand in for the positive that nobody judged; ties by document row."""
    scores = lookup(collection, scored, np.full(len(docs), query, np.uint32), docs)
    best = int(np.lexsort((docs, -scores))[0])
    return int(docs[best]), np.delete(docs, best)


def _short_queries(collection: Collection, short: list[tuple[int, int]], total: int, spec: GroupSpec) -> None:
    if not short:
        return
    query, count = short[0]
    what = (
        f"{len(short)} of {total} queries have fewer than the {spec.size - 1} candidates that a group of {spec.size} "
        f"needs (first: {collection.queries.id(query)} with {count})"
    )
    if spec.on_short == "refuse" or len(short) == total:
        raise DataError(what, hint="raise --depth, lower --size, or drop those queries: --on-short drop")
    note(f"{what}; dropped")


def _with_scores(collection: Collection, scored: Pairs, queries: list[int], members: list[Rows], size: int) -> Groups:
    query, doc = np.array(queries, np.uint32), np.stack(members)
    score = lookup(collection, scored, np.repeat(query, size), doc.reshape(-1)).reshape(doc.shape)
    constant = np.flatnonzero(np.ptp(score, axis=1) == 0)
    if len(constant) == len(score):
        raise DataError(
            f"the teacher gives every document of a group the same score, in all {len(score)} groups "
            f"(first: {collection.queries.id(int(query[0]))}, {score[0, 0]:g})",
            hint="a constant teacher has nothing to teach; check the model and its input",
        )
    label = np.zeros(doc.shape, np.float32)
    label[:, 0] = 1
    return Groups(query, doc, score, label)
