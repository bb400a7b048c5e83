"""What every bound is: a number never shown without its terms, its assumptions, and whether it says something."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Bound:
    """An upper bound.

    Attributes:
        name: What is bounded and how, as tables call it.
        source: Where it is proven, such as "theory [3.2k]".
        terms: What it is the sum of, by name, in nats unless the name says otherwise.
        assumptions: What must hold for it, in plain sentences.
        trivial: What is known without any data, such as log 2 - H for the excess risk of a constant student. A bound at
            or above it is vacuous (theory 8.8); infinity where nothing is known.
        confidence: The probability, over the draw of the groups, with which it holds; None where it bounds an
            expectation.
        factor: What the sum of the terms is multiplied by (kappa squared of theory 4.3); 1 for most.
    """

    name: str
    source: str
    terms: Mapping[str, float]
    assumptions: tuple[str, ...]
    trivial: float
    confidence: float | None = None
    factor: float = field(default=1.0)

    @property
    def value(self) -> float:
        """The bound itself."""
        return self.factor * math.fsum(self.terms.values())

    @property
    def vacuous(self) -> bool:
        """Whether it says nothing that was not known before; so too where it is not a number."""
        return not self.value < self.trivial

    def to_json(self) -> dict[str, Any]:
        """Give everything that a reader of the number needs; what is not finite is null."""
        numbers = {"value": self.value, "factor": self.factor, "trivial": self.trivial, "confidence": self.confidence}
        return {
            "name": self.name,
            "source": self.source,
            **{name: _finite(number) for name, number in numbers.items()},
            "terms": {name: _finite(number) for name, number in self.terms.items()},
            "vacuous": self.vacuous,
            "assumptions": list(self.assumptions),
        }

    def __str__(self) -> str:
        terms = " + ".join(f"{value:.3g} ({name})" for name, value in self.terms.items())
        sum_ = f"{self.factor:.3g} x ({terms})" if self.factor != 1 else terms
        says = f"VACUOUS: at or above {self.trivial:.3g}, known without data" if self.vacuous else "not vacuous"
        certain = "in expectation" if self.confidence is None else f"with probability {self.confidence:.3g}"
        return (
            f"{self.name} {self.source}: {self.value:.3g} = {sum_}, {certain}; {says}; if {'; '.join(self.assumptions)}"
        )


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
