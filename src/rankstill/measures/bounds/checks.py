"""Refusals that all bounds share: a bound from a number that is not one would be believed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, SpecError

Values = Sequence[float] | NDArray[np.floating[Any]]


def check_share(name: str, value: float) -> None:
    """Refuse what is not between 0 and 1, both excluded."""
    if not 0 < value < 1:
        raise SpecError(f"{name} is {value}; it must be between 0 and 1")


def check_positive(name: str, value: float) -> None:
    """Refuse what is not above 0 and finite."""
    if not 0 < value < math.inf:
        raise SpecError(f"{name} is {value}; it must be above 0 and finite")


def check_not_negative(name: str, value: float) -> None:
    """Refuse what is not 0 or more and finite."""
    if not 0 <= value < math.inf:
        raise SpecError(f"{name} is {value}; it must be at least 0 and finite")


def check_count(name: str, value: int, least: int = 1) -> None:
    """Refuse what is not a whole number, or too small a one."""
    if value != int(value) or value < least:
        raise SpecError(f"{name} is {value}; it must be a whole number of at least {least}")


def check_entropy(name: str, value: float, most: float = math.log(2)) -> None:
    """Refuse what is no entropy of a pair (or, with `most` = log k, of a list): 0 to `most` nats."""
    if not 0 <= value <= most * (1 + 1e-12):
        raise SpecError(f"{name} is {value}; it must be from 0 to {most:.4g} nats")


def losses_within(losses: Values, highest: float, *, clip: bool, least: int) -> NDArray[np.float64]:
    """Take (n,) losses that lie in [0, highest].

    Args:
        losses: One per group.
        highest: M, known beforehand.
        clip: Cut to `highest` what lies above, rather than refuse it.
        least: How many there must be.

    Raises:
        SpecError: `highest` is not above 0 and finite.
        DataError: There are too few, or some are not finite, below 0 or (without `clip`) above `highest`.
    """
    check_positive("the highest loss", highest)
    values = np.asarray(losses, np.float64)
    if values.ndim != 1 or len(values) < least:
        raise DataError(f"expected losses of shape (n,) with n >= {least}, got {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if len(bad):
        raise DataError(
            f"{len(bad)} of {len(values)} losses are below 0 or not finite (first: number {bad[0]}: {values[bad[0]]})"
        )
    above = np.flatnonzero(values > highest)
    if len(above) and not clip:
        raise DataError(
            f"{len(above)} of {len(values)} losses are above the highest possible, {highest} "
            f"(first: number {above[0]}: {values[above[0]]})",
            hint="state a highest loss that holds for every group, or clip, which bounds the mean of the cut losses",
        )
    return np.minimum(values, highest)


def said_of_range(highest: float, *, clip: bool) -> str:
    """Say, as an assumption, what the range of losses is."""
    if clip:
        return f"what is bounded is the mean of min(loss, {highest:.4g}): losses above count as {highest:.4g}"
    return f"no group's loss can exceed {highest:.4g}, which was known before the losses were seen"
