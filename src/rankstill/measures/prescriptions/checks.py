"""What the numbers given to the prescriptions must be."""

from __future__ import annotations

import math

from rankstill.errors import SpecError


def require_finite(**values: float) -> None:
    """Refuse numbers that are not finite.

    Raises:
        SpecError: One is not.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise SpecError(f"{_words(name)} is {value}; it must be a finite number")


def require_at_least_zero(**values: float) -> None:
    """Refuse numbers that are below 0 or not finite.

    Raises:
        SpecError: One is.
    """
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise SpecError(f"{_words(name)} is {value}; it must be 0 or above, and finite")


def require_above_zero(**values: float) -> None:
    """Refuse numbers that are not above 0, or not finite.

    Raises:
        SpecError: One is.
    """
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise SpecError(f"{_words(name)} is {value}; it must be above 0, and finite")


def require_between(low: float, high: float, **values: float) -> None:
    """Refuse numbers that are not strictly between two others.

    Raises:
        SpecError: One is not.
    """
    for name, value in values.items():
        if not low < value < high:
            raise SpecError(f"{_words(name)} is {value}; it must be between {low} and {high}")


def _words(name: str) -> str:
    return name.replace("_", " ")
