"""The nearest vectors by cosine, exactly, in memory that does not grow with the number of documents.

Two passes. A matrix product finds a few more documents than asked; its last bits depend on the shapes that it is called
with, and so on how many queries there are. Those documents are then compared again, each by a sum whose order depends
on the two vectors only. Where a document outside might still belong inside, because the cosines around the cut are as
close as rounding, the query's documents near the cut are all compared so. The result is thus the same to the last bit
whatever the chunks, the other queries and the number of threads; equal cosines stand in the order of the rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.strategy import Vectors, lengths, to_float32, unit_length
from rankstill.errors import DataError
from rankstill.progress import bar
from rankstill.records import Rows, Scores32

QUERIES = 1024
DOCUMENTS = 1 << 14
"""How many of each are compared at once: 64 MB of cosines."""
SPARE = 16
"""How many more documents than asked the first pass keeps."""
PAIRS = 1 << 15
"""How many pairs are compared at once in the second pass: 50 MB for each side at 384 dimensions."""

Keys = NDArray[np.int64]


def nearest(queries: Scores32, documents: Vectors, depth: int) -> tuple[list[Rows], list[Scores32]]:
    """Find each query's `depth` nearest documents by cosine, exactly.

    Args:
        queries: (n, D) float32 of length 1, or 0.
        documents: The vectors to search, perhaps memory-mapped; need not have length 1. One of length 0 has the cosine
            0 with everything.
        depth: How many to find; all where there are fewer.

    Returns:
        For each query the documents' rows, nearest first, equal ones by row; and their cosines, float32.

    Raises:
        DataError: A vector is not finite, or the two sides differ in their dimension.
    """
    if queries.shape[1] != documents.values.shape[1]:
        raise DataError(
            f"queries have {queries.shape[1]} dimensions and documents {documents.values.shape[1]}",
            hint="encode both with the same model",
        )
    depth = min(depth, len(documents.rows))
    # Of the matrix product against the sum of pairs, on vectors of length 1 (Higham 2002, section 3.1), doubled.
    error = np.float32(2 * queries.shape[1] * 2.0**-24)
    keys, least = _first_pass(queries, documents, min(depth + SPARE, len(documents.rows)))
    best = _compare_again(queries, documents, keys)[:, :depth]
    if depth and depth + SPARE < len(documents.rows):
        cut = _score(best[:, -1])
        unsure = np.flatnonzero(cut - error <= least)
        if len(unsure):
            best[unsure] = _second_pass(queries[unsure], documents, depth, cut[unsure] - error)
    return list(documents.rows[_place(best)]), list(_score(best))


def _first_pass(queries: Scores32, documents: Vectors, depth: int) -> tuple[Keys, Scores32]:
    """Find the best by matrix products: their keys, in no order, and the score of each query's last."""
    best = _Best(len(queries), depth)
    with bar("nearest documents", len(documents.rows), "documents") as shown:
        for start in range(0, len(documents.rows), DOCUMENTS):
            chunk = unit_length(documents.values[start : start + DOCUMENTS])
            for first in range(0, len(queries), QUERIES):
                best.offer(first, queries[first : first + QUERIES] @ chunk.T, start)
            shown.advance(len(chunk))
    if bad := int((best.keys == _WORST).any(axis=1).sum()):
        raise DataError(f"{bad} of {len(queries)} queries have cosines that are not finite", hint="encode again")
    return best.keys, best.least


