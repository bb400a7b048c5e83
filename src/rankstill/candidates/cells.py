"""The nearest vectors by cosine, approximately: an inverted file, in which each query looks into a few cells only.

Documents belong to the nearest of some centres, found by spherical k-means (Lloyd's iterations over a sample, as in
Jégou et al. 2011 and faiss). A query's list is exact over the documents of the cells whose centres are nearest to it.

Cells depend on the documents alone: every comparison that chooses something goes through `nearest`, whose results
depend neither on chunks nor on threads, and sums of vectors are taken in one order. The same vectors thus give the same
lists, whatever else is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.nearest import (
    SPARE,
    WORST,
    Best,
    Keys,
    compare_again,
    nearest,
    places_of,
    refuse_other_dimensions,
    scores_of,
    unsure_of,
)
from rankstill.candidates.strategy import Vectors, to_float32, unit_length
from rankstill.progress import bar, track
from rankstill.randomness import rng_for
from rankstill.records import Rows, Scores32

ITERATIONS = 8
"""Of Lloyd's algorithm; later ones move little."""
PER_CELL = 40
"""Vectors of the sample for each centre, as faiss takes at least."""
BLOCK = 1 << 14
"""Documents that are assigned, or compared, at once."""

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """Documents by cells.

    Attributes:
        centres: (c, D) float32 of length 1.
        places: (n,) places of the documents, cell by cell, rising in each.
        starts: (c + 1,) where each cell starts in `places`, and the last ends.
    """

    centres: Scores32
    places: Places
    starts: Places

    def members(self, cell: int) -> Places:
        """List the places of a cell's documents."""
        return self.places[self.starts[cell] : self.starts[cell + 1]]


def cells_for(documents: int) -> int:
    """Choose how many cells suit so many documents: twice the square root, at least one.

    A query then compares itself with about as many centres as documents of one cell.
    """
    return max(1, min(round(2 * math.sqrt(documents)), documents))


def build_cells(documents: Vectors, count: int) -> Cells:
    """Part documents into cells.

    Args:
        documents: The vectors, perhaps memory-mapped; need not have length 1.
        count: How many cells; some may end up empty.
    """
    size = len(documents.rows)
    rng = rng_for(0, "cells", size, count)
    sample = np.sort(rng.choice(size, min(size, count * PER_CELL), replace=False))
    vectors = unit_length(documents.values[sample])
    centres = vectors[np.sort(rng.choice(len(vectors), count, replace=False))]
    for _ in range(ITERATIONS):
        centres = _means(vectors, _assign(vectors, centres), centres)
    cell = np.empty(size, np.int64)
    with bar("cells of the documents", size, "documents") as shown:
        for start in range(0, size, BLOCK):
            block = unit_length(documents.values[start : start + BLOCK])
            cell[start : start + BLOCK] = _assign(block, centres)
            shown.advance(len(block))
    starts = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=count))])
    return Cells(centres, np.argsort(cell, kind="stable"), starts)


def _assign(vectors: Scores32, centres: Scores32) -> Places:
    """Find each vector's nearest centre."""
    rows, _ = nearest(vectors, _as_vectors(centres), 1, spare=1, quiet=True)
    return np.concatenate(rows).astype(np.int64)


def _as_vectors(centres: Scores32) -> Vectors:
    return Vectors(np.arange(len(centres), dtype=np.uint32), centres)


def _means(vectors: Scores32, cell: Places, centres: Scores32) -> Scores32:
    """Move each centre to the mean direction of its vectors; one without any stays."""
    order = np.argsort(cell, kind="stable")
    present, starts = np.unique(cell[order], return_index=True)
    moved = centres.copy()
    moved[present] = np.add.reduceat(vectors[order], starts, axis=0)
    return unit_length(moved)


def nearest_in_cells(
    queries: Scores32, documents: Vectors, cells: Cells, probes: int, depth: int
) -> tuple[list[Rows], list[Scores32]]:
    """Find each query's `depth` nearest documents among those of the `probes` cells that are nearest to it.

    Args:
        queries: (n, D) float32 of length 1, or 0.
        documents: What the cells were made of.
        cells: The cells.
        probes: How many of them each query looks into.
        depth: How many documents to find; all of the cells where there are fewer.

    Returns:
        As `nearest` does; the lists may be shorter.

    Raises:
        DataError: A vector is not finite, or the two sides differ in their dimension.
    """
    refuse_other_dimensions(queries, documents)
    probed = np.stack(nearest(queries, _as_vectors(cells.centres), probes, quiet=True)[0])
    depth = min(depth, len(documents.rows))
    best = Best(len(queries), min(depth + SPARE, len(documents.rows)))
    visits = list(_visits(probed, cells))
    for asking, places in track(visits, "nearest documents", unit="cells"):
        best.offer(asking, queries[asking] @ unit_length(documents.values[places]).T, places)
    keys = compare_again(queries, documents, best.keys)[:, :depth]
    unsure, floor = unsure_of(keys, best.least, queries.shape[1])
    if len(unsure):
        again = Best(len(unsure), depth)
        for asking, places in _visits(probed[unsure], cells):
            raw = to_float32(documents.values[places])
            again.offer_close(asking, queries[unsure[asking]], raw, places, floor[asking])
        keys[unsure] = -np.sort(-again.keys, axis=1)
    return _lists(keys, documents)


def _lists(keys: Keys, documents: Vectors) -> tuple[list[Rows], list[Scores32]]:
    rows, scores = [], []
    for own in keys:
        there = own[own != WORST]
        rows.append(documents.rows[places_of(there)])
        scores.append(scores_of(there))
    return rows, scores


def _visits(probed: NDArray[np.uint32], cells: Cells) -> Iterator[tuple[Places, Places]]:
    """Go through the cells in their order: the queries that look into one, and the places of its documents."""
    order = np.argsort(probed, axis=None, kind="stable")
    asked = probed.reshape(-1)[order]
    starts = np.searchsorted(asked, np.arange(len(cells.centres) + 1))
    for cell in range(len(cells.centres)):
        asking = order[starts[cell] : starts[cell + 1]] // probed.shape[1]
        places = cells.members(cell)
        if len(asking) and len(places):
            yield np.sort(asking), places
