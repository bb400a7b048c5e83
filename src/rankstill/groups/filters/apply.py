"""Filtering the candidates of all queries: rules first, then the judge about what is left and suspicious."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.groups.filters.dropped import Dropped
from rankstill.groups.filters.judge import judge_pairs
from rankstill.groups.filters.rules import Candidate, FilterSpec, Keep, below_margin, first_to_drop, rules
from rankstill.progress import note
from rankstill.records import Pairs, Rows, Scores32, row_keys
from rankstill.teachers import Teacher, lookup

KNOWN = "known"
"""The rule that is always on: a judged positive, or a document with its exact text, is no negative."""
JUDGE = "judge"


@dataclass(frozen=True)
class Parts:
    """Which part of a compound strategy drew each candidate: (n,) places in the parts' names."""

    source: NDArray[np.uint8]
    names: Sequence[str]


@dataclass(frozen=True)
class Filtered:
    """What the filters left.

    Attributes:
        kept: The candidates that may be negatives, and those that were relabelled, in their order.
        relevant: (len(kept),) bool: relabelled as positives by the judge.
        without: Queries that the judge made go as a whole.
        dropped: The others.
        counts: For the manifest: per filter how many of how many it dropped, in the order in which they were applied.
    """

    kept: Pairs
    relevant: NDArray[np.bool_]
    without: Rows
    dropped: Dropped
    counts: Mapping[str, Any]


@dataclass(frozen=True)
class _Positives:
    """Per candidate, the row and score of the positive that it is compared with; and whether it stands in for it."""

    doc: Rows
    score: Scores32
    stand_in: Keep


def filter_candidates(
    collection: Collection,
    drawn: Pairs,
    scored: Pairs,
    positives: Mapping[int, Rows],
    spec: FilterSpec,
    *,
    judge: Teacher | None,
    folder: Path,
    store: Path | None = None,
    parts: Parts | None = None,
) -> Filtered:
    """Filter candidates.

    Args:
        collection: Where the texts are.
        drawn: The candidates; each query's in the order of its list.
        scored: The teacher's scores of all candidates and positives.
        positives: The judged positives, by query; a query without any is compared with the teacher's best candidate.
        spec: The rules.
        judge: Who is asked about suspicious candidates, where the spec says so.
        folder: For what the judge prepares.
        store: Where the judge's scores are kept by text.
        parts: Of a compound strategy: which part drew each candidate.

    Raises:
        SpecError: Ranks are to be skipped in lists without an order; or a judge is wanted, and none was given.
        DataError: A ratio is to be taken of scores below 0.
        MissingScores: A candidate or a positive has no score.
    """
    score = lookup(collection, scored, drawn.query, drawn.doc)
    best = _positives(collection, drawn, score, scored, positives)
    seen = Candidate(score, best.score, _ranks(drawn))
    _refuse_nonsense(collection, drawn, seen, spec)
    applied = [(KNOWN, ~is_known(collection, drawn, positives)), *rules(spec, seen)]
    which = first_to_drop([keep | best.stand_in for _, keep in applied], len(drawn))
    names = [name for name, _ in applied]
    counts = _counts(names, which, len(drawn))
    verdict = np.full(len(drawn), np.nan, np.float32)
    called = np.zeros(len(drawn), bool)
    if spec.judge is not None:
        if judge is None:
            raise SpecError("a judge is to be asked, and none was given", hint="name one: --judge REFERENCE")
        suspicious = (which < 0) & ~best.stand_in & ~below_margin(score, best.score, spec.judge.suspicious)
        asked = np.flatnonzero(suspicious)
        verdict[asked], distinct = judge_pairs(collection, drawn.query[asked], drawn.doc[asked], judge, folder, store)
        called = verdict >= spec.judge.threshold
        counts[JUDGE] = {"dropped": int(called.sum()), "of": len(asked), "judged": distinct, "by": judge.name}
        which[called] = len(names)
        names.append(JUDGE)
    if parts is not None:
        _count_parts(counts, names, which, ~np.isnan(verdict), parts)
    gone = np.flatnonzero(which >= 0)
    dropped = Dropped(
        drawn.query[gone],
        drawn.doc[gone],
        score[gone],
        best.doc[gone],
        best.score[gone],
        seen.rank[gone].astype(np.uint32),
        verdict[gone],
        np.array(names, np.str_)[which[gone]],
    )
    return _without(drawn, which < 0, called, spec, dropped, counts)


def _without(
    drawn: Pairs, keep: Keep, called: Keep, spec: FilterSpec, dropped: Dropped, counts: dict[str, dict[str, Any]]
) -> Filtered:
    """Take the dropped ones out, and do with those that the judge called relevant what is to be done."""
    action = spec.judge.action if spec.judge is not None else "drop"
    queries = np.empty(0, np.uint32)
    if action == "relabel":
        keep = keep | called
    elif action == "drop-query":
        queries = np.unique(drawn.query[called])
        keep = keep & ~np.isin(drawn.query, queries)
    if spec.judge is not None:
        counts[JUDGE] |= {"action": action, "queries": len(np.unique(drawn.query[called]))}
    _say(counts)
    kept = Pairs(drawn.query[keep], drawn.doc[keep], drawn.score[keep])
    return Filtered(kept, called[keep], queries, dropped, counts)


