"""`dense`: the documents whose vectors are nearest to the query's by cosine, found exactly.

Documents pass by in chunks of rows, so the vectors may lie in a memory-mapped file larger than memory. For each query
the best so far are held; of a chunk only what beats the worst of them is looked at. Equal cosines stand in the order of
the rows, also at the cut, so that the list never depends on the chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.strategy import (
    Needs,
    Request,
    Strategy,
    Vectors,
    draw_from_ranked,
    refuse_bad_skip,
    unit_length,
)
from rankstill.progress import bar
from rankstill.records import Candidates, Rows, Scores32

QUERIES = 1024
DOCUMENTS = 1 << 14
"""How many of each are compared at once: 64 MB of cosines."""


@dataclass(frozen=True)
class Dense(Strategy):
    """Draws uniformly from the ranks `skip + 1` to `depth` of each query's nearest documents.

    Attributes:
        model: A bi-encoder: "minilm", a folder or a hub id.
        skip: Ranks to leave out at the top, where unlabelled positives are most frequent.
        depth: The last rank; 0 for the request's depth.
    """

    name: ClassVar[str] = "dense"
    short: ClassVar[str] = "model"
    model: str = "minilm"
    skip: int = 0
    depth: int = 0

    def __post_init__(self) -> None:
        refuse_bad_skip(self.skip)

    def needs(self) -> Needs:
        """Ask for the vectors of all documents."""
        return Needs(model=self.model, whole=True)

    def sample(self, request: Request) -> Candidates:
        """Draw."""
        request = request.to_depth(self.depth)
        queries, documents = request.vectors(self.name)
        # So many more than asked that what must not be drawn can be left out.
        spare = max((len(request.forbidden(int(q))) for q in request.queries), default=0)
        rows, scores = nearest(queries.unit(request.queries), documents, request.depth + spare)
        found = []
        for query, docs, cosines in zip(map(int, request.queries), rows, scores, strict=True):
            found.append(draw_from_ranked(request, str(self), query, docs, cosines, skip=self.skip))
        return Candidates.concatenate(found)


def nearest(queries: Scores32, documents: Vectors, depth: int) -> tuple[list[Rows], list[Scores32]]:
    """Find each query's `depth` nearest documents by cosine, exactly.

    Args:
        queries: (n, D) float32 of length 1.
        documents: The vectors to search; need not have length 1.
        depth: How many to find; all where there are fewer.

    Returns:
        For each query the documents' rows, nearest first, equal ones by row; and their cosines, float32.
    """
    best = _Best(len(queries), min(depth, len(documents.rows)))
    with bar("nearest documents", len(documents.rows), "documents") as shown:
        for start in range(0, len(documents.rows), DOCUMENTS):
            chunk = unit_length(documents.values[start : start + DOCUMENTS])
            for first in range(0, len(queries), QUERIES):
                best.offer(first, queries[first : first + QUERIES] @ chunk.T, start)
            shown.advance(len(chunk))
    return best.lists(documents.rows)


class _Best:
    """The best documents of each query so far, as keys that sort by falling score, then rising place."""

    def __init__(self, queries: int, depth: int) -> None:
        self._depth = depth
        self._keys = np.full((queries, depth), _WORST, np.int64)
        self._least = np.full(queries, -np.inf, np.float32)

    def offer(self, first: int, scores: Scores32, start: int) -> None:
        """Take in the scores (queries from `first`, documents from place `start`)."""
        # A later document with the score of the worst one comes after it: only what is above counts.
        row, column = np.nonzero(scores > self._least[first : first + len(scores), None])
        if not len(row):
            return
        keys = _key(scores[row, column], start + column)
        stops = np.searchsorted(row, np.arange(len(scores) + 1))
        for query in np.unique(row):
            joined = np.concatenate([self._keys[first + query], keys[stops[query] : stops[query + 1]]])
            joined = -np.partition(-joined, self._depth - 1)[: self._depth] if len(joined) > self._depth else joined
            self._keys[first + query] = joined
            self._least[first + query] = _score(np.min(joined))

    def lists(self, rows: Rows) -> tuple[list[Rows], list[Scores32]]:
        ordered = -np.sort(-self._keys, axis=1)
        places = (_PLACES - (ordered & _PLACES)).astype(np.int64)
        return list(rows[places]), list(_score(ordered))


_PLACES = np.int64(0xFFFFFFFF)
_WORST = np.int64(np.iinfo(np.int64).min + 1)


def _key(scores: Scores32, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Make one number of a score and a place: larger for a higher score, then for a smaller place."""
    bits = (scores + np.float32(0)).view(np.int32).astype(np.int64)
    # Floats sort like their bits, negative ones the other way round.
    bits = np.where(bits < 0, np.int64(-(2**31)) - bits - 1, bits)
    return (bits << 32) | (_PLACES - places)


def _score(keys: NDArray[np.int64]) -> Scores32:
    bits = np.asarray(keys) >> 32
    bits = np.where(bits < 0, np.int64(-(2**31)) - bits - 1, bits)
    found = bits.astype(np.int32).view(np.float32)
    return np.where(np.asarray(keys) == _WORST, np.float32(-np.inf), found)
