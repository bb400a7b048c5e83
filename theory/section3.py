"""Section 3: generalisation of linear heads, uniformly over the ball (Theorem 3), and the structure of variances."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from rankstill.measures.bounds.group_terms import Head, PerGroup, per_group
from rankstill.measures.bounds.theorem3 import Moments, mean_bound, uniform_bound
from theory.formulas import entropy_of, log_cosh, pair_loss
from theory.statement import Claim, identity, inequality
from theory.suprema import Heads, gaps, label_entropies, pair_labels
from theory.worlds import World, line


def opposed() -> World:
    """Two queries that ask for opposite heads, hard labels, tiny margins: the deviation is a coin's, exactly."""
    teacher = np.array([[0.0, 1.0], [1.0, 0.0]])
    lists = [[0, 1, 0, 1, 0, 1]] * 2
    return line([0, 0.01], lists, teacher=teacher, hard=True, size=2, few_rows=(1, 37), groups_drawn=1)


def opposed_often() -> World:
    """The same, 400 groups, to be sure with probability 0.9995: where a tail's constant shows."""
    teacher = np.array([[0.0, 1.0], [1.0, 0.0]])
    lists = [[0, 1, 0, 1, 0, 1]] * 2
    return line([0, 0.01], lists, teacher=teacher, hard=True, size=2, few_rows=(1, 37), groups_drawn=400, delta=5e-4)


def largest_distance(world: World) -> float:
    """D_max over the world's groups."""
    return float(np.linalg.norm(world.groups.margins(world.vectors), axis=-1).max())


def statistics(world: World) -> tuple[PerGroup, Head, float]:
    """rankstill's statistics of the few groups, the heads, and tr Cov of s(G)."""
    head = Head(world.radius, world.temperature, max(largest_distance(world), 1e-9))
    few = world.few
    labels = pair_labels(world, few)
    found = per_group(
        few.of(world.vectors),
        None if world.hard else few.of(world.teacher),
        head,
        labels="hard" if world.hard else "soft",
        pair_labels=labels if world.hard else None,
        unit=False,
    )
    signed = ((labels - 0.5)[..., None] * few.margins(world.vectors)).mean(1)
    return found, head, float(signed.var(0).sum())


def moments(world: World) -> tuple[Moments, Head]:
    """rankstill's moments, with tr Cov s(G) for S: the tightest form."""
    found, head, spread = statistics(world)
    return replace(Moments.of(found), signed=spread), head


@identity(
    "3",
    "statistics of a group: |s|^2, D, m, and the moments of E2",
    broken="m without the label's side",
    uses=("bounds.group_terms.per_group",),
)
def group_statistics(world: World) -> Iterator[Claim]:
    found, head, _ = statistics(world)
    few, p = world.few, pair_labels(world, world.few)
    z = few.margins(world.vectors)
    d = np.linalg.norm(z, axis=-1)
    reach = head.slope * d
    signed = np.linalg.norm(((p - 0.5)[..., None] * z).mean(1), axis=-1)
    yield Claim(found.signed, signed**2)
    yield Claim(found.swing, head.slope * signed + log_cosh(reach).mean(1))
    yield Claim(found.fourth, (d**4).mean(1))
    yield Claim(found.saturating, (np.tanh(reach / 2) ** 2 * d**2).mean(1))
    h = 0 if world.hard else entropy_of(p)
    ends = np.stack([pair_loss(p, reach) - h, pair_loss(p, -reach) - h])
    yield Claim(found.excess, ends.max(0).mean(1), ends[0].mean(1))
    if not world.hard:
        yield Claim(found.entropy, label_entropies(world, few).mean(1))


@inequality("3", "D(G) and m(G) bound what any head of the ball can lose", broken="halved")
def group_bounds(world: World) -> Iterator[Claim]:
    found, _, _ = statistics(world)
    heads = Heads(world)
    most = np.abs(heads.risk - math.log(2)).max(1)
    yield Claim(most, found.swing, found.swing / 2)
    lost = (heads.risk if world.hard else heads.excess).max(1)
    yield Claim(lost, found.excess, found.excess / 2)


@inequality(
    "3.1",
    "E sup(R - Rhat) = E sup(K - Khat) <= ((L/tau) sqrt(S) + E2)/sqrt(n), all samples",
    broken="halved",
    uses=("bounds.theorem3.mean_bound", "bounds.theorem3.Moments"),
    sharp=(opposed,),
)
def mean_gap(world: World) -> Iterator[Claim]:
    bound = mean_bound(*moments(world), world.groups_drawn).value
    for losses in (Heads(world).risk, Heads(world).excess):
        gap, probability = gaps(losses, world.groups_drawn)
        yield Claim(gap @ probability / bound, 1, 0.5)


