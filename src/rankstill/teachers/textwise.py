"""Teachers that encode each text by itself, into as many numbers as it needs, and compare two texts afterwards.

Sparse and late-interaction models are such. Each distinct text is encoded once; what it becomes is an array of any
length, and a pair is compared by itself, so that its score is the same in any company.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection, Texts
from rankstill.errors import DataError
from rankstill.files import whole_or_absent
from rankstill.progress import Bar, bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.distinct import Places, distinct_texts
from rankstill.teachers.encode import Side, sides_of

_CHUNK = 512
"""Texts encoded, and written, at a time."""

Code = NDArray[Any]
"""What a text becomes: (m, ...) of one type, m its own."""


class Coder(Protocol):
    """What tells one kind of such teachers from another."""

    name: str
    kind: str
    fingerprint: str

    def encode(self, texts: Sequence[str], side: Side) -> list[Code]:
        """Encode texts, each into its own array."""
        ...

    def compare(self, queries: Sequence[Code], docs: Sequence[Code]) -> Scores32:
        """Compare n pairs: (n,) float32."""
        ...


class Codes:
    """The arrays of many texts, end to end in a few blocks, in memory or memory-mapped.

    Args:
        blocks: For each block of `_CHUNK` texts (the last may be shorter) their arrays end to end, and their lengths.
    """

    def __init__(self, blocks: Sequence[tuple[Code, NDArray[np.int64]]]) -> None:
        self._flat = [flat for flat, _ in blocks]
        self._stops = [np.r_[0, np.cumsum(lengths)] for _, lengths in blocks]

    def __getitem__(self, place: int) -> Code:
        block, offset = divmod(int(place), _CHUNK)
        start, stop = self._stops[block][offset : offset + 2]
        return self._flat[block][start:stop]


class TextwiseTeacher:
    """Scores pairs by comparing what two texts were encoded into; see `Teacher`.

    Args:
        coder: The model.
    """

    by_text = True
    chunk = 1 << 14

    def __init__(self, coder: Coder) -> None:
        self.coder = coder
        self.name, self.kind, self.fingerprint = coder.name, coder.kind, coder.fingerprint

    def score_texts(self, queries: Sequence[str], docs: Sequence[str]) -> Scores32:
        """Score n pairs of texts: (n,) float32."""
        sides: list[list[Code]] = []
        for texts, side in ((queries, "query"), (docs, "document")):
            number = {text: i for i, text in enumerate(dict.fromkeys(texts))}
            codes = self.coder.encode(list(number), side)  # type: ignore[arg-type]
            sides.append([codes[number[text]] for text in texts])
        return self.coder.compare(sides[0], sides[1])

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Score pairs: (n,) float32. All codes stand in memory; see `prepared` for many."""
        queries, docs = (self._side(*side, None) for side in sides_of(collection, query, doc))
        return self._compare(queries, docs, queries.where, docs.where, shown)

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> TextwiseTeacher:
        """Encode every distinct text of the pairs into files, chunk by chunk; a killed run continues there."""
        return _Prepared(self, [self._side(*side, folder) for side in sides_of(collection, query, doc)])

    def _compare(
        self, queries: _Side, docs: _Side, query: NDArray[np.int64], doc: NDArray[np.int64], shown: Bar | None
    ) -> Scores32:
        """Compare pairs, given as places among the encoded texts."""
        scores = np.empty(len(query), np.float32)
        for start in range(0, len(scores), _CHUNK):
            part = slice(start, start + _CHUNK)
            codes = [queries.codes[p] for p in query[part]], [docs.codes[p] for p in doc[part]]
            scores[part] = self.coder.compare(*codes)
            if shown is not None:
                shown.advance(len(codes[0]))
        return scores

    def _side(self, texts: Texts, rows: Rows, side: Side, folder: Path | None) -> _Side:
        distinct, where = distinct_texts(texts, rows)
        blocks = []
        with bar(f"encoding {texts.what}", len(distinct), "texts") as shown:
            for start in range(0, len(distinct), _CHUNK):
                chunk = distinct[start : start + _CHUNK]
                path = None if folder is None else folder / f"{texts.what}-{start // _CHUNK:06d}"
                blocks.append(self._block(texts, chunk, side, path))
                shown.advance(len(chunk))
        return _Side(Codes(blocks), where, texts, distinct)

    def _block(self, texts: Texts, rows: Rows, side: Side, path: Path | None) -> tuple[Code, NDArray[np.int64]]:
        """Encode a block of texts, or take it from where it was finished."""
        if path is not None and path.with_suffix(".lengths.npy").exists():
            return _load(path)
        codes = self.coder.encode(texts.take(rows), side)
        lengths = np.array([len(code) for code in codes], np.int64)
        flat = np.concatenate(codes)
        _refuse_not_finite(flat, np.repeat(rows, lengths), texts, self.name)
        if path is None:
            return flat, lengths
        for suffix, values in ((".codes.npy", flat), (".lengths.npy", lengths)):
            with whole_or_absent(path.with_suffix(suffix)) as file:
                np.save(file, values, allow_pickle=False)
        return _load(path)


def _load(path: Path) -> tuple[Code, NDArray[np.int64]]:
    codes, lengths = path.with_suffix(".codes.npy"), path.with_suffix(".lengths.npy")
    lengths_read = np.load(lengths, allow_pickle=False)
    # An empty file cannot be mapped.
    return np.load(codes, mmap_mode="r" if lengths_read.any() else None, allow_pickle=False), lengths_read


class _Side:
    """The queries or the documents of some pairs, encoded."""

    def __init__(self, codes: Codes, where: NDArray[np.int64], texts: Texts, distinct: Rows) -> None:
        self.codes, self.where, self.places = codes, where, Places(texts, distinct)


class _Prepared(TextwiseTeacher):
    """A teacher whose texts are encoded already."""

    def __init__(self, teacher: TextwiseTeacher, sides: Sequence[_Side]) -> None:
        super().__init__(teacher.coder)
        self._queries, self._docs = sides

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        del collection
        places = self._queries.places.find(query), self._docs.places.find(doc)
        return self._compare(self._queries, self._docs, *places, shown)

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> TextwiseTeacher:
        del collection, query, doc, folder
        return self


def _refuse_not_finite(flat: Code, row: Rows, texts: Texts, name: str) -> None:
    values = flat["weight"] if flat.dtype.names else flat.reshape(len(flat), -1).sum(axis=1)
    bad = np.unique(row[~np.isfinite(values)])
    if len(bad):
        raise DataError(
            f"{name} gives {len(bad)} {texts.what} values that are not finite (first: {texts.id(int(bad[0]))})",
            hint="try --precision float32; if that fails too, the model is broken",
        )
