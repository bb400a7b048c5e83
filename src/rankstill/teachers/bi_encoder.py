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
from rankstill.teachers.distinct import Places, distinct_texts
from rankstill.teachers.encode import CHUNK, Encoder, Side, encode_rows, sides_of

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
        for texts, rows, side in sides_of(collection, query, doc):
            distinct, where = distinct_texts(texts, rows)
            sides.append((_encode_in_memory(self.encoder, texts, distinct, side), where))
        scores = _compare(self.encoder, *sides)
        if shown is not None:
            shown.advance(len(scores))
        return scores

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> _Prepared:
        """Encode every distinct text of the pairs into files, chunk by chunk; a killed run continues there."""
        sides = []
        for texts, rows, side in sides_of(collection, query, doc):
            distinct, _ = distinct_texts(texts, rows)
            path = folder / f"{texts.what}.npy"
            encode_rows(texts, distinct, self.encoder, path, side)
            sides.append((np.load(path, mmap_mode="r", allow_pickle=False), Places(texts, distinct)))
        return _Prepared(self, sides[0], sides[1])


class _Prepared:
    """A bi-encoder whose texts are encoded already: for either side the vectors, in a file, and their places."""

    by_text = True

    def __init__(
        self, teacher: BiEncoderTeacher, queries: tuple[NDArray[Any], Places], docs: tuple[NDArray[Any], Places]
    ) -> None:
        self._teacher, self._queries, self._docs = teacher, queries, docs
        self.name, self.kind, self.fingerprint = teacher.name, teacher.kind, teacher.fingerprint
        self.chunk = teacher.chunk

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        del collection
        (queries, query_places), (docs, doc_places) = self._queries, self._docs
        where = query_places.find(query), doc_places.find(doc)
        scores = _compare(self._teacher.encoder, (queries, where[0]), (docs, where[1]))
        if shown is not None:
            shown.advance(len(scores))
        return scores

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> _Prepared:
        del collection, query, doc, folder
        return self


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
