"""The small frozen tables that cross folders, and their Parquet form.

Inside rankstill queries and documents are row numbers (uint32) of a collection; ids and texts are looked up at the
edges only. Every table checks itself when it is made, so what crosses a folder is valid.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rankstill.errors import DataError
from rankstill.files import whole_or_absent

Rows = NDArray[np.uint32]
Scores32 = NDArray[np.float32]


def write_parquet(path: Path, columns: dict[str, Any]) -> None:
    """Write columns as one Parquet file, whole or absent, with the same bytes for the same values."""
    table = pa.table({name: pa.array(c) if isinstance(c, np.ndarray) else c for name, c in columns.items()})
    with whole_or_absent(path) as file:
        pq.write_table(table, file, compression="zstd", write_statistics=False)


def read_parquet(path: Path, columns: list[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    """Read the named columns of a Parquet file, and those of the optional ones that it has, as Arrow columns.

    Raises:
        DataError: The file is missing, is not Parquet, or lacks one of the columns.
    """
    try:
        there = [c for c in optional if c in pq.read_schema(path).names]
        table = pq.read_table(path, columns=[*columns, *there], memory_map=True)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}", hint="run the stage that writes it") from None
    except pa.ArrowException as error:
        raise DataError(
            f"{path} is not the table it should be: {error}", hint="run the stage that writes it"
        ) from error
    if missing := [c for c in columns if c not in table.column_names]:
        raise DataError(f"{path} has no column {missing[0]!r}; it has {table.column_names}")
    return {name: table.column(name) for name in [*columns, *there]}


def _flat(column: pa.ChunkedArray) -> NDArray[Any]:
    values: NDArray[Any] = column.to_numpy()
    return values


def _matrix(column: pa.ChunkedArray, width: int) -> NDArray[Any]:
    values: NDArray[Any] = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.reshape(-1, width)


def _same_length(**columns: NDArray[Any]) -> None:
    lengths = {name: len(c) for name, c in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns of one table differ in length: {lengths}")


def row_keys(query: NDArray[np.integer], doc: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Make one number of each of n queries and n documents (rows, or other numbers below 2^32): (n,)."""
    return (query.astype(np.uint64) << np.uint64(32)) | doc.astype(np.uint64)


