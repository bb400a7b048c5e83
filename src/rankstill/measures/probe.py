"""The probe: the best linear head on frozen embeddings, within a ball. The student that the bounds speak of.

f(q, x) = <W, e_q ⊗ e_x> = e_q' W e_x, |W| <= L in the Frobenius norm: the bilinear dual encoder of theory section 3.
Its pairwise loss is convex in W, so that its fit to a strategy's groups can be found before any network is trained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from rankstill.errors import DataError, SpecError
from rankstill.measures.fidelity import group_excess

Floats = NDArray[np.floating[Any]]
Square = NDArray[np.float32]

_POWER = 10
"""Rounds of the power method; it only sets the length of the steps."""


@dataclass(frozen=True)
class Bags:
    """Groups as a probe sees them, in memory: 100 MB for 4,096 groups of 16 vectors of 384 dimensions.

    Attributes:
        queries: (n, D) float32 unit vectors of the groups' queries.
        documents: (n, k, D) float32 unit vectors of their documents.
        scores: (n, k) teacher scores over the temperature τ.

    Raises:
        SpecError: The shapes do not belong together, or groups have one document.
        DataError: A number is not finite.
    """

    queries: NDArray[np.float32]
    documents: NDArray[np.float32]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        n, k, size = self.documents.shape
        if k < 2 or n < 1 or self.scores.shape != (n, k) or self.queries.shape != (n, size):
            raise SpecError(
                f"queries {self.queries.shape}, documents {self.documents.shape} and scores {self.scores.shape} do not "
                "make groups of two documents or more"
            )
        if not all(np.isfinite(part).all() for part in (self.queries, self.documents, self.scores)):
            raise DataError("a score or a vector is not finite", hint="check the teacher, and the encoder")

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: NDArray[Any]) -> Bags:
        """Pick some groups."""
        return Bags(self.queries[rows], self.documents[rows], self.scores[rows])

    def student_scores(self, weight: Square) -> NDArray[np.float64]:
        """Score the documents by a head: (n, k), over τ."""
        turned = self.queries @ weight
        found: NDArray[np.float64] = (self.documents @ turned[:, :, None])[:, :, 0].astype(np.float64)
        return found


@dataclass(frozen=True)
class Probe:
    """A fitted head.

    Attributes:
        weight: (D, D) W; its Frobenius norm is at most `radius`.
        radius: L over τ: margins u = (f(x) - f(x'))/τ are at most `radius` times the documents' distance.
    """

    weight: Square
    radius: float

    def excess(self, bags: Bags) -> NDArray[np.float64]:
        """Mean over each group's pairs of KL(p_g || p_f), in nats: the excess risk K of theory [1.1], (n,)."""
        return group_excess(bags.scores, bags.student_scores(self.weight))


def fit(bags: Bags, radius: float, *, start: Probe | None = None, iterations: int = 40) -> Probe:
    """Fit a head to groups by accelerated projected gradient descent (Beck & Teboulle 2009) on their mean excess.

    The loss is convex and β-smooth, so that what is missing to the best head of the ball after t steps is at most
    2 β radius² / (t+1)²; a head that is not the best makes no bound wrong.

    Args:
        bags: The groups.
        radius: L/τ, above 0.
        start: A head to start from, of a smaller ball say.
        iterations: Steps.

    Raises:
        SpecError: The radius is not above 0 and finite.
    """
    if not 0 < radius < math.inf:
        raise SpecError(f"a ball of radius {radius} holds no head", hint="give a radius above 0")
    size = bags.queries.shape[1]
    weight = np.zeros((size, size), np.float32) if start is None else _project(start.weight, radius)
    step = np.float32(1 / _smoothness(bags))
    ahead, momentum = weight, 1.0
    for _ in range(iterations):
        lower = _project(ahead - step * _gradient(bags, ahead), radius)
        next_momentum = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = lower + np.float32((momentum - 1) / next_momentum) * (lower - weight)
        weight, momentum = lower, next_momentum
    return Probe(weight, radius)


def _gradient(bags: Bags, weight: Square) -> Square:
    slopes = _slopes(bags.scores, bags.student_scores(weight)).astype(np.float32)
    pull = (slopes[:, None, :] @ bags.documents)[:, 0]
    found: Square = (bags.queries.T @ pull / len(bags)).astype(np.float32)
    return found


def _slopes(teacher: NDArray[np.float64], student: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differentiate each group's mean excess by the student's scores: mean over partners of s(u) - s(v)."""
    k = teacher.shape[1]
    gap = expit(student[:, :, None] - student[:, None, :]) - expit(teacher[:, :, None] - teacher[:, None, :])
    found: NDArray[np.float64] = gap.sum(axis=2) * (2 / (k * (k - 1)))
    return found


def _smoothness(bags: Bags) -> float:
    """Bound the curvature of the mean excess, E (1/4) mean_p zz' over W, by the power method and half as much again."""
    k, size = bags.scores.shape[1], bags.queries.shape[1]
    weight: Square = np.eye(size, dtype=np.float32) + np.float32(1 / size)
    largest = 0.0
    for _ in range(_POWER):
        weight /= np.float32(np.linalg.norm(weight))
        own = bags.student_scores(weight)
        # (1/4) mean_p <W, z>z is (1/4)(2/(k-1)) sum_j (s_j - mean s) x_j.
        pull = (own - own.mean(axis=1, keepdims=True)) / (2 * (k - 1))
        drawn = (pull.astype(np.float32)[:, None, :] @ bags.documents)[:, 0]
        weight = (bags.queries.T @ drawn / len(bags)).astype(np.float32)
        largest = float(np.linalg.norm(weight))
        if not largest:
            break
    return max(1.5 * largest, 1e-12)


def _project(weight: Square, radius: float) -> Square:
    norm = float(np.sqrt(np.square(weight, dtype=np.float64).sum()))
    # A hair less, lest rounding leave the ball.
    return weight if norm <= radius else weight * np.float32(radius * (1 - 1e-6) / norm)
