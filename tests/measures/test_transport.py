"""Exact transport: against all permutations, between the two methods, by hand, and refusals."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from rankstill.errors import DataError, SpecError
from rankstill.measures import transport
from rankstill.measures.transport import transport_costs


def by_permutations(cost: np.ndarray) -> float:
    size = len(cost)
    return min(float(np.mean(cost[range(size), list(order)])) for order in permutations(range(size)))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_equal_sizes_against_all_permutations(size):
    costs = np.random.default_rng(size).random((10, size, size))
    assert transport_costs(costs) == pytest.approx([by_permutations(c) for c in costs], abs=1e-14)


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (2, 4), (3, 2)])
def test_unequal_sizes_against_all_permutations_of_repeated_points(rows, columns):
    costs = np.random.default_rng(1).random((4, rows, columns))
    common = np.lcm(rows, columns)
    repeated = costs.repeat(common // rows, axis=1).repeat(common // columns, axis=2)
    assert transport_costs(costs) == pytest.approx([by_permutations(c) for c in repeated], abs=1e-14)


@pytest.mark.parametrize(("rows", "columns"), [(4, 7), (5, 5), (8, 6), (3, 1)])
def test_the_linear_programme_gives_the_same(rows, columns, monkeypatch):
    costs = np.random.default_rng(2).random((5, rows, columns))
    assigned = transport_costs(costs)
    monkeypatch.setattr(transport, "REPEATED_UP_TO", 0)
    assert transport_costs(costs) == pytest.approx(assigned, abs=1e-12)


def test_by_hand():
    # One point splits in halves; crossing over costs more than going straight.
    assert transport_costs(np.array([[[1.0, 3.0]]])) == pytest.approx([2])
    assert transport_costs(np.array([[[0.0, 5], [5, 1]], [[5.0, 0], [1, 5]]])) == pytest.approx([0.5, 0.5])
    # Thirds to halves: 1/3 stays on each side, the middle one splits.
    assert transport_costs(np.array([[[0.0, 9], [2, 4], [9, 0]]])) == pytest.approx([(2 + 4) / 6])


def test_refusals():
    for shape in ((2, 2), (0, 2, 2), (1, 0, 2)):
        with pytest.raises(SpecError):
            transport_costs(np.zeros(shape))
    for bad in (np.nan, np.inf, -1.0):
        costs = np.ones((3, 2, 2))
        costs[1, 0, 1] = bad
        with pytest.raises(DataError, match=r"1 of 3 queries .* number 1"):
            transport_costs(costs)
