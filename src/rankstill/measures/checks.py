"""What the numbers given to measures, bounds and prescriptions must be; each is called by its argument's name."""

from __future__ import annotations

import math

from rankstill.errors import SpecError


def check_finite(**values: float) -> None:
    """Refuse numbers that are not finite.

    Raises:
        SpecError: One is not.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise _refusal(name, value, "a finite number")


def check_positive(**values: float) -> None:
    """Refuse numbers that are not above 0 and finite.

    Raises:
        SpecError: One is not.
    """
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise _refusal(name, value, "above 0 and finite")


def check_not_negative(**values: float) -> None:
    """Refuse numbers that are below 0 or not finite.

    Raises:
        SpecError: One is.
    """
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise _refusal(name, value, "at least 0 and finite")


def check_between(low: float, high: float, /, **values: float) -> None:
    """Refuse numbers that are not between two others, both excluded.

    Raises:
        SpecError: One is not.
    """
    for name, value in values.items():
        if not low < value < high:
            raise _refusal(name, value, f"between {low:.4g} and {high:.4g}")


def check_share(**values: float) -> None:
    """Refuse numbers that are not from 0 to 1, both included.

    Raises:
        SpecError: One is not.
    """
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise _refusal(name, value, "from 0 to 1")


def check_count(least: int = 1, /, **values: int) -> None:
    """Refuse what is not a whole number, or too small a one.

    Raises:
        SpecError: One is.
    """
    for name, value in values.items():
        if not math.isfinite(value) or value != int(value) or value < least:
            raise _refusal(name, value, f"a whole number of at least {least}")


def check_entropy(most: float = math.log(2), /, **values: float) -> None:
    """Refuse what is no entropy of a pair (or, with `most` = log k, of a list): 0 to `most` nats.

    Raises:
        SpecError: One is not.
    """
    for name, value in values.items():
        if not 0 <= value <= most * (1 + 1e-12):
            raise _refusal(name, value, f"from 0 to {most:.4g} nats")


def _refusal(name: str, value: float, what: str) -> SpecError:
    said = name if " " in name else name.replace("_", " ")  # a phrase holds a user's own name, which stays as it is
    return SpecError(f"{said} is {value}; it must be {what}")
