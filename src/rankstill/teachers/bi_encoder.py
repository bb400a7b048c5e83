"""A bi-encoder as a teacher: each distinct text is encoded once, a pair's score is the similarity of two vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection, Texts
from rankstill.progress import Bar, bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.distinct import Places, distinct_strings, distinct_texts
from rankstill.teachers.encode import CHUNK, Encoder, Side, encode_rows, sides_of
from rankstill.teachers.prepared import Prepared
from rankstill.teachers.similarity import SIMILARITIES

_BLOCK = 1 << 14
"""Pairs compared at once, which bounds memory."""

Encoded = tuple[NDArray[Any], NDArray[np.int64]]
"""Vectors, and which of them n pairs have."""


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
        return _compare(self.encoder, self._strings(queries, "query"), self._strings(docs, "document"))

    def _strings(self, texts: Sequence[str], side: Side) -> Encoded:
        distinct, where = distinct_strings(texts)
        return self.encoder.encode(distinct, side), where

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

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> Prepared:
        """Encode every distinct text of the pairs into files, chunk by chunk; a killed run continues there."""
        vectors, places = [], []
        for texts, rows, side in sides_of(collection, query, doc):
            distinct, _ = distinct_texts(texts, rows)
            path = folder / f"{texts.what}.npy"
            encode_rows(texts, distinct, self.encoder, path, side)
            vectors.append(np.load(path, mmap_mode="r", allow_pickle=False))
            places.append(Places(texts, distinct))

        def compare(queries: NDArray[np.int64], docs: NDArray[np.int64], shown: Bar | None) -> Scores32:
            scores = _compare(self.encoder, (vectors[0], queries), (vectors[1], docs))
            if shown is not None:
                shown.advance(len(scores))
            return scores

        return Prepared(self, places[0], places[1], compare)


def _encode_in_memory(encoder: Encoder, texts: Texts, rows: Rows, side: Side) -> Scores32:
    vectors = np.empty((len(rows), encoder.dimension), np.float32)
    with bar(f"encoding {texts.what}", len(rows), "texts") as shown:
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            vectors[start : start + len(chunk)] = encoder.encode(texts.take(chunk), side)
            shown.advance(len(chunk))
    return vectors


def _compare(encoder: Encoder, queries: Encoded, docs: Encoded) -> Scores32:
    """Compare the vectors of n pairs, each row by itself, so that a pair's score is the same in any company."""
    compare = SIMILARITIES[encoder.similarity]
    scores = np.empty(len(queries[1]), np.float32)
    for start in range(0, len(scores), _BLOCK):
        part = slice(start, start + _BLOCK)
        a, b = (vectors[where[part]].astype(np.float64) for vectors, where in (queries, docs))
        scores[part] = compare(a, b)
    return scores
