"""The stage `group`: turn candidates, teacher scores and judgements into training examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates import open_strategy
from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.files import Json, read_manifest, run_stage, to_json
from rankstill.groups.filters.apply import Parts, filter_candidates
from rankstill.groups.filters.dropped import DROPPED
from rankstill.groups.filters.rules import FilterSpec
from rankstill.progress import note
from rankstill.randomness import rng_for
from rankstill.records import UNDRAWN, Candidates, Groups, Pairs, Rows, row_keys
from rankstill.teachers import Teacher, lookup

GROUPS = "groups.parquet"


@dataclass(frozen=True)
class GroupSpec:
    """What determines the groups, besides candidates and scores.

    Attributes:
        size: Documents per group, k: the positive and k-1 others.
        seed: Chooses the positive of a query that has several, and k-1 of more candidates.
        split: The judged split that tells the positives; "" where there are no judgements.
        on_short: What to do with a query that has fewer than k-1 candidates (after the filters), or none that is a
            negative: refuse, or drop the query.
        filters: What is taken out of the candidates beforehand, as likely to be relevant; nothing unless said.
    """

    size: int = 16
    seed: int = 1
    split: str = "train"
    on_short: Literal["refuse", "drop"] = "refuse"
    filters: FilterSpec = field(default_factory=FilterSpec)

    def __post_init__(self) -> None:
        if self.size < 2:
            raise SpecError(f"a group has two documents at least, not {self.size}")

    def identity(self) -> Json:
        """Give the settings that determine the groups; filters that do nothing are none of them."""
        settings: Json = to_json(self)
        if not self.filters:
            del settings["filters"]
        return settings


def build_groups(
    collection: Path,
    candidates: Path,
    scores: Path,
    out: Path,
    spec: GroupSpec,
    *,
    judge: Teacher | None = None,
    store: Path | None = None,
) -> Path:
    """Build one group per query.

    Args:
        collection: The collection's folder.
        candidates: A folder of the stage `sample`.
        scores: A folder of the stage `score` that holds every candidate's and every positive's teacher score.
        out: The folder to write (`groups.parquet`; with filters also `dropped.parquet`).
        spec: What to build.
        judge: The teacher who is asked about suspicious candidates, where `spec.filters` says so.
        store: Where the judge's scores are kept by text.

    Raises:
        SpecError: The filters do not suit the candidates, or a judge is wanted and none was given.
        DataError: Queries have fewer candidates than a group needs, or the teacher gives a constant.
        MissingScores: A candidate or a positive has no score.
    """

    def build(work: Path) -> Mapping[str, Any]:
        opened = Collection(collection)
        sampled, paid = read_manifest(candidates), read_manifest(scores)
        candidate = Candidates.read(candidates / "candidates.parquet")
        drawn = candidate.pairs
        opened.refuse_foreign(drawn.query, drawn.doc)
        scored = Pairs.read(scores / "scores.parquet")
        positives = opened.qrels(spec.split).positives(opened.relevant_from) if spec.split else {}
        sources = list(sampled["counts"].get("sources", ()))
        ordered = _is_ordered(sampled["spec"]["strategy"])
        pool, filtered = _Pool(drawn, np.zeros(len(drawn), bool), list(drawn.per_query()), ordered), {}
        if spec.filters:
            found = filter_candidates(
                opened,
                drawn,
                scored,
                positives,
                spec.filters,
                judge=judge,
                folder=work,
                store=store,
                parts=Parts(candidate.source, sources) if sources else None,
            )
            found.dropped.write(work / DROPPED)
            left = [q for q in pool.queries if q not in set(found.without.tolist())]
            pool, filtered = _Pool(found.kept, found.relevant, left, ordered), {"filters": found.counts}
        groups, counts = _assemble(opened, pool, scored, positives, spec)
        groups = with_probabilities(groups, candidate, pool.drawn, ordered=ordered)
        shares = {}
        if sources:
            source = sources_of(groups, candidate)
            groups = replace(groups, source=source)
            shares = {"sources": {name: int((source == i).sum()) for i, name in enumerate(sources)}}
        groups.write(work / GROUPS)
        return {
            **counts,
            **shares,
            **filtered,
            "strategy": sampled["spec"]["strategy"],
            "teacher": paid["counts"]["teacher"],
            "teacher_fingerprint": paid["spec"]["teacher"],
        }

    inputs: dict[str, Path | str] = {"collection": collection, "candidates": candidates, "scores": scores}
    if judge is not None and spec.filters.judge is not None:
        inputs["judge"] = judge.fingerprint
    return run_stage(out, stage="group", spec=spec.identity(), inputs=inputs, build=build)


@dataclass(frozen=True)
class _Pool:
    """What groups are drawn from.

    Attributes:
        drawn: (n,) candidates.
        relevant: (n,) bool: those that a judge made positives.
        queries: Who gets a group, also those that have no candidate left.
        ordered: Whether the first candidates are taken where there are more than needed; else any, by chance.
    """

    drawn: Pairs
    relevant: NDArray[np.bool_]
    queries: list[int]
    ordered: bool


def _is_ordered(strategy: str) -> bool:
    try:
        return open_strategy(strategy).ordered
    except SpecError:
        # Candidates that somebody else drew.
        return False


def _assemble(
    collection: Collection, pool: _Pool, scored: Pairs, positives: Mapping[int, Rows], spec: GroupSpec
) -> tuple[Groups, dict[str, int]]:
    members: list[Rows] = []
    labels: list[NDArray[np.bool_]] = []
    queries: list[int] = []
    short: list[tuple[int, int]] = []
    stand_ins, spans = 0, pool.drawn.per_query()
    best_of = _teachers_best(collection, scored, pool.drawn, positives)
    for query in pool.queries:
        rng = rng_for(spec.seed, "groups", collection.queries.id(query))
        span = spans.get(query, slice(0))
        docs, relevant = pool.drawn.doc[span], pool.relevant[span]
        known = positives.get(query)
        if known is None:
            best = best_of[query]
            positive, docs, relevant = int(docs[best]), np.delete(docs, best), np.delete(relevant, best)
            stand_ins += 1
        else:
            positive = int(rng.choice(known))
        if len(docs) < spec.size - 1 or relevant.all():
            short.append((query, int((~relevant).sum()) if relevant.all() else len(docs)))
            continue
        chosen = _choose(rng, relevant, spec.size - 1, ordered=pool.ordered)
        members.append(np.concatenate([np.array([positive], np.uint32), docs[chosen]]))
        labels.append(np.concatenate([[True], relevant[chosen]]))
        queries.append(query)
    _short_queries(collection, short, len(queries) + len(short), spec)
    if not queries:
        raise DataError("no query is left: the judge calls a candidate of each one relevant", hint="relabel, or drop")
    return _with_scores(collection, scored, queries, members, labels), {
        "groups": len(queries),
        "dropped_short": len(short),
        "stand_ins": stand_ins,
    }


def with_probabilities(groups: Groups, drawn: Candidates, left: Pairs, *, ordered: bool = False) -> Groups:
    """Fill in how likely each document was to come into its group: into the draw, and from there into the group.

    Args:
        groups: Without probabilities.
        drawn: The candidates, with theirs.
        left: Those of them that groups were chosen from.
        ordered: Whether the first of those were taken, which leaves nothing to chance.
    """
    at, found = _among(groups, drawn)
    probability = np.where(found, drawn.probability[at], np.nan)
    if not ordered:
        queries, counts = np.unique(left.query, return_counts=True)
        # A stand-in for the positive is a candidate too, but not one that the others were chosen from.
        pool = counts[np.searchsorted(queries, groups.query)] - found[:, 0]
        probability *= np.minimum((groups.size - 1) / pool, 1)[:, None]
    probability[:, 0] = 1
    return replace(groups, probability=probability.astype(np.float32))


def sources_of(groups: Groups, drawn: Candidates) -> NDArray[np.uint8]:
    """Tell for each document which part of a compound strategy it came from: (n, k)."""
    at, found = _among(groups, drawn)
    # A stand-in for the positive was drawn by some part; a judged positive by none.
    source: NDArray[np.uint8] = np.where(found, drawn.source[at], np.uint8(UNDRAWN))
    return source


def _among(groups: Groups, drawn: Candidates) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Find the groups' documents among the candidates: where each stands, and whether it does; (n, k) both."""
    keys = drawn.pairs.key()
    order = np.argsort(keys, kind="stable")
    asked = row_keys(np.repeat(groups.query, groups.size), groups.doc.reshape(-1))
    at = order[np.minimum(np.searchsorted(keys, asked, sorter=order), max(len(keys) - 1, 0))]
    return at.reshape(groups.doc.shape), (keys[at] == asked).reshape(groups.doc.shape)


