"""A teacher that encodes each text by itself, once all texts of a stage are encoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.progress import Bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.distinct import Places

if TYPE_CHECKING:
    from rankstill.teachers.teacher import Teacher

Compare = Callable[[NDArray[np.int64], NDArray[np.int64], Bar | None], Scores32]
"""Compares n pairs, given as places among the encoded queries and documents: (n,) float32."""


class Prepared:
    """Scores pairs of texts that are encoded already; see `Teacher`.

    Args:
        teacher: Whose texts they are.
        queries, docs: Where the text of each row stands among those encoded.
        compare: Compares what stands at two places.
    """

    by_text = True

    def __init__(self, teacher: Teacher, queries: Places, docs: Places, compare: Compare) -> None:
        self._queries, self._docs, self._compare = queries, docs, compare
        self.name, self.kind, self.fingerprint = teacher.name, teacher.kind, teacher.fingerprint
        self.chunk = teacher.chunk

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Compare pairs: (n,) float32."""
        del collection
        return self._compare(self._queries.find(query), self._docs.find(doc), shown)

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> Prepared:
        """Return itself: there is nothing left to prepare."""
        del collection, query, doc, folder
        return self