def _one_in_five(radius: float) -> World:
    """A teacher without opinion; one group in five has two different documents: only the even part of losses counts."""
    lists = [[0, 1, 0, 1, 0, 1]]
    return line(
        [0, 1], lists, teacher=np.zeros((1, 2)), size=2, few_rows=(0, 1, 0, 0, 0), groups_drawn=5, radius=radius
    )


@inequality(
    "3.1",
    "E2 alone, where labels decide nothing",
    broken="/ 8",
    uses=("bounds.theorem3.mean_bound",),
    sharp=(partial(_one_in_five, 0.05), partial(_one_in_five, 100.0)),
    every=50,
)
def even_part(world: World) -> Claim:
    undecided = replace(world, teacher=np.zeros_like(world.teacher), hard=False)
    gap, probability = gaps(Heads(undecided).excess, world.groups_drawn)
    bound = mean_bound(*moments(undecided), world.groups_drawn).value
    return Claim(gap @ probability / max(bound, 1e-12), 1, 1 / 8)


@identity("3.1", "E sup(R - Rhat) = E sup(K - Khat)", broken="sample by sample, not on average")
def mean_gap_twice(world: World) -> Claim:
    heads, n = Heads(world), world.groups_drawn
    (risk, probability), (excess, _) = gaps(heads.risk, n), gaps(heads.excess, n)
    return Claim(risk @ probability, excess @ probability, broken_left=risk, broken=excess)


def _deviation(world: World, *, excess: bool) -> Claim:
    found, head, spread = statistics(world)
    n = world.groups_drawn
    bound = uniform_bound(
        replace(Moments.of(found), signed=spread),
        head,
        groups=n,
        delta=world.delta,
        labels="hard" if world.hard else "soft",
        form="excess" if excess else "risk",
        largest_excess=float(found.excess.max()),
        entropy_range=float(np.ptp(found.entropy)),
    )
    heads = Heads(world)
    gap, probability = gaps(heads.excess if excess and not world.hard else heads.risk, n)
    half = bound.value - (bound.terms["deviation"] + bound.terms["range"]) / 2
    failed, failed_half = probability[gap > bound.value].sum(), probability[gap > half].sum()
    return Claim(failed, world.delta, broken_left=failed_half, broken=world.delta)


@inequality(
    "3.2",
    "P(some head has R > Rhat + loc) <= delta, exact over all samples",
    broken="tail halved",
    uses=("bounds.theorem3.uniform_bound",),
    sharp=(opposed_often,),
)
def risk_bound(world: World) -> Claim:
    return _deviation(world, excess=False)


@inequality(
    "3.2k",
    "P(some head has K > Khat + loc) <= delta, exact over all samples",
    broken="tail halved",
    uses=("bounds.theorem3.uniform_bound",),
    sharp=(opposed_often,),
)
def excess_bound(world: World) -> Claim:
    return _deviation(world, excess=True)


@inequality("3b", "soft labels, Lipschitz teacher: quadratic in the distance", broken="halved", sharp=(opposed,))
def quadratic(world: World) -> Iterator[Claim]:
    if not np.isfinite(world.steepness):
        return
    soft = replace(world, hard=False)
    found, head, spread = statistics(soft)
    fourth = math.sqrt(found.fourth.mean())
    scale = (head.radius + world.steepness) / (4 * head.temperature**2)
    bound = head.radius * scale * fourth
    yield Claim(mean_bound(replace(Moments.of(found), signed=spread), head, 1).value / bound, 1, 0.5)
    steep = (head.radius + world.steepness) ** 2 * fourth / (8 * head.temperature**2)
    yield Claim(math.sqrt((found.excess**2).mean()) / steep, 1, 0.5)


def cold() -> World:
    """The same at a small temperature: margins near 1 from distances near 0.01."""
    world = opposed()
    return replace(world, temperature=0.01, groups_drawn=3)


@inequality(
    "3a",
    "the textbook route: E sup(R - Rhat) <= 2 L D_rms/(tau sqrt(n)), all samples",
    broken="1/tau dropped",
    sharp=(cold,),
)
def textbook(world: World) -> Claim:
    gap, probability = gaps(Heads(world).risk, world.groups_drawn)
    rms = math.sqrt((world.few.margins(world.vectors) ** 2).sum(-1).mean())
    bound = 2 * world.radius * rms / math.sqrt(world.groups_drawn)
    return Claim(gap @ probability / max(bound, 1e-9), 1 / world.temperature, 1)
