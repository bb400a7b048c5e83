"""Scores that are known already: finding those of some pairs, and the teacher that does nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rankstill.collection.store import Collection
from rankstill.errors import MissingScores
from rankstill.progress import Bar
from rankstill.records import Pairs, Rows, Scores32

if TYPE_CHECKING:
    from rankstill.teachers.teacher import Teacher


def lookup(collection: Collection, scored: Pairs, query: Rows, doc: Rows) -> Scores32:
    """Find the scores of pairs in a table.

    Args:
        collection: Whose ids a message names.
        scored: The table, in any order.
        query: (n,) rows of queries.
        doc: (n,) rows of documents.

    Returns:
        (n,) float32.

    Raises:
        MissingScores: Some pairs are not in the table: how many, and the first by its ids.
    """
    known, asked = scored.key(), Pairs(query, doc, np.zeros(len(query), np.float32)).key()
    order = np.argsort(known, kind="stable")
    at = np.minimum(np.searchsorted(known, asked, sorter=order), max(len(known) - 1, 0))
    missing = np.flatnonzero(known[order[at]] != asked) if len(known) else np.arange(len(asked))
    if len(missing):
        first = missing[0]
        raise MissingScores(
            f"{len(missing)} of {len(asked)} pairs have no teacher score (first: query "
            f"{collection.queries.id(int(query[first]))}, document {collection.documents.id(int(doc[first]))})",
            hint="run `rankstill score` for these candidates with the same teacher",
        )
    return scored.score[order[at]]


class Scored:
    """A teacher that has scored all pairs at once, and looks them up from then on; see `Teacher`.

    Args:
        teacher: Whose scores they are.
        pairs: The pairs, in any order, with their scores.
    """

    chunk = 1 << 20

    def __init__(self, teacher: Teacher, pairs: Pairs) -> None:
        self.name, self.kind = teacher.name, teacher.kind
        self.fingerprint, self.by_text = teacher.fingerprint, teacher.by_text
        # Sorted once: each lookup sorts, which takes little time then.
        order = np.argsort(pairs.key(), kind="stable")
        self._pairs = Pairs(pairs.query[order], pairs.doc[order], pairs.score[order])

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Look pairs up: (n,) float32.

        Raises:
            MissingScores: The teacher was not asked for some of them.
        """
        scores = lookup(collection, self._pairs, query, doc)
        if shown is not None:
            shown.advance(len(scores))
        return scores

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> Scored:
        """Return itself: there is nothing left to prepare."""
        del collection, query, doc, folder
        return self
