"""`random`: documents drawn uniformly from the whole collection; the widest locality a strategy can have."""

from __future__ import annotations

import numpy as np

from rankstill.candidates.strategy import Request
from rankstill.errors import DataError
from rankstill.progress import track
from rankstill.records import Pairs, Rows


def sample(request: Request) -> Pairs:
    """Draw `negatives` distinct documents for each query, uniformly over all allowed ones.

    Raises:
        DataError: The collection has too few allowed documents for a query.
    """
    size = len(request.collection.documents)
    drawn = [_draw(request, int(q), size) for q in track(request.queries, "random negatives", unit="queries")]
    docs = np.concatenate(drawn) if drawn else np.empty(0, np.uint32)
    return Pairs(np.repeat(request.queries, request.negatives), docs, np.full(len(docs), np.nan, np.float32))


def _draw(request: Request, query: int, size: int) -> Rows:
    """Draw with rejection while that is cheap, from the list of allowed documents where few are left."""
    rng = request.rng("random", query)
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
