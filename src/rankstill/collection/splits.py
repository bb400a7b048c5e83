"""Which queries train, which choose, which test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.records import Pairs, Rows

DEV_SHARE = 0.1
DEV_MOST = 200


@dataclass(frozen=True)
class Split:
    """The queries a student learns from and those that choose its settings.

    Attributes:
        train: Rows of training queries.
        dev: Rows of the queries that choose (the interpolation weight); none of them trains.
        judged: The judged split that the positives come from; "" where the collection has no judgements.
        dev_judged: The judged split of the dev queries.
        note: Where dev comes from, as a sentence.
    """

    train: Rows
    dev: Rows
    judged: str
    dev_judged: str
    note: str


def training_split(collection: Collection, *, split: str = "train", limit: int = 0) -> Split:
    """Choose training and dev queries.

    The judged split `dev` is dev where there is one; otherwise a tenth of the training queries (200 at most) is held
    out, those with the smallest hash of their id: adding a query moves no other one. Without any judgements all queries
    train and there is no dev.

    Args:
        collection: The training collection.
        split: The judged split to train on.
        limit: Use at most so many training queries, those with the smallest hash; 0 for all.

    Raises:
        SpecError: The collection has judgements, but none of this split.
        DataError: No training query is left.
    """
    if not collection.splits:
        everything = np.arange(len(collection.queries), dtype=np.uint32)
        note = "no judgements: all queries train, the teacher's best document stands in for the positive"
        return Split(_first(collection, everything, limit), np.empty(0, np.uint32), "", "", note)
    if split not in collection.splits:
        raise SpecError(
            f"the collection has no split {split!r} to train on; it has {', '.join(collection.splits)}",
            hint=f"name one: --split {collection.splits[0]}",
        )
    train = np.array(sorted(collection.qrels(split).positives(collection.relevant_from)), np.uint32)
    if "dev" in collection.splits and split != "dev":
        dev = np.array(sorted(collection.qrels("dev").positives(collection.relevant_from)), np.uint32)
        train, dev_judged, note = np.setdiff1d(train, dev), "dev", f"the collection's own dev split, {len(dev)} queries"
    else:
        held_out = min(DEV_MOST, int(len(train) * DEV_SHARE))
        dev = _first(collection, train, held_out) if held_out else train[:0]
        train, dev_judged = np.setdiff1d(train, dev), split
        note = f"{len(dev)} of the training queries, held out (the collection has no dev split)"
    if not len(train):
        raise DataError(
            f"no query of split {split!r} has a relevant document", hint="check relevant_from and the qrels"
        )
    return Split(_first(collection, train, limit), dev, split, dev_judged, note)


def _first(collection: Collection, rows: Rows, limit: int) -> Rows:
    """Keep the rows whose ids have the smallest hashes, in rising order of the rows; all of them where limit is 0."""
    if not limit:
        return rows
    hashes = [hashlib.sha256(i.encode()).digest() for i in collection.queries.ids(rows)]
    order = sorted(range(len(rows)), key=hashes.__getitem__)[:limit]
    return np.sort(rows[order])


def positives_of(collection: Collection, judged: str, queries: Rows) -> Pairs:
    """List the positives of queries as pairs without scores: what a teacher has to score besides the candidates.

    Args:
        collection: The training collection.
        judged: The judged split; "" where there are no judgements, and so no positives.
        queries: Rows; may repeat.
    """
    known = collection.qrels(judged).positives(collection.relevant_from) if judged else {}
    rows = [(int(q), known[int(q)]) for q in np.unique(queries) if int(q) in known]
    if not rows:
        return Pairs.empty()
    doc = np.concatenate([docs for _, docs in rows])
    query = np.repeat(np.array([q for q, _ in rows], np.uint32), [len(docs) for _, docs in rows])
    return Pairs(query, doc, np.full(len(doc), np.nan, np.float32))
