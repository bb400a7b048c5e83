"""What a strategy is assessed on: its groups, and the target pool of the same queries, with vectors and scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.strategy import Vectors
from rankstill.collection.store import Collection
from rankstill.measures.probe import Bags
from rankstill.randomness import rng_for
from rankstill.records import Candidates, Groups, Pairs
from rankstill.teachers.scored import lookup

Index = NDArray[np.int64]

BLOCK = 1024
"""Groups whose vectors are in memory at once: 25 MB at 16 documents of 384 dimensions."""


@dataclass(frozen=True)
class Matched:
    """Queries with as many documents each from the strategy, and in either of two samples from the target pool.

    Attributes:
        rows: (n,) rows of the groups.
        drawn: (n, m) columns of those groups: a random choice of what the strategy drew.
        docs: (2, n, m) documents of the two target samples.
        scores: (2, n, m) the teacher's scores of them, over τ.
    """

    rows: Index
    drawn: Index
    docs: NDArray[np.uint32]
    scores: NDArray[np.float64]

    def blocks(self) -> Iterator[slice]:
        """Cut into stretches whose vectors fit into memory."""
        return (slice(start, start + BLOCK) for start in range(0, len(self.rows), BLOCK))


@dataclass(frozen=True)
class Material:
    """Everything that the measures take.

    Attributes:
        groups: The strategy's groups.
        scores: (n, k) teacher scores over τ.
        queries, documents: Vectors.
        matched: The queries that have a target pool, by the number of documents compared.
        shared: How many leading documents of a group the strategy and the target have in common: 1, the judged
            positive; 0 where the teacher's best of what the strategy drew stands in for it.
    """

    groups: Groups
    scores: NDArray[np.float64]
    queries: Vectors
    documents: Vectors
    matched: list[Matched]
    shared: int = 1

    def vectors(self, docs: NDArray[Any]) -> NDArray[np.float32]:
        """Look up the unit vectors of a matrix of documents: (n, k, D)."""
        return self.documents.unit(docs.reshape(-1)).reshape(*docs.shape, -1)

    def bags(self, rows: Index) -> Bags:
        """Make bags of groups."""
        return Bags(self.queries.unit(self.groups.query[rows]), self.vectors(self.groups.doc[rows]), self.scores[rows])

    def target_bags(self, part: Matched, which: NDArray[Any]) -> Bags:
        """Make bags of the shared positive and the first target sample, for some of the matched queries."""
        rows = part.rows[which]
        docs = np.concatenate([self.groups.doc[rows, : self.shared], part.docs[0][which]], axis=1)
        scores = self.target_scores(part)[which]
        return Bags(self.queries.unit(self.groups.query[rows]), self.vectors(docs), scores)

    def target_scores(self, part: Matched) -> NDArray[np.float64]:
        """Give the teacher's scores, over τ, of the shared positive and the first target sample."""
        return np.concatenate([self.scores[part.rows, : self.shared], part.scores[0]], axis=1)


def material(
    collection: Collection,
    groups: Groups,
    target: Candidates,
    target_scores: Pairs,
    queries: Vectors,
    documents: Vectors,
    *,
    temperature: float,
    seed: int,
    stand_ins: bool = False,
) -> Material:
    """Match groups with the target samples of their queries.

    Args:
        collection: Whose ids a message names.
        groups: The strategy's.
        target: The stage `target`.
        target_scores: The teacher's scores of its documents.
        queries: Vectors of the queries.
        documents: Vectors of all documents of both.
        temperature: τ.
        seed: Of the choice among a group's documents, where the target pool has fewer.
        stand_ins: Whether the groups' first documents are no judged positives, but drawn like the others.

    Raises:
        MissingScores: A document of the target pool has no score.
    """
    score = lookup(collection, target_scores, target.query, target.doc).astype(np.float64) / temperature
    rows = {int(query): row for row, query in enumerate(groups.query)}
    shared = 0 if stand_ins else 1
    found: dict[int, list[tuple[int, slice]]] = {}
    for query, span in target.per_query().items():
        if query in rows:
            found.setdefault((span.stop - span.start) // 2, []).append((rows[query], span))
    matched = []
    for each, places in sorted(found.items(), reverse=True):
        size = min(each, groups.size - shared)
        if shared + size < 2:
            continue  # One document makes no pair.
        order = [i for i, _ in sorted(enumerate(places), key=lambda place: place[1][0])]
        rows_ = np.array([places[i][0] for i in order])
        spans = [places[i][1] for i in order]
        # The first half of a query's documents is one sample, the second the other.
        halves = [[(s.start + h * each, s.start + h * each + size) for s in spans] for h in (0, 1)]
        docs = np.array([[target.doc[a:b] for a, b in half] for half in halves])
        scores = np.array([[score[a:b] for a, b in half] for half in halves])
        rng = rng_for(seed, "matched", size)
        columns = np.array([shared + np.sort(rng.permutation(groups.size - shared)[:size]) for _ in spans])
        matched.append(Matched(rows_, columns, docs, scores))
    return Material(groups, groups.score.astype(np.float64) / temperature, queries, documents, matched, shared)
