"""Distances between the lists of nu_q and mu_q, and diameters of groups: exact in these worlds."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from rankstill.measures.locality import squared_diameters
from theory.worlds import Floats, Groups, World


def lists(world: World, values: Floats) -> tuple[Floats, Floats]:
    """Values of the documents of both lists."""
    rows = np.arange(len(values))[:, None]
    return values[rows, world.drawn], values[rows, world.target]


def assignment(costs: Floats) -> float:
    """Mean over queries of the cheapest matching of two lists, (Q, N, N)."""
    return float(np.mean([cost[linear_sum_assignment(cost)].mean() for cost in costs]))


def costs(world: World, values: Floats) -> Floats:
    """(Q, LIST, LIST) distances between what nu_q and mu_q draw; values (Q, m) or (Q, m, dim)."""
    values = values[..., None] if values.ndim == 2 else values
    drawn, target = lists(world, values)
    return np.linalg.norm(drawn[:, :, None] - target[:, None, :], axis=-1)


def score_distance(world: World, scores: Floats) -> float:
    """E_q W1 of a score."""
    return assignment(costs(world, scores))


def joint_costs(world: World) -> Floats:
    """c_q(x, y) = L d + |g - g'|."""
    return world.radius * costs(world, world.vectors) + costs(world, world.teacher)


def rms_diameter(world: World, groups: Groups) -> float:
    """D_rms; by rankstill where the vectors have norm 1, as it wants them."""
    if not world.unit:
        return float(np.sqrt((groups.margins(world.vectors) ** 2).sum(-1).mean()))
    queries, documents, dim = world.vectors.shape
    rows = groups.queries[:, None] * documents + groups.docs
    return float(np.sqrt(squared_diameters(world.vectors.reshape(queries * documents, dim), rows).mean()))
