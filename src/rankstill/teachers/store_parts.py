"""One file of the score store: how it is written, opened without being read, and joined with others.

A part is an Arrow file of one record batch, uncompressed: `qkey` and `dkey` (16 bytes each), `score` (float32). Its
rows rise by the mixed keys of their pairs, and no pair comes twice. So a few pairs are found by a search that touches a
few pages of a mapped file, and parts are merged a range of keys at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rankstill.errors import DataError
from rankstill.records import Scores32
from rankstill.teachers.mapped import forget
from rankstill.teachers.pair_keys import Halves, PairKeys, mix

ROWS = 1 << 22
"""Pairs of a merged part, about: 151 MB."""
MAPPED = 1 << 20
"""Bytes from which a part is mapped; smaller ones are read, as a process may map some thousands only."""
_OPEN = 256
"""Parts joined at once."""
_SCHEMA = pa.schema([("qkey", pa.binary(16)), ("dkey", pa.binary(16)), ("score", pa.float32())])


def encode(keys: PairKeys, score: Scores32) -> memoryview:
    """Make a part's bytes of n distinct pairs, in the order of `PairKeys.order`, and their scores."""
    sides = (np.ascontiguousarray(keys.halves[:, side]) for side in (slice(0, 2), slice(2, 4)))
    columns = [pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(s), [None, pa.py_buffer(s)]) for s in sides]
    batch = pa.record_batch([*columns, pa.array(np.ascontiguousarray(score, np.float32))], schema=_SCHEMA)
    # Counted first: a buffer that grows takes up to twice the memory.
    counted = pa.MockOutputStream()
    _write(counted, batch)
    data = pa.allocate_buffer(counted.size())
    _write(pa.FixedSizeBufferWriter(data), batch)
    return memoryview(data)


def _write(sink: pa.NativeFile, batch: pa.RecordBatch) -> None:
    with sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        writer.write_batch(batch)


@dataclass(frozen=True)
class Part:
    """An opened part: its columns, in memory or mapped.

    Attributes:
        path: The file.
        query, doc: (n, 2) uint64: the halves of the keys.
        score: (n,) float32.
        mapped: Whether they are mapped.
    """

    path: Path
    query: Halves
    doc: Halves
    score: Scores32
    mapped: bool

    @classmethod
    def open(cls, path: Path) -> Part:
        """Open a part.

        Raises:
            FileNotFoundError: It is not there, or no longer.
            DataError: It is damaged in a way that can be told without reading it all.
        """
        try:
            small = path.stat().st_size < MAPPED
            # Closed at once: the memory stays mapped while an array shows it, and no file is held open.
            with (
                pa.BufferReader(path.read_bytes()) if small else pa.memory_map(str(path)) as source,
                pa.ipc.open_file(source) as file,
            ):
                if file.schema != _SCHEMA or file.num_record_batches != 1:
                    raise pa.ArrowInvalid(f"its columns are {file.schema.names}, in {file.num_record_batches} batches")
                batch = file.get_batch(0)
            sides = [_halves(batch.column(name)) for name in ("qkey", "dkey")]
            return cls(path, sides[0], sides[1], batch.column("score").to_numpy(), not small)
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            raise DataError(
                f"{path} is damaged: {error}", hint="remove that file; its pairs are scored again"
            ) from error

    def __len__(self) -> int:
        return len(self.score)

    def mixed(self, rows: slice | NDArray[np.int64]) -> Halves:
        """Give the mixed keys of some rows."""
        return mix(self.query[rows, 0], self.doc[rows, 0])

    def keys(self, rows: slice | NDArray[np.int64] = slice(None)) -> PairKeys:
        """Give the keys of some rows."""
        return PairKeys(np.concatenate([self.query[rows], self.doc[rows]], axis=1))

    def forget(self, rows: slice = slice(None)) -> None:
        """Give back the memory of mapped rows that are not needed soon."""
        if self.mapped:
            for column in (self.query, self.doc, self.score):
                forget(column[rows])

    def place(self, mixed: Halves) -> NDArray[np.int64]:
        """Find for each of n mixed keys the first row whose own is not lower; touches few rows of a part."""
        low, high = np.zeros(len(mixed), np.int64), np.full(len(mixed), len(self), np.int64)
        for _ in range(len(self).bit_length()):
            middle = (low + high) >> 1
            lower = (low < high) & (self.mixed(np.minimum(middle, len(self) - 1)) < mixed)
            low, high = np.where(lower, middle + 1, low), np.where(lower, high, middle)
        return low