def _choose(rng: np.random.Generator, relevant: NDArray[np.bool_], count: int, *, ordered: bool) -> NDArray[np.int64]:
    """Choose so many of the candidates, in their order; one of them at least is a negative."""
    if ordered or len(relevant) == count:
        chosen = np.arange(count)
    else:
        chosen = np.sort(rng.choice(len(relevant), count, replace=False))
    if relevant[chosen].all():
        negatives = np.flatnonzero(~relevant)
        chosen[-1] = negatives[0] if ordered else rng.choice(negatives)
        chosen.sort()
    return chosen


def _teachers_best(
    collection: Collection, scored: Pairs, drawn: Pairs, positives: Mapping[int, Rows]
) -> dict[int, int]:
    """Find the teacher's best candidate of each query that nobody judged, for which it stands in; ties by document row.

    Returns:
        By query, its place among the query's candidates.
    """
    spans = {query: span for query, span in drawn.per_query().items() if query not in positives}
    if not spans:
        return {}
    places = np.concatenate([np.arange(span.start, span.stop) for span in spans.values()])
    scores = np.full(len(drawn), np.nan, np.float32)
    scores[places] = lookup(collection, scored, drawn.query[places], drawn.doc[places])
    return {query: int(np.lexsort((drawn.doc[span], -scores[span]))[0]) for query, span in spans.items()}


