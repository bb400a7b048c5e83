"""The judgements as a teacher: 1 for a document judged relevant, 0 for any other, judged or not.

It serves what learns from judgements alone, such as training a teacher (LCE on BM25 negatives). It tells nothing about
negatives, since it gives them all one score; it is named, so that a table never shows it as something else.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rankstill.collection.store import Collection
from rankstill.errors import SpecError
from rankstill.files import fingerprint
from rankstill.progress import Bar
from rankstill.records import Rows, Scores32, row_keys

PREFIX = "judgements"


class JudgementsTeacher:
    """Scores pairs by one judged split; see `Teacher`.

    Args:
        split: The judged split of whatever collection is scored.
    """

    by_text = False
    chunk = 1 << 20
    kind = "judgements"

    def __init__(self, split: str = "train") -> None:
        self.split = split
        self.name = f"{PREFIX}:{split}"
        self.fingerprint = fingerprint({"kind": self.kind, "split": split})

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Score pairs: (n,) float32 of 1 and 0.

        Raises:
            SpecError: The collection has no such split.
        """
        judged = collection.qrels(self.split)
        relevant = judged.grade >= collection.relevant_from
        known, asked = row_keys(judged.query[relevant], judged.doc[relevant]), row_keys(query, doc)
        if shown is not None:
            shown.advance(len(asked))
        return np.isin(asked, known).astype(np.float32)

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> JudgementsTeacher:
        """Return itself: there is nothing to prepare."""
        del collection, query, doc, folder
        return self


def judgements_reference(reference: str) -> JudgementsTeacher | None:
    """Open `judgements` or `judgements:SPLIT`; None for any other reference.

    Raises:
        SpecError: The split has no name.
    """
    name, colon, split = reference.partition(":")
    if name != PREFIX:
        return None
    if colon and not split:
        raise SpecError(f"{reference!r} names no split", hint="write judgements:train")
    return JudgementsTeacher(split or "train")
