"""The keys of pairs of texts, by which the score store finds scores, whatever ids the texts have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.records import Rows

Halves = NDArray[np.uint64]
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
        return cls(np.concatenate([as_halves(k) for k in keys], axis=1))

    @classmethod
    def concatenate(cls, keys: list[PairKeys]) -> PairKeys:
        """Join keys end to end."""
        return cls(np.concatenate([np.empty((0, 4), np.uint64), *(k.halves for k in keys)]))

    def __len__(self) -> int:
        return len(self.halves)

    def take(self, where: NDArray[np.int64] | NDArray[np.bool_]) -> PairKeys:
        """Pick some of the pairs."""
        return PairKeys(self.halves[where])

    def mixed(self) -> Halves:
        """Number pairs by 64 bits, in which different pairs agree hardly ever (but may)."""
        return mix(self.halves[:, 0], self.halves[:, 2])

    def order(self) -> NDArray[np.int64]:
        """Order pairs by their mixed keys; equal pairs stay in their order, and stand together."""
        mixed = self.mixed()
        order = np.argsort(mixed, kind="stable")
        ordered = mixed[order]
        same = np.flatnonzero(ordered[1:] == ordered[:-1])
        if len(same) and (self.halves[order[same]] != self.halves[order[same + 1]]).any():
            order = np.lexsort((*self.halves.T[::-1], mixed))
        return order

    def first(self) -> NDArray[np.bool_]:
        """Tell which of n ordered pairs is the first of its kind."""
        first = np.ones(len(self), bool)
        first[1:] = (self.halves[1:] != self.halves[:-1]).any(axis=1)
        return first


def mix(query: Halves, doc: Halves) -> Halves:
    """Mix the first halves of two keys; of hashes, this is spread evenly over all 64 bits."""
    return query + doc * _MIX


def as_halves(keys: NDArray[np.void]) -> Halves:
    """View n keys of 16 bytes as (n, 2) uint64."""
    return np.ascontiguousarray(keys).view("<u8").reshape(-1, 2)
