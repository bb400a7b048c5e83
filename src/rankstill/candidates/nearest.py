"""The nearest vectors by cosine, exactly, in memory that does not grow with the number of documents.

Two passes. A matrix product finds a few more documents than asked; its last bits depend on the shapes that it is called
with, and so on how many queries there are. Those documents are then compared again, each by a sum whose order depends
on the two vectors only. Where a document outside might still belong inside, because the cosines around the cut are as
close as rounding, the query's documents near the cut are all compared so. The result is thus the same to the last bit
whatever the chunks, the other queries and the number of threads; equal cosines stand in the order of the rows.
"""

from __future__ import annotations

from contextlib import nullcontext

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


def nearest(
    queries: Scores32, documents: Vectors, depth: int, *, spare: int = SPARE, quiet: bool = False
) -> tuple[list[Rows], list[Scores32]]:
    """Find each query's `depth` nearest documents by cosine, exactly.

    Args:
        queries: (n, D) float32 of length 1, or 0.
        documents: The vectors to search, perhaps memory-mapped; need not have length 1. One of length 0 has the cosine
            0 with everything.
        depth: How many to find; all where there are fewer.
        spare: How many more the first pass keeps; changes no result.
        quiet: Whether no progress is shown.

    Returns:
        For each query the documents' rows, nearest first, equal ones by row; and their cosines, float32.

    Raises:
        DataError: A vector is not finite, or the two sides differ in their dimension.
    """
    refuse_other_dimensions(queries, documents)
    depth = min(depth, len(documents.rows))
    keys, least = _first_pass(queries, documents, min(depth + spare, len(documents.rows)), quiet=quiet)
    best = compare_again(queries, documents, keys)[:, :depth]
    if depth and depth + spare < len(documents.rows):
        unsure, floor = unsure_of(best, least, queries.shape[1])
        if len(unsure):
            best[unsure] = _second_pass(queries[unsure], documents, depth, floor, quiet=quiet)
    return list(documents.rows[places_of(best)]), list(scores_of(best))


def refuse_other_dimensions(queries: Scores32, documents: Vectors) -> None:
    """Refuse vectors that cannot be compared.

    Raises:
        DataError: The two sides differ in their dimension.
    """
    if queries.shape[1] != documents.values.shape[1]:
        raise DataError(
            f"queries have {queries.shape[1]} dimensions and documents {documents.values.shape[1]}",
            hint="encode both with the same model",
        )


def unsure_of(best: Keys, least: Scores32, dimension: int) -> tuple[NDArray[np.int64], Scores32]:
    """Find the queries for which a document that the first pass left out might belong to the best.

    Args:
        best: (n, depth) keys after `compare_again`.
        least: (n,) the lowest score that the first pass kept.
        dimension: Of the vectors.

    Returns:
        Places of the queries, and the score of a matrix product from which on a document might belong to theirs.
    """
    # Of the matrix product against the sum of pairs, on vectors of length 1 (Higham 2002, section 3.1), doubled.
    error = np.float32(2 * dimension * 2.0**-24)
    floor = scores_of(best[:, -1]) - error
    # A list that is not full lacks nothing.
    unsure = np.flatnonzero((floor <= least) & np.isfinite(floor))
    return unsure, floor[unsure]


def _first_pass(queries: Scores32, documents: Vectors, depth: int, *, quiet: bool) -> tuple[Keys, Scores32]:
    """Find the best by matrix products: their keys, in no order, and the score of each query's last."""
    best = Best(len(queries), depth)
    blocks = _blocks(len(queries))
    with nullcontext() if quiet else bar("nearest documents", len(documents.rows), "documents") as shown:
        for start in range(0, len(documents.rows), DOCUMENTS):
            chunk = unit_length(documents.values[start : start + DOCUMENTS])
            places = np.arange(start, start + len(chunk))
            for asking in blocks:
                best.offer(asking, queries[asking[0] : asking[-1] + 1] @ chunk.T, places)
            if shown is not None:
                shown.advance(len(chunk))
    if bad := int((best.keys == WORST).any(axis=1).sum()):
        raise DataError(f"{bad} of {len(queries)} queries have cosines that are not finite", hint="encode again")
    return best.keys, best.least


def _blocks(count: int) -> list[NDArray[np.int64]]:
    return [np.arange(first, min(first + QUERIES, count)) for first in range(0, count, QUERIES)]


