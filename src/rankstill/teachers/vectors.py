"""The vector store: every text that an encoder ever encoded, by the text.

A folder `STORE/vectors-FINGERPRINT[:16]/` belongs to one encoder. Its parts, `part-SHA256.arrow`, hold `key` (16 bytes,
BLAKE2b of prompt and text) and `vector` (float32, as bytes). A part is written once and named after its content, as in
the score store. On a processor a text's vector does not depend on its company, so a kept vector is the one that
encoding again would give.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rankstill.collection.store import text_key
from rankstill.errors import DataError
from rankstill.files import writing_errors
from rankstill.records import Scores32
from rankstill.teachers.store import write_once

Keys = NDArray[np.void]


def keys_of(prompt: str, texts: Sequence[str]) -> Keys:
    """Make the keys of texts that stand behind a prompt: (n,) of 16 bytes."""
    return np.frombuffer(b"".join(text_key(prompt + text) for text in texts), "V16")


class VectorStore:
    """One encoder's vectors on disk.

    Args:
        root: The store's folder, shared with scores and other encoders; made when the first vector is written.
        fingerprint: The encoder's.
        dimension: Components of a vector.
    """

    def __init__(self, root: Path, fingerprint: str, dimension: int) -> None:
        self.folder = root / f"vectors-{fingerprint[:16]}"
        self.dimension = dimension
        self._known: dict[str, tuple[Keys, Scores32]] = {}

    def append(self, keys: Keys, vectors: Scores32) -> None:
        """Add (n, D) vectors under n keys, durably."""
        data = [np.ascontiguousarray(keys), np.ascontiguousarray(vectors, np.float32)]
        columns = [
            pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(keys), [None, pa.py_buffer(values)])
            for width, values in zip((16, 4 * self.dimension), data, strict=True)
        ]
        sink = pa.BufferOutputStream()
        table = pa.table(columns, names=["key", "vector"])
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue().to_pybytes()
        with writing_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_once(self.folder / f"part-{hashlib.sha256(content).hexdigest()}.arrow", content)

    def lookup(self, keys: Keys) -> tuple[Scores32, NDArray[np.bool_]]:
        """Find vectors.

        Returns:
            (n, D) float32, and (n,) which of them were found; the others' rows are undefined.
        """
        vectors = np.empty((len(keys), self.dimension), np.float32)
        found = np.zeros(len(keys), bool)
        for part in sorted(self.folder.glob("part-*.arrow")):
            known, stored = self._part(part)
            place = np.minimum(np.searchsorted(known["key"], _sortable(keys)), len(known) - 1)
            hit = np.flatnonzero((known["key"][place] == _sortable(keys)) & ~found)
            vectors[hit] = stored[known["row"][place[hit]]]
            found[hit] = True
        return vectors, found

    def _part(self, path: Path) -> tuple[NDArray[np.void], Scores32]:
        """Open a part: its keys, sorted, with their rows; and its vectors, memory-mapped."""
        if path.name not in self._known:
            try:
                table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
            except pa.ArrowException as error:
                raise DataError(
                    f"{path} is damaged: {error}", hint="remove that file; its texts are encoded again"
                ) from error
            keys, vectors = (table.column(name).chunk(0) for name in ("key", "vector"))
            sortable = _sortable(np.frombuffer(keys.buffers()[1], "V16", len(keys)))
            order = np.argsort(sortable, kind="stable")
            index = np.empty(len(keys), [("key", "S16"), ("row", "i8")])
            index["key"], index["row"] = sortable[order], order
            flat = np.frombuffer(vectors.buffers()[1], np.float32, len(keys) * self.dimension)
            self._known[path.name] = index, flat.reshape(-1, self.dimension)
        return self._known[path.name]


def _sortable(keys: Keys) -> NDArray[np.bytes_]:
    """View keys as bytes, which sort."""
    # Trailing zero bytes do not count: two keys that differ there alone, one pair in 2^120, would be taken for one.
    return np.ascontiguousarray(keys).view("S16")
