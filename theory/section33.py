"""Section 3: variances of means over pairs, inversions by margin, and the listwise loss."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from theory.formulas import Floats, log_softmax, pair_loss
from theory.statement import Claim, identity, inequality
from theory.suprema import Heads, ball, gaps, pair_labels, samples
from theory.worlds import Groups, World, enumerate_groups, line


def _hoeffding(values: Floats, groups: Floats, size: int) -> tuple[float, float]:
    """Variance of the mean over pairs of groups, and what [3.3] says it is: values (Q, N, N, a), groups (G, a)."""
    whole = values.mean((1, 2))
    first = values.mean(2).var(1).sum(-1).mean()
    second = values.reshape(len(values), -1, values.shape[-1]).var(1).sum(-1).mean()
    within = 2 * (2 * (size - 2) * first + second) / (size * (size - 1))
    return groups.var(0).sum(), whole.var(0).sum() + within


@identity("3.3", "variance of a mean over pairs in groups of k: Hoeffding's decomposition", broken="k-2 for 2(k-2)")
def decomposition(world: World) -> Iterator[Claim]:
    pairs = enumerate_groups(world.drawn, 2)
    shape = (len(world.drawn), world.drawn.shape[1], world.drawn.shape[1])
    for size in (2, 3, 4):
        groups = enumerate_groups(world.drawn, size)
        for values in (_signed, _losses):
            flat = values(world, pairs)[:, 0]
            grid = flat.reshape(*shape, -1)
            left, right = _hoeffding(grid, values(world, groups).mean(1).reshape(len(groups), -1), size)
            half = grid.mean(2).var(1).sum(-1).mean() * 2 * (size - 2) / (size * (size - 1))
            # In groups of two there is nothing to get wrong.
            yield Claim(left, right, right - half if size > 2 else None)


def _signed(world: World, groups: Groups) -> Floats:
    return (pair_labels(world, groups) - 0.5)[..., None] * groups.margins(world.vectors)


def _losses(world: World, groups: Groups) -> Floats:
    u = groups.margins(world.linear) / world.temperature
    return pair_loss(pair_labels(world, groups), u)[..., None]


@inequality(
    "3.5",
    "margin bound on inversions: fails with probability <= delta",
    broken="x 0.45 on orthogonal groups",
)
def margin_bound(world: World) -> Iterator[Claim]:
    heads, n = Heads(world), world.groups_drawn
    v = world.few.margins(world.teacher)
    signed = np.sign(v)[..., None] * heads.margins * world.temperature
    c = 0.3 * world.radius
    inversions = (signed <= 0).mean((0, 1))
    ramp = np.clip(1 - signed / c, 0, 1).mean(1)
    counts, probability = samples(len(ramp), n)
    rms = math.sqrt((heads.pairs**2).sum(-1).mean())
    slack = 2 * world.radius * rms / (c * math.sqrt(n)) + math.sqrt(math.log(1 / world.delta) / (2 * n))
    failed = (inversions - counts @ ramp / n).max(1) > slack
    yield Claim(probability[failed].sum(), world.delta)
    # A million groups in orthogonal directions at distance 1; the head that has margin 1 on the thousand of the sample
    # has norm sqrt(1000), and ties on all others.
    groups, n = 1_000_000, 1000
    bound = 2 * math.sqrt(n) / math.sqrt(n) + math.sqrt(math.log(1 / world.delta) / (2 * n))
    yield Claim(1 - n / groups, bound, 0.45 * bound)


def _crowded() -> World:
    return line([0, 0.001], [[0, 1, 0, 1, 0, 1]] * 2, teacher=np.array([[0, 1.0], [1.0, 0]]), temperature=0.1, size=2)


@inequality("3.6", "listwise: E sup(R - Rhat), all samples", broken="1/tau dropped", sharp=(_crowded,))
def list_gap(world: World) -> Claim:
    few, n, tau = world.few, world.groups_drawn, world.temperature
    vectors = few.of(world.vectors)
    size = vectors.shape[1]
    share = np.exp(log_softmax(few.of(world.teacher) / tau))
    logs = log_softmax((vectors @ (ball(vectors.shape[-1]) * world.radius).T / tau).swapaxes(1, 2))
    losses = -(share[:, None] * logs).sum(-1)
    gap, probability = gaps(losses, n)
    spread = ((share - 1 / size)[..., None] * vectors).sum(1).var(0).sum()
    rms = math.sqrt((few.margins(world.vectors) ** 2).sum(-1).mean())
    bracket = math.sqrt(spread) + 2 * (size - 1) / math.sqrt(size) * rms
    bound = world.radius / tau * bracket / math.sqrt(n)
    return Claim(gap @ probability / max(bound, 1e-12), 1, tau)
