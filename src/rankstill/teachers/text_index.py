"""From the keys of texts back to their rows in a collection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Texts
from rankstill.records import Rows
from rankstill.teachers.pair_keys import Halves, as_halves


class TextIndex:
    """The distinct texts among the documents or the queries of a collection, found by their keys.

    Args:
        texts: Documents or queries.
    """

    def __init__(self, texts: Texts) -> None:
        halves = as_halves(texts.keys)
        order = np.lexsort((np.arange(len(halves)), halves[:, 1], halves[:, 0]))
        ordered = halves[order]
        starts = np.flatnonzero(np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)][: len(ordered)])
        self._halves, self._rows = ordered[starts], order.astype(np.uint32)
        self._starts, self._counts = starts, np.diff(np.append(starts, len(ordered)))

    def find(self, keys: Halves) -> NDArray[np.int64]:
        """Number texts by their keys.

        Args:
            keys: (n, 2) uint64.

        Returns:
            (n,) numbers of distinct texts; -1 where the collection does not have a text.
        """
        found = np.full(len(keys), -1, np.int64)
        live = np.arange(len(keys))
        at = np.searchsorted(self._halves[:, 0], keys[:, 0])
        while len(live):
            inside = at < len(self._halves)
            at, live = at[inside], live[inside]
            same = self._halves[at, 0] == keys[live, 0]
            at, live = at[same], live[same]
            equal = self._halves[at, 1] == keys[live, 1]
            found[live[equal]] = at[equal]
            # Different texts may share the first half: then they stand side by side.
            at, live = at[~equal] + 1, live[~equal]
        return found

    def counts(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the rows that have each of these texts."""
        return self._counts[numbers]

    def rows(self, numbers: NDArray[np.int64], which: NDArray[np.int64]) -> Rows:
        """Give for each of these texts the row that has it as the `which`-th, from 0."""
        rows: Rows = self._rows[self._starts[numbers] + which]
        return rows
