"""Losses that bounds are made from: a bound from a number that is none would be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError
from rankstill.measures.checks import check_positive

Values = Sequence[float] | NDArray[np.floating[Any]]


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
    check_positive(highest_loss=highest)
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
