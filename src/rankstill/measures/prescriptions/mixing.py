"""Whether to mix two strategies, and how much of each (theory 8.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import SpecError
from rankstill.measures.checks import check_count, check_not_negative, check_positive
from rankstill.measures.unit_groups import checked_vectors

Floats = NDArray[np.float64]
Form = Literal["inside", "pure"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean squared distances within and between the documents of two strategies, E d², not their roots.

    Attributes:
        first: D_11², within groups of the first strategy.
        between: D_12², between a document of each, for the same query.
        second: D_22².
    """

    first: float
    between: float
    second: float

    def __post_init__(self) -> None:
        check_not_negative(first=self.first, between=self.between, second=self.second)

    @property
    def centroids(self) -> float:
        """Mean squared distance between the two strategies' centroids, D_12² - (D_11² + D_22²)/2.

        Below 0 only by the noise of estimates.
        """
        return self.between - (self.first + self.second) / 2

    def squared_diameter(self, share: Floats, form: Form) -> Floats:
        """D_rms² of a mixture with so much of the second strategy.

        Args:
            share: alpha, from 0 to 1.
            form: "inside": each document of a group is of the second strategy with probability alpha; "pure": each
                group is. The second is smaller by 2 alpha (1-alpha) times `centroids`, but has no pairs across.
        """
        rest = 1 - share
        if form == "pure":
            return rest * self.first + share * self.second
        return rest**2 * self.first + 2 * share * rest * self.between + share**2 * self.second


def spread(first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]) -> Spread:
    """Estimate the mean squared distances, without bias, by centroids: O(kD) a query.

    Args:
        first: (n, k, D) vectors of the first strategy's documents, k >= 2, as the metric takes them (of unit norm).
        second: (n, l, D) of the second's, for the same queries in the same order, l >= 2.

    Raises:
        SpecError: The shapes do not belong together.
        DataError: A number is not finite.
    """
    if first.ndim != 3 or second.ndim != 3 or len(first) != len(second) or first.shape[2] != second.shape[2]:
        raise SpecError(f"expected vectors (n, k, D) and (n, l, D), got {first.shape} and {second.shape}")
    if not len(first) or min(first.shape[1], second.shape[1]) < 2:
        raise SpecError(f"expected one query or more and two documents or more, got {first.shape} and {second.shape}")
    middles, scatters = zip(*(_middle_and_scatter(v) for v in (first, second)), strict=True)
    gaps = middles[0] - middles[1]
    sizes = first.shape[1], second.shape[1]
    # E|x - y|² = |mean - mean|² + scatter of each about its mean; exact for the cross pairs of the sample.
    between = np.einsum("nd,nd->n", gaps, gaps) + scatters[0] / sizes[0] + scatters[1] / sizes[1]
    within = (float(2 * s.mean() / (k - 1)) for s, k in zip(scatters, sizes, strict=True))
    return Spread(next(within), float(between.mean()), next(within))


def _middle_and_scatter(vectors: NDArray[np.floating[Any]]) -> tuple[Floats, Floats]:
    values = checked_vectors(vectors, unit=False, precision=np.float64)
    middle = values.mean(axis=1)
    values -= middle[:, None]
    return middle, np.einsum("nkd,nkd->n", values, values)


@dataclass(frozen=True)
class Mixture:
    """The bound of mixtures over a grid of shares, and the best of them.

    Attributes:
        shares: alpha, the share of the second strategy, ascending from 0 to 1.
        locality: The locality term at each, in nats.
        shift: The shift term at each, in nats.
        wanted_gain: How much less shift the second strategy must have than the first, in nats, for adding a little of
            it to lower the convexified bound.
        adding_helps: Whether it has.
        convexified: Whether `shift` is the straight line between the two strategies. The best share is then 0 or 1.
    """

    shares: Floats
    locality: Floats
    shift: Floats
    wanted_gain: float
    adding_helps: bool
    convexified: bool

    @property
    def total(self) -> Floats:
        """Locality and shift; the fit of a mixture is not known before it is trained."""
        return self.locality + self.shift

    @property
    def best(self) -> float:
        """The share with the lowest total; of equal ones, the smallest."""
        return float(self.shares[int(np.argmin(self.total))])

    @property
    def mixing_helps(self) -> bool:
        """Whether a true mixture is better than either strategy alone."""
        return 0 < self.best < 1


