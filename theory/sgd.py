"""One-pass SGD on linear heads, run on all sequences of groups at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from theory.formulas import Floats, log_softmax, sigmoid
from theory.worlds import Ints


@dataclass(frozen=True)
class Lessons:
    """What SGD can draw: groups with their pairs and labels.

    Attributes:
        pairs: (A, P, dim) z.
        labels: (A, P) p.
        probability: (A,) how likely each is.
        temperature: tau.
    """

    pairs: Floats
    labels: Floats
    probability: Floats
    temperature: float

    def margins(self, head: Floats) -> Floats:
        """Margins of heads (..., dim) on all lessons: (..., A, P)."""
        return np.einsum("apd,...d->...ap", self.pairs, head) / self.temperature

    def gradients(self, head: Floats, rows: Ints) -> Floats:
        """Gradient of the loss of lesson rows[s] at head[s]: (S, dim)."""
        pairs = self.pairs[rows]
        u = np.einsum("spd,sd->sp", pairs, head) / self.temperature
        pull = (sigmoid(u) - self.labels[rows]) / (self.temperature * pairs.shape[1])
        return np.einsum("sp,spd->sd", pull, pairs)

    @property
    def smoothness(self) -> float:
        """Largest squared rms diameter of a group over 4 tau^2: beta."""
        return float((self.pairs**2).sum(-1).mean(1).max()) / (4 * self.temperature**2)

    @property
    def dim(self) -> int:
        """Of the heads."""
        return int(self.pairs.shape[-1])


@dataclass(frozen=True)
class Lists:
    """The same for the listwise loss: equally likely groups.

    Attributes:
        vectors: (A, k, dim).
        shares: (A, k) the teacher's softmax.
        temperature: tau.
    """

    vectors: Floats
    shares: Floats
    temperature: float

    def losses(self, heads: Floats) -> Floats:
        """Cross-entropy of heads (..., dim) on all lists: (..., A)."""
        logs = log_softmax(np.einsum("akd,...d->...ak", self.vectors, heads) / self.temperature)
        return np.asarray(-(self.shares * logs).sum(-1))

    def gradients(self, head: Floats, rows: Ints) -> Floats:
        """As in `Lessons`."""
        vectors = self.vectors[rows]
        own = np.exp(log_softmax(np.einsum("skd,sd->sk", vectors, head) / self.temperature))
        return np.einsum("sk,skd->sd", own - self.shares[rows], vectors) / self.temperature

    @property
    def smoothness(self) -> float:
        """Largest squared diameter of a group over 4 tau^2: beta."""
        gaps = self.vectors[:, :, None] - self.vectors[:, None]
        return float((gaps**2).sum(-1).max()) / (4 * self.temperature**2)

    @property
    def dim(self) -> int:
        """Of the heads."""
        return int(self.vectors.shape[-1])


@lru_cache(maxsize=64)
def sequences(lessons: int, length: int) -> Ints:
    """All sequences of lessons, (lessons^length, length)."""
    return np.array(list(product(range(lessons), repeat=length)))


def iterates(lessons: Lessons | Lists, order: Ints, step: float, radius: float) -> Floats:
    """w_1 = 0, w_2, ..., w_n of each sequence, (S, n, dim), projected to the ball."""
    head = np.zeros((len(order), lessons.dim))
    found = []
    for rows in order.T:
        found.append(head)
        head = head - step * lessons.gradients(head, rows)
        norms = np.linalg.norm(head, axis=1, keepdims=True)
        head = head * np.minimum(1, radius / np.maximum(norms, 1e-300))
    return np.stack(found, 1)


def sequence_probability(lessons: Lessons, order: Ints) -> Floats:
    """(S,)."""
    return np.asarray(lessons.probability[order].prod(1))
