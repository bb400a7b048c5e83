"""A bi-encoder as a teacher: each distinct text is encoded once, a pair's score is the similarity of two vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection, Texts
from rankstill.progress import Bar, bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.distinct import distinct_texts
from rankstill.teachers.encode import CHUNK, Encoder, Side, encode_rows

_BLOCK = 1 << 14
"""Pairs compared at once, which bounds memory."""

Vectors = NDArray[np.float64]
_NO_NORM = 1e-12


def _cosine(a: Vectors, b: Vectors) -> Vectors:
    norms = np.sqrt(_dot(a, a) * _dot(b, b))
    return _dot(a, b) / np.maximum(norms, _NO_NORM)


def _dot(a: Vectors, b: Vectors) -> Vectors:
    return cast(Vectors, (a * b).sum(axis=1))


def _euclidean(a: Vectors, b: Vectors) -> Vectors:
    return -np.sqrt(_dot(a - b, a - b))


def _manhattan(a: Vectors, b: Vectors) -> Vectors:
    return cast(Vectors, -np.abs(a - b).sum(axis=1))


SIMILARITIES: dict[str, Callable[[Vectors, Vectors], Vectors]] = {
    "cosine": _cosine,
    "dot": _dot,
    "euclidean": _euclidean,
    "manhattan": _manhattan,
}


class BiEncoderTeacher:
    """Scores pairs by the similarity of their vectors; see `Teacher`.

    Args:
        encoder: The model.
    """

    by_text = True
    chunk = 1 << 17

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.name, self.kind, self.fingerprint = encoder.name, encoder.kind, encoder.fingerprint

    def keep_in(self, store: Path) -> None:
        """Keep every vector in this store, and take from there what is known."""
        self.encoder.keep_in(store)

    def score_texts(self, queries: Sequence[str], docs: Sequence[str]) -> Scores32:
        """Score n pairs of texts: (n,) float32."""
        vectors = [_encode_distinct(self.encoder, texts, s) for texts, s in ((queries, "query"), (docs, "document"))]  # type: ignore[arg-type]
        return _compare(self.encoder, vectors[0], vectors[1])

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Score pairs: (n,) float32. All vectors stand in memory; see `prepared` for many."""
        sides = []
        for texts, rows, side in _sides(collection, query, doc):
            distinct, where = distinct_texts(texts, rows)
            sides.append((_encode_in_memory(self.encoder, texts, distinct, side), where))
        scores = _compare(self.encoder, *sides)
        if shown is not None:
            shown.advance(len(scores))
        return scores

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> _Prepared:
        """Encode every distinct text of the pairs into files, chunk by chunk; a killed run continues there."""
        sides = []
        for texts, rows, side in _sides(collection, query, doc):
            distinct, _ = distinct_texts(texts, rows)
            path = folder / f"{texts.what}.npy"
            encode_rows(texts, distinct, self.encoder, path, side)
            sides.append(_OnDisk(texts, distinct, np.load(path, mmap_mode="r", allow_pickle=False)))
        return _Prepared(self, sides[0], sides[1])


class _OnDisk:
    """Vectors in a memory-mapped file, found by row."""

    def __init__(self, texts: Texts, distinct: Rows, vectors: NDArray[Any]) -> None:
        self.vectors = vectors
        self._where = np.full(int(texts.same_text.max(initial=-1)) + 1, -1, np.int64)
        self._where[texts.same_text[distinct]] = np.arange(len(distinct))
        self._number = texts.same_text

    def find(self, rows: Rows) -> tuple[NDArray[Any], NDArray[np.int64]]:
        return self.vectors, self._where[self._number[rows]]


class _Prepared:
    """A bi-encoder whose texts are encoded already."""

    by_text = True

    def __init__(self, teacher: BiEncoderTeacher, queries: _OnDisk, docs: _OnDisk) -> None:
        self._teacher, self._queries, self._docs = teacher, queries, docs
        self.name, self.kind, self.fingerprint = teacher.name, teacher.kind, teacher.fingerprint
        self.chunk = teacher.chunk

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        del collection
        scores = _compare(self._teacher.encoder, self._queries.find(query), self._docs.find(doc))
        if shown is not None:
            shown.advance(len(scores))
        return scores

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> _Prepared:
        del collection, query, doc, folder
        return self


def _sides(collection: Collection, query: Rows, doc: Rows) -> list[tuple[Texts, Rows, Side]]:
    return [(collection.queries, query, "query"), (collection.documents, doc, "document")]


def _encode_distinct(encoder: Encoder, texts: Sequence[str], side: Side) -> tuple[Scores32, NDArray[np.int64]]:
    number = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return encoder.encode(list(number), side), np.array([number[text] for text in texts], np.int64)


def _encode_in_memory(encoder: Encoder, texts: Texts, rows: Rows, side: Side) -> Scores32:
    vectors = np.empty((len(rows), encoder.dimension), np.float32)
    with bar(f"encoding {texts.what}", len(rows), "texts") as shown:
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            vectors[start : start + len(chunk)] = encoder.encode(texts.take(chunk), side)
            shown.advance(len(chunk))
    return vectors


def _compare(
    encoder: Encoder,
    queries: tuple[NDArray[Any], NDArray[np.int64]],
    docs: tuple[NDArray[Any], NDArray[np.int64]],
) -> Scores32:
    """Compare the vectors of n pairs, each row by itself, so that a pair's score is the same in any company."""
    compare = SIMILARITIES[encoder.similarity]
    scores = np.empty(len(queries[1]), np.float32)
    for start in range(0, len(scores), _BLOCK):
        part = slice(start, start + _BLOCK)
        a, b = (vectors[where[part]].astype(np.float64) for vectors, where in (queries, docs))
        scores[part] = compare(a, b)
    return scores
