"""Small worlds where everything is known, and the definitions of docs/theory.md written out one pair at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np


def sigma(t: float) -> float:
    return 1 / (1 + math.exp(-t))


def h(p: float) -> float:
    return -sum(x * math.log(x) for x in (p, 1 - p) if x > 0)


def psi(p: float, u: float) -> float:
    return -p * math.log(sigma(u)) - (1 - p) * math.log(sigma(-u))


def kl(p: float, q: float) -> float:
    return sum(x * math.log(x / y) for x, y in ((p, q), (1 - p, 1 - q)) if x > 0)


def by_definition(vectors: np.ndarray, labels: dict, radius: float, temperature: float, soft: bool = True) -> dict:
    """Theorem 3's group statistics of one group, from labels[(i, j)] = p, one pair at a time."""
    pairs = list(combinations(range(len(vectors)), 2))
    signed = sum((labels[i, j] - 0.5) * (vectors[i] - vectors[j]) for i, j in pairs) / len(pairs)
    found = {"saturating": 0.0, "fourth": 0.0, "excess": 0.0, "swing": 0.0, "entropy": 0.0, "squared_diameter": 0.0}
    for i, j in pairs:
        d, p = math.dist(vectors[i], vectors[j]), labels[i, j]
        b = radius * d / temperature
        worst = max(kl(p, sigma(u)) for u in (-b, b)) if soft else max(psi(p, u) for u in (-b, b))
        found["saturating"] += math.tanh(b / 2) ** 2 * d**2
        found["fourth"] += d**4
        found["excess"] += worst
        found["swing"] += math.log(math.cosh(b / 2))
        found["entropy"] += h(p) if soft else 0.0
        found["squared_diameter"] += d**2
    found = {name: value / len(pairs) for name, value in found.items()}
    found["swing"] += radius / temperature * float(np.linalg.norm(signed))
    return {"signed": float(signed @ signed), **found}


def soft_labels(scores: np.ndarray, temperature: float) -> dict:
    pairs = combinations(range(len(scores)), 2)
    return {(i, j): sigma((scores[i] - scores[j]) / temperature) for i, j in pairs}


@dataclass
class World:
    """A population of equally likely groups, and heads of norm at most `radius`, many of them."""

    vectors: np.ndarray
    scores: np.ndarray
    radius: float
    temperature: float

    @property
    def margins(self) -> np.ndarray:
        """(groups, pairs) of the teacher."""
        first, second = np.triu_indices(self.vectors.shape[1], 1)
        return (self.scores[:, first] - self.scores[:, second]) / self.temperature

    def excess(self, heads: np.ndarray) -> np.ndarray:
        """(heads, groups) mean excess KL over the pairs, by Bregman's formula [1.1]."""
        first, second = np.triu_indices(self.vectors.shape[1], 1)
        z = self.vectors[:, first] - self.vectors[:, second]
        u, v = np.einsum("gpd,hd->hgp", z, heads) / self.temperature, self.margins
        return (np.logaddexp(0, u) - np.logaddexp(0, v) - (u - v) / (1 + np.exp(-v))).mean(axis=2)

    def heads(self, count: int) -> np.ndarray:
        """Directions all round the circle (2-D), at full and half norm."""
        angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
        rim = self.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.concatenate([rim, rim / 2])


def world(seed: int, groups: int = 60, size: int = 3, dimension: int = 2, spread: float = 1.0) -> World:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(groups, size, dimension))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    teacher = rng.normal(size=dimension)
    scores = spread * (vectors @ teacher + 0.3 * rng.normal(size=(groups, size)))
    return World(vectors, scores, radius=float(rng.uniform(0.5, 3)), temperature=float(rng.uniform(0.3, 2)))
