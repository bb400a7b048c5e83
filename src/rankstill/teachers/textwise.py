"""Teachers that encode each text by itself, into as many numbers as it needs, and compare two texts afterwards.

Sparse and late-interaction models are such. Each distinct text is encoded once; what it becomes is an array of any
length, and a pair is compared by itself, so that its score is the same in any company.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection, Texts
from rankstill.errors import DataError
from rankstill.files import whole_or_absent
from rankstill.parallel import spread, unloaded
from rankstill.progress import Bar, bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.distinct import Places, distinct_strings, distinct_texts
from rankstill.teachers.encode import Side, sides_of
from rankstill.teachers.prepared import Prepared

_CHUNK = 512
"""Texts encoded, and written, at a time; pairs compared at a time."""

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


class Codes(Protocol):
    """The codes of many texts."""

    def __getitem__(self, place: int, /) -> Code:
        """Give the code of one text."""
        ...


class CodeFiles:
    """The codes of many texts in files: blocks of codes end to end, and their lengths. A block is mapped when needed.

    Args:
        folder: Where the files are.
        what: What their names begin with.
        size: Texts of a block; the last may have fewer.
    """

    def __init__(self, folder: Path, what: str, size: int) -> None:
        self.folder, self.what, self.size = folder, what, size

    def __getstate__(self) -> dict[str, Any]:
        return unloaded(self)

    @cached_property
    def _blocks(self) -> dict[int, tuple[Code, NDArray[np.int64]]]:
        return {}

    def has(self, block: int) -> bool:
        """Tell whether a block is finished."""
        return self._path(block, "lengths").exists()

    def write(self, block: int, flat: Code, lengths: NDArray[np.int64]) -> None:
        """Write a block; the lengths last, whose file says that it is finished."""
        for kind, values in (("codes", flat), ("lengths", lengths)):
            with whole_or_absent(self._path(block, kind)) as file:
                np.save(file, values, allow_pickle=False)

    def __getitem__(self, place: int) -> Code:
        block, offset = divmod(int(place), self.size)
        if block not in self._blocks:
            self._blocks[block] = self._open(block)
        flat, stops = self._blocks[block]
        return flat[stops[offset] : stops[offset + 1]]

    def _open(self, block: int) -> tuple[Code, NDArray[np.int64]]:
        lengths = np.load(self._path(block, "lengths"), allow_pickle=False)
        # An empty file cannot be mapped.
        flat = np.load(self._path(block, "codes"), mmap_mode="r" if lengths.any() else None, allow_pickle=False)
        return flat, np.r_[0, np.cumsum(lengths)]

    def _path(self, block: int, kind: str) -> Path:
        return self.folder / f"{self.what}-{block:06d}.{kind}.npy"


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
        return self.coder.compare(self._strings(queries, "query"), self._strings(docs, "document"))

    def _strings(self, texts: Sequence[str], side: Side) -> list[Code]:
        distinct, where = distinct_strings(texts)
        codes = self.coder.encode(distinct, side)
        return [codes[place] for place in where]

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Score pairs: (n,) float32. All codes stand in memory; see `prepared` for many."""
        codes, places = [], []
        for texts, rows, side in sides_of(collection, query, doc):
            distinct, where = distinct_texts(texts, rows)
            blocks = self._encoded(texts, [distinct[b] for b in _blocks(len(distinct))], side)
            codes.append([code for flat, lengths in blocks for code in np.split(flat, np.cumsum(lengths)[:-1])])
            places.append(where)
        scores = np.empty(len(query), np.float32)
        for part in _blocks(len(query)):
            scores[part] = _compare((self.coder, codes[0], codes[1]), (places[0][part], places[1][part]))
        if shown is not None:
            shown.advance(len(scores))
        return scores

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> Prepared:
        """Encode every distinct text of the pairs into files, block by block; a killed run continues there."""
        codes, places = [], []
        for texts, rows, side in sides_of(collection, query, doc):
            distinct, _ = distinct_texts(texts, rows)
            files = CodeFiles(folder, texts.what, _CHUNK)
            blocks = {n: distinct[b] for n, b in enumerate(_blocks(len(distinct))) if not files.has(n)}
            for number, block in zip(blocks, self._encoded(texts, list(blocks.values()), side), strict=True):
                files.write(number, *block)
            codes.append(files)
            places.append(Places(texts, distinct))

        def compare(queries: NDArray[np.int64], docs: NDArray[np.int64], shown: Bar | None) -> Scores32:
            scores = np.empty(len(queries), np.float32)
            parts = _blocks(len(scores))
            pieces = ((queries[part], docs[part]) for part in parts)
            for part, found in zip(parts, spread(_compare, (self.coder, codes[0], codes[1]), pieces), strict=True):
                scores[part] = found
                if shown is not None:
                    shown.advance(len(found))
            return scores

        return Prepared(self, places[0], places[1], compare)

    def _encoded(self, texts: Texts, blocks: Sequence[Rows], side: Side) -> Iterator[tuple[Code, NDArray[np.int64]]]:
        """Yield each block's codes end to end, and their lengths."""
        with bar(f"encoding {texts.what}", sum(map(len, blocks)), "texts") as shown:
            for rows, found in zip(blocks, spread(_encode, (self.coder, texts, side), blocks), strict=True):
                _refuse_not_finite(found[0], np.repeat(rows, found[1]), texts, self.name)
                yield found
                shown.advance(len(rows))


def _blocks(count: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, count, _CHUNK)]


def _encode(shared: tuple[Coder, Texts, Side], rows: Rows) -> tuple[Code, NDArray[np.int64]]:
    coder, texts, side = shared
    codes = coder.encode(texts.take(rows), side)
    return np.concatenate(codes), np.array([len(code) for code in codes], np.int64)


def _compare(shared: tuple[Coder, Codes, Codes], places: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Scores32:
    coder, queries, docs = shared
    return coder.compare([queries[p] for p in places[0]], [docs[p] for p in places[1]])


def _refuse_not_finite(flat: Code, row: Rows, texts: Texts, name: str) -> None:
    values = flat["weight"] if flat.dtype.names else flat.reshape(len(flat), -1).sum(axis=1)
    bad = np.unique(row[~np.isfinite(values)])
    if len(bad):
        raise DataError(
            f"{name} gives {len(bad)} {texts.what} values that are not finite (first: {texts.id(int(bad[0]))})",
            hint="try --precision float32; if that fails too, the model is broken",
        )
