"""What a diagnosis is asked for: strategies, a teacher, a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from rankstill.candidates import open_strategy
from rankstill.errors import SpecError
from rankstill.groups.build import GroupSpec
from rankstill.models import EMBEDDED
from rankstill.studies.steps import OnShort

Unit = Literal["groups", "calls", "seconds", "money"]
UNITS: tuple[Unit, ...] = get_args(Unit)
DIAGNOSIS = "diagnosis.json"
SAMPLE = 20_000
"""Queries that give every mean of values in [0, M] to within 0.0096 M, at 95% (theory section 6)."""


@dataclass(frozen=True)
class Budget:
    """How much may be spent on one strategy's groups.

    Attributes:
        amount: Above 0.
        unit: groups, calls of the teacher, seconds (of drawing and scoring), or money.
    """

    amount: float
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read "50000 groups", "1e6calls", "7200 seconds", "25 money".

        Raises:
            SpecError: It is not a number above 0 and a unit.
        """
        for unit in UNITS:
            number = text.strip().removesuffix(unit)
            if number != text.strip():
                try:
                    amount = float(number)
                except ValueError:
                    break
                if 0 < amount < math.inf:
                    return cls(amount, unit)
        raise SpecError(f"{text!r} is no budget", hint=f"a number above 0 and one of: {', '.join(UNITS)}")

    def __str__(self) -> str:
        return f"{self.amount:,.10g} {self.unit}"


@dataclass(frozen=True)
class DiagnoseSpec:
    """One diagnosis.

    Attributes:
        collection: As for `distill`.
        strategies: References, as for `--strategy`; two or more to compare, but one is allowed.
        teacher: As for `distill`.
        model: The bi-encoder in whose space distances are taken.
        split: The judged split whose queries are diagnosed.
        queries: At most so many of them; 0 for all.
        size: Documents per group.
        depth: How deep a ranked strategy looks.
        target_depth: How deep the student will rerank: the target pool.
        budget: What may be spent on a strategy; None for one group of each training query.
        price: Money for a teacher's call; None where money does not matter.
        temperature: τ; 0 derives it from the spread of the scores of all strategies' groups.
        delta: The probability with which any bound may fail.
        worth: A difference is not worth paying for if it is below this share of what is at stake: the excess of a
            student that prefers nothing, log 2 - H_mu. Stated before anything is measured.
        seed: Of everything that is drawn.
        on_short: What to do with queries that have too few candidates.
        precision: Of models' bodies.
    """

    collection: str
    strategies: tuple[str, ...]
    teacher: str = EMBEDDED
    model: str = EMBEDDED
    split: str = "train"
    queries: int = SAMPLE
    size: int = 16
    depth: int = 100
    target_depth: int = 100
    budget: Budget | None = None
    price: float | None = None
    temperature: float = 0.0
    delta: float = 0.05
    worth: float = 0.02
    seed: int = 1
    on_short: OnShort = "drop"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        # What is wrong here is said before anything is paid for.
        names = [str(open_strategy(reference)) for reference in self.strategies]
        if not names:
            raise SpecError("no strategy to diagnose", hint="name some: --strategy random --strategy bm25")
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise SpecError(f"the strategy {sorted(doubled)[0]} is named twice")
        GroupSpec(self.size)
        if self.size < 3:
            raise SpecError("groups of two documents hold one pair: nothing can be said of a strategy's spread")
        if not 0 < self.delta < 1:
            raise SpecError(f"delta is {self.delta}; it must be between 0 and 1")
        if not 0 <= self.worth < 1:
            raise SpecError(f"worth is {self.worth}; it is a share from 0 up to 1", hint="--worth 0.02 is the default")
        if self.temperature < 0 or not math.isfinite(self.temperature):
            raise SpecError(f"the temperature is {self.temperature}; it must be above 0, or 0 to derive it")
        if self.price is not None and not 0 <= self.price < math.inf:
            raise SpecError(f"the price of a call is {self.price}; it cannot be")
        if self.budget is not None and self.budget.unit == "money" and not self.price:
            raise SpecError("a budget of money needs the price of a teacher's call", hint="--price 0.0002")
