"""Requests for the tests of strategies, and what they all check."""

from functools import cache

import numpy as np

from rankstill.candidates import Request, Vectors, open_strategy
from rankstill.collection.store import Collection
from rankstill.records import Candidates, Pairs


def rows(*numbers):
    return np.array(numbers, np.uint32)


def request(collection: Collection, queries=(0,), negatives=3, depth=10, seed=1, **given) -> Request:
    """A request whose positives are all judged documents of grade 1 and above."""
    return Request(collection, rows(*queries), _positives(collection), negatives, depth, seed, **given)


@cache
def _positives(collection):
    return {q: d for split in collection.splits for q, d in collection.qrels(split).positives().items()}


def scored(query: int, scores: dict[int, float]) -> Pairs:
    """A wider list of one query, as document row -> score."""
    return Pairs(np.full(len(scores), query, np.uint32), rows(*scores), np.array(list(scores.values()), np.float32))


def plane(*degrees: float) -> Vectors:
    """Unit vectors of two dimensions, at these angles."""
    angles = np.deg2rad(np.array(degrees, np.float64))
    values = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Vectors(np.arange(len(degrees), dtype=np.uint32), values)


def docs(drawn: Candidates, query: int = 0) -> list[int]:
    spans = drawn.per_query()
    return drawn.doc[spans[query]].tolist() if query in spans else []


def check_probability(reference: str, make, seeds: int = 1000) -> dict[int, float]:
    """Hold each document's stated probability against its frequency over seeds, to five standard deviations.

    Args:
        reference: The strategy.
        make: Gives the request of a seed; all for one query.
        seeds: How many.

    Returns:
        The stated probability of each document that was ever drawn.
    """
    strategy, stated, counts = open_strategy(reference), {}, {}
    for seed in range(seeds):
        drawn = strategy.sample(make(seed))
        for doc, probability in zip(drawn.doc.tolist(), drawn.probability.tolist(), strict=True):
            assert stated.setdefault(doc, probability) == probability
            counts[doc] = counts.get(doc, 0) + 1
    for doc, p in stated.items():
        assert abs(counts[doc] - seeds * p) <= 5 * (seeds * p * (1 - p)) ** 0.5 + 1e-3, (doc, counts[doc], p)
    return stated
