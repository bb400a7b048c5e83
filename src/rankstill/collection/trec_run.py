"""Reading a TREC run against a collection: `query Q0 document rank score tag`, plain or gzipped."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rankstill.collection.lines import lines
from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.progress import note
from rankstill.records import Pairs

Missing = Literal["refuse", "skip"]
MISSING: tuple[Missing, ...] = get_args(Missing)
_LINES = 1 << 18
"""How many lines are held as Python objects at a time."""
_LARGEST = float(np.finfo(np.float32).max)

Line = tuple[int, str, float, float]
"""A line of one of the collection's queries: the query's row, the document's id, the rank, the score."""


def read_trec_run(path: Path, collection: Collection, *, missing: Missing = "refuse") -> Pairs:
    """Read a run: each query's documents by falling score, equal scores by rank.

    Queries that the collection does not have are skipped: runs often cover more than one set.

    Args:
        path: The run.
        collection: Whose queries and documents it names.
        missing: What to do with documents that the collection does not have: refuse the run, or skip their lines and
            say how many they are.

    Raises:
        DataError: A line is broken, a document comes twice for a query, no query is the collection's, or documents of
            its queries are unknown, one of them or all.
    """
    reader = _Reader(path, collection)
    known = list(reader.lines())
    if not known:
        raise DataError(f"{path}: none of its queries is in {collection.path}", hint="use the run of this collection")
    if reader.others:
        note(f"{path}: {reader.others} of {reader.read} lines belong to other queries; skipped")
    query, doc, rank, score = (np.concatenate(column) for column in zip(*known, strict=True))
    keep = _keep(path, doc, reader.first_missing, missing)
    order = keep[np.lexsort((rank[keep], -score[keep], query[keep]))]
    run = Pairs(query[order], doc[order].astype(np.uint32), score[order].astype(np.float32))
    _refuse_doubled(path, run, collection)
    return run


class _Reader:
    """Reads the lines of a run in chunks, as columns of rows and numbers."""

    def __init__(self, path: Path, collection: Collection) -> None:
        self._path, self._documents = path, collection.documents
        self._rows = {name: row for row, name in enumerate(collection.queries.ids())}
        self.read = self.others = 0
        self.first_missing = ""

    def lines(self) -> Iterator[tuple[NDArray[Any], ...]]:
        """Yield the columns query, document (-1 where unknown), rank and score, a chunk at a time."""
        found = self._known()
        while chunk := list(islice(found, _LINES)):
            query, names, rank, score = zip(*chunk, strict=True)
            doc = self._documents.find(pa.array(names, pa.string()))
            if not self.first_missing and (doc < 0).any():
                self.first_missing = names[int(np.argmax(doc < 0))]
            yield np.array(query, np.uint32), doc, np.array(rank, np.float64), np.array(score, np.float64)

    def _known(self) -> Iterator[Line]:
        for number, line in lines(self._path):
            parts = line.split()
            rank, score = (_number(parts[3]), _number(parts[4])) if len(parts) == 6 else (None, None)
            if rank is None or score is None:
                raise DataError(
                    f"{self._path}, line {number}: not a line of a TREC run: {line[:80]!r}",
                    hint="six columns: query Q0 document rank score tag",
                )
            self.read += 1
            query = self._rows.get(parts[0])
            if query is None:
                self.others += 1
            else:
                yield query, parts[2], rank, score


def _number(text: str) -> float | None:
    """Read a finite number that float32 can hold; None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST else None


def _keep(path: Path, doc: NDArray[np.int64], first_missing: str, missing: Missing) -> NDArray[np.int64]:
    """Find the lines of known documents; say how many others there are, or refuse them."""
    keep = np.flatnonzero(doc >= 0)
    if len(keep) < len(doc):
        what = (
            f"{path}: {len(doc) - len(keep)} of {len(doc)} lines name documents that the collection does not have "
            f"(first: {first_missing})"
        )
        if missing == "refuse" or not len(keep):
            raise DataError(what, hint="use the collection that was searched; a run's missing=skip leaves them out")
        note(f"{what}; skipped")
    return keep


def _refuse_doubled(path: Path, run: Pairs, collection: Collection) -> None:
    keys, counts = np.unique(run.key(), return_counts=True)
    doubled = keys[counts > 1]
    if len(doubled):
        query, doc = int(doubled[0] >> np.uint64(32)), int(doubled[0] & np.uint64(0xFFFFFFFF))
        raise DataError(
            f"{path}: {len(doubled)} documents come twice for a query (first: query {collection.queries.id(query)}, "
            f"document {collection.documents.id(doc)})",
            hint="keep one line of each",
        )
