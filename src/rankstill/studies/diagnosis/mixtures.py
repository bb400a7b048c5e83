"""Whether a mixture of two strategies is better than either: locality and shift, both measured (theory 8.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rankstill.measures.prescriptions.mixing import Mixture, best_mixture, spread
from rankstill.measures.shift import w1_cost
from rankstill.randomness import rng_for
from rankstill.studies.diagnosis.material import Index, Material

STEPS = 4
"""Shares tried: 0, 1/4, 1/2, 3/4, 1."""
QUERIES = 2000
"""Queries at most on which mixtures are measured."""


def mixture_of(
    first: Material,
    second: Material,
    *,
    radius: float,
    factor: float,
    scale: float,
    budget: float,
    costs: tuple[float, float],
    seed: int,
) -> Mixture | None:
    """Score mixtures of two strategies.

    The straight line between two shifts would always put the best share at an end (`best_mixture`), so W1 is measured
    for each share: of a sample that has its share of documents from each strategy.

    Args:
        first: What one is assessed on.
        second: What the other is assessed on.
        radius: L/τ.
        factor: From W1 to nats, of the shift term.
        scale: a of loc = a D_rms/√n.
        budget: In the unit of the costs.
        costs: Of a group of each.
        seed: Of which documents of a group come into a mixture.

    Returns:
        None where they have no query in common.
    """
    rows, others, targets, scores = _common(first, second)
    if len(rows) < 2:
        return None
    rng = rng_for(seed, "mixture")
    docs, score = _shuffled(first, rows, rng)
    other_docs, other_score = _shuffled(second, others, rng)
    a, b, target = first.vectors(docs), second.vectors(other_docs), first.vectors(targets)
    m, shifts = targets.shape[1], list[float]()
    for step in range(STEPS + 1):
        # Of the first as many as its share, of the second the rest.
        kept = round((1 - step / STEPS) * m)
        mixed = np.concatenate([a[:, :kept], b[:, : m - kept]], axis=1)
        scored = np.concatenate([score[:, :kept], other_score[:, : m - kept]], axis=1)
        shifts.append(factor * float(w1_cost(mixed, target, scored, scores, radius=radius).mean()))
    own = spread(a, b)
    ends = (shifts[0], shifts[-1])
    return best_mixture(own, ends, scale, budget, costs=costs, steps=STEPS, measured_shift=shifts)


def _shuffled(given: Material, rows: Index, rng: np.random.Generator) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """List what was drawn for some groups, and the scores, in random order: groups may hold the hardest first."""
    order = rng.permuted(np.tile(np.arange(given.shared, given.groups.size), (len(rows), 1)), axis=1)
    docs = np.take_along_axis(given.groups.doc[rows], order, axis=1)
    return docs, np.take_along_axis(given.scores[rows], order, axis=1)


def _common(first: Material, second: Material) -> tuple[Index, Index, NDArray[np.uint32], NDArray[np.float64]]:
    """Find the queries that both have groups for, with the largest target samples: rows in both, and the samples."""
    part = max(first.matched, key=lambda p: len(p.rows) * p.docs.shape[2])
    place = {int(query): row for row, query in enumerate(second.groups.query)}
    there = [i for i, row in enumerate(part.rows) if int(first.groups.query[row]) in place][:QUERIES]
    others = np.array([place[int(first.groups.query[part.rows[i]])] for i in there], np.int64)
    return part.rows[there], others, part.docs[0][there], part.scores[0][there]
