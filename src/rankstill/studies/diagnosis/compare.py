"""Comparing strategies: scores at a budget, crossovers, group sizes, and what would tell two of them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import SpecError
from rankstill.files import Json, to_json
from rankstill.measures.intervals import Interval, mean_interval
from rankstill.measures.prescriptions.choice import Crossover, Strategy, StrategyScore, TailLaw, crossover
from rankstill.measures.prescriptions.choice import strategy_scores as score
from rankstill.measures.prescriptions.group_size import VarianceParts, group_size
from rankstill.measures.prescriptions.sample_size import groups_needed, queries_needed, seeds_needed
from rankstill.records import read_parquet
from rankstill.studies.diagnosis.assess import PER_QUERY
from rankstill.studies.diagnosis.gather import Assessed
from rankstill.studies.diagnosis.spec import Budget

FEWEST = 10
"""Queries in common from which on two strategies are compared: an interval from fewer is too narrow to be believed."""


@dataclass(frozen=True)
class Option:
    """One way to bound a strategy: at a radius, the shift by W1 [4.1] or by the ratio of pairs [4.3].

    Attributes:
        strategy: With the terms of that way.
        score: At the budget.
        terms: The terms at the radius, as assessed.
        by: "W1" or "kappa".
    """

    strategy: Strategy
    score: StrategyScore
    terms: Json
    by: str


@dataclass(frozen=True)
class Rated:
    """A strategy at a budget.

    Attributes:
        assessed: What was found.
        budget: What may be spent.
        delta: The probability with which its bound may fail at one radius; the best of all radii is taken.
    """

    assessed: Assessed
    budget: Budget
    delta: float

    @property
    def name(self) -> str:
        """The strategy's reference."""
        return self.assessed.name

    @cached_property
    def groups(self) -> int:
        """n: how many groups the budget buys, after what is spent once.

        Raises:
            SpecError: Not one.
        """
        bought = math.floor(self._left / self._cost * (1 + 1e-12))
        if bought < 1:
            raise SpecError(
                f"the budget of {self.budget} buys no group of {self.name}",
                hint="raise the budget, or leave the strategy out",
            )
        return bought

    @cached_property
    def option(self) -> Option:
        """The radius and the form of the shift that give the smallest score at the budget (theory 8.1)."""
        return min(self._options(), key=lambda option: option.score.total)

    @property
    def strategy(self) -> Strategy:
        """The strategy there, as the prescriptions take it: costs are in the budget's unit."""
        return self.option.strategy

    @property
    def score(self) -> StrategyScore:
        """Its score there."""
        return self.option.score

    @property
    def terms(self) -> Json:
        """The terms at that radius, as assessed."""
        return self.option.terms

    def _options(self) -> list[Option]:
        found = []
        for t in self.assessed.found["terms"]:
            law = TailLaw(**t["law"])
            forms = {"W1": (1.0, t["shift"])}
            if self.pair_ratio is not None:
                forms["kappa"] = (self.pair_ratio, 0.0)
            for by, (factor, shift) in forms.items():
                scaled = TailLaw(*(factor * part for part in (law.mean, law.moment, law.span)))
                made = Strategy(self.name, self._cost, factor * t["fit"], shift, scaled)
                found.append(Option(made, self._scored(made), t, by))
        return found

    def _needed(self, floor: float) -> int | None:
        """Count the groups from which on some radius and form say something; None where none ever does."""
        each = [
            groups_needed(s.locality, target_entropy=floor, fit=s.fit, shift=s.shift, delta=self.delta)
            for s in (option.strategy for option in self._options())
        ]
        return min((n for n in each if n is not None), default=None)

    @property
    def pair_ratio(self) -> float | None:
        """How much likelier a pair is in the target at most; None where it is unknown or infinite."""
        ratio = self.assessed.kappa
        return None if ratio is None else ratio["pairs"]

    def _scored(self, made: Strategy) -> StrategyScore:
        # Not one group is refused by `groups`, in words of its own.
        return score([made], self._left if self.groups else 0.0, self.delta)[0]

    @property
    def _cost(self) -> float:
        return self.assessed.cost.per_group(self.budget.unit)

    @property
    def _left(self) -> float:
        """The budget without what is spent once."""
        once = self.assessed.cost.once if self.budget.unit == "seconds" else 0.0
        return max(self.budget.amount - once, 0.0)

    @cached_property
    def target_excess(self) -> dict[int, float]:
        """The probe's held-out excess on the target pool, by query."""
        columns = read_parquet(self.assessed.folder / PER_QUERY, ["query", "probe_target"])
        values = columns["probe_target"].to_numpy()
        return {int(q): float(v) for q, v in zip(columns["query"].to_numpy(), values, strict=True) if math.isfinite(v)}

    def to_json(self) -> Json:
        """Give the score's parts, and how many groups the bound needs to say anything."""
        floor = self.assessed.found["target_entropy"]
        return {
            "radius": self.terms["radius"],
            "by": self.option.by,
            "groups": self.groups,
            "fit": self.score.fit,
            "locality": self.score.locality,
            "shift": self.score.shift,
            "floor": floor,
            "total": self.score.total,
            "room": math.log(2) - floor,
            "vacuous": self.score.vacuous(floor),
            "groups_needed": self._needed(floor),
        }


