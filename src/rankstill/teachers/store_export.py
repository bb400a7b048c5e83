"""Scores out of the store, as a table for other tools: by the ids of a collection, or by keys as they are stored.

A .tsv of a collection's ids can be a teacher itself: `labels:FILE`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.files import whole_or_absent, writing_errors
from rankstill.records import Pairs
from rankstill.teachers.pair_keys import Halves
from rankstill.teachers.store import ScoreStore
from rankstill.teachers.store_parts import merged
from rankstill.teachers.text_index import TextIndex

_ROWS = 1 << 20
"""Rows of a table in memory at once."""
_IDS = ("query", "document", "score")
_KEYS = ("qkey", "dkey", "score")


def export(store: ScoreStore, out: Path, collection: Collection | None = None) -> int:
    """Write one teacher's scores as a table.

    Args:
        store: One teacher's scores.
        out: A file that ends in .parquet or .tsv; whole or absent afterwards.
        collection: Only pairs of its texts, as `query` (id), `document` (id), `score`, sorted by the rows of the
            queries, then of the documents; a text that several ids have stands under each. Without a collection: every
            pair once, as `qkey`, `dkey` (16 bytes; hexadecimal in a .tsv), `score`, in the order of the store.

    Returns:
        How many rows were written.

    Raises:
        SpecError: The file's name ends otherwise.
        DataError: There is nothing to write.
    """
    if out.suffix not in (".parquet", ".tsv"):
        raise SpecError(f"{out} is neither a .parquet nor a .tsv file", hint="choose the form by the file's ending")
    count = 0
    with tempfile.TemporaryDirectory(prefix="rankstill-") as scratch:
        if collection is None:
            tables = _keys(store, Path(scratch), text=out.suffix == ".tsv")
        else:
            tables = _ids(collection, stored_pairs(store, collection, Path(scratch)))
        with writing_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            with whole_or_absent(out) as file:
                writer = None
                for table in tables:
                    if writer is None:
                        writer = _writer(file, table.schema, out.suffix)
                    _write(writer, table, out)
                    count += len(table)
                if writer is None:
                    where = f" of {collection.path}" if collection else ""
                    raise DataError(
                        f"{store.folder} holds no score of a pair{where}", hint="see `rankstill scores ls` for others"
                    )
                writer.close()
    return count


def _write(writer: pq.ParquetWriter | pa.csv.CSVWriter, table: pa.Table, out: Path) -> None:
    try:
        writer.write_table(table)
    except pa.ArrowInvalid as error:
        raise DataError(f"{out} cannot hold an id: {error}", hint="write a .parquet file") from error


def stored_pairs(store: ScoreStore, collection: Collection, scratch: Path) -> Pairs:
    """Find every stored pair of a collection's texts, under each of their ids; by query, then document."""
    queries, documents = TextIndex(collection.queries), TextIndex(collection.documents)
    found = []
    for piece in merged(list(store.opened()), scratch):
        keys, score = piece.distinct()
        query, doc = queries.find(keys.halves[:, :2]), documents.find(keys.halves[:, 2:])
        here = np.flatnonzero((query >= 0) & (doc >= 0))
        query, doc, score = query[here], doc[here], score[here]
        # Each row of the query's text with each row of the document's.
        of_doc = documents.counts(doc)
        times = queries.counts(query) * of_doc
        number = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        query, doc, of_doc = (np.repeat(values, times) for values in (query, doc, of_doc))
        rows = queries.rows(query, number // of_doc), documents.rows(doc, number % of_doc)
        found.append(Pairs(*rows, np.repeat(score, times)))
    pairs = Pairs.concatenate(found)
    order = np.argsort(pairs.key())
    return Pairs(pairs.query[order], pairs.doc[order], pairs.score[order])


def _ids(collection: Collection, pairs: Pairs) -> Iterator[pa.Table]:
    for start in range(0, len(pairs), _ROWS):
        rows = slice(start, start + _ROWS)
        ids = (collection.queries.ids(pairs.query[rows]), collection.documents.ids(pairs.doc[rows]))
        yield pa.table([*map(pa.array, ids), pa.array(pairs.score[rows])], names=_IDS)


def _keys(store: ScoreStore, scratch: Path, *, text: bool) -> Iterator[pa.Table]:
    for piece in merged(list(store.opened()), scratch):
        keys, score = piece.distinct()
        for start in range(0, len(keys), _ROWS):
            halves = keys.halves[start : start + _ROWS]
            sides = [_column(halves[:, side], text=text) for side in (slice(0, 2), slice(2, 4))]
            yield pa.table([*sides, pa.array(score[start : start + _ROWS])], names=_KEYS)


def _column(halves: Halves, *, text: bool) -> pa.Array:
    data = np.ascontiguousarray(halves)
    if text:
        return pa.array([key.hex() for key in data.view("V16").reshape(-1).tolist()])
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(data), [None, pa.py_buffer(data)])


def _writer(file: IO[bytes], schema: pa.Schema, suffix: str) -> pq.ParquetWriter | pa.csv.CSVWriter:
    if suffix == ".parquet":
        return pq.ParquetWriter(file, schema, compression="zstd", write_statistics=False)
    # Without quotes; arrow would put the names of the columns between some.
    file.write(("\t".join(schema.names) + "\n").encode())
    options = pa.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    return pa.csv.CSVWriter(file, schema, write_options=options)
