"""The similarities of sentence-transformers, of pairs of rows: dense arrays or scipy's sparse ones, in float64.

A row by itself, so that a pair's similarity is the same in any company.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Rows64 = Any
"""(n, D) float64, dense or sparse: what multiplies element by element with `*`, and sums with `sum(axis=1)`."""
Similar = NDArray[np.float64]
_NO_NORM = 1e-12


def _dot(a: Rows64, b: Rows64) -> Similar:
    return cast(Similar, (a * b).sum(axis=1))


def _cosine(a: Rows64, b: Rows64) -> Similar:
    norms = np.sqrt(_dot(a, a) * _dot(b, b))
    return _dot(a, b) / np.maximum(norms, _NO_NORM)


def _euclidean(a: Rows64, b: Rows64) -> Similar:
    return -np.sqrt(_dot(a - b, a - b))


def _manhattan(a: Rows64, b: Rows64) -> Similar:
    return cast(Similar, -abs(a - b).sum(axis=1))


SIMILARITIES: dict[str, Callable[[Rows64, Rows64], Similar]] = {
    "cosine": _cosine,
    "dot": _dot,
    "euclidean": _euclidean,
    "manhattan": _manhattan,
}
