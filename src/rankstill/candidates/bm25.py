"""`bm25`: documents that share the query's words.

The scores are bm25s's (variant `lucene`): idf(t) · tf / (tf + k1 · (1 - b + b · length / mean length)), with
idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5)). The index is the same sparse matrix that bm25s builds, put together from
arrays instead of Python lists, so that a million documents fit; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from bm25s import BM25
from numpy.typing import NDArray

from rankstill.candidates.analyser import Analyser
from rankstill.candidates.ranked import Ranked
from rankstill.candidates.strategy import Request
from rankstill.collection.store import Collection, Texts
from rankstill.errors import SpecError
from rankstill.progress import bar, track
from rankstill.records import Pairs, Rows, Scores32

K1, B = 1.2, 0.75
"""The defaults of Lucene. Anserini's 0.9 and 0.4 suit MS MARCO passages; these are stronger on longer texts."""
_CHUNK = 1 << 15


class Index:
    """A BM25 index over the documents of a collection, in memory."""

    def __init__(self, documents: Texts, *, k1: float = K1, b: float = B, analyser: str = "english") -> None:
        self.analyser = Analyser(analyser)
        counts, lengths = self._term_counts(documents)
        self._bm25 = BM25(k1=k1, b=b, method="lucene")
        self._bm25.scores = _weights(counts, lengths, k1, b)
        self._bm25.nonoccurrence_array = None
        self.size = len(lengths)

    def _term_counts(self, documents: Texts) -> tuple[sp.csr_matrix, NDArray[np.int32]]:
        """Count each document's terms: a (documents, terms) matrix of term frequencies, and the lengths."""
        parts: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]] = []
        lengths: list[NDArray[np.int32]] = []
        for texts in _chunks(documents):
            flat, size = self.analyser.documents(texts)
            parts.append(_count(flat, size))
            lengths.append(size)
        width = max(len(self.analyser.vocabulary), 1)
        starts = np.concatenate([np.zeros(1, np.int64), *[p[0] for p in parts]]).cumsum()
        columns = np.concatenate([p[1] for p in parts])
        tf = np.concatenate([p[2] for p in parts])
        length = np.concatenate(lengths)
        return sp.csr_matrix((tf, columns, starts), shape=(len(length), width), copy=False), length

    def scores(self, query: str) -> Scores32:
        """Score every document for a query: (documents,) float32, 0 where no term is shared."""
        return self._scores(self.analyser.query(query))

    def _scores(self, terms: NDArray[np.int64]) -> Scores32:
        if not len(terms):
            return np.zeros(self.size, np.float32)
        return np.asarray(self._bm25.get_scores_from_ids(terms), np.float32)

    def top(self, query: str, depth: int, without: NDArray[np.int64] | None = None) -> tuple[Rows, Scores32]:
        """Find the `depth` best documents that share a term, best first; equal scores in the order of the rows.

        Args:
            query: The text.
            depth: How many at most.
            without: Rows to leave out.
        """
        terms = self.analyser.query(query)
        scores = self._scores(terms)
        if without is not None:
            scores[without] = 0
        return top(scores, depth, self._floor(terms, scores, depth))

    def _floor(self, terms: NDArray[np.int64], scores: Scores32, depth: int) -> float:
        """Find a score that `depth` documents reach, cheaply: that of the last of them among one rare term's documents.

        Most documents then need not be looked at: a common word's, which share no other word with the query.
        """
        starts = self._bm25.scores["indptr"]
        sizes = [(int(starts[t + 1] - starts[t]), int(t)) for t in terms]
        size, term = min((pair for pair in sizes if pair[0] >= depth), default=(0, 0))
        if not size:
            return 0.0
        found = scores[self._bm25.scores["indices"][starts[term] : starts[term + 1]]]
        return float(np.partition(found, size - depth)[size - depth])


