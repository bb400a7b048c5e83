"""A file of the score store: its memory, and its order across the stretches in which it is checked."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rankstill.teachers import store_parts, store_verify
from rankstill.teachers.pair_keys import PairKeys
from rankstill.teachers.store import ScoreStore
from rankstill.teachers.store_parts import MAPPED, Merged, Part, encode, merged
from rankstill.teachers.store_verify import verify
from tests.teachers.test_store import TEACHER, random_keys


def written(folder: Path, count: int) -> tuple[Part, PairKeys]:
    keys = random_keys(count, 1)
    keys = keys.take(keys.order())
    path = folder / "part-x.arrow"
    path.write_bytes(encode(keys, np.arange(count, dtype=np.float32)))
    return Part.open(path), keys


def resident(path: Path) -> int:
    """Kilobytes of a mapped file that count as this process's memory."""
    found, total = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0] and ":" not in line.split()[0]:
            found = line.endswith(str(path))
        elif found and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_forgotten_is_no_memory_and_can_be_read_again(tmp_path):
    part, keys = written(tmp_path, 100_000)
    assert part.mapped
    assert (part.keys().halves == keys.halves).all()
    assert (part.score == np.arange(100_000)).all()
    assert resident(part.path) > 3000
    part.forget(slice(0, 50_000))
    assert 500 < resident(part.path) < 2500
    part.forget()
    assert resident(part.path) < 100
    assert (part.keys().halves == keys.halves).all()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_looking_for_the_bounds_of_a_merge_leaves_nothing_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(store_parts, "ROWS", 5000)
    part, _ = written(tmp_path, 100_000)
    pieces = merged([part], tmp_path)
    first = next(pieces)
    assert 3000 < len(first.keys) < 7000
    assert resident(part.path) < 1000
    assert len(first.keys) + sum(len(piece.keys) for piece in pieces) == 100_000


def test_a_small_part_is_in_memory_and_forgets_nothing(tmp_path):
    part, keys = written(tmp_path, 20_000)
    assert part.path.stat().st_size < MAPPED
    assert not part.mapped
    part.forget()
    assert (part.keys().halves == keys.halves).all()
    assert (part.score == np.arange(20_000)).all()


def test_order_is_checked_across_stretches(tmp_path, monkeypatch):
    """Rows 0 to 11 in stretches of 4: any two neighbours that are swapped are found, also the last of a stretch."""
    monkeypatch.setattr(store_verify, "_STRETCH", 4)
    keys = random_keys(12, 3)
    right = keys.order()
    for swapped in [None, *range(11)]:
        order = right.copy()
        if swapped is not None:
            order[[swapped, swapped + 1]] = order[[swapped + 1, swapped]]
        store = ScoreStore(tmp_path / str(swapped), TEACHER)
        store.folder.mkdir(parents=True)
        data = encode(keys.take(order), np.arange(12, dtype=np.float32))
        store._path(data).write_bytes(data)
        found = verify(store)
        assert [wrong for _, wrong in found.damaged] == ([] if swapped is None else ["its rows are not in order"])
        assert found.pairs == (12 if swapped is None else 0)


def test_a_pair_that_comes_twice_in_a_part_is_out_of_order(tmp_path, monkeypatch):
    monkeypatch.setattr(store_verify, "_STRETCH", 2)
    keys = random_keys(4, 3)
    keys = keys.take(keys.order()).take(np.array([0, 1, 1, 2, 3]))
    store = ScoreStore(tmp_path, TEACHER)
    store.folder.mkdir(parents=True)
    data = encode(keys, np.zeros(5, np.float32))
    store._path(data).write_bytes(data)
    assert len(verify(store).damaged) == 1


def test_each_pair_once_where_some_come_twice():
    keys = random_keys(3, 1).take(np.array([0, 0, 1, 2, 2]))
    found = Merged(keys, np.float32([1, 2, 3, 4, 5]), keys.first())
    assert found.distinct()[1].tolist() == [1, 3, 4]
    assert found.other().tolist() == [1, 4]
    once = Merged(keys.take(found.first), np.float32([1, 3, 4]), np.ones(3, bool))
    assert once.distinct()[1].tolist() == [1, 3, 4]


def test_a_merge_of_mapped_parts_keeps_every_pair(tmp_path, monkeypatch):
    """Ranges of 10,000 pairs from two mapped parts, which are forgotten on the way."""
    monkeypatch.setattr(store_parts, "ROWS", 10_000)
    parts, expected = [], {}
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        keys = random_keys(40_000, number)
        keys = keys.take(keys.order())
        score = np.random.default_rng(number).normal(size=40_000).astype(np.float32)
        path = tmp_path / str(number) / "part-x.arrow"
        path.write_bytes(encode(keys, score))
        parts.append(Part.open(path))
        expected |= dict(zip(map(bytes, keys.halves), score.tolist(), strict=True))
    assert all(part.mapped for part in parts)
    found = {}
    pieces = list(store_parts.merged(parts, tmp_path))
    assert len(pieces) == 8
    for piece in pieces:
        keys, score = piece.distinct()
        found |= dict(zip(map(bytes, keys.halves), score.tolist(), strict=True))
    assert found == expected