def _halves(column: pa.Array) -> Halves:
    return np.frombuffer(column.buffers()[1], np.uint64, len(column) * 2, column.offset * 16).reshape(-1, 2)


@dataclass(frozen=True)
class Merged:
    """A range of keys, of all parts together.

    Attributes:
        keys: n pairs in order.
        score: (n,) float32.
        first: (n,) whether it is the first of its kind; of equal pairs, the one in the part that comes first is.
    """

    keys: PairKeys
    score: Scores32
    first: NDArray[np.bool_]

    def distinct(self) -> tuple[PairKeys, Scores32]:
        """Give each pair once."""
        if self.first.all():
            return self.keys, self.score
        return self.keys.take(self.first), self.score[self.first]

    def other(self) -> NDArray[np.int64]:
        """List the pairs whose score is another than that of the first of their kind."""
        leader = np.maximum.accumulate(np.where(self.first, np.arange(len(self.first)), 0))
        return np.flatnonzero(self.score != self.score[leader])


def merged(parts: Sequence[Part], scratch: Path) -> Iterator[Merged]:
    """Walk through the pairs of parts in their order, about `ROWS` at a time, which bounds memory.

    Args:
        parts: Opened parts; their order tells which of equal pairs is the first.
        scratch: A folder for a file that lives for a moment, where small parts are many.
    """
    parts = _fewer(parts, scratch)
    ranges = -(-sum(len(part) for part in parts) // ROWS)
    bounds = np.array([(number << 64) // max(ranges, 1) for number in range(ranges)], np.uint64)
    places = []
    for part in parts:
        places.append(np.append(part.place(bounds), len(part)))
        # Looking for the bounds touches rows all over the part, and the system maps megabytes around each.
        part.forget()
    for number in range(ranges):
        rows = [slice(int(place[number]), int(place[number + 1])) for place in places]
        found: Merged | None = _join(parts, rows)
        if found is not None and len(found.keys):
            yield found
        # Before the next one is made.
        found = None


def _join(parts: Sequence[Part], rows: Sequence[slice]) -> Merged:
    stops = np.cumsum([0, *(len(part.score[where]) for part, where in zip(parts, rows, strict=True))])
    halves, score = np.empty((stops[-1], 4), np.uint64), np.empty(stops[-1], np.float32)
    for number, (part, where) in enumerate(zip(parts, rows, strict=True)):
        into = slice(stops[number], stops[number + 1])
        halves[into, :2], halves[into, 2:], score[into] = part.query[where], part.doc[where], part.score[where]
        part.forget(where)
    order = PairKeys(halves).order()
    keys = PairKeys(halves[order])
    return Merged(keys, score[order], keys.first())


def _fewer(parts: Sequence[Part], scratch: Path) -> Sequence[Part]:
    """Join neighbours among many parts, so that few are left; in memory, or in a file that nobody else sees."""
    if len(parts) <= _OPEN:
        return parts
    runs: list[Part] = []
    group: list[Part] = []
    for part in parts:
        if group and sum(map(len, group)) + len(part) > ROWS:
            runs.append(_run(group, scratch))
            group = []
        group.append(part)
    return [*runs, _run(group, scratch)]


def _run(parts: list[Part], scratch: Path) -> Part:
    if len(parts) == 1:
        return parts[0]
    path = scratch / f"run-{os.getpid()}.part"
    try:
        path.write_bytes(encode(*_join(parts, [slice(None)] * len(parts)).distinct()))
        return Part.open(path)
    finally:
        # A mapped file lives on until nobody maps it any more.
        path.unlink(missing_ok=True)
