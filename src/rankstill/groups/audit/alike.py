"""Near duplicates between two sets of texts, by exact Jaccard similarity, without comparing all pairs.

The prefix filter of `rankstill.collection.near_duplicates`, between two sides: one side's sets stand in an index of
bounded size, the other side's go by in chunks. Two texts at or above a similarity share one of their rarest shingles,
rarity being counted on the indexed side; those that meet are compared exactly. Nothing is sampled.

Memory is that of one block of the indexed side, whatever the sizes; time is linear in both sides, with one more pass
over the other side for each further block of 16 million shingles (300,000 passages).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.near_duplicates import ROUNDING
from rankstill.collection.store import Texts
from rankstill.groups.audit.words import Codes, Sets, chunks, shingles
from rankstill.progress import Bar, bar
from rankstill.records import Rows

BLOCK = 1 << 24
"""Shingles in the index at a time."""
_PAIRS = 1 << 22
"""Meetings looked at in one go."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Alike(NamedTuple):
    """Which texts have a near duplicate: (n,) rows of the one side, of the other, and their similarity."""

    left: Rows
    right: Rows
    similarity: NDArray[np.float32]


def near_duplicates(
    left: Texts, left_rows: Rows, right: Texts, right_rows: Rows, *, similarity: float, width: int, block: int = BLOCK
) -> Alike:
    """Find for each text of the left side the first of the right side that is alike, in the order of the rows given.

    Args:
        left: Texts.
        left_rows: Which of them; texts without words should not be among them.
        right: Texts, the same or others.
        right_rows: Which of them.
        similarity: Jaccard similarity of the sets of shingles, in (0, 1], from which two texts are alike.
        width: Words in a shingle; 1 compares sets of words.
        block: Shingles of the right side in memory at a time; the result does not depend on it.

    Returns:
        The left texts that have one, in the order given.
    """
    found: dict[int, tuple[int, float]] = {}
    with bar("near duplicates", len(left_rows) + len(right_rows), "texts") as shown:
        for rows, sets in _blocks(right, right_rows, width, block, shown):
            index = _Index(rows, sets, similarity)
            waiting = left_rows[~np.isin(left_rows, np.array(list(found), np.uint32))] if found else left_rows
            for part, texts in chunks(left, waiting):
                for place, match in index.first(shingles(texts, width)).items():
                    found[int(part[place])] = match
                shown.advance(len(part))
            # Before the next block is made.
            del index, sets
    order = [int(row) for row in left_rows if int(row) in found]
    return Alike(
        np.array(order, np.uint32),
        np.array([found[row][0] for row in order], np.uint32),
        np.array([found[row][1] for row in order], np.float32),
    )


def _blocks(texts: Texts, rows: Rows, width: int, most: int, shown: Bar) -> Iterator[tuple[Rows, Sets]]:
    parts: list[Sets] = []
    held, start = 0, 0
    done = 0
    for part, chunk in chunks(texts, rows):
        parts.append(shingles(chunk, width))
        held, done = held + len(parts[-1].codes), done + len(part)
        shown.advance(len(part))
        if held >= most:
            yield rows[start:done], _joined(parts)
            held, start = 0, done
    if parts:
        yield rows[start:done], _joined(parts)


def _joined(parts: list[Sets]) -> Sets:
    """Join sets end to end, emptying the list: a block is not held twice for longer than that takes."""
    lengths = np.concatenate([np.diff(part.starts) for part in parts])
    codes = np.concatenate([part.codes for part in parts])
    parts.clear()
    return Sets(codes, np.concatenate([[0], np.cumsum(lengths)]))


class _Index:
    """The sets of one side, found by their rarest shingles."""

    def __init__(self, rows: Rows, sets: Sets, similarity: float) -> None:
        self._rows, self._sets, self._similarity = rows, sets, similarity
        self._bits = min(max(len(sets.codes).bit_length() + 1, 16), 24)
        counts = np.zeros(1 << self._bits, np.int32)
        for start in range(0, len(sets.codes), _PAIRS):
            buckets = self._bucket(sets.codes[start : start + _PAIRS])
            counts += np.bincount(buckets, minlength=len(counts)).astype(np.int32)
        self._counts = counts
        rarest = self._rarest(sets)
        owners = sets.owners(rarest).astype(np.uint32)
        order = np.argsort(sets.codes[rarest], kind="stable")
        self._codes, self._owners = sets.codes[rarest][order], owners[order]

    def first(self, asked: Sets) -> dict[int, tuple[int, float]]:
        """Map the places of those sets that have one alike to the first such row, and the similarity."""
        rarest = self._rarest(asked)
        codes, owners = asked.codes[rarest], asked.owners(rarest)
        low, high = (np.searchsorted(self._codes, codes, side) for side in ("left", "right"))
        met = np.flatnonzero(high > low)
        found: dict[int, tuple[int, float]] = {}
        for part in _parts(high[met] - low[met]):
            for place, other in self._meetings(asked, owners[met[part]], low[met[part]], high[met[part]]):
                if place in found and found[place][0] <= other:
                    continue
                alike = _jaccard(asked[place], self._sets[other])
                if alike >= self._similarity - ROUNDING:
                    found[place] = other, alike
        return {place: (int(self._rows[other]), alike) for place, (other, alike) in found.items()}

    def _meetings(
        self, asked: Sets, owners: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]
    ) -> list[tuple[int, int]]:
        """List who meets whom, each once, if their sizes allow the similarity; in the order of the places."""
        times = high - low
        places = np.repeat(owners, times)
        skipped = np.repeat(np.cumsum(times) - times, times)
        others = self._owners[np.repeat(low, times) + np.arange(len(places)) - skipped].astype(np.int64)
        pairs = np.unique((places << 32) | others)
        places, others = pairs >> 32, pairs & 0xFFFFFFFF
        a, b = np.diff(asked.starts)[places], np.diff(self._sets.starts)[others]
        fits = np.minimum(a, b) >= self._similarity * np.maximum(a, b) - ROUNDING
        return list(zip(places[fits].tolist(), others[fits].tolist(), strict=True))

    def _rarest(self, sets: Sets) -> NDArray[np.int64]:
        """List where the shingles are in which a set meets every set alike; rare ones first, then by their code."""
        found = []
        sizes = np.diff(sets.starts)
        lengths = sizes - np.ceil(self._similarity * sizes - ROUNDING).astype(np.int64) + 1
        # Some thousand sets at a time: sorting takes several times the memory of what it sorts.
        for start in range(0, len(sizes), 1 << 14):
            stop = min(start + (1 << 14), len(sizes))
            first, last = int(sets.starts[start]), int(sets.starts[stop])
            codes = sets.codes[first:last]
            owners = np.repeat(np.arange(start, stop), sizes[start:stop])
            order = np.lexsort((codes, self._counts[self._bucket(codes)], owners))
            ranks = np.arange(len(order)) - (sets.starts[owners] - first)
            found.append(first + order[ranks < lengths[owners]])
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _bucket(self, codes: Codes) -> NDArray[np.int64]:
        return (codes * _FACTOR >> np.uint64(64 - self._bits)).astype(np.int64)


def _parts(counts: NDArray[np.int64]) -> Iterator[slice]:
    """Split a list into stretches whose counts sum to some millions at most; a larger one stands alone."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + _PAIRS, "right")), start + 1)
        yield slice(start, stop)
        start = stop


def _jaccard(a: Codes, b: Codes) -> float:
    """Compare two sets that are given as rising numbers."""
    shared = int(np.count_nonzero(a[np.minimum(np.searchsorted(a, b), len(a) - 1)] == b))
    return shared / (len(a) + len(b) - shared)