def _chunks(documents: Texts) -> Iterator[list[str]]:
    chunk: list[str] = []
    for text in track(documents, "BM25 index", len(documents), "documents"):
        chunk.append(text)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _count(
    flat: NDArray[np.int32], lengths: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], Scores32]:
    """Count equal terms of each document: distinct terms per document, the terms, their frequencies."""
    doc = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    key, tf = np.unique((doc << 32) | flat, return_counts=True)
    distinct = np.bincount(key >> 32, minlength=len(lengths)).astype(np.int32)
    return distinct, (key & 0xFFFFFFFF).astype(np.int32), tf.astype(np.float32)


def _weights(
    counts: sp.csr_matrix, lengths: NDArray[np.int32], k1: float, b: float
) -> dict[str, NDArray[np.generic] | int]:
    """Turn term frequencies into BM25 weights, stored by term, as bm25s keeps them."""
    documents = len(lengths)
    norm = k1 * (1 - b + b * lengths / max(lengths.mean(), 1e-9))
    tf = counts.data
    tf /= tf + np.repeat(norm, np.diff(counts.indptr)).astype(np.float32)
    by_term = counts.tocsc()
    df = np.diff(by_term.indptr)
    idf = np.log(1 + (documents - df + 0.5) / (df + 0.5)).astype(np.float32)
    by_term.data *= np.repeat(idf, df)
    return {"data": by_term.data, "indices": by_term.indices, "indptr": by_term.indptr, "num_docs": documents}


def top(scores: Scores32, depth: int, floor: float = 0.0) -> tuple[Rows, Scores32]:
    """Find the `depth` highest positive scores, best first; equal ones in rising order of the rows, also at the cut.

    Args:
        scores: (documents,).
        depth: How many at most.
        floor: A score that at least `depth` documents reach, where one is known.
    """
    found = np.flatnonzero(scores >= floor if floor > 0 else scores > 0)
    if len(found) > depth:
        values = scores[found]
        cut = np.partition(values, len(values) - depth)[len(values) - depth]
        above, equal = found[values > cut], found[values == cut]
        found = np.concatenate([above, equal[: depth - len(above)]])
    found = found[np.lexsort((found, -scores[found]))]
    return found.astype(np.uint32), scores[found]


@dataclass(frozen=True)
class BM25Strategy(Ranked):
    """Draws from each query's BM25 results; a query that shares too few words with the documents gets less.

    Attributes:
        k1, b: Of BM25.
        analyser: A language's name, or "plain"; see `Analyser`.
    """

    name: ClassVar[str] = "bm25"
    k1: float = K1
    b: float = B
    analyser: str = "english"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.b > 1:
            raise SpecError(f"b of the strategy bm25 is a number from 0 to 1: got {self.b}")
        Analyser(self.analyser)

    def lists(self, request: Request) -> Iterator[tuple[int, Rows, Scores32]]:
        """Rank; what must not be drawn is left out."""
        index = Index(request.collection.documents, k1=self.k1, b=self.b, analyser=self.analyser)
        for query in track(request.queries, "BM25 negatives", unit="queries"):
            text, forbidden = request.collection.queries[query], request.forbidden(int(query))
            yield int(query), *index.top(text, request.depth, forbidden)


def retrieve(collection: Collection, queries: Rows, depth: int) -> Pairs:
    """Rank each query's `depth` best documents: the first stage of an evaluation."""
    index = Index(collection.documents)
    found = []
    for query in track(queries, "BM25 retrieval", unit="queries"):
        docs, scores = index.top(collection.queries[query], depth)
        found.append(Pairs(np.full(len(docs), query, np.uint32), docs, scores))
    return Pairs.concatenate(found)


def rescore(collection: Collection, lists: Pairs) -> Pairs:
    """Score given lists by BM25 and rank them, for lists that come without scores of their own."""
    index = Index(collection.documents)
    scores = np.empty(len(lists), np.float32)
    with bar("BM25 scores", len(lists), "pairs") as shown:
        for query, span in lists.per_query().items():
            scores[span] = index.scores(collection.queries[query])[lists.doc[span]]
            shown.advance(span.stop - span.start)
    return Pairs(lists.query, lists.doc, scores).ranked()
