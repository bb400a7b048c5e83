"""Asking a judge about suspicious candidates: any teacher, each pair of texts once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.progress import bar
from rankstill.records import Rows, Scores32
from rankstill.teachers import ScoreStore, Teacher
from rankstill.teachers.chunks import chunk_scores
from rankstill.teachers.distinct import distinct_pairs
from rankstill.teachers.llm.listwise import ListwiseTeacher
from rankstill.teachers.store import PairKeys
from rankstill.teachers.teacher import keep_in


def judge_pairs(
    collection: Collection, query: Rows, doc: Rows, judge: Teacher, folder: Path, store: Path | None = None
) -> tuple[Scores32, int]:
    """Score pairs by a judge.

    Args:
        collection: Where the texts are.
        query: (n,) rows.
        doc: (n,) rows.
        judge: Any teacher.
        folder: For what the judge prepares.
        store: The score store: what it has is not asked again, and what is asked is kept, where the judge scores texts.

    Returns:
        (n,) float32 scores, and how many distinct pairs there were: the same texts are one pair, unless the judge goes
        by ids.

    Raises:
        SpecError: The judge is a language model that orders lists.
        DataError: The judge gives too few scores, or scores that are not finite.
    """
    if isinstance(judge, ListwiseTeacher):
        raise SpecError(
            f"the judge {judge.name} orders documents, and does not say which are relevant",
            hint="ask it for each: mode=pointwise or mode=graded",
        )
    keep_in(judge, store)
    if not len(query):
        return np.empty(0, np.float32), 0
    first, which = distinct_pairs(collection, query, doc, by_text=judge.by_text)
    query, doc = query[first], doc[first]
    kept = ScoreStore(store, judge.fingerprint, judge.name, judge.kind) if store and judge.by_text else None
    keys = PairKeys.of(collection, query, doc) if kept else None
    scores = kept.lookup(keys) if kept and keys else np.full(len(query), np.nan, np.float32)
    waiting = np.flatnonzero(np.isnan(scores))
    if len(waiting):
        prepared = judge.prepared(collection, query[waiting], doc[waiting], folder)
        with bar(f"judging by {judge.name}", len(waiting), "pairs") as shown:
            parts = [waiting[start : start + prepared.chunk] for start in range(0, len(waiting), prepared.chunk)]
            answers = chunk_scores(prepared, collection, ((query[where], doc[where]) for where in parts), shown)
            for where, answer in zip(parts, answers, strict=True):
                scores[where] = _checked(collection, answer, query[where], doc[where])
                if kept and keys:
                    kept.append(keys.take(where), scores[where])
    return scores[which], len(first)


def _checked(collection: Collection, found: Scores32, query: Rows, doc: Rows) -> Scores32:
    if np.shape(found) != (len(query),):
        raise DataError(f"the judge gave an answer of shape {np.shape(found)} for {len(query)} pairs")
    bad = np.flatnonzero(~np.isfinite(found))
    if len(bad):
        raise DataError(
            f"the judge gave {len(bad)} of {len(query)} pairs a score that is not finite (first: query "
            f"{collection.queries.id(int(query[bad[0]]))}, document {collection.documents.id(int(doc[bad[0]]))})",
            hint="a judge answers every pair; try another one",
        )
    return np.asarray(found, np.float32)
