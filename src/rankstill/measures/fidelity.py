"""Fidelity: how closely a student follows its teacher on the same documents, whatever either is worth.

Both sides' scores stand over their temperature: v = (g(x) - g(x'))/τ for the teacher, u for the student (theory 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import kendalltau

from rankstill.errors import DataError, SpecError

Floats = NDArray[np.floating[Any]]
LOG2 = math.log(2)
CLIP = 1.0
"""Nats at which a group's mean excess is cut for a bound: more than a student has who knows nothing, log 2."""


def group_excess(teacher: Floats, student: Floats) -> NDArray[np.float64]:
    """Mean over the pairs of each group of KL(s(v) || s(u)), theory [1.1].

    Args:
        teacher: (n, k) scores over τ.
        student: (n, k) scores over τ.

    Returns:
        (n,) nats, 0 where all margins agree.

    Raises:
        SpecError: The shapes differ, or groups have one document.
        DataError: A score is not finite.
    """
    v, u = margins(teacher, student)
    # Bregman: A(u) - A(v) - s(v)(u - v); never below 0, but for rounding.
    found = np.logaddexp(0, u) - np.logaddexp(0, v) - expit(v) * (u - v)
    mean: NDArray[np.float64] = np.maximum(found, 0).mean(axis=1)
    return mean


def listwise_excess(teacher: Floats, student: Floats) -> NDArray[np.float64]:
    """KL(softmax(g/τ) || softmax(f/τ)) of each group, theory [1.3]; arguments and errors as in `group_excess`."""
    _check(teacher, student)
    given, made = (_log_softmax(np.asarray(scores, np.float64)) for scores in (teacher, student))
    found: NDArray[np.float64] = np.maximum((np.exp(given) * (given - made)).sum(axis=1), 0)
    return found


@dataclass(frozen=True, slots=True)
class Inversions:
    """How often the student turns round pairs that the teacher is sure of.

    Attributes:
        sure: c: the pairs counted are those with an entropy h of (1 - c) log 2 or less.
        share: Of all pairs, those that are so and are inverted.
        among: Of the pairs that are so, those that are inverted; NaN where there are none.
        bound: What the excess allows at most, K / (c log 2), theory [1.9]; above 1 it says nothing.
    """

    sure: float
    share: float
    among: float
    bound: float


def inversions(teacher: Floats, student: Floats, sure: Sequence[float] = (0.25, 0.5, 0.75, 0.9)) -> list[Inversions]:
    """Count inversions of confident pairs, mean over groups of the share within the group.

    A pair is inverted where u and v have opposite signs, and half so where the student ties what the teacher does not.

    Args:
        teacher: (n, k) scores over τ.
        student: (n, k) scores over τ.
        sure: Values of c, above 0 and up to 1.

    Raises:
        SpecError: A value of `sure` is out of range, or as in `group_excess`.
        DataError: As in `group_excess`.
    """
    if not all(0 < c <= 1 for c in sure):
        raise SpecError(f"confidences must be above 0 and up to 1, not {tuple(sure)}")
    v, u = margins(teacher, student)
    entropy = np.logaddexp(0, v) - v * expit(v)
    inverted = np.where(u * v < 0, 1.0, np.where((u == 0) & (v != 0), 0.5, 0.0))
    excess, found = float(group_excess(teacher, student).mean()), []
    for c in sure:
        confident = entropy <= (1 - c) * LOG2
        share, mass = float((inverted * confident).mean()), float(confident.mean())
        found.append(Inversions(c, share, share / mass if mass else math.nan, excess / (c * LOG2)))
    return found


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike two rankings of the same documents are, per group.

    Attributes:
        tau: (n,) Kendall's τ-b from -1 to 1; NaN where one side ties all documents.
        first: (n,) 1 where both have the same document on top (the first of tied ones), else 0.
        top: (n,) share of documents in common among the best `depth`.
        depth: How many are compared for `top`.
    """

    tau: NDArray[np.float64]
    first: NDArray[np.float64]
    top: NDArray[np.float64]
    depth: int


def agreement(teacher: Floats, student: Floats, depth: int = 10) -> Agreement:
    """Compare the rankings of each group; tied documents stand in the order of the columns for `first` and `top`.

    Args:
        teacher: (n, k) scores; the scale does not matter.
        student: (n, k) scores.
        depth: How many of the best are compared; at most k.

    Raises:
        SpecError, DataError: As in `group_excess`.
    """
    _check(teacher, student)
    depth = min(depth, teacher.shape[1])
    orders = [np.argsort(-np.asarray(scores, np.float64), axis=1, kind="stable") for scores in (teacher, student)]
    tau = [kendalltau(t, s).statistic for t, s in zip(teacher, student, strict=True)]
    top = [len(np.intersect1d(a[:depth], b[:depth])) / depth for a, b in zip(*orders, strict=True)]
    return Agreement(np.array(tau), (orders[0][:, 0] == orders[1][:, 0]).astype(np.float64), np.array(top), depth)


def margins(teacher: Floats, student: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """List both sides' margins over the pairs of each group: v and u, (n, k(k-1)/2) each.

    Raises:
        SpecError, DataError: As in `group_excess`.
    """
    _check(teacher, student)
    first, second = np.triu_indices(teacher.shape[1], 1)
    v, u = (scores[:, first] - scores[:, second] for scores in (teacher.astype(np.float64), student.astype(np.float64)))
    return v, u


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    below = scores - scores.max(axis=1, keepdims=True)
    found: NDArray[np.float64] = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
    return found


def _check(teacher: Floats, student: Floats) -> None:
    if teacher.ndim != 2 or teacher.shape != student.shape or teacher.shape[1] < 2 or not len(teacher):
        raise SpecError(
            f"expected scores of teacher and student for the same groups of two documents or more, got {teacher.shape} "
            f"and {student.shape}"
        )
    for side, scores in (("teacher", teacher), ("student", student)):
        bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        if len(bad):
            raise DataError(
                f"{len(bad)} of {len(scores)} groups hold a {side} score that is not finite (first: row {bad[0]})"
            )
