"""The score store: every score that a teacher ever gave, by the two texts.

A folder `STORE/FINGERPRINT[:16]/` belongs to one teacher. It holds `teacher.json` (fingerprint, name, kind) and parts,
`part-SHA256.parquet`: `qkey` and `dkey` (16 bytes each, BLAKE2b of the texts), `score` (float32, finite). Because the
keys are hashes of texts, scores outlive changes of ids and serve every strategy, loss and study.

A part is written once and never changed, and named after its content. So writing the same scores twice makes one file,
readers need no lock, and a damaged file can be told from its name. Several processes may write: each holds the folder's
lock while it writes a part. Where two parts have the same pair, the part whose name comes first counts.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import whole_or_absent, writing_errors
from rankstill.records import Rows, Scores32
from rankstill.teachers.distinct import first_of_each

Halves = NDArray[np.uint64]
_BATCH = 1 << 20
"""Stored pairs in memory at once."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class PairKeys:
    """The keys of pairs of texts.

    Attributes:
        halves: (n, 4) uint64: the query's 16 bytes, then the document's.
    """

    halves: Halves

    @classmethod
    def of(cls, collection: Collection, query: Rows, doc: Rows) -> PairKeys:
        """Make the keys of pairs of a collection."""
        keys = collection.queries.keys[query], collection.documents.keys[doc]
        return cls(np.concatenate([_halves(k) for k in keys], axis=1))

    def __len__(self) -> int:
        return len(self.halves)

    def take(self, where: NDArray[np.int64]) -> PairKeys:
        """Pick some of the pairs."""
        return PairKeys(self.halves[where])

    def mixed(self) -> Halves:
        """Number pairs by 64 bits, in which different pairs agree hardly ever (but may)."""
        return self.halves[:, 0] + self.halves[:, 2] * _MIX

    def columns(self) -> list[pa.Array]:
        """Give both keys as columns of 16 bytes."""
        sides = (np.ascontiguousarray(self.halves[:, side]) for side in (slice(0, 2), slice(2, 4)))
        return [pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(s), [None, pa.py_buffer(s)]) for s in sides]


def _halves(keys: NDArray[np.void]) -> Halves:
    return np.ascontiguousarray(keys).view("<u8").reshape(-1, 2)


class ScoreStore:
    """One teacher's scores on disk.

    Args:
        root: The store's folder, shared by all teachers; made when the first score is written.
        fingerprint: The teacher's.
        name, kind: What `teacher.json` tells people about it.

    Raises:
        DataError: The folder belongs to another teacher (their fingerprints begin alike).
    """

    def __init__(self, root: Path, fingerprint: str, name: str = "", kind: str = "") -> None:
        self.folder = root / fingerprint[:16]
        self._about = {"fingerprint": fingerprint, "name": name, "kind": kind}
        about = self.folder / "teacher.json"
        if about.is_file() and json.loads(about.read_text("utf-8"))["fingerprint"] != fingerprint:
            raise DataError(f"{self.folder} holds the scores of another teacher", hint="use another --store")

    def parts(self) -> list[Path]:
        """List the finished parts; what a killed process left behind is none."""
        return sorted(self.folder.glob("part-*.parquet"))

    def append(self, keys: PairKeys, score: Scores32) -> None:
        """Add scores, durably: they are there when this returns, or not at all.

        Args:
            keys: n distinct pairs.
            score: (n,) finite float32.
        """
        if not np.isfinite(score).all():
            raise DataError("only finite scores are stored")
        # Sorted, so that a lookup walks through memory in order.
        order = np.argsort(keys.mixed(), kind="stable")
        columns = [*keys.take(order).columns(), pa.array(np.asarray(score, np.float32)[order])]
        content = io.BytesIO()
        table = pa.table(columns, names=["qkey", "dkey", "score"])
        pq.write_table(table, content, compression="none", use_dictionary=False, write_statistics=False)
        data = content.getvalue()
        with writing_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_once(self.folder / "teacher.json", json.dumps(self._about, indent=2).encode())
            write_once(self.folder / f"part-{hashlib.sha256(data).hexdigest()}.parquet", data)

    def lookup(self, keys: PairKeys) -> Scores32:
        """Find scores.

        Args:
            keys: n pairs, distinct or not.

        Returns:
            (n,) float32; NaN for a pair that is not in the store.
        """
        mixed = keys.mixed()
        order = np.argsort(mixed, kind="stable")
        asked = _Asked(mixed[order], keys.halves[order])
        for stored, score in self._batches():
            asked.fill(stored, score)
        found = np.empty(len(keys), np.float32)
        found[order] = asked.score
        return found

    def missing(self, keys: PairKeys) -> NDArray[np.bool_]:
        """Tell which of n pairs are not in the store."""
        return np.isnan(self.lookup(keys))

    def _batches(self) -> Iterator[tuple[PairKeys, Scores32]]:
        """Read the parts in the order of their names, in batches of bounded size."""
        for part in self.parts():
            try:
                with pq.ParquetFile(part, memory_map=True) as file:
                    for batch in file.iter_batches(_BATCH, columns=["qkey", "dkey", "score"]):
                        keys = [_bytes_of(batch.column(name)) for name in ("qkey", "dkey")]
                        yield PairKeys(np.concatenate(keys, axis=1)), batch.column("score").to_numpy()
            except (pa.ArrowException, OSError) as error:
                raise DataError(
                    f"{part} is damaged: {error}", hint="remove that file; its pairs are scored again"
                ) from error


def _bytes_of(column: pa.Array) -> Halves:
    data = np.frombuffer(column.buffers()[1], np.uint64, len(column) * 2, column.offset * 16)
    return data.reshape(-1, 2)


class _Asked:
    """Asked pairs in the order of their mixed keys, being answered."""

    def __init__(self, mixed: Halves, halves: Halves) -> None:
        self._first, self._which = first_of_each(_as_void(halves))
        self._mixed, self._halves = mixed[self._first], halves[self._first]
        self._answer = np.full(len(self._first), np.nan, np.float32)

    @property
    def score(self) -> Scores32:
        return self._answer[self._which]

    def fill(self, stored: PairKeys, score: Scores32) -> None:
        """Answer what this batch of stored pairs answers, and no batch before it did."""
        mixed = stored.mixed()
        at = np.searchsorted(self._mixed, mixed)
        live = np.arange(len(mixed))
        while True:
            # Different pairs may share 64 mixed bits: then they stand side by side, and all are compared in full.
            inside = at < len(self._mixed)
            live, at = live[inside], at[inside]
            same = self._mixed[at] == mixed[live]
            live, at = live[same], at[same]
            if not len(live):
                return
            equal = (self._halves[at] == stored.halves[live]).all(axis=1)
            new = np.flatnonzero(equal)[np.isnan(self._answer[at[equal]])]
            # Reversed, so that of equal pairs in one batch the first counts.
            self._answer[at[new][::-1]] = score[live[new]][::-1]
            live, at = live[~equal], at[~equal] + 1


def _as_void(halves: Halves) -> NDArray[np.void]:
    return np.ascontiguousarray(halves).view("V32").reshape(-1)


def write_once(path: Path, data: bytes) -> None:
    """Write a file whose name promises its content: whole or absent, and harmless when two processes do it at once."""
    if path.exists():
        return
    # One writer at a time: what a killed one left has a name that the next one writes over.
    with filelock.FileLock(path.with_name(".lock")):
        if not path.exists():
            with whole_or_absent(path) as file:
                file.write(data)
