"""Suprema over all linear heads of a ball, and expectations over all samples of groups, by enumeration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import gammaln

from theory.formulas import Floats, doubt, entropy_of, label_kl, pair_loss, sigmoid
from theory.worlds import Groups, Ints, World


@lru_cache(maxsize=64)
def samples(groups: int, drawn: int) -> tuple[Ints, Floats]:
    """All ways to draw `drawn` of equally likely groups: counts (S, groups) and their probabilities (S,)."""
    counts = np.array(list(_compositions(groups, drawn)))
    logs = gammaln(drawn + 1) - gammaln(counts + 1).sum(1) - drawn * math.log(groups)
    return counts, np.exp(logs)


def _compositions(parts: int, total: int) -> list[tuple[int, ...]]:
    if parts == 1:
        return [(total,)]
    return [(first, *rest) for first in range(total + 1) for rest in _compositions(parts - 1, total - first)]


@lru_cache(maxsize=8)
def ball(dim: int) -> Floats:
    """A grid of the unit ball, its centre and its surface included: (W, dim)."""
    if dim == 1:
        return np.linspace(-1, 1, 201)[:, None]
    if dim == 2:
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    else:
        directions = np.random.default_rng(0).normal(size=(120, dim))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = np.linspace(0, 1, 7)[1:]
    return np.concatenate([np.zeros((1, dim)), *(directions * r for r in radii)])


@dataclass(frozen=True)
class Heads:
    """The losses of all heads of the ball's grid on a world's few groups.

    A supremum over the grid is at most the supremum over the ball: what is checked is necessary, and where it is
    violated, so is the statement.
    """

    world: World

    @cached_property
    def labels(self) -> Floats:
        """(G, P)."""
        return pair_labels(self.world, self.world.few)

    @cached_property
    def pairs(self) -> Floats:
        """(G, P, dim) z."""
        return self.world.few.margins(self.world.vectors)

    @cached_property
    def margins(self) -> Floats:
        """(G, P, W) u."""
        heads = ball(self.world.vectors.shape[-1]) * self.world.radius
        return self.pairs @ heads.T / self.world.temperature

    @cached_property
    def risk(self) -> Floats:
        """(G, W) group losses."""
        return pair_loss(self.labels[..., None], self.margins).mean(1)

    @cached_property
    def excess(self) -> Floats:
        """(G, W) group losses over the labels' entropy."""
        return label_kl(self.labels[..., None], self.margins).mean(1)


def pair_labels(world: World, groups: Groups) -> Floats:
    """The labels that a world trains on: the teacher's probabilities, or its order."""
    v = groups.margins(world.teacher) / world.temperature
    return np.where(v == 0, 0.5, v > 0) if world.hard else sigmoid(v)


def label_entropies(world: World, groups: Groups) -> Floats:
    """h of the labels; of ties among hard labels too."""
    v = groups.margins(world.teacher) / world.temperature
    return entropy_of(pair_labels(world, groups)) if world.hard else doubt(v)


def gaps(losses: Floats, drawn: int) -> tuple[Floats, Floats]:
    """Of each sample, sup over heads of true minus empirical risk (S,), and the sample's probability."""
    counts, probability = samples(len(losses), drawn)
    return (losses.mean(0) - counts @ losses / drawn).max(1), probability
