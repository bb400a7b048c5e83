"""A collection on disk: texts in memory-mapped Arrow files, judgements and candidate lists as row numbers.

Layout of the folder (docs/formats.md): `documents.arrow`, `queries.arrow` (id, text, key), `qrels.parquet` (split,
query, doc, grade) and, where the source has candidate lists, `lists.parquet` (query, doc, score). An extended
collection (see `extend`) has more documents in `documents.1.arrow`, `documents.2.arrow`, ..., whose rows follow.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rankstill.errors import DataError, unknown_name
from rankstill.files import Json, read_manifest, whole_or_absent, writing_errors
from rankstill.records import Pairs, Qrels, Rows, read_parquet

BATCH = 1 << 16
"""Rows per Arrow record batch."""

_SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("key", pa.binary(16))])


def text_key(text: str) -> bytes:
    """Identify a text by 16 bytes of its BLAKE2b hash: equal texts share it, whatever their ids."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def files_of(path: Path) -> list[Path]:
    """List the files of a table of texts: `NAME.arrow`, and what extends it, `NAME.1.arrow`, `NAME.2.arrow`, ..."""
    more = [part for part in path.parent.glob(f"{path.stem}.*.arrow") if part.name.split(".")[1].isdecimal()]
    return [path, *sorted(more, key=lambda part: int(part.name.split(".")[1]))]


def _open(path: Path) -> pa.Table:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except FileNotFoundError:
        raise DataError(f"there is no file {path}", hint="run `rankstill load` again") from None
    except pa.ArrowException as error:
        raise DataError(f"{path} is not an Arrow file: {error}", hint="run `rankstill load` again") from error


class Texts:
    """The ids and texts of all documents or all queries of a collection, memory-mapped.

    Row r is the r-th text in the order of the source.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = path, what
        tables = [_open(part) for part in files_of(path)]
        self._table = tables[0] if len(tables) == 1 else pa.concat_tables(tables)
        self._texts = self._table.column("text").chunks
        self._starts: list[int] = np.cumsum([0, *(len(chunk) for chunk in self._texts)])[:-1].tolist()

    def __reduce__(self) -> tuple[object, ...]:
        # Another process maps the file itself.
        return Texts, (self.path.resolve(), self.what)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, row: int) -> str:
        chunk = bisect_right(self._starts, int(row)) - 1
        return str(self._texts[chunk][int(row) - self._starts[chunk]])

    def take(self, rows: Iterable[int]) -> list[str]:
        """Fetch the texts of the given rows, in that order."""
        return [self[row] for row in rows]

    def __iter__(self) -> Iterator[str]:
        for chunk in self._texts:
            yield from chunk.to_pylist()

    def id(self, row: int) -> str:
        """Fetch one id."""
        return str(self._table.column("id")[int(row)])

    def id_column(self) -> pa.ChunkedArray:
        """Give all ids as an Arrow column."""
        return self._table.column("id")

    def ids(self, rows: Rows | Sequence[int] | None = None) -> list[str]:
        """Fetch the ids of the given rows, or of all."""
        column = self._table.column("id")
        found = column if rows is None else column.take(pa.array(np.asarray(rows, np.int64)))
        return list(found.to_pylist())

    def rows(self, ids: Sequence[str] | pa.Array, source: str = "") -> Rows:
        """Find the rows of ids.

        Raises:
            DataError: Some ids are not in the collection; says how many, names the first and where they came from.
        """
        rows = self.find(ids)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            where = f"{source}: " if source else ""
            raise DataError(
                f"{where}{len(missing)} of {len(ids)} entries name {self.what} that the collection does not have "
                f"(first: {ids[int(missing[0])]!s})",
                hint=f"add the missing {self.what}, or drop the lines that name them",
            )
        return rows.astype(np.uint32)

    def find(self, ids: Sequence[str] | pa.Array) -> NDArray[np.int64]:
        """Find the rows of ids; -1 for those that are not in the collection."""
        found = pc.index_in(pa.array(ids, pa.string()), value_set=self._table.column("id").combine_chunks())
        rows: NDArray[np.int64] = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return rows

    @cached_property
    def keys(self) -> NDArray[np.void]:
        """The 16-byte key of every text, as an (n,) array of void scalars."""
        column = self._table.column("key")
        return np.concatenate(
            [np.frombuffer(c.buffers()[1], "V16", len(c), c.offset * 16) for c in column.chunks] or [np.empty(0, "V16")]
        )

    @cached_property
    def same_text(self) -> NDArray[np.int64]:
        """Number the distinct texts: rows with equal text share a number."""
        halves = np.ascontiguousarray(self.keys).view(np.uint64).reshape(-1, 2)
        order = np.lexsort((halves[:, 1], halves[:, 0]))
        ordered = halves[order]
        new = np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)][: len(ordered)]
        numbers = np.empty(len(halves), np.int64)
        numbers[order] = np.cumsum(new) - 1
        return numbers

    @cached_property
    def _by_text(self) -> NDArray[np.int64]:
        return np.argsort(self.same_text, kind="stable")

    def copies(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Find all rows whose text is that of one of the given rows, these included, each once."""
        numbers = np.unique(self.same_text[rows])
        order = self._by_text
        first, last = (np.searchsorted(self.same_text, numbers, side, sorter=order) for side in ("left", "right"))
        return np.concatenate([np.empty(0, np.int64), *(order[a:b] for a, b in zip(first, last, strict=True))])