def ranked(rated: Sequence[Rated]) -> list[Rated]:
    """Sort strategies by the probe's mean excess on the target; those without one come last.

    The mean is over the queries that all of them have: who dropped the hard ones is no better for it.
    """
    queries = [r.target_excess.keys() for r in rated if r.target_excess]
    common = sorted(set.intersection(*map(set, queries))) if queries else []

    def mean(one: Rated) -> float:
        excess = one.target_excess
        return float(np.mean([excess[q] for q in common or excess])) if excess else math.inf

    return sorted(rated, key=mean)


def scored(rated: Sequence[Rated]) -> list[Rated]:
    """Sort strategies by their score (theory 8.1)."""
    return sorted(rated, key=lambda r: r.score.total)


def crossings(order: Sequence[Rated]) -> list[Json]:
    """Find where neighbours by score overtake each other (theory 8.2), each at the radius that is best at the budget.

    What is spent once is left out.
    """
    found = []
    for first, second in pairwise(order):
        # It gives each of the two half of what it is given.
        one: Crossover = crossover(first.strategy, second.strategy, 2 * first.delta)
        # Below one group there is nothing to buy.
        least = max(first.strategy.cost, second.strategy.cost)
        late = [i for i, budget in enumerate(one.budgets) if budget >= least]
        budgets, winners = [one.budgets[i] for i in late], one.winners[len(one.budgets) - len(late) :]
        found.append({"first": first.name, "second": second.name, "budgets": budgets, "winners": list(winners)})
    return found


def training_sd(rated: Sequence[Rated]) -> float | None:
    """Pool the strategies' standard deviations over training sets: each has one degree of freedom."""
    found = [r.assessed.found["probe"]["training_sd"] for r in rated]
    known = [sd for sd in found if sd is not None]
    return math.sqrt(float(np.mean(np.square(known)))) if known else None


def comparisons(order: Sequence[Rated], seed_sd: float | None, *, margin: float, delta: float, seed: int) -> list[Json]:
    """Compare the best strategy with each other one, paired by query, on the probe's held-out excess.

    Args:
        order: Best first.
        seed_sd: Standard deviation over training sets of the mean excess of one strategy; None where unknown.
        margin: Nats below which a difference is not worth paying for.
        delta: The probability that any of the intervals misses; each gets its share (Bonferroni).
        seed: Of the bootstrap.

    Returns:
        For each other strategy that shares enough queries with the best its `difference` from it, whose interval is
        over queries and over training sets (theory 8.5); `told_apart` where it excludes 0; `as_good` where it lies
        below the margin.
    """
    level = 1 - delta / max(len(order) - 1, 1)
    best, found = order[0], []
    for other in order[1:]:
        common = sorted(best.target_excess.keys() & other.target_excess.keys())
        difference: NDArray[np.float64] = np.array([other.target_excess[q] - best.target_excess[q] for q in common])
        if len(common) >= FEWEST:
            found.append(
                {"name": other.name, "against": best.name, **_compared(difference, seed_sd, margin, level, seed)}
            )
    return found


def _compared(difference: NDArray[np.float64], seed_sd: float | None, margin: float, level: float, seed: int) -> Json:
    n, sd, noise = len(difference), float(difference.std(ddof=1)), seed_sd or 0.0
    interval = _widened(mean_interval(difference, seed=seed, level=level), math.sqrt(2) * noise, level)
    gap = abs(interval.mean)
    needed: dict[str, Any] = {"queries_needed": None, "seeds_needed": None}
    if gap > 0 and sd > 0:
        # More queries are also a larger training set, whose noise falls just as theirs does.
        needed["queries_needed"] = queries_needed(gap, math.hypot(sd, math.sqrt(2 * n) * noise), level=level).number
        needed["seeds_needed"] = seeds_needed(gap, sd, n, noise, level=level).number
    clear = interval.low is not None and interval.high is not None and (interval.low > 0 or interval.high < 0)
    as_good = interval.high is not None and interval.high <= margin
    return {"difference": to_json(interval), "sd": sd, "told_apart": clear, "as_good": as_good, **needed}


def _widened(interval: Interval, sd: float, level: float) -> Interval:
    """Add a variance that the queries know nothing of."""
    if interval.low is None or interval.high is None:
        return interval
    more = NormalDist().inv_cdf((1 + level) / 2) * sd
    low, high = (math.hypot(end - interval.mean, more) for end in (interval.low, interval.high))
    return replace(interval, low=interval.mean - low, high=interval.mean + high)


def best_group_size(rated: Rated) -> Json | None:
    """Choose k for seconds of drawing and scoring (theory 8.6).

    None where a document's cost is unknown, or nothing, as where a wider list is scored whatever k is.
    """
    found, cost = rated.assessed.found, rated.assessed.cost
    parts, positives = found["variance"], 1 if found["judged"] else 0
    if parts is None or not cost.call or len(rated.assessed.paid) > 1:
        return None
    # Positives are scored whatever k is, and are no part of the variance.
    drawn = found["size"] - positives
    per_query = cost.drawing + max(cost.calls - drawn, 0.0) * cost.call
    best = group_size(VarianceParts(**parts), per_query, cost.call)
    unrounded = best.unrounded + positives
    return {"size": best.size + positives, "unrounded": unrounded if math.isfinite(unrounded) else None}
