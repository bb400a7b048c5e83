"""Bounds from held-out groups, for any trained network: no class of functions, no Lipschitz constant, no shift.

The groups are drawn from the target, one per query, and the student was fixed before anyone looked at them. The loss
of a group is the mean over its pairs, in [0, M]: M = 1 for inversions, log(1 + e^(range of scores/τ)) for RankNet.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rankstill.measures.bounds.bound import Bound
from rankstill.measures.bounds.losses import Values, losses_within, said_of_range
from rankstill.measures.bounds.pair_loss import log_one_plus_exp
from rankstill.measures.checks import check_between, check_count, check_not_negative, check_positive

_FIXED = "the student was chosen without looking at these groups"
_DRAWN = "there is one group per query, and queries are drawn independently from the target"


def highest_pair_loss(score_range: float, temperature: float) -> float:
    """M = log(1 + e^(range/τ)), the largest RankNet loss, hence also KL, of a student with scores in a known range.

    Args:
        score_range: Largest minus smallest possible score: 2 for cosines.
        temperature: τ, above 0.
    """
    check_positive(range_of_scores=score_range, temperature=temperature)
    return log_one_plus_exp(score_range / temperature)


def bernstein_upper(mean: float, variance: float, count: int, highest: float, delta: float) -> float:
    """Bound an expectation from a sample's mean and variance [7.1]: Maurer and Pontil, COLT 2009, theorem 4.

    Args:
        mean: Of `count` independent values in [0, highest].
        variance: Their sample variance, divided by count - 1.
        count: At least 2.
        highest: The largest value possible, known beforehand.
        delta: The probability, at most, of the expectation being above what is returned.
    """
    check_between(0, 1, delta=delta)
    check_count(2, number_of_values=count)
    check_positive(highest_value=highest)
    check_not_negative(mean=mean, variance=variance)
    log = math.log(2 / delta)
    return mean + math.sqrt(2 * variance * log / count) + 7 * highest * log / (3 * (count - 1))


def deviation_upper(variance: float, count: int, highest: float, delta: float) -> float:
    """Bound a standard deviation from a sample's variance: Maurer and Pontil, COLT 2009, theorem 10.

    Args:
        variance: Sample variance, divided by count - 1, of `count` independent values in [0, highest].
        count: At least 2.
        highest: The largest value possible, known beforehand; no deviation exceeds half of it.
        delta: The probability, at most, of the standard deviation being above what is returned.
    """
    check_between(0, 1, delta=delta)
    check_count(2, number_of_values=count)
    check_positive(highest_value=highest)
    check_not_negative(variance=variance)
    return min(math.sqrt(variance) + highest * math.sqrt(2 * math.log(1 / delta) / (count - 1)), highest / 2)


def empirical_bernstein(
    losses: Values,
    *,
    highest: float,
    delta: float = 0.05,
    candidates: int = 1,
    clip: bool = False,
    trivial: float | None = None,
) -> Bound:
    """Bound the risk of a fixed student by empirical Bernstein [7.1].

    Args:
        losses: (n,) one mean loss per held-out group, in [0, highest].
        highest: M, the largest loss possible, known beforehand.
        delta: The probability, at most, that the bound fails.
        candidates: J, among how many students this one was chosen with these very groups: each gets delta/J.
        clip: Count losses above `highest` as `highest`, and say so, rather than refuse them.
        trivial: What is known without data; `highest` if not given.

    Raises:
        DataError: Fewer than two losses, or some are not finite or out of range.
        SpecError: A setting is out of range.
    """
    values = _checked(losses, highest, delta, candidates, clip)
    log, count = math.log(2 * candidates / delta), len(values)
    terms = {
        "mean loss": float(values.mean()),
        "spread over queries": math.sqrt(2 * float(values.var(ddof=1)) * log / count),
        "range": 7 * highest * log / (3 * (count - 1)),
    }
    return Bound(
        "risk on the target, held-out groups",
        "theory [7.1]",
        terms,
        _assumed(highest, candidates, clip),
        highest if trivial is None else trivial,
        1 - delta,
    )


def betting(
    losses: Values,
    *,
    highest: float,
    delta: float = 0.05,
    candidates: int = 1,
    clip: bool = False,
    trivial: float | None = None,
) -> Bound:
    """Bound the risk of a fixed student by betting [7.2]: Waudby-Smith and Ramdas, JRSS B 86(1), 2024.

    A gambler stakes money on each loss being below the mean m that is claimed; where she would have multiplied it by
    1/δ at any time, m is refuted. Mostly tighter than `empirical_bernstein`, above all for few queries. It depends on
    the order of the losses, which therefore must not be chosen by looking at them.

    Args and errors: As in `empirical_bernstein`.
    """
    values = _checked(losses, highest, delta, candidates, clip)
    share = delta / candidates
    upper = highest * _refuted_from(values / highest, share)
    mean = float(values.mean())
    order = "the order of the groups was not chosen by looking at their losses"
    return Bound(
        "risk on the target, held-out groups, by betting",
        "theory [7.2]",
        {"mean loss": mean, "uncertainty": upper - mean},
        (*_assumed(highest, candidates, clip), order),
        highest if trivial is None else trivial,
        1 - delta,
    )


def _refuted_from(values: NDArray[np.float64], delta: float) -> float:
    """Find sup{m: the stake never reaches 1/δ} for values in [0, 1], rounded up.

    Each factor 1 + λ(m - X) rises with m, since λ does and since it does too where λ is cut to 1/2(1-m); so what is
    refuted is everything from some m on, and bisection finds it.
    """
    count = len(values)
    # Estimates from the past only, which start as if one value at 1/2 with variance 1/4 had been seen.
    seen = np.arange(1, count + 1)
    means = (0.5 + np.cumsum(values)) / (seen + 1)
    variances = (0.25 + np.cumsum((values - means) ** 2)) / (seen + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    stakes = np.sqrt(2 * math.log(1 / delta) / (count * before))

    def refuted(m: float) -> bool:
        most = math.inf if m == 1 else 1 / (2 * (1 - m))
        wealth = np.cumsum(np.log1p(np.minimum(stakes, most) * (m - values)))
        return bool(wealth.max() >= math.log(1 / delta))

    low, high = 0.0, 1.0
    if not refuted(high):
        return high
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (low, middle) if refuted(middle) else (middle, high)
    return high


def _checked(losses: Values, highest: float, delta: float, candidates: int, clip: bool) -> NDArray[np.float64]:
    check_between(0, 1, delta=delta)
    check_count(number_of_candidates=candidates)
    return losses_within(losses, highest, clip=clip, least=2)


def _assumed(highest: float, candidates: int, clip: bool) -> tuple[str, ...]:
    chosen = _FIXED if candidates == 1 else f"the student is one of {candidates} that were fixed before these groups"
    return chosen, _DRAWN, said_of_range(highest, clip=clip)
