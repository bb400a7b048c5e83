"""The laboratory's own formulas, written independently of rankstill's: section 1 of docs/theory.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, xlogy

Floats = NDArray[np.floating[Any]]

LOG2 = float(np.log(2))
STEEPEST = 0.2238716024
"""c_h = max |v| s'(v), at v tanh(v/2) = 1, rounded up [2.3]."""

sigmoid = expit
"""s(t) = 1/(1 + e^-t)."""


def softplus(t: Floats) -> Floats:
    """A(t) = log(1 + e^t)."""
    return np.logaddexp(0, t)


def slope(t: Floats) -> Floats:
    """s'(t) = s(t) s(-t) = A''(t)."""
    return expit(t) * expit(-np.asarray(t))


def log_cosh(t: Floats) -> Floats:
    """lc(t) = log cosh(t/2)."""
    return np.logaddexp(t / 2, -np.asarray(t) / 2) - LOG2


def pair_loss(p: Floats, u: Floats) -> Floats:
    """psi_p(u) = -p log s(u) - (1-p) log s(-u)."""
    return p * softplus(-np.asarray(u)) + (1 - p) * softplus(u)


def doubt(v: Floats) -> Floats:
    """h(s(v)), the entropy of a pair with teacher margin v."""
    return expit(v) * softplus(-np.asarray(v)) + expit(-np.asarray(v)) * softplus(v)


def entropy_of(p: Floats) -> Floats:
    """h(p) = -p log p - (1-p) log(1-p)."""
    return -xlogy(p, p) - xlogy(1 - p, 1 - p)


def pair_kl(v: Floats, u: Floats) -> Floats:
    """KL(s(v) || s(u))."""
    v, u = np.asarray(v), np.asarray(u)
    return expit(v) * (softplus(-u) - softplus(-v)) + expit(-v) * (softplus(u) - softplus(v))


def label_kl(p: Floats, u: Floats) -> Floats:
    """KL(p || s(u)) for a label p of any kind."""
    return pair_loss(p, u) - entropy_of(p)


def log_softmax(scores: Floats) -> Floats:
    """Along the last axis."""
    return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)


def list_entropy(scores: Floats) -> Floats:
    """H(softmax(scores)), along the last axis."""
    logs = log_softmax(scores)
    return -(np.exp(logs) * logs).sum(-1)


def list_kl(teacher: Floats, student: Floats) -> Floats:
    """KL(softmax(teacher) || softmax(student)), along the last axis."""
    logs = log_softmax(teacher)
    return (np.exp(logs) * (logs - log_softmax(student))).sum(-1)
