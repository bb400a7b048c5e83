"""Exact optimal transport between two uniform samples, for many queries: what W1 costs under any cost matrix.

Equal sizes: an assignment. Otherwise each point is repeated until both sides have the least common multiple of the two
sizes, which is exact too, as long as that is small; else a linear programme.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import csr_array, kron, vstack

from rankstill.errors import DataError, SpecError

REPEATED_UP_TO = 256
"""Up to this least common multiple, an assignment among repeated points is quicker than the linear programme."""


def transport_costs(costs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Find the least mean cost of carrying one uniform sample to another, per query.

    Args:
        costs: (n, a, b), at least 0 and finite: from each of a points to each of b.

    Returns:
        (n,) W1 under that cost.

    Raises:
        DataError: A cost is negative or not finite.
        SpecError: The shape is wrong, or empty.
        RuntimeError: The linear programme found no optimum, which a finite cost does not allow.
    """
    if costs.ndim != 3 or not costs.size:
        raise SpecError(f"expected costs (queries, a, b), at least one of each, got {costs.shape}")
    bad = np.flatnonzero(~(np.isfinite(costs) & (costs >= 0)).all(axis=(1, 2)))
    if len(bad):
        raise DataError(
            f"{len(bad)} of {len(costs)} queries hold a cost below 0 or not finite (first: number {bad[0]})"
        )
    _, rows, columns = costs.shape
    if rows == 1 or columns == 1:
        return np.asarray(costs.mean(axis=(1, 2)), np.float64)
    common = math.lcm(rows, columns)
    if common <= max(REPEATED_UP_TO, rows, columns):
        return np.array([_assigned(cost, common) for cost in costs.astype(np.float64)])
    constraints = _marginals(rows, columns)
    return np.array([_programmed(cost, constraints) for cost in costs.astype(np.float64)])


def _assigned(cost: NDArray[np.float64], common: int) -> float:
    rows, columns = cost.shape
    if rows != columns:
        cost = cost.repeat(common // rows, axis=0).repeat(common // columns, axis=1)
    return float(cost[linear_sum_assignment(cost)].mean())


def _marginals(rows: int, columns: int) -> csr_array:
    """Sums over each row, then over each column, of a plan (a, b) laid out in a row."""
    sums = [kron(csr_array(np.eye(rows)), np.ones((1, columns))), kron(np.ones((1, rows)), csr_array(np.eye(columns)))]
    return csr_array(vstack(sums))


def _programmed(cost: NDArray[np.float64], constraints: csr_array) -> float:
    rows, columns = cost.shape
    # Masses are whole numbers, so that those of both sides agree exactly.
    masses = np.repeat([float(columns), float(rows)], [rows, columns])
    found = linprog(cost.ravel(), A_eq=constraints, b_eq=masses, bounds=(0, None), method="highs")
    if found.x is None or not found.success:
        raise RuntimeError(f"no optimal transport plan found: {found.message}")
    total: float = float(found.fun)
    return total / float(rows * columns)
