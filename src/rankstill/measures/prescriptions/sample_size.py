"""How many queries, seeds and groups it takes (theory 8.5, 8.8)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from rankstill.errors import SpecError
from rankstill.measures.bounds.held_out import bernstein_upper
from rankstill.measures.checks import check_between, check_count, check_entropy, check_not_negative, check_positive
from rankstill.measures.prescriptions.choice import LocalityLaw

_MANY = 1 << 60
"""More than anyone has: a term that has not fallen by then does not fall."""


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How many of something are needed to tell two strategies apart.

    Attributes:
        number: The smallest sufficient number; None where no number is.
        smallest_gap: What no number of them gets below: the gap that stays hidden by the other source of variance.
        of: What is counted, "queries" or "seeds".
    """

    number: int | None
    smallest_gap: float
    of: str

    def __str__(self) -> str:
        if self.number is not None:
            return f"{self.number:,} {self.of}"
        return f"no number of {self.of}: even infinitely many show no gap below {self.smallest_gap:.3g}"


def queries_needed(
    gap: float, sd: float, *, level: float = 0.95, power: float = 0.8, seed_sd: float = 0.0, seeds: int = 1
) -> SampleSize:
    """Count the queries that show a gap between two strategies (theory 8.5, asymptotic).

    The mean difference has variance sd²/N + 2 seed_sd²/seeds; the gap must be (z_{1-a/2} + z_power) of its root.
    Queries do nothing about the seeds' part. Normal, two-sided, with known variances: below some 30 queries or 10 seeds
    the true need is larger.

    Args:
        gap: The true mean difference to be found, above 0, in units of the measure.
        sd: Of the per-query difference, 0 or above.
        level: 1 - a of the test.
        power: The wanted probability to find the gap, above a/2.
        seed_sd: Standard deviation of one strategy's mean over training seeds, 0 or above, alike in both.
        seeds: T, trainings of each strategy.

    Raises:
        SpecError: A number is out of range.
    """
    factor = _factor(level, power)
    check_positive(gap=gap)
    check_not_negative(sd=sd)
    left = (gap / factor) ** 2 - _seed_variance(seed_sd, seeds)
    hidden = factor * math.sqrt(_seed_variance(seed_sd, seeds))
    return SampleSize(None if left <= 0 else max(2, _ceil(sd**2 / left)), hidden, "queries")


def seeds_needed(
    gap: float, sd: float, queries: int, seed_sd: float, *, level: float = 0.95, power: float = 0.8
) -> SampleSize:
    """Count the trainings of each strategy that show a gap on so many queries (theory 8.5, asymptotic).

    Args:
        gap: As in `queries_needed`.
        sd: As in `queries_needed`.
        queries: N, one or more.
        seed_sd: As in `queries_needed`.
        level: As in `queries_needed`.
        power: As in `queries_needed`.

    Raises:
        SpecError: A number is out of range.
    """
    factor = _factor(level, power)
    check_positive(gap=gap)
    check_count(queries=queries)
    check_not_negative(sd=sd, seed_sd=seed_sd)
    left = (gap / factor) ** 2 - sd**2 / queries
    hidden = factor * sd / math.sqrt(queries)
    return SampleSize(None if left <= 0 else max(1, _ceil(2 * seed_sd**2 / left)), hidden, "seeds")


def smallest_gap(
    queries: int, sd: float, *, level: float = 0.95, power: float = 0.8, seed_sd: float = 0.0, seeds: int = 1
) -> float:
    """Find the smallest gap that so many queries and seeds show (theory 8.5, asymptotic).

    Args:
        queries: N, one or more.
        sd: As in `queries_needed`.
        level: As in `queries_needed`.
        power: As in `queries_needed`.
        seed_sd: As in `queries_needed`.
        seeds: As in `queries_needed`.

    Raises:
        SpecError: A number is out of range.
    """
    check_count(queries=queries)
    check_not_negative(sd=sd)
    return _factor(level, power) * math.sqrt(sd**2 / queries + _seed_variance(seed_sd, seeds))


