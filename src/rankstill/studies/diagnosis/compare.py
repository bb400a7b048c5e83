"""Comparing strategies: scores at a budget, crossovers, group sizes, and what would tell two of them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import SpecError
from rankstill.files import Json, to_json
from rankstill.measures.intervals import mean_interval
from rankstill.measures.prescriptions.choice import Crossover, Strategy, StrategyScore, TailLaw, crossover
from rankstill.measures.prescriptions.choice import strategy_scores as score
from rankstill.measures.prescriptions.group_size import VarianceParts, group_size
from rankstill.measures.prescriptions.sample_size import groups_needed, queries_needed, seeds_needed
from rankstill.records import read_parquet
from rankstill.studies.diagnosis.assess import PER_QUERY
from rankstill.studies.diagnosis.gather import Assessed
from rankstill.studies.diagnosis.spec import Budget


@dataclass(frozen=True)
class Option:
    """One way to bound a strategy: at a radius, the shift by W1 [4.1] or by kappa squared [4.3].

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
        delta: The probability with which its bound may fail.
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
            forms = [(1.0, t["shift"])] + ([(self.kappa**2, 0.0)] if self.kappa is not None else [])
            for factor, shift in forms:
                scaled = TailLaw(*(factor * part for part in (law.mean, law.moment, law.span)))
                made = Strategy(self.name, self._cost, factor * t["fit"], shift, scaled)
                by = "W1" if len(forms) == 1 or (factor, shift) == forms[0] else "kappa"
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
    def kappa(self) -> float | None:
        """The largest ratio of target to sampled probability; None where it is unknown or infinite."""
        ratio = self.assessed.kappa
        return None if ratio is None else ratio["largest"]

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
    """Sort strategies by the probe's mean excess on the target, which was measured; those without one come last."""
    return sorted(rated, key=lambda r: float(np.mean(list(r.target_excess.values()))) if r.target_excess else math.inf)


def scored(rated: Sequence[Rated]) -> list[Rated]:
    """Sort strategies by their score (theory 8.1)."""
    return sorted(rated, key=lambda r: r.score.total)


def crossings(order: Sequence[Rated], delta: float) -> list[Json]:
    """Find where neighbours by score overtake each other (theory 8.2); what is spent once is left out."""
    found = []
    for first, second in pairwise(order):
        one: Crossover = crossover(first.strategy, second.strategy, delta)
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
        seed_sd: Standard deviation over trainings; None where unknown.
        margin: Nats below which a difference is not worth paying for.
        delta: The probability that any of the intervals misses; each gets its share (Bonferroni).
        seed: Of the bootstrap.

    Returns:
        For each other strategy its `difference` from the best; `told_apart` where the interval excludes 0;
        `as_good` where it lies below the margin.
    """
    level = 1 - delta / max(len(order) - 1, 1)
    best, found = order[0], []
    for other in order[1:]:
        common = sorted(best.target_excess.keys() & other.target_excess.keys())
        difference: NDArray[np.float64] = np.array([other.target_excess[q] - best.target_excess[q] for q in common])
        if len(common) >= 2:
            found.append(
                {"name": other.name, "against": best.name, **_compared(difference, seed_sd, margin, level, seed)}
            )
    return found


def _compared(difference: NDArray[np.float64], seed_sd: float | None, margin: float, level: float, seed: int) -> Json:
    interval, sd = mean_interval(difference, seed=seed, level=level), float(difference.std(ddof=1))
    gap = abs(interval.mean)
    needed: dict[str, Any] = {"queries_needed": None, "seeds_needed": None}
    if gap > 0 and sd > 0:
        needed["queries_needed"] = queries_needed(gap, sd).number
        needed["seeds_needed"] = seeds_needed(gap, sd, len(difference), seed_sd).number if seed_sd else 1
    clear = interval.low is not None and interval.high is not None and (interval.low > 0 or interval.high < 0)
    as_good = interval.high is not None and interval.high <= margin
    return {"difference": to_json(interval), "sd": sd, "told_apart": clear, "as_good": as_good, **needed}


def best_group_size(rated: Rated) -> Json | None:
    """Choose k for seconds of drawing and scoring (theory 8.6); None where nothing is known of a document's cost."""
    parts, cost = rated.assessed.found["variance"], rated.assessed.cost
    if parts is None or not cost.call:
        return None
    # The positive is scored whatever k is.
    per_query = cost.drawing + cost.call
    found = group_size(VarianceParts(**parts), per_query, cost.call)
    return {"size": found.size, "unrounded": found.unrounded if math.isfinite(found.unrounded) else None}
