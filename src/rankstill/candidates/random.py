"""`random`: documents drawn uniformly from the whole collection; the widest locality a strategy can have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rankstill.candidates.strategy import Request, Strategy
from rankstill.errors import DataError
from rankstill.progress import track
from rankstill.records import Candidates, Rows


@dataclass(frozen=True)
class Random(Strategy):
    """Draws distinct documents for each query, uniformly over all allowed ones."""

    name: ClassVar[str] = "random"

    def sample(self, request: Request) -> Candidates:
        """Draw; a collection with too few allowed documents for a query is refused."""
        size, found = len(request.collection.documents), []
        for query in track(request.queries, "random negatives", unit="queries"):
            docs = _draw(request, int(query), size)
            share = len(docs) / (size - len(request.forbidden(int(query))))
            found.append(Candidates.of(int(query), docs, np.full(len(docs), np.nan, np.float32), share))
        return Candidates.concatenate(found)


def _draw(request: Request, query: int, size: int) -> Rows:
    """Draw with rejection while that is cheap, from the list of allowed documents where few are left."""
    rng = request.rng(Random.name, query)
    want = request.negatives
    if size > 4 * (want + len(request.forbidden(query))):
        found = np.empty(0, np.int64)
        for _ in range(64):
            more = rng.integers(size, size=2 * want)
            joined = np.concatenate([found, more[request.allowed(query, more)]])
            _, first = np.unique(joined, return_index=True)
            found = joined[np.sort(first)]
            if len(found) >= want:
                return found[:want].astype(np.uint32)
    everything = np.arange(size)
    left = everything[request.allowed(query, everything)]
    if len(left) < want:
        raise DataError(
            f"query {request.collection.queries.id(query)}: only {len(left)} of {size} documents may be negatives, "
            f"{want} are needed",
            hint="make the groups smaller (--size), or add documents",
        )
    return rng.choice(left, want, replace=False).astype(np.uint32)
