"""Reading a TREC run against a collection: `query Q0 document rank score tag`, plain or gzipped."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rankstill.collection.lines import lines
from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.progress import note
from rankstill.records import Pairs


def read_trec_run(path: Path, collection: Collection) -> Pairs:
    """Read a run: each query's documents by falling score, equal scores by rank.

    Queries that the collection does not have are skipped: runs often cover more than one set.

    Raises:
        DataError: A line is broken, a document comes twice for a query, no query is the collection's, or documents of
            its queries are unknown.
    """
    queries: list[str] = []
    docs: list[str] = []
    numbers: list[tuple[float, float]] = []
    for number, line in lines(path):
        parts = line.split()
        if len(parts) != 6 or not _is_number(parts[3]) or not _is_number(parts[4]):
            raise DataError(
                f"{path}, line {number}: not a line of a TREC run: {line[:80]!r}",
                hint="six columns: query Q0 document rank score tag",
            )
        queries.append(parts[0])
        docs.append(parts[2])
        numbers.append((float(parts[3]), float(parts[4])))
    query_ids = pa.array(queries, pa.string())
    known = pc.index_in(query_ids, value_set=pa.array(collection.queries.ids(), pa.string()))
    keep = np.asarray(known.is_valid())
    if not keep.any():
        raise DataError(f"{path}: none of its queries is in {collection.path}", hint="use the run of this collection")
    if not keep.all():
        note(f"{path}: {int((~keep).sum())} of {len(keep)} lines belong to other queries; skipped")
    query = known.drop_null().to_numpy(zero_copy_only=False).astype(np.uint32)
    doc = collection.documents.rows(pa.array(docs, pa.string()).filter(pa.array(keep)), str(path))
    rank, score = np.array(numbers, np.float64).reshape(-1, 2)[keep].T
    order = np.lexsort((rank, -score, query))
    run = Pairs(query[order], doc[order], score[order].astype(np.float32))
    _refuse_doubled(path, run, collection)
    return run


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


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