class Collection:
    """An opened collection folder.

    Attributes:
        path: The folder.
        documents, queries: Their texts.
        manifest: What the loader recorded: counts, source, options.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.manifest: Json = read_manifest(self.path)
        self.documents = Texts(self.path / "documents.arrow", "documents")
        self.queries = Texts(self.path / "queries.arrow", "queries")

    def __reduce__(self) -> tuple[object, ...]:
        return Collection, (self.path.resolve(),)

    @property
    def splits(self) -> list[str]:
        """The names of the judged splits, such as train, dev and test."""
        return list(self.manifest["counts"]["judgements"])

    @property
    def relevant_from(self) -> int:
        """The lowest grade that counts as relevant for binary measures and as a positive; 1 unless stated."""
        return int(self.manifest["spec"].get("relevant_from", 1))

    def qrels(self, split: str) -> Qrels:
        """Read the judgements of one split.

        Raises:
            SpecError: There is no such split.
        """
        if split not in self.splits:
            raise unknown_name("split", split, self.splits or ["(none: the collection has no judgements)"])
        columns = read_parquet(self.path / "qrels.parquet", ["split", "query", "doc", "grade"])
        keep = pc.equal(columns["split"], split)
        parts = [columns[c].filter(keep).to_numpy() for c in ("query", "doc", "grade")]
        return Qrels(*parts)

    def refuse_foreign(self, query: Rows, doc: Rows) -> None:
        """Refuse rows that the collection does not have.

        Raises:
            DataError: There are some.
        """
        for texts, rows in ((self.queries, query), (self.documents, doc)):
            if len(rows) and rows.max() >= len(texts):
                raise DataError(
                    f"the pairs name row {rows.max()}, and {self.path} has {len(texts)} {texts.what}",
                    hint="they belong to another collection; edited texts stand in the one beside their candidates",
                )

    def lists(self) -> Pairs | None:
        """Read the candidate lists that came with the collection, in their own order, if there are any."""
        path = self.path / "lists.parquet"
        return Pairs.read(path) if path.is_file() else None


def write_texts(path: Path, items: Iterable[tuple[str, str]], what: str) -> int:
    """Write ids and texts as an Arrow file, one batch in memory at a time.

    Args:
        path: The file; whole or absent afterwards.
        items: (id, text), in the order that becomes the rows.
        what: "documents" or "queries", for messages.

    Returns:
        How many there were.

    Raises:
        DataError: There is none, or an id comes twice.
    """
    count = 0
    with whole_or_absent(path) as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        ids: list[str] = []
        texts: list[str] = []

        def flush() -> None:
            keys = [text_key(text) for text in texts]
            writer.write_batch(
                pa.record_batch([pa.array(ids), pa.array(texts), pa.array(keys, pa.binary(16))], schema=_SCHEMA)
            )
            ids.clear()
            texts.clear()

        for item_id, text in items:
            ids.append(item_id)
            texts.append(text)
            count += 1
            if len(ids) == BATCH:
                flush()
        if ids:
            flush()
    if not count:
        raise DataError(f"the collection has no {what}")
    _refuse_doubled_ids(path, what)
    return count


def _refuse_doubled_ids(path: Path, what: str) -> None:
    ids = pa.ipc.open_file(pa.memory_map(str(path))).read_all().column("id").combine_chunks()
    first = pc.index_in(ids, value_set=ids).to_numpy(zero_copy_only=False)
    doubled = np.flatnonzero(first != np.arange(len(ids)))
    if len(doubled):
        name = str(ids[int(doubled[0])])
        raise DataError(
            f"{len(doubled)} {what} have an id that came before (first: {name!r}, entries "
            f"{int(first[doubled[0]]) + 1} and {int(doubled[0]) + 1})",
            hint="ids must be unique; remove or rename the doubled ones",
        )


def write_qrels(path: Path, splits: dict[str, Qrels]) -> None:
    """Write the judgements of all splits as one Parquet file."""
    names = pa.array([name for name, q in splits.items() for _ in range(len(q))], pa.string())
    columns = (
        [np.concatenate([getattr(q, c) for q in splits.values()]) for c in ("query", "doc", "grade")]
        if splits
        else [np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.int32)]
    )
    table = pa.table([names, *map(pa.array, columns)], names=["split", "query", "doc", "grade"])
    with writing_errors(path), whole_or_absent(path) as file:
        pq.write_table(table, file, compression="zstd", write_statistics=False)
