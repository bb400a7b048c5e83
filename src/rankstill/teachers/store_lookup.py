"""Many asked pairs against one part after another.

Both sides are in the order of their mixed keys. Where a part has not many more rows than there are pairs asked in its
range, its rows are searched among the asked pairs, a stretch at a time: 100 million stored pairs pass by in half a
minute. Where pairs are few, they are searched in the part, of which only some pages are read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rankstill.records import Scores32
from rankstill.teachers.pair_keys import Halves, PairKeys
from rankstill.teachers.store_parts import Part

Positions = NDArray[np.int64]
_STRETCH = 1 << 18
"""Rows of a part that are looked at together: few enough to stay in a processor's caches."""
_FEW = 16
"""From so many rows for each asked pair, the pairs are searched in the part."""


class Asked:
    """Asked pairs being answered. Of several answers to one pair, the first counts.

    Args:
        keys: n pairs, distinct or not.
    """

    def __init__(self, keys: PairKeys) -> None:
        self._halves = keys.halves
        mixed = keys.mixed()
        order = np.argsort(mixed)
        mixed = mixed[order]
        again = np.flatnonzero(mixed[1:] == mixed[:-1]) + 1
        again = again[(self._halves[order[again]] == self._halves[order[again - 1]]).all(axis=1)]
        first = np.ones(len(mixed), bool)
        first[again] = False
        self._order, self._which = order, np.cumsum(first) - 1
        # Of each distinct pair: its mixed key, where it is asked first, and the answer.
        self._mixed, self._at = mixed[first], order[first]
        self._score = np.full(len(self._mixed), np.nan, np.float32)

    def scores(self) -> Scores32:
        """Give the answers: (n,) float32, NaN where there was none."""
        found = np.empty(len(self._order), np.float32)
        found[self._order] = self._score[self._which]
        return found

    def fill(self, part: Part) -> None:
        """Take the answers that a part has to pairs that no part before it answered."""
        if not len(part):
            return
        low, high = part.mixed(np.array([0, len(part) - 1]))
        span = int(np.searchsorted(self._mixed, low)), int(np.searchsorted(self._mixed, high, side="right"))
        if span[0] == span[1]:
            return
        if (span[1] - span[0]) * _FEW < len(part):
            self._search_in(part, np.arange(*span))
        else:
            for start in range(0, len(part), _STRETCH):
                self._pass_by(part, np.arange(start, min(start + _STRETCH, len(part))))

    def _search_in(self, part: Part, asked: Positions) -> None:
        """Search asked pairs in a part."""
        row = part.place(self._mixed[asked])
        while len(asked):
            row, asked = _inside(row, asked, len(part))
            same = part.mixed(row) == self._mixed[asked]
            row, asked = row[same], asked[same]
            self._answer(part, row, asked)
            # Different pairs may share 64 mixed bits: then they stand side by side, and all are compared in full.
            row = row + 1

    def _pass_by(self, part: Part, row: Positions) -> None:
        """Search rows of a part among the asked pairs."""
        stretch: Halves = part.mixed(slice(int(row[0]), int(row[-1]) + 1))
        asked = np.searchsorted(self._mixed, stretch)
        start = int(row[0])
        while len(row):
            asked, row = _inside(asked, row, len(self._mixed))
            same = self._mixed[asked] == stretch[row - start]
            asked, row = asked[same], row[same]
            self._answer(part, row, asked)
            asked = asked + 1

    def _answer(self, part: Part, row: Positions, asked: Positions) -> None:
        halves = self._halves[self._at[asked]]
        fits = (halves[:, :2] == part.query[row]).all(axis=1) & (halves[:, 2:] == part.doc[row]).all(axis=1)
        fits &= np.isnan(self._score[asked])
        self._score[asked[fits]] = part.score[row[fits]]


def _inside(at: Positions, other: Positions, limit: int) -> tuple[Positions, Positions]:
    inside = at < limit
    return at[inside], other[inside]