def is_known(collection: Collection, drawn: Pairs, positives: Mapping[int, Rows]) -> Keep:
    """Tell which pairs are judged positives, or have the exact text of a positive of their query: (n,) bool."""
    judged = _table(drawn, positives)
    text = collection.documents.same_text
    own, known = (row_keys(p.query, text[p.doc]) for p in (drawn, judged))
    return np.asarray(np.isin(own, known))


def _table(drawn: Pairs, positives: Mapping[int, Rows]) -> Pairs:
    """List the judged positives of the drawn queries, in the order of the queries' rows."""
    known = [(int(q), positives[int(q)]) for q in np.unique(drawn.query) if int(q) in positives]
    if not known:
        return Pairs.empty()
    doc = np.concatenate([docs for _, docs in known])
    query = np.repeat(np.array([q for q, _ in known], np.uint32), [len(docs) for _, docs in known])
    return Pairs(query, doc, np.full(len(doc), np.nan, np.float32))


def _positives(
    collection: Collection, drawn: Pairs, score: Scores32, scored: Pairs, positives: Mapping[int, Rows]
) -> _Positives:
    judged = _table(drawn, positives)
    judged = Pairs(judged.query, judged.doc, lookup(collection, scored, judged.query, judged.doc))
    own = np.isin(drawn.query, judged.query)
    # The lowest judged positive of each query; of the others the highest candidate. Ties by row.
    order = np.lexsort((judged.doc, judged.score, judged.query))
    low_query, at = np.unique(judged.query[order], return_index=True)
    low = order[at]
    free = np.flatnonzero(~own)
    falling = free[np.lexsort((drawn.doc[free], -score[free], drawn.query[free]))]
    top_query, at = np.unique(drawn.query[falling], return_index=True)
    top = falling[at]
    query = np.concatenate([low_query, top_query])
    doc = np.concatenate([judged.doc[low], drawn.doc[top]])
    value = np.concatenate([judged.score[low], score[top]]).astype(np.float32)
    order = np.argsort(query)
    place = order[np.searchsorted(query, drawn.query, sorter=order)]
    stand_in = np.zeros(len(drawn), bool)
    stand_in[top] = True
    return _Positives(doc[place].astype(np.uint32), value[place], stand_in)


def _ranks(drawn: Pairs) -> NDArray[np.int64]:
    """Number each query's candidates from 1, in the order of the table."""
    ranks = np.empty(len(drawn), np.int64)
    for span in drawn.per_query().values():
        ranks[span] = np.arange(1, span.stop - span.start + 1)
    return ranks


def _refuse_nonsense(collection: Collection, drawn: Pairs, seen: Candidate, spec: FilterSpec) -> None:
    if spec.skip_ranks and np.isnan(drawn.score).all():
        raise SpecError(
            "the candidates have no order, so there are no first ranks to skip",
            hint="use a strategy that ranks, such as bm25, or leave out --skip-ranks",
        )
    if spec.ratio is None:
        return
    low = np.minimum(seen.score, seen.positive)
    negative = np.flatnonzero(low < 0)
    if len(negative):
        first = negative[0]
        raise DataError(
            f"the teacher gives {len(negative)} of {len(low)} candidates or their positives a score below 0 (first: "
            f"query {collection.queries.id(int(drawn.query[first]))}, {low[first]:g}), of which a ratio means nothing",
            hint="use --margin, which suits every scale; a ratio is for scores such as probabilities",
        )


def _counts(names: list[str], which: NDArray[np.int8], total: int) -> dict[str, dict[str, Any]]:
    counts: dict[str, dict[str, Any]] = {}
    left = total
    for place, name in enumerate(names):
        dropped = int((which == place).sum())
        counts[name] = {"dropped": dropped, "of": left}
        left -= dropped
    return counts


def _count_parts(
    counts: dict[str, dict[str, Any]], names: list[str], which: NDArray[np.int8], judged: Keep, parts: Parts
) -> None:
    """Count the same for each part of a compound strategy."""
    for place, name in enumerate(names):
        seen = judged if name == JUDGE else (which < 0) | (which >= place)
        counts[name]["parts"] = {
            part: {"dropped": int((own & (which == place)).sum()), "of": int((own & seen).sum())}
            for number, part in enumerate(parts.names)
            for own in (parts.source == number,)
        }


def _say(counts: Mapping[str, Mapping[str, Any]]) -> None:
    words = {"relabel": "relabelled", "drop-query": "dropped, with their queries,"}
    for name, count in counts.items():
        if count["of"] and (count["dropped"] or name != KNOWN):
            did = words.get(str(count.get("action")), "dropped")
            share = count["dropped"] / count["of"]
            note(f"filter {name}: {did} {count['dropped']:,} of {count['of']:,} candidates ({share:.1%})")
