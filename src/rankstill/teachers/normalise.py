"""Making the scores of several teachers comparable, query by query, and adding them up.

Each normalisation looks at one query's asked list of one teacher, x_1 ... x_n:

- `min-max`: (x - min) / (max - min), from 0 to 1; a list of equal scores, and a list of one, becomes 1/2.
- `z`: (x - mean) / standard deviation (of the list itself, divisor n); equal scores become 0.
- `rank`: (n - p) / (n - 1) by the position p, from 1 for the best to 0 for the last; equal scores share the mean of
  their positions, so a list of equal scores becomes 1/2, and so does a list of one.
- `affine`: shifted and stretched to the mean and the standard deviation of the first teacher's list, so that the sum
  keeps that teacher's scale; equal scores become the first teacher's mean.
- `none`: x itself.

None of them ever gives NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rankstill.records import Scores32
from rankstill.teachers.transforms import positions

Normalise = Literal["min-max", "z", "rank", "affine", "none"]
NORMALISATIONS: tuple[Normalise, ...] = get_args(Normalise)
Floats = NDArray[np.float64]
_MIDDLE = 0.5


def combine(
    scores: Sequence[Scores32], query: NDArray[np.integer], weights: Sequence[float], how: Normalise
) -> Scores32:
    """Add up teachers' scores, each normalised within each query and weighted.

    Args:
        scores: For each teacher (n,) finite scores of the same n distinct pairs.
        query: (n,) which query each pair belongs to, in any order.
        weights: For each teacher its factor; used as it is, not scaled to a sum of 1.
        how: The normalisation.

    Returns:
        (n,) float32.
    """
    _, codes = np.unique(query, return_inverse=True)
    lists = _Lists(codes.astype(np.int64))
    columns = [np.asarray(column, np.float64) for column in scores]
    total = np.zeros(len(codes))
    for weight, column in zip(weights, columns, strict=True):
        total += weight * lists.normalised(column, columns[0], how)
    return total.astype(np.float32)


class _Lists:
    """One table's pairs, by query."""

    def __init__(self, codes: NDArray[np.int64]) -> None:
        self.codes = codes
        self.count = np.bincount(codes)

    def normalised(self, x: Floats, first: Floats, how: Normalise) -> Floats:
        if how == "none":
            return x
        if how == "rank":
            position, size = positions(-x, self.codes)
            return np.where(size > 1, (size - position) / np.maximum(size - 1, 1), _MIDDLE)
        low, high = self._extremes(x)
        equal = (low == high)[self.codes]
        if how == "min-max":
            span = np.where(equal, 1, (high - low)[self.codes])
            return np.where(equal, _MIDDLE, (x - low[self.codes]) / span)
        z = np.where(equal, 0, self._centred(x) / np.where(equal, 1, self._deviation(x)[self.codes]))
        if how == "z":
            return z
        return self._mean(first)[self.codes] + self._deviation(first)[self.codes] * z

    def _mean(self, x: Floats) -> Floats:
        return np.bincount(self.codes, x) / self.count

    def _centred(self, x: Floats) -> Floats:
        return x - self._mean(x)[self.codes]

    def _deviation(self, x: Floats) -> Floats:
        return np.sqrt(np.bincount(self.codes, self._centred(x) ** 2) / self.count)

    def _extremes(self, x: Floats) -> tuple[Floats, Floats]:
        low, high = np.full(len(self.count), np.inf), np.full(len(self.count), -np.inf)
        np.minimum.at(low, self.codes, x)
        np.maximum.at(high, self.codes, x)
        return low, high
