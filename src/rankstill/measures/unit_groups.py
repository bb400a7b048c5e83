"""Groups of embeddings as unit vectors, read block by block; the memory in use does not grow with their number.

Embeddings are one row per document, (N, D), usually a memory-mapped float16 file; groups are rows of it. Pages of the
file that were read are given back to the system, or a pass over 12 GB would count as 12 GB of memory.
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rankstill.errors import DataError, SpecError
from rankstill.halves import from_halves
from rankstill.measures.row_blocks import row_blocks

Floats = NDArray[np.floating[Any]]
Docs = NDArray[np.integer[Any]]

FARTHEST = 2.0
"""The largest distance between unit vectors."""
_BYTES_AT_ONCE = 1 << 26
"""How much is read at once, in the order of the file, so that no part of it is gone to twice for one reading."""
_WINDOW, _WINDOWS_MAPPED = 1 << 21, 16
"""Linux maps up to 2 MB around what is touched; 16 such windows are 32 MB at most until they are given back."""


def unit_groups(embeddings: Floats, docs: Docs, *, precision: DTypeLike = np.float32) -> Iterator[tuple[slice, Floats]]:
    """Yield blocks of groups as (m, k, D) unit vectors, free to be overwritten, with the rows of `docs` they belong to.

    A group's vectors come out the same to the last bit whatever block it falls into.

    Args:
        embeddings: (N, D) any float, perhaps memory-mapped.
        docs: (n, k) rows of `embeddings`; pass through `check_groups` first.
        precision: The least precision of the vectors; float64 embeddings are never rounded.

    Raises:
        DataError: A vector is zero or not finite.
    """
    width = docs.shape[1] * embeddings.shape[1]
    groups_at_once = max(1, _BYTES_AT_ONCE // (width * embeddings.itemsize))
    for start in range(0, len(docs), groups_at_once):
        chosen = docs[start : start + groups_at_once]
        raw = _read(embeddings, chosen.reshape(-1)).reshape(*chosen.shape, -1)
        for rows in row_blocks(len(chosen), 4 * width):
            vectors, bad = to_unit(raw[rows], precision)
            if len(named := chosen[rows][bad]):
                what = f"{len(np.unique(named))} documents have an embedding that is zero or not finite"
                raise _bad_vectors(what, f"row {named[0]}")
            yield slice(start + rows.start, start + rows.start + len(vectors)), vectors
        del raw  # or it would stay while the next is read


def refuse_directionless(embeddings: Floats, rows: NDArray[np.integer[Any]]) -> None:
    """Read vectors once and refuse those without a direction.

    Args:
        embeddings: (N, D).
        rows: (n,) rows of `embeddings`.

    Raises:
        DataError: A vector is zero or not finite.
    """
    deque(unit_groups(embeddings, rows[:, None]), maxlen=0)


def unit_blocks(vectors: Floats) -> Iterator[Floats]:
    """Yield blocks of groups that are given as vectors, at length 1, free to be overwritten.

    Args:
        vectors: (m, k, D) any float.

    Raises:
        DataError: A vector is zero or not finite.
    """
    for rows in row_blocks(len(vectors), 4 * vectors.shape[1] * vectors.shape[2]):
        yield checked_vectors(vectors[rows], rows.start)


def checked_vectors(vectors: Floats, start: int = 0, *, unit: bool = True, precision: DTypeLike = np.float32) -> Floats:
    """Take a copy of some groups' vectors, at length 1 unless told otherwise.

    Args:
        vectors: (m, k, D) any float; (m, D) where each group has one.
        start: The number of the first group, for the error.
        unit: Normalise them.
        precision: The least precision of the result.

    Raises:
        DataError: A vector is not finite, or zero where it is to be normalised.
    """
    if unit:
        taken, bad = to_unit(np.array(vectors, order="C"), precision)
    else:
        taken = vectors.astype(np.promote_types(vectors.dtype, precision))
        bad = np.asarray(~np.isfinite(taken).all(axis=-1))
    if len(where := np.argwhere(bad)):
        group, *place = (int(i) for i in where[0])
        first = (f"document {place[0]} of " if place else "") + f"group {start + group}"
        raise _bad_vectors(f"{len(where)} vectors are {'zero or ' if unit else ''}not finite", first)
    return taken


def to_unit(raw: Floats, precision: DTypeLike = np.float32) -> tuple[Floats, NDArray[np.bool_]]:
    """Bring vectors to length 1; say which have no direction.

    Args:
        raw: (..., D), an array of its own, which may be overwritten.
        precision: The least precision of the result.

    Returns:
        The vectors, (..., D), and (...) where one is zero or not finite, which are left as they are.
    """
    single = from_halves(raw) if raw.dtype == np.float16 else raw
    vectors = single.astype(np.promote_types(single.dtype, precision), copy=False)
    # The length of each on its own, not of a block at once: its bits must not depend on the block.
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt(np.vecdot(vectors, vectors))
    bad = ~((norms > 0) & np.isfinite(norms))
    norms[bad] = 1
    vectors /= norms[..., None]
    return vectors, bad


def centre(vectors: Floats) -> Floats:
    """Move the centroid of each group, (m, k, D), to the origin, in place; return the squared lengths then, (m, k)."""
    vectors -= vectors.mean(axis=1, keepdims=True)
    squared: Floats = np.vecdot(vectors, vectors)
    return squared


def pair_distances(vectors: Floats) -> Floats:
    """Measure all distances within groups of unit vectors, which are centred in place.

    |a|² + |b|² - 2ab of the centred vectors keeps its digits where documents nearly coincide; 2 - 2 cos does not.
    Products are taken pair by pair: a matrix product of these shapes is slower, most of all where its threads have to
    share the processors with others, and its last bits depend on the shapes.

    Args:
        vectors: (m, k, D), overwritten.

    Returns:
        (m, k(k-1)/2) from 0 to 2, in the order of np.triu_indices(k, 1).
    """
    squared = centre(vectors)
    size = vectors.shape[1]
    found = np.empty((len(vectors), size * (size - 1) // 2), vectors.dtype)
    start = 0
    for i in range(size - 1):
        block = found[:, start : start + size - 1 - i]
        np.vecdot(vectors[:, i, None], vectors[:, i + 1 :], out=block)
        block *= -2
        block += squared[:, i, None] + squared[:, i + 1 :]
        start += size - 1 - i
    return np.sqrt(np.clip(found, 0, FARTHEST**2, out=found), out=found)


def check_groups(embeddings: Floats, docs: Docs, *, least: int = 2) -> None:
    """Refuse groups that cannot be read.

    Args:
        embeddings: (N, D).
        docs: (n, k).
        least: The smallest size of a group.

    Raises:
        DataError: A row does not exist.
        SpecError: A shape is wrong, there is no group, or groups are too small.
    """
    if embeddings.ndim != 2 or docs.ndim != 2 or not embeddings.shape[1]:
        raise SpecError(f"expected embeddings (N, D) and groups (n, k), got {embeddings.shape} and {docs.shape}")
    if not len(docs) or docs.shape[1] < least:
        number = {1: "one document", 2: "two documents", 3: "three documents"}[least]
        raise SpecError(f"expected one group or more of {number} or more, got {docs.shape}")
    outside = docs[(docs < 0) | (docs >= len(embeddings))]
    if len(outside):
        raise DataError(
            f"{len(outside)} entries of the groups name documents without an embedding "
            f"(first: row {outside[0]} of {len(embeddings)})",
            hint="embed the collection that the groups were made of",
        )


def _read(embeddings: Floats, rows: NDArray[np.integer[Any]]) -> Floats:
    """Copy rows, (r, D). Of a mapped file, in its order, giving the pages back on the way."""
    mapping = _mapping(embeddings)
    if mapping is None:
        return np.take(embeddings, rows, axis=0)
    found = np.empty((len(rows), embeddings.shape[1]), embeddings.dtype)
    order = np.argsort(rows, kind="stable")
    window = rows[order].astype(np.int64) * embeddings.strides[0] // _WINDOW
    changes = np.flatnonzero(np.diff(window)) + 1
    for part in np.split(order, changes[_WINDOWS_MAPPED - 1 :: _WINDOWS_MAPPED]):
        found[part] = embeddings[rows[part]]
        mapping.madvise(mmap.MADV_DONTNEED)
    return found


def _bad_vectors(what: str, first: str) -> DataError:
    return DataError(
        f"{what} (first: {first})",
        hint="check those documents' texts, and the encoder; an empty text has no place",
    )


def _mapping(array: object) -> mmap.mmap | None:
    """Find the file mapping that an array looks into, if nothing is lost when its pages are given back."""
    read_only = False
    while isinstance(array, np.ndarray):
        read_only |= isinstance(array, np.memmap) and array.mode == "r"
        array = array.base
    return array if read_only and isinstance(array, mmap.mmap) and hasattr(array, "madvise") else None
