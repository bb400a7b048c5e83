"""How many documents a group should have, against how many groups one can then pay for (theory 8.6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, SpecError
from rankstill.measures.checks import check_count, check_not_negative, check_positive


@dataclass(frozen=True, slots=True)
class VarianceParts:
    """Where the variance of a mean over groups comes from [3.3], for documents drawn independently within a query.

    Attributes:
        between: s_B², of the queries' means. Only more queries reduce it.
        document: zeta_1, of a document's mean over its partners.
        pair: zeta_2, of a pair.
    """

    between: float
    document: float
    pair: float

    def variance(self, size: int) -> float:
        """Variance of the mean over the pairs of one group of `size` documents, exact [3.3]."""
        check_count(2, size=size)
        return self.between + (4 * (size - 2) * self.document + 2 * self.pair) / (size * (size - 1))


def variance_parts(values: NDArray[np.floating[Any]]) -> VarianceParts:
    """Estimate the parts from groups, by U-statistics over pairs that share two, one and no documents.

    Unbiased, hence below 0 at times where a part is small. Documents must be drawn independently given the query: leave
    out the positive.

    Args:
        values: (n, k, k) a value of each pair, symmetric: its loss under one fixed student, its entropy, its squared
            distance; n >= 2, k >= 4. The diagonal is not read.

    Raises:
        SpecError: The shape is wrong.
        DataError: A value is not finite, or not symmetric.
    """
    if values.ndim != 3 or len(values) < 2 or values.shape[1] < 4 or values.shape[1] != values.shape[2]:
        raise SpecError(f"expected pair values (n, k, k) of two groups or more of four or more, got {values.shape}")
    groups, size = values.shape[:2]
    pairs = values.astype(np.float64)
    pairs[:, np.arange(size), np.arange(size)] = 0
    if not np.isfinite(pairs).all():
        raise DataError(f"{int((~np.isfinite(pairs)).sum())} pair values are not finite")
    if not np.allclose(pairs, pairs.transpose(0, 2, 1), rtol=1e-5, atol=1e-12):
        raise DataError("pair values differ by the order of the pair", hint="give the mean of both orders")
    rows = pairs.sum(axis=2)
    squares = np.einsum("nij,nij->n", pairs, pairs)
    totals = rows.sum(axis=1)
    shared = np.einsum("ni,ni->n", rows, rows) - squares  # pairs that share exactly one document, in order
    apart = totals**2 - 2 * squares - 4 * shared
    count = size * (size - 1)
    both, one = squares.mean() / count, shared.mean() / (count * (size - 2))
    none = apart.mean() / (count * (size - 2) * (size - 3))
    means = totals / count
    product = (means.sum() ** 2 - (means**2).sum()) / (groups * (groups - 1))  # of different queries
    return VarianceParts(float(none - product), float(one - none), float(both - none))


@dataclass(frozen=True, slots=True)
class GroupSize:
    """The size of groups that makes the most of a budget.

    Attributes:
        size: k, within the limits asked for.
        unrounded: k* = √(4 zeta_1 c_q/(s_B² c_d)) of theory 8.6, for large k; infinite where queries do not differ.
        groups: What the budget buys at `size`.
        variance: Of the mean over those groups.
    """

    size: int
    unrounded: float
    groups: float
    variance: float


def group_size(
    parts: VarianceParts,
    query_cost: float,
    document_cost: float,
    *,
    budget: float = 1.0,
    smallest: int = 2,
    largest: int = 128,
) -> GroupSize:
    """Choose k where a group costs c_q + k c_d and its mean has the variance of [3.3] (theory 8.6).

    The smallest of variance(k) · (c_q + k c_d) over whole numbers is searched, with the exact variance; theory's
    √(4 zeta_1 c_q/(s_B² c_d)) is its approximation for large k.

    Args:
        parts: Of the variance; parts below 0, which are noise, count as 0.
        query_cost: c_q, of a group besides its documents (retrieval, the positive's label), 0 or above.
        document_cost: c_d, of one document (its teacher score), above 0.
        budget: In the same unit.
        smallest: The least size allowed, 2 or more.
        largest: The largest.

    Raises:
        SpecError: A number is out of range.
    """
    check_not_negative(query_cost=query_cost)
    check_positive(document_cost=document_cost, budget=budget)
    if not 2 <= smallest <= largest:
        raise SpecError(f"no size of group is from {smallest} to {largest}, and 2 or more")
    clean = VarianceParts(max(parts.between, 0.0), max(parts.document, 0.0), max(parts.pair, 0.0))
    sizes = range(smallest, largest + 1)
    best = min(sizes, key=lambda k: clean.variance(k) * (query_cost + k * document_cost))
    groups = budget / (query_cost + best * document_cost)
    top, bottom = 4 * clean.document * query_cost, clean.between * document_cost
    unrounded = math.sqrt(top / bottom) if bottom else (math.inf if top else math.nan)
    return GroupSize(best, unrounded, groups, clean.variance(best) / groups)
