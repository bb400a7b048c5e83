"""Throwing scores away: of whole teachers, or of pairs that nobody will ask for."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rankstill.collection.store import Collection
from rankstill.records import Scores32
from rankstill.teachers.pair_keys import PairKeys
from rankstill.teachers.store import ABOUT, ScoreStore
from rankstill.teachers.store_care import held
from rankstill.teachers.store_parts import Merged, Part, merged
from rankstill.teachers.text_index import TextIndex

_DAY = 86400


@dataclass(frozen=True)
class Dropped:
    """What `drop` and `drop_pairs` threw away, or would.

    Attributes:
        store: One teacher's scores.
        pairs: How many were dropped.
        of: How many there were.
    """

    store: ScoreStore
    pairs: int
    of: int


def older(stores: Sequence[ScoreStore], days: float) -> list[ScoreStore]:
    """Choose the teachers to whose scores nothing was added for so many days."""
    before = time.time() - days * _DAY
    return [store for store in stores if held(store).newest < before]


def drop(store: ScoreStore, *, really: bool) -> Dropped:
    """Throw all scores of a teacher away; the folder stays, for who waits for its lock."""
    there = held(store)
    if really:
        with store.writing():
            for path in [*store.parts(), store.folder / ABOUT]:
                path.unlink(missing_ok=True)
    return Dropped(store, there.pairs, there.pairs)


def drop_pairs(store: ScoreStore, keep: Sequence[Collection], *, really: bool) -> Dropped:
    """Throw a teacher's scores away of all pairs whose two texts are not a query and a document of one collection.

    Args:
        store: One teacher's scores.
        keep: Collections whose pairs stay.
        really: Or only count.
    """
    indices = [(TextIndex(c.queries), TextIndex(c.documents)) for c in keep]
    counted = [0, 0]

    def wanted(pieces: Iterator[Merged]) -> Iterator[tuple[PairKeys, Scores32]]:
        for piece in pieces:
            keys, score = piece.distinct()
            kept = np.zeros(len(keys), bool)
            for queries, documents in indices:
                kept |= (queries.find(keys.halves[:, :2]) >= 0) & (documents.find(keys.halves[:, 2:]) >= 0)
            counted[0] += len(keys) - int(kept.sum())
            counted[1] += len(keys)
            if kept.any():
                yield keys.take(kept), score[kept]

    if really:
        with store.writing():
            old = store.parts()
            store.replace(old, wanted(merged([Part.open(path) for path in old], store.folder)))
    else:
        with tempfile.TemporaryDirectory(prefix="rankstill-") as scratch:
            for _ in wanted(merged(list(store.opened()), Path(scratch))):
                pass
    return Dropped(store, counted[0], counted[1])