def compare_again(queries: Scores32, documents: Vectors, keys: Keys) -> Keys:
    """Replace the scores in the keys by sums in a fixed order; sort each query's keys, the best first."""
    n, depth = keys.shape
    places, step = np.where(keys == WORST, 0, places_of(keys)), max(1, PAIRS // max(depth, 1))
    found = np.empty_like(keys)
    for first in range(0, n, step):
        where = places[first : first + step]
        vectors = to_float32(documents.values[where.reshape(-1)])
        scores = _cosines(np.repeat(queries[first : first + step], depth, axis=0), vectors)
        found[first : first + step] = _key(scores, where.reshape(-1)).reshape(where.shape)
    found[keys == WORST] = WORST
    return -np.sort(-found, axis=1)


def _second_pass(queries: Scores32, documents: Vectors, depth: int, floor: Scores32, *, quiet: bool) -> Keys:
    """Compare every document that a matrix product puts at or above a query's floor; sort as `compare_again` does."""
    best = Best(len(queries), depth)
    with nullcontext() if quiet else bar("close cosines", len(documents.rows), "documents") as shown:
        for start in range(0, len(documents.rows), DOCUMENTS):
            raw = to_float32(documents.values[start : start + DOCUMENTS])
            for asking in _blocks(len(queries)):
                best.offer_close(asking, queries[asking], raw, np.arange(start, start + len(raw)), floor[asking])
            if shown is not None:
                shown.advance(len(raw))
    return -np.sort(-best.keys, axis=1)


def _cosines(queries: Scores32, documents: Scores32) -> Scores32:
    """Compare row by row; the queries have length 1. numpy sums a row in an order that depends on its length only."""
    queries *= documents
    found: Scores32 = queries.sum(axis=1) / lengths(documents)
    return found


class Best:
    """The best documents of each query so far, as keys: larger for a higher score, then for a smaller place.

    Attributes:
        keys: (queries, depth), each query's best in no order.
        least: (queries,) the score of the worst of them.
    """

    def __init__(self, queries: int, depth: int) -> None:
        self._depth = depth
        self.keys = np.full((queries, depth), WORST, np.int64)
        self.least = np.full(queries, -np.inf, np.float32)

    def offer(self, asking: NDArray[np.int64], scores: Scores32, places: NDArray[np.int64]) -> None:
        """Take in the scores of some queries, by their places, with some documents, by theirs."""
        # One with the score of the worst is as good as that: see `unsure_of`.
        better = scores > self.least[asking, None]
        if np.count_nonzero(better) > 4 * self._depth * len(scores) and scores.shape[1] > self._depth:
            # So at the start, when everything is better: first cut the block down to its own best.
            cut = np.partition(scores, -self._depth, axis=1)[:, -self._depth]
            better &= scores >= cut[:, None]
        row, column = _where(better)
        self._merge(asking, row, _key(scores[row, column], places[column]))

    def offer_close(
        self,
        asking: NDArray[np.int64],
        queries: Scores32,
        documents: Scores32,
        places: NDArray[np.int64],
        floor: Scores32,
    ) -> None:
        """Take in what a matrix product puts at or above the queries' floors, scored by sums in a fixed order."""
        row, column = _where(queries @ (documents / lengths(documents)[:, None]).T >= floor[:, None])
        for pair in range(0, len(row), PAIRS):
            r, c = row[pair : pair + PAIRS], column[pair : pair + PAIRS]
            self._merge(asking, r, _key(_cosines(queries[r], documents[c]), places[c]))

    def _merge(self, asking: NDArray[np.int64], row: NDArray[np.int64], keys: Keys) -> None:
        """Take in keys of some queries; `row` counts in `asking` and rises."""
        if not len(row):
            return
        present, starts, counts = np.unique(row, return_index=True, return_counts=True)
        wide = np.full((len(present), self._depth + int(counts.max())), WORST, np.int64)
        own = asking[present]
        wide[:, : self._depth] = self.keys[own]
        line = np.repeat(np.arange(len(present)), counts)
        wide[line, self._depth + np.arange(len(row)) - starts[line]] = keys
        kept = np.partition(wide, wide.shape[1] - self._depth, axis=1)[:, wide.shape[1] - self._depth :]
        self.keys[own] = kept
        self.least[own] = scores_of(kept.min(axis=1))


def _where(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Do what np.nonzero does, in a third of its time."""
    return np.divmod(np.flatnonzero(mask), mask.shape[1])


_PLACES = np.int64(0xFFFFFFFF)
WORST = np.int64(np.iinfo(np.int64).min + 1)
"""Stands for no document."""


def _key(scores: Scores32, places: NDArray[np.int64]) -> Keys:
    """Make one number of a score and a place."""
    # Adding 0 makes -0 and 0 one number. Floats sort like their bits, negative ones the other way round.
    bits = (scores + np.float32(0)).view(np.int32).astype(np.int64)
    bits = np.where(bits < 0, np.int64(-(2**31)) - bits - 1, bits)
    found: Keys = (bits << 32) | (_PLACES - places)
    return found


def places_of(keys: Keys) -> NDArray[np.int64]:
    """Read the places in keys."""
    found: NDArray[np.int64] = _PLACES - (keys & _PLACES)
    return found


def scores_of(keys: Keys) -> Scores32:
    """Read the scores in keys; -inf where there is no document."""
    bits = keys >> 32
    bits = np.where(bits < 0, np.int64(-(2**31)) - bits - 1, bits)
    return np.where(keys == WORST, np.float32(-np.inf), bits.astype(np.int32).view(np.float32))