def certain_gap(queries: int, sd: float, *, span: float = 2.0, delta: float = 0.05) -> float:
    """The half-width √(2 sd² log(2/delta)/N) + 7 span log(2/delta)/(3(N-1)) of empirical Bernstein [7.1], theory 8.5.

    An observed mean difference above it is above 0 in truth, with probability 1 - delta, whatever the distribution and
    for every N; one-sided, for a direction fixed beforehand. It speaks of the two trained models at hand, not of other
    seeds.

    Args:
        queries: N, two or more.
        sd: Sample standard deviation of the per-query difference, 0 or above.
        span: M, the width of the range of a difference: 2 for measures from 0 to 1.
        delta: Between 0 and 1.

    Raises:
        SpecError: A number is out of range.
    """
    check_not_negative(sd=sd)
    check_count(2, queries=queries)
    check_positive(span=span)
    return bernstein_upper(0.0, sd**2, queries, span, delta)


def certain_queries_needed(gap: float, sd: float, *, span: float = 2.0, delta: float = 0.05) -> int:
    """Count the queries from which on `certain_gap` is at or below a gap (theory 8.5, distribution-free).

    Args:
        gap: The mean difference one expects to observe, above 0.
        sd: As in `certain_gap`.
        span: As in `certain_gap`.
        delta: As in `certain_gap`.

    Raises:
        SpecError: A number is out of range.
    """
    check_positive(gap=gap)
    found = _first(lambda n: certain_gap(n, sd, span=span, delta=delta) <= gap, start=2)
    if found is None:
        raise SpecError(f"a gap of {gap} is out of reach: it takes more than 10^18 queries")
    return found


def groups_needed(
    locality: LocalityLaw, *, target_entropy: float, fit: float = 0.0, shift: float = 0.0, delta: float = 0.05
) -> int | None:
    """Count the groups from which on the four-term bound is not vacuous: fit + loc(n) + shift < log 2 - H_mu.

    Theory 8.8; with loc = c/√n it is n > (c/(log 2 - H_mu - fit - shift))².

    Args:
        locality: The locality term, falling with n.
        target_entropy: H_mu, the teacher's mean pairwise entropy on the target's pairs, nats.
        fit: Excess loss on the groups, 0 or above, nats.
        shift: 0 or above, nats; may be infinite.
        delta: Probability that the bound fails.

    Returns:
        None where no number of groups helps: fit and shift alone fill the room.

    Raises:
        SpecError: A number is out of range.
    """
    check_not_negative(fit=fit)
    check_between(0, 1, delta=delta)
    check_entropy(target_entropy=target_entropy)
    if not shift >= 0:
        raise SpecError(f"shift is {shift}; it must be 0 or above")
    room = math.log(2) - target_entropy - fit - shift
    return None if room <= 0 else _first(lambda n: locality(n, delta) < room, start=1)


def informative_distance(*, target_entropy: float, temperature: float, reach: float, teacher_reach: float) -> float:
    """The W1 distance from which on the shift term alone is vacuous: 2 tau (log 2 - H_mu)/(B + B_g), theory 8.8.

    Args:
        target_entropy: H_mu, nats.
        temperature: tau, above 0.
        reach: B = L D_max/tau, the largest |u| of the student.
        teacher_reach: B_g, the largest |v| of the teacher.

    Returns:
        In the unit of c_q = L d + |g - g'|, that is, of scores.

    Raises:
        SpecError: A number is out of range.
    """
    check_positive(temperature=temperature, sum_of_reaches=reach + teacher_reach)
    check_not_negative(reach=reach, teacher_reach=teacher_reach)
    check_entropy(target_entropy=target_entropy)
    return 2 * temperature * (math.log(2) - target_entropy) / (reach + teacher_reach)


def _factor(level: float, power: float) -> float:
    check_between(0, 1, level=level)
    check_between((1 - level) / 2, 1, power=power)
    normal = NormalDist()
    return normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)


def _seed_variance(seed_sd: float, seeds: int) -> float:
    check_not_negative(seed_sd=seed_sd)
    check_count(seeds=seeds)
    return 2 * seed_sd**2 / seeds


def _ceil(value: float) -> int:
    """Round up, but not for rounding's sake: 100.00000000000001 is 100."""
    return math.ceil(value * (1 - 1e-12))


def _first(enough: Callable[[int], bool], start: int) -> int | None:
    """Find the first number that is enough, where every larger one is too."""
    high = start
    while not enough(high):
        high *= 2
        if high > _MANY:
            return None
    low = start - 1 if high == start else high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