def _short_queries(collection: Collection, short: list[tuple[int, int]], total: int, spec: GroupSpec) -> None:
    if not short:
        return
    query, count = short[0]
    what = (
        f"{len(short)} of {total} queries have fewer than the {spec.size - 1} candidates that a group of {spec.size} "
        f"needs (first: {collection.queries.id(query)} with {count})"
    )
    if spec.on_short == "refuse" or len(short) == total:
        hint = "raise --depth, lower --size, or drop those queries: --on-short drop"
        if spec.filters:
            what, hint = f"{what} after the filters", f"draw more (--negatives, or --spare of distill), {hint}"
        raise DataError(what, hint=hint)
    note(f"{what}; dropped")


def _with_scores(
    collection: Collection, scored: Pairs, queries: list[int], members: list[Rows], labels: list[NDArray[np.bool_]]
) -> Groups:
    query, doc = np.array(queries, np.uint32), np.stack(members)
    score = lookup(collection, scored, np.repeat(query, doc.shape[1]), doc.reshape(-1)).reshape(doc.shape)
    constant = np.flatnonzero(np.ptp(score, axis=1) == 0)
    if len(constant) == len(score):
        raise DataError(
            f"the teacher gives every document of a group the same score, in all {len(score)} groups "
            f"(first: {collection.queries.id(int(query[0]))}, {score[0, 0]:g})",
            hint="a constant teacher has nothing to teach; check the model and its input",
        )
    return Groups(query, doc, score, np.stack(labels).astype(np.float32))