def best_mixture(
    spread: Spread,
    shifts: tuple[float, float],
    scale: float,
    budget: float,
    *,
    costs: tuple[float, float] = (1.0, 1.0),
    form: Form = "inside",
    steps: int = 100,
    measured_shift: Sequence[float] | None = None,
) -> Mixture:
    """Score mixtures (1-alpha) nu_1 + alpha nu_2 over a grid of alpha: scale · D_rms(alpha)/√n + shift(alpha).

    By default shift(alpha) is its upper bound (1-alpha) shift_1 + alpha shift_2. Adding a little of the second strategy
    lowers this iff, at equal costs, shift_1 - shift_2 > scale (D_12² - D_11²)/(D_11 √n) (`wanted_gain`; for pure groups
    (D_22² - D_11²)/2 in place of the difference).

    But whenever adding a little helps, taking all of it helps more: D_rms²(alpha) is concave (its second derivative is
    -4 times the squared distance of the centroids, or 0), so is the mean cost 1/n, linear in alpha; so is the root of
    the product of two such functions; and a straight line added changes nothing. A concave function is smallest at an
    end. A true mixture can win only by what the straight line overstates: W1(nu_alpha, mu) where mu lies between the
    two. Measure it, and give it as `measured_shift`.

    Args:
        spread: Of the two strategies, in the students' metric.
        shifts: The shift terms of the two, in nats, finite.
        scale: a of loc = a D_rms/√n, 0 or above, in nats per unit of distance.
        budget: In the unit of the costs; in groups, where these are 1.
        costs: Of a group of each; a mixture's group costs their mean, weighted by alpha.
        form: As in `Spread.squared_diameter`.
        steps: The grid is 0, 1/steps, .., 1.
        measured_shift: (steps + 1,) the shift term of each mixture, instead of the straight line.

    Raises:
        SpecError: A number or a shape is out of range.
    """
    check_not_negative(shift_of_the_first=shifts[0], shift_of_the_second=shifts[1], scale=scale)
    check_positive(budget=budget, cost_of_the_first=costs[0], cost_of_the_second=costs[1])
    if form not in ("inside", "pure"):
        raise SpecError(f"unknown form of mixture {form!r}", hint="known: inside, pure")
    check_count(steps=steps)
    shares = np.arange(steps + 1) / steps
    groups = budget / ((1 - shares) * costs[0] + shares * costs[1])
    locality = scale * np.sqrt(spread.squared_diameter(shares, form) / groups)
    line = (1 - shares) * shifts[0] + shares * shifts[1]
    wanted = _wanted_gain(spread, scale, budget, costs, form)
    shift = line if measured_shift is None else _measured(measured_shift, len(shares))
    return Mixture(shares, locality, shift, wanted, shifts[0] - shifts[1] > wanted, measured_shift is None)


def _wanted_gain(spread: Spread, scale: float, budget: float, costs: tuple[float, float], form: Form) -> float:
    """The slope of the locality term at alpha = 0."""
    rise = spread.between - spread.first if form == "inside" else (spread.second - spread.first) / 2
    dearer = (costs[1] / costs[0] - 1) / 2
    if spread.first == 0:
        # The root's slope at 0 is infinite.
        return math.inf if rise > 0 and scale > 0 else 0.0
    diameter = math.sqrt(spread.first)
    return scale * (rise / diameter + diameter * dearer) / math.sqrt(budget / costs[0])


def _measured(values: Sequence[float], length: int) -> Floats:
    shift = np.asarray(values, np.float64)
    if shift.shape != (length,):
        raise SpecError(f"expected {length} measured shifts, one for each share, got {shift.shape}")
    if not (shift >= 0).all():
        raise SpecError("a measured shift is below 0, or not a number")
    return shift
