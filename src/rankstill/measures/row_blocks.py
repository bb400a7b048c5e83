"""Rows of a large table, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator

BYTES_AT_ONCE = 1 << 21
"""How large a block is: 2 MB stay in the cache from step to step."""


def row_blocks(rows: int, width: int) -> Iterator[slice]:
    """Cut rows of so many bytes each into blocks, of one row at least."""
    step = max(1, BYTES_AT_ONCE // max(1, width))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
