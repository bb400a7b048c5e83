"""The parts of the pair loss that the bounds are made of, exact at any margin (theory sections 1 and 3).

The loss of a pair with label p at student margin u is ψ_p(u) = log(1 + e^u) - pu. Over all margins of size at most
x = L·d/τ, which is where a linear head of norm L can put a pair at distance d, each of these is the largest it can be.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]


def label_entropy(label: Numbers) -> Floats:
    """h(p) = -p log p - (1-p) log(1-p), in [0, log 2] nats."""
    p = np.asarray(label, np.float64)
    inside = (p > 0) & (p < 1)
    safe = np.where(inside, p, 0.5)
    return np.asarray(np.where(inside, -safe * np.log(safe) - (1 - safe) * np.log1p(-safe), 0.0))


def even_part(reach: Numbers) -> Floats:
    """lc(x) = log cosh(x/2): the part of the loss that no label enters [1.2], at most x/2 and at most x²/8."""
    size = np.abs(np.asarray(reach, np.float64))
    return np.asarray(np.maximum(size / 2 + np.log1p(np.exp(-size)) - math.log(2), 0.0))


def largest_loss(reach: Numbers, sureness: Numbers) -> Floats:
    """The largest ψ_p(u) over |u| <= x: log(1 + e^-x) + max(p, 1-p) x.

    Args:
        reach: x = L·d/τ, at least 0.
        sureness: max(p, 1-p), from 1/2 to 1.
    """
    x = np.asarray(reach, np.float64)
    return np.asarray(np.log1p(np.exp(-x)) + np.asarray(sureness, np.float64) * x)


def log_one_plus_exp(margin: float) -> float:
    """A(t) = log(1 + e^t), the largest loss of a pair at |u| <= t."""
    return max(margin, 0.0) + math.log1p(math.exp(-abs(margin)))