def _compare_again(queries: Scores32, documents: Vectors, keys: Keys) -> Keys:
    """Replace the scores in the keys by sums in a fixed order; sort each query's keys, the best first."""
    n, depth = keys.shape
    places, step = _place(keys), max(1, PAIRS // max(depth, 1))
    found = np.empty_like(keys)
    for first in range(0, n, step):
        where = places[first : first + step]
        vectors = to_float32(documents.values[where.reshape(-1)])
        scores = _cosines(np.repeat(queries[first : first + step], depth, axis=0), vectors)
        found[first : first + step] = _key(scores, where.reshape(-1)).reshape(where.shape)
    return -np.sort(-found, axis=1)


def _second_pass(queries: Scores32, documents: Vectors, depth: int, floor: Scores32) -> Keys:
    """Compare every document that a matrix product puts at or above a query's floor; sort as `_compare_again` does."""
    best = _Best(len(queries), depth)
    with bar("close cosines", len(documents.rows), "documents") as shown:
        for start in range(0, len(documents.rows), DOCUMENTS):
            raw = to_float32(documents.values[start : start + DOCUMENTS])
            chunk = (raw / lengths(raw)[:, None]).T
            for first in range(0, len(queries), QUERIES):
                block = queries[first : first + QUERIES]
                row, column = _where(block @ chunk >= floor[first : first + QUERIES, None])
                for pair in range(0, len(row), PAIRS):
                    r, c = row[pair : pair + PAIRS], column[pair : pair + PAIRS]
                    best.merge(first, r, _key(_cosines(block[r], raw[c]), start + c))
            shown.advance(len(raw))
    return -np.sort(-best.keys, axis=1)


def _cosines(queries: Scores32, documents: Scores32) -> Scores32:
    """Compare row by row; the queries have length 1. numpy sums a row in an order that depends on its length only."""
    queries *= documents
    found: Scores32 = queries.sum(axis=1) / lengths(documents)
    return found


class _Best:
    """The best documents of each query so far, as keys: larger for a higher score, then for a smaller place.

    Attributes:
        keys: (queries, depth), each query's best in no order.
        least: (queries,) the score of the worst of them.
    """

    def __init__(self, queries: int, depth: int) -> None:
        self._depth = depth
        self.keys = np.full((queries, depth), _WORST, np.int64)
        self.least = np.full(queries, -np.inf, np.float32)

    def offer(self, first: int, scores: Scores32, start: int) -> None:
        """Take in a block of scores: of the queries from `first` on, and the documents from place `start` on."""
        # A later document with the score of the worst one comes after it: only what is above counts.
        better = scores > self.least[first : first + len(scores), None]
        if np.count_nonzero(better) > 4 * self._depth * len(scores) and scores.shape[1] > self._depth:
            # So at the start, when everything is better: first cut the block down to its own best.
            cut = np.partition(scores, -self._depth, axis=1)[:, -self._depth]
            better &= scores >= cut[:, None]
        row, column = _where(better)
        self.merge(first, row, _key(scores[row, column], start + column))

    def merge(self, first: int, row: NDArray[np.int64], keys: Keys) -> None:
        """Take in keys of some queries; `row` counts these from `first` and rises."""
        if not len(row):
            return
        present, starts, counts = np.unique(row, return_index=True, return_counts=True)
        wide = np.full((len(present), self._depth + int(counts.max())), _WORST, np.int64)
        wide[:, : self._depth] = self.keys[first + present]
        line = np.repeat(np.arange(len(present)), counts)
        wide[line, self._depth + np.arange(len(row)) - starts[line]] = keys
        kept = np.partition(wide, wide.shape[1] - self._depth, axis=1)[:, wide.shape[1] - self._depth :]
        self.keys[first + present] = kept
        self.least[first + present] = _score(kept.min(axis=1))


def _where(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Do what np.nonzero does, in a third of its time."""
    return np.divmod(np.flatnonzero(mask), mask.shape[1])


_PLACES = np.int64(0xFFFFFFFF)
_WORST = np.int64(np.iinfo(np.int64).min + 1)


def _key(scores: Scores32, places: NDArray[np.int64]) -> Keys:
    """Make one number of a score and a place."""
    # Adding 0 makes -0 and 0 one number. Floats sort like their bits, negative ones the other way round.
    bits = (scores + np.float32(0)).view(np.int32).astype(np.int64)
    bits = np.where(bits < 0, np.int64(-(2**31)) - bits - 1, bits)
    found: Keys = (bits << 32) | (_PLACES - places)
    return found


def _place(keys: Keys) -> NDArray[np.int64]:
    found: NDArray[np.int64] = _PLACES - (keys & _PLACES)
    return found


def _score(keys: Keys) -> Scores32:
    bits = keys >> 32
    bits = np.where(bits < 0, np.int64(-(2**31)) - bits - 1, bits)
    return np.where(keys == _WORST, np.float32(-np.inf), bits.astype(np.int32).view(np.float32))