def rows_of(keys: NDArray[np.uint64]) -> tuple[Rows, Rows]:
    """Split what `row_keys` made: (n,) queries and (n,) documents."""
    return (keys >> np.uint64(32)).astype(np.uint32), keys.astype(np.uint32)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Scored (query, document) pairs: candidates, teacher scores, and runs are all of this form.

    Attributes:
        query: (n,) uint32 rows of queries; all pairs of one query stand together.
        doc: (n,) uint32 rows of documents.
        score: (n,) float32; higher is better. NaN where a list has no scores.
    """

    query: Rows
    doc: Rows
    score: Scores32

    def __post_init__(self) -> None:
        _same_length(query=self.query, doc=self.doc, score=self.score)

    def __len__(self) -> int:
        return len(self.query)

    @classmethod
    def empty(cls) -> Self:
        """Make a table of no pairs."""
        return cls(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.float32))

    @classmethod
    def concatenate(cls, tables: list[Self]) -> Self:
        """Join tables end to end."""
        if not tables:
            return cls.empty()
        return cls(*(np.concatenate([getattr(t, c) for t in tables]) for c in ("query", "doc", "score")))

    def per_query(self) -> dict[int, slice]:
        """Map each query's row to its stretch of the table.

        Raises:
            DataError: A query's pairs do not stand together.
        """
        if not len(self):
            return {}
        starts = np.flatnonzero(np.r_[True, self.query[1:] != self.query[:-1]])
        stops = np.r_[starts[1:], len(self)]
        spans = {int(self.query[a]): slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True)}
        if len(spans) != len(starts):
            raise DataError(
                f"the pairs of a query do not stand together ({len(starts) - len(spans)} queries are split)"
            )
        return spans

    def key(self) -> NDArray[np.uint64]:
        """Number each pair by query and document, so that tables can be joined by sorting."""
        return row_keys(self.query, self.doc)

    def ranked(self) -> Pairs:
        """Sort by query, then falling score; equal scores by document row, so that ties never depend on chance."""
        order = np.lexsort((self.doc, -self.score.astype(np.float64), self.query))
        return Pairs(self.query[order], self.doc[order], self.score[order])

    def write(self, path: Path) -> None:
        """Write as Parquet: query uint32, doc uint32, score float32."""
        write_parquet(path, {"query": self.query, "doc": self.doc, "score": self.score})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        columns = read_parquet(path, ["query", "doc", "score"])
        return cls(*(_flat(columns[c]) for c in ("query", "doc", "score")))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Documents that a strategy drew.

    Attributes:
        query: (n,) uint32; all documents of one query stand together.
        doc: (n,) uint32.
        score: (n,) float32: the strategy's own; NaN where it has none.
        probability: (n,) float32: how likely the draw was to take this document for this query (its inclusion
            probability, over seeds); NaN where the strategy cannot say.
        source: (n,) uint8: which part of a compound strategy drew it, a place in `sources`.
        sources: The parts' names; empty for a strategy without parts.
        edited: Ids and texts of documents that the strategy wrote; their rows follow those of the collection's own.
    """

    query: Rows
    doc: Rows
    score: Scores32
    probability: Scores32
    source: NDArray[np.uint8]
    sources: tuple[str, ...] = ()
    edited: Collection[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        _same_length(**{name: getattr(self, name) for name in _DRAWN})

    def __len__(self) -> int:
        return len(self.query)

    @classmethod
    def of(cls, query: int, doc: Rows, score: Scores32, probability: float | Scores32, source: int = 0) -> Self:
        """Make the table of one query."""
        n = len(doc)
        share = np.broadcast_to(np.asarray(probability, np.float32), n)
        return cls(np.full(n, query, np.uint32), doc, score, share, np.full(n, source, np.uint8))

    @classmethod
    def concatenate(cls, tables: Sequence[Candidates], sources: tuple[str, ...] = ()) -> Self:
        """Join tables end to end."""
        if not tables:
            return cls(**{c: np.empty(0, kind) for c, kind in _DRAWN.items()}, sources=sources)
        return cls(**{c: np.concatenate([getattr(t, c) for t in tables]) for c in _DRAWN}, sources=sources)

    @property
    def pairs(self) -> Pairs:
        """The queries and documents, with the strategy's own scores."""
        return Pairs(self.query, self.doc, self.score)

    def per_query(self) -> dict[int, slice]:
        """Map each query's row to its stretch of the table; see `Pairs.per_query`."""
        return self.pairs.per_query()

    def take(self, where: NDArray[Any] | slice) -> Candidates:
        """Pick some rows."""
        return replace(self, **{c: getattr(self, c)[where] for c in _DRAWN})

    def write(self, path: Path) -> None:
        """Write as Parquet: the five columns; the sources' names stand in the stage's manifest."""
        write_parquet(path, {c: getattr(self, c) for c in _DRAWN})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote, without the sources' names; or a table of the first three columns alone."""
        columns = read_parquet(path, ["query", "doc", "score"], ("probability", "source"))
        query, doc, score = (_flat(columns[c]) for c in ("query", "doc", "score"))
        probability, source = np.full(len(doc), np.nan, np.float32), np.zeros(len(doc), np.uint8)
        if "probability" in columns:
            probability, source = _flat(columns["probability"]), _flat(columns["source"])
        return cls(query, doc, score, probability, source)


_DRAWN: dict[str, Any] = {
    **{"query": np.uint32, "doc": np.uint32, "score": np.float32, "probability": np.float32, "source": np.uint8}
}


@dataclass(frozen=True, slots=True)
class Qrels:
    """Judgements: how relevant a document is to a query.

    Attributes:
        query: (n,) uint32. Sorted by query, then document.
        doc: (n,) uint32.
        grade: (n,) int32; 0 is judged not relevant, above 0 is relevant unless a collection says otherwise.
    """

    query: Rows
    doc: Rows
    grade: NDArray[np.int32]

    def __post_init__(self) -> None:
        _same_length(query=self.query, doc=self.doc, grade=self.grade)

    def __len__(self) -> int:
        return len(self.query)

    def queries(self) -> Rows:
        """List the judged queries, each once, in rising order."""
        return np.unique(self.query)

    def positives(self, level: int = 1) -> dict[int, Rows]:
        """Map each query that has any to its documents of at least this grade."""
        keep = self.grade >= level
        query, doc = self.query[keep], self.doc[keep]
        order = np.lexsort((doc, query))
        query, doc = query[order], doc[order]
        rows, starts = np.unique(query, return_index=True)
        # The first part, before the first start, is empty.
        parts = np.split(doc, starts)[1:]
        return {int(q): d for q, d in zip(rows, parts, strict=True)}


_LISTS = ("doc", "score", "label", "probability")
UNDRAWN = 255
"""The source of a document that no part of a strategy drew: the positive."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Training examples: a query, its positive, and k-1 others, with the teacher's score of each.

    Attributes:
        query: (n,) uint32.
        doc: (n, k) uint32; column 0 is the positive (or its stand-in, the teacher's best).
        score: (n, k) float32 teacher scores; finite.
        label: (n, k) float32; 1 for a positive, 0 for the others.
        probability: (n, k) float32: how likely the document was to come into the group, over seeds; 1 for the positive,
            NaN where the strategy cannot say (everywhere, unless given).
        source: (n, k) uint8: which part of a compound strategy the document came from, `UNDRAWN` for the positive; None
            for a strategy without parts.
    """

    query: Rows
    doc: Rows
    score: Scores32
    label: Scores32
    probability: Scores32 = field(default_factory=lambda: np.empty(0, np.float32))
    source: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if not self.probability.size:
            object.__setattr__(self, "probability", np.full(self.doc.shape, np.nan, np.float32))
        _same_length(query=self.query, **{name: getattr(self, name) for name in _LISTS})
        shapes = [getattr(self, name).shape for name in self._lists()]
        if len(set(shapes)) > 1:
            raise DataError(f"groups differ in size: {', '.join(map(str, shapes))}")
        bad = np.flatnonzero(~np.isfinite(self.score).all(axis=1)) if len(self) else np.empty(0)
        if len(bad):
            raise DataError(
                f"{len(bad)} of {len(self)} groups hold a teacher score that is not finite (first: row {bad[0]})"
            )

    def __len__(self) -> int:
        return len(self.query)

    @property
    def size(self) -> int:
        """Return k, the number of documents in a group."""
        return int(self.doc.shape[1])

    def take(self, rows: NDArray[Any]) -> Groups:
        """Pick some groups."""
        return replace(self, query=self.query[rows], **{name: getattr(self, name)[rows] for name in self._lists()})

    def _lists(self) -> tuple[str, ...]:
        return _LISTS if self.source is None else (*_LISTS, "source")

    def write(self, path: Path) -> None:
        """Write as Parquet: query uint32; doc, score, label, probability, and source if there is one, as lists of k."""

        def lists(matrix: NDArray[Any]) -> pa.Array:
            return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), self.size)

        write_parquet(path, {"query": self.query, **{name: lists(getattr(self, name)) for name in self._lists()}})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            DataError: The file is missing or is another table, or its lists are not of one fixed size.
        """
        columns = read_parquet(path, ["query", *_LISTS[:3]], (*_LISTS[3:], "source"))
        lists = [name for name in (*_LISTS, "source") if name in columns]
        sizes = {name: getattr(columns[name].type, "list_size", None) for name in lists}
        size = sizes["doc"]
        if size is None or set(sizes.values()) != {size}:
            raise DataError(
                f"{path} does not hold groups: doc, score and label are not lists of one fixed size (found: {sizes})",
                hint="run `rankstill group`, or write Arrow's fixed-size lists",
            )
        return cls(_flat(columns["query"]), **{c: _matrix(columns[c], size) for c in lists})
