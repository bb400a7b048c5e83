"""Blocks of rows: all rows once, in order, whatever their width."""

from __future__ import annotations

import pytest

from rankstill.measures.row_blocks import BYTES_AT_ONCE, row_blocks


@pytest.mark.parametrize("width", [0, 1, 1000, BYTES_AT_ONCE // 2, BYTES_AT_ONCE, 3 * BYTES_AT_ONCE])
@pytest.mark.parametrize("rows", [0, 1, 7, 5000])
def test_every_row_once_and_no_block_too_large(rows: int, width: int):
    blocks = list(row_blocks(rows, width))
    assert [row for block in blocks for row in range(rows)[block]] == list(range(rows))
    assert all(1 <= b.stop - b.start <= max(1, BYTES_AT_ONCE // max(1, width)) for b in blocks)
    assert not blocks or blocks[-1].stop == rows
