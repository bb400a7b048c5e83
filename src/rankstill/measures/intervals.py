"""How far a mean over queries can be trusted: bootstrap and Hoeffding intervals.

The unit is the query: values within one query (its groups, its pairs) depend on each other, queries do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, SpecError
from rankstill.measures.checks import check_between
from rankstill.randomness import rng_for

Values = Sequence[float] | NDArray[np.floating]

BOOTSTRAP_UP_TO = 2000
"""From more values on, the central limit theorem gives the same interval for no work (docstring of mean_interval)."""
_DRAWS_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the interval that should cover its expectation.

    Attributes:
        mean: The mean of the values.
        low, high: The bounds; None where there is one value, which says nothing of the spread.
        n: How many values.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    def scaled(self, factor: float) -> Interval:
        """Multiply mean and bounds by a factor above 0, as in a change of unit."""
        low, high = (None if bound is None else bound * factor for bound in (self.low, self.high))
        return Interval(self.mean * factor, low, high, self.n)


def mean_interval(values: Values, *, seed: int, level: float = 0.95, resamples: int = 10_000) -> Interval:
    """Bound the expectation of per-query values by the bootstrap over queries.

    Up to 2,000 values: BCa, the bias-corrected and accelerated percentile bootstrap (Efron, JASA 82:171-185, 1987),
    which follows the skew of measures such as RR; a sample without any spread gives an interval of no width. Above,
    mean ± z·sd/√n: at a skew of 1, the bootstrap's correction is then below 2% of the half-width.

    The draws depend on the seed and on n alone, so all systems tested on the same queries see the same resamples.

    Args:
        values: (n,) one finite value per query.
        seed: The study's seed.
        level: The wanted coverage, between 0 and 1.
        resamples: Bootstrap samples; 10,000 take about 25 ms for 300 queries.

    Raises:
        DataError: There are no values, or some are not finite.
        SpecError: The level or the number of resamples is out of range.
    """
    sample = _checked(values)
    check_between(0, 1, level=level)
    if resamples < 100:
        raise SpecError(f"{resamples} bootstrap resamples are too few", hint="take at least 100; 10,000 is the default")
    mean, n = float(sample.mean()), len(sample)
    if n == 1:
        return Interval(mean, None, None, 1)
    deviations = sample - mean
    if not np.ptp(sample):
        return Interval(mean, mean, mean, n)
    if n > BOOTSTRAP_UP_TO:
        half = NormalDist().inv_cdf((1 + level) / 2) * float(sample.std(ddof=1)) / math.sqrt(n)
        return Interval(mean, mean - half, mean + half, n)
    means = _resampled_means(sample, rng_for(seed, "bootstrap", n), resamples)
    low, high = np.quantile(means, _bca_levels(means, deviations, mean, level))
    return Interval(mean, float(low), float(high), n)


def difference_interval(a: Values, b: Values, *, seed: int, level: float = 0.95, resamples: int = 10_000) -> Interval:
    """Bound the expected difference a - b of two systems on the same queries, resampling queries as pairs.

    Args:
        a: (n,) values of one system.
        b: (n,) values of the other, in the same order of queries.
        seed: As in `mean_interval`.
        level: As in `mean_interval`.
        resamples: As in `mean_interval`.

    Raises:
        DataError: The two differ in length, are empty, or hold values that are not finite.
    """
    first, second = _checked(a), _checked(b)
    if len(first) != len(second):
        raise DataError(
            f"a paired difference needs the same queries on both sides, got {len(first)} and {len(second)} values",
            hint="measure both systems on the same queries",
        )
    return mean_interval(first - second, seed=seed, level=level, resamples=resamples)


def hoeffding_interval(values: Values, *, lowest: float, highest: float, level: float = 0.95) -> Interval:
    """Bound the expectation of values in a known range, for any n and any distribution (theory section 6).

    mean ± (highest - lowest) · sqrt(log(2/(1-level)) / 2n), cut to the range: never too narrow, often too wide.

    Args:
        values: (n,) independent values in [lowest, highest].
        lowest: The least value possible, known beforehand, not the least one seen.
        highest: The largest value possible.
        level: The guaranteed coverage.

    Raises:
        DataError: There are no values, or some are outside the range.
    """
    sample = _checked(values)
    check_between(0, 1, level=level)
    outside = np.flatnonzero((sample < lowest) | (sample > highest))
    if len(outside):
        raise DataError(
            f"{len(outside)} of {len(sample)} values are outside [{lowest}, {highest}] (first: {sample[outside[0]]})"
        )
    mean, n = float(sample.mean()), len(sample)
    half = (highest - lowest) * math.sqrt(math.log(2 / (1 - level)) / (2 * n))
    return Interval(mean, max(lowest, mean - half), min(highest, mean + half), n)


def _checked(values: Values) -> NDArray[np.float64]:
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or not len(sample):
        raise DataError(f"expected values of shape (n,) with n >= 1, got {sample.shape}")
    bad = np.flatnonzero(~np.isfinite(sample))
    if len(bad):
        raise DataError(f"{len(bad)} of {len(sample)} values are not finite (first: number {bad[0]})")
    return sample


def _resampled_means(sample: NDArray[np.float64], rng: np.random.Generator, resamples: int) -> NDArray[np.float64]:
    n = len(sample)
    means = np.empty(resamples)
    rows = max(1, _DRAWS_AT_ONCE // n)
    for start in range(0, resamples, rows):
        block = means[start : start + rows]
        block[:] = sample[rng.integers(0, n, (len(block), n), np.uint16)].mean(axis=1)
    return means


def _bca_levels(
    means: NDArray[np.float64], deviations: NDArray[np.float64], mean: float, level: float
) -> tuple[float, float]:
    """Find the two quantile levels of the resampled means that BCa takes for (1 ± level)/2."""
    normal = NormalDist()
    # Resamples that tie with the mean count half; rounding in the sums must not decide for them.
    tied = np.abs(means - mean) <= 1e-12 * np.abs(deviations).max()
    below = float(np.mean((means < mean) & ~tied) + np.mean(tied) / 2)
    edge = 0.5 / len(means)
    bias = normal.inv_cdf(min(max(below, edge), 1 - edge))
    # The jackknife's acceleration; for a mean it is the skew over 6 sqrt(n).
    unit = deviations / np.abs(deviations).max()  # the scale cancels, but may be too small to be cubed
    acceleration = float(np.sum(unit**3) / (6 * np.sum(unit**2) ** 1.5))

    def corrected(tail: float) -> float:
        z = bias + normal.inv_cdf(tail)
        return normal.cdf(bias + z / (1 - acceleration * z))

    return corrected((1 - level) / 2), corrected((1 + level) / 2)
