"""Which strategy to draw negatives by, at a budget (theory 8.1), and where the answer changes (theory 8.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rankstill.errors import SpecError
from rankstill.measures.checks import (
    check_between,
    check_entropy,
    check_finite,
    check_not_negative,
    check_positive,
)


class LocalityLaw(Protocol):
    """How the locality term of a bound falls with the number of groups."""

    def __call__(self, groups: float, delta: float) -> float:
        """Return the term, in nats, for so many groups and a probability `delta` that it fails."""


@dataclass(frozen=True, slots=True)
class RootLaw:
    """loc(n) = root/√n + inverse/n, whatever delta.

    Attributes:
        root: c of theory 8.2, 0 or above.
        inverse: The coefficient of 1/n, 0 or above.
    """

    root: float
    inverse: float = 0.0

    def __post_init__(self) -> None:
        check_not_negative(root=self.root, inverse=self.inverse)

    def __call__(self, groups: float, delta: float = 0.5) -> float:
        """Return the term, in nats."""
        check_positive(groups=groups)
        return self.root / math.sqrt(groups) + self.inverse / groups

    def at(self, delta: float) -> RootLaw:
        """Return this law: it does not change with `delta`."""
        return self


@dataclass(frozen=True, slots=True)
class TailLaw:
    """loc_n(delta) of Theorem 3: [mean + moment √(2 log(1/delta))]/√n + span log(1/delta)/(3n).

    Attributes:
        mean: (L/tau) √S + E2, 0 or above.
        moment: M_K of [3.2k] (or M_R of [3.2]), 0 or above.
        span: b_K (or b_R), 0 or above.
    """

    mean: float
    moment: float
    span: float

    def __post_init__(self) -> None:
        check_not_negative(mean=self.mean, moment=self.moment, span=self.span)

    def __call__(self, groups: float, delta: float) -> float:
        """Return the term, in nats."""
        return self.at(delta)(groups)

    def at(self, delta: float) -> RootLaw:
        """Return the law at one `delta`, between 0 and 1."""
        check_between(0, 1, delta=delta)
        log = math.log(1 / delta)
        return RootLaw(self.mean + self.moment * math.sqrt(2 * log), self.span * log / 3)


@dataclass(frozen=True)
class Strategy:
    """What is known of a strategy before its student is trained.

    Attributes:
        name: As tables call it.
        cost: Of one group, above 0, in any one unit (seconds, teacher calls, money).
        fit: Excess loss on the groups, loss - entropy (Khat), 0 or above, in nats. Never the loss itself: losses of
            different strategies contain different entropies, and are not comparable.
        shift: From the sampled to the target documents [4.1], 0 or above, in nats; infinity where there is no bound.
        locality: The locality term.
    """

    name: str
    cost: float
    fit: float
    shift: float
    locality: LocalityLaw

    def __post_init__(self) -> None:
        check_positive(**{f"cost of {self.name}": self.cost})
        check_not_negative(**{f"fit of {self.name}": self.fit})
        if not self.shift >= 0:
            raise SpecError(f"shift of {self.name} is {self.shift}; it must be 0 or above")


@dataclass(frozen=True, slots=True)
class StrategyScore:
    """A strategy's part of the four-term bound that differs between strategies.

    Attributes:
        name: The strategy.
        groups: n, what the budget buys.
        fit, locality, shift: The terms, in nats.
    """

    name: str
    groups: int
    fit: float
    locality: float
    shift: float

    @property
    def total(self) -> float:
        """The score: the smaller, the better the guarantee."""
        return self.fit + self.locality + self.shift

    def vacuous(self, target_entropy: float) -> bool:
        """Whether the bound says nothing: a constant student has excess risk log 2 - H_mu (theory 4.6).

        Args:
            target_entropy: H_mu, the teacher's mean pairwise entropy on the target's pairs, in nats.
        """
        check_entropy(target_entropy=target_entropy)
        return not self.total < math.log(2) - target_entropy


def strategy_scores(strategies: Sequence[Strategy], budget: float, delta: float = 0.05) -> list[StrategyScore]:
    """Score strategies at a budget, best first (theory 8.1): fit + loc(budget/cost, delta/S) + shift.

    The teacher's entropy is no part of it: on the target it is common to all strategies, and on the sampled documents
    it must not be used [2.1]. delta is shared by the S strategies, so that all their bounds hold at once.

    Args:
        strategies: One or more, of different names.
        budget: In the unit of the costs; it must buy one group of each.
        delta: The probability that any of the bounds fails, between 0 and 1.

    Returns:
        Sorted by total; those of equal total in the order given.

    Raises:
        SpecError: A number is out of range, a name occurs twice, or the budget buys no group of some strategy.
    """
    check_positive(budget=budget)
    check_between(0, 1, delta=delta)
    names = [s.name for s in strategies]
    if not names or len(set(names)) < len(names):
        raise SpecError(f"expected one strategy or more, of different names, got {names}")
    poor = [s for s in strategies if s.cost > budget]
    if poor:
        raise SpecError(
            f"the budget of {budget:g} buys no group of {len(poor)} strategies (first: {poor[0].name}, "
            f"{poor[0].cost:g} each)",
            hint="raise the budget, or leave these out",
        )
    scores = [_score(s, budget, delta / len(names)) for s in strategies]
    return sorted(scores, key=lambda score: score.total)


def _score(strategy: Strategy, budget: float, delta: float) -> StrategyScore:
    # A hair more, lest 0.3/0.1 buy two groups.
    groups = math.floor(budget / strategy.cost * (1 + 1e-12))
    return StrategyScore(strategy.name, groups, strategy.fit, strategy.locality(groups, delta), strategy.shift)


@dataclass(frozen=True, slots=True)
class Crossover:
    """Where one of two strategies overtakes the other.

    Attributes:
        budgets: In ascending order; none where one strategy wins at every budget. In groups, where a group of either
            costs 1.
        winners: The strategy with the lower score below the first budget, between two, and above the last:
            one more than `budgets`. None: both score the same at every budget.
    """

    budgets: tuple[float, ...]
    winners: tuple[str | None, ...]

    def best(self, budget: float) -> str | None:
        """Name the strategy to take at a budget; at a crossover itself, the one above it."""
        check_positive(budget=budget)
        return self.winners[sum(budget >= b for b in self.budgets)]


def crossover(first: Strategy, second: Strategy, delta: float = 0.05) -> Crossover:
    """Find the budgets at which two strategies' scores are equal (theory 8.2).

    With loc = c/√n, equal costs and equal fits this is n* = ((c_1 - c_2)/(shift_2 - shift_1))²: below it the more local
    strategy (the smaller c) is better, above it the one with less shift. Here costs and fits may differ, and loc may
    have a term in 1/n: with x = 1/√budget, the scores differ by a quadratic in x, so they cross at most twice. Groups
    count as a continuous quantity, and fits as fixed.

    Args:
        first: One strategy; its law must be a `RootLaw` or a `TailLaw`.
        second: The other.
        delta: Probability that a bound fails; each of the two is given half, as in `strategy_scores`.

    Raises:
        SpecError: A law is of another kind, or `delta` is out of range.
    """
    check_between(0, 1, delta=delta)
    one, two = (_law(s, delta / 2) for s in (first, second))
    if not math.isfinite(first.shift) or not math.isfinite(second.shift):
        winner = None if first.shift == second.shift else min((first, second), key=lambda s: s.shift).name
        return Crossover((), (winner,))
    constant = _difference(first.fit + first.shift, second.fit + second.shift)
    linear = _difference(one.root * math.sqrt(first.cost), two.root * math.sqrt(second.cost))
    quadratic = _difference(one.inverse * first.cost, two.inverse * second.cost)
    roots = _positive_roots(quadratic, linear, constant)
    # At a huge budget the constant decides, then the root, then the inverse; each crossing changes the winner.
    lead = next((value for value in (constant, linear, quadratic) if value), 0.0)
    if not lead:
        return Crossover((), (None,))
    above, other = (second, first) if lead > 0 else (first, second)
    winners = tuple((above, other)[i % 2].name for i in range(len(roots) + 1))
    return Crossover(tuple(sorted(x**-2 for x in roots)), winners[::-1])


def _difference(a: float, b: float) -> float:
    """Subtract; what differs only by rounding is the same, lest strategies cross at a budget of 10^30."""
    return 0.0 if math.isclose(a, b, rel_tol=1e-12) else a - b


def _law(strategy: Strategy, delta: float) -> RootLaw:
    if not isinstance(strategy.locality, RootLaw | TailLaw):
        raise SpecError(
            f"the locality of {strategy.name} is not a sum of powers of n",
            hint="give a RootLaw or a TailLaw, or compare strategy_scores over budgets",
        )
    return strategy.locality.at(delta)


def _positive_roots(a: float, b: float, c: float) -> list[float]:
    """Find where ax² + bx + c changes its sign above 0."""
    check_finite(a=a, b=b, c=c)
    if a == 0:
        return [-c / b] if b * c < 0 else []
    discriminant = b * b - 4 * a * c
    if discriminant <= 0:
        return []
    # The sum without cancellation; the other root by their product, c/a.
    q = -(b + math.copysign(math.sqrt(discriminant), b)) / 2
    return sorted(x for x in {q / a, c / q} if x > 0)
