"""Theorem 4: one pass of SGD, its exact expectation over all sequences of groups."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rankstill.measures.bounds.theorem4 import sgd_bound, sgd_step
from theory.formulas import LOG2, doubt, label_kl, log_softmax, pair_kl, pair_loss, sigmoid, slope
from theory.sgd import Lessons, Lists, iterates, sequence_probability, sequences
from theory.statement import Claim, identity, inequality
from theory.suprema import label_entropies, pair_labels
from theory.worlds import World, line


def one_small_step() -> World:
    """One group, a teacher that the head meets, tiny margins: the quadratic bound is an equality."""
    return line([0, 0.01], [[0, 1] * 3], weights=np.ones(1), size=2, few_rows=(1,), groups_drawn=1)


def coin_tosses() -> World:
    """Pairs in two places whose labels are all but coin tosses."""
    return line([0, 0.01], [[0, 1] * 3], weights=np.ones(1), size=2, few_rows=(1,), groups_drawn=3)


def misfit() -> World:
    """A teacher far steeper than the heads' ball: the comparator's excess matters."""
    teacher = np.array([[0, 5.0]])
    return line([0, 1], [[0, 1] * 3], teacher=teacher, weights=np.ones(1), size=2, few_rows=(1,), groups_drawn=1)


def soft_lessons(world: World) -> Lessons:
    """The world's few groups, with its labels."""
    few = world.few
    found = pair_labels(world, few)
    return Lessons(few.margins(world.vectors), found, np.full(len(few), 1 / len(few)), world.temperature)


def hard_lessons(world: World, groups: int = 3) -> tuple[Lessons, np.ndarray]:
    """Pairs with a label drawn from the teacher: each pair twice; and the teacher's margins."""
    few = world.few[:groups]
    pairs = few.margins(world.vectors)[:, :1]
    v = few.margins(world.teacher)[:, :1] / world.temperature
    labels = np.concatenate([np.ones_like(v), np.zeros_like(v)])
    likely = np.concatenate([sigmoid(v), sigmoid(-v)])[:, 0] / len(few)
    return Lessons(np.concatenate([pairs, pairs]), labels, likely, world.temperature), v


def gradient_noise(lessons: Lessons, head: np.ndarray) -> float:
    """G*, root of the mean squared gradient at a head."""
    rows = np.arange(len(lessons.pairs))
    gradients = lessons.gradients(np.tile(head, (len(rows), 1)), rows)
    return math.sqrt(float(((gradients**2).sum(1) * lessons.probability).sum()))


def expected_gap(lessons: Lessons, world: World, noise: float) -> float:
    """E R(wbar) - R(w*), over all sequences."""
    n, norm = world.groups_drawn, float(np.linalg.norm(world.weights))
    step = sgd_step(
        n, norm, 2 * lessons.temperature * math.sqrt(lessons.smoothness), lessons.temperature, gradient_noise=noise
    )
    order = sequences(len(lessons.pairs), n)
    mean = iterates(lessons, order, step, world.radius).mean(1)
    risk = (pair_loss(lessons.labels, lessons.margins(mean)).mean(-1) * lessons.probability).sum(-1)
    best = (pair_loss(lessons.labels, lessons.margins(world.weights)).mean(-1) * lessons.probability).sum()
    return float((risk * sequence_probability(lessons, order)).sum() - best)


@inequality(
    "3.4d",
    "regret of SGD on any sequence of groups",
    broken="halved",
    sharp=(one_small_step,),
)
def regret(world: World) -> Iterator[Claim]:
    lessons = soft_lessons(world)
    order = sequences(len(lessons.pairs), min(world.groups_drawn, 4))
    at_best = lessons.gradients(np.tile(world.weights, (len(lessons.pairs), 1)), np.arange(len(lessons.pairs)))
    best = pair_loss(lessons.labels, lessons.margins(world.weights)).mean(-1)
    noise = (at_best**2).sum(1)[order].sum(1)
    for share in (0.3, 0.999):
        step = share / lessons.smoothness
        heads = iterates(lessons, order, step, world.radius)
        losses = pair_loss(lessons.labels, lessons.margins(heads)).mean(-1)
        online = np.take_along_axis(losses, order[..., None], 2)[..., 0]
        left = (online - best[order]).sum(1)
        right = world.weights @ world.weights / (2 * step) + step / (2 * (1 - share)) * noise
        yield Claim(left / right, 1, 0.5)


@inequality(
    "3.4",
    "E R(wbar) - R(w*) <= |w*|^2 beta/2n + |w*| G*/sqrt(n), all sequences",
    broken="halved",
    uses=("bounds.theorem4.sgd_step",),
    sharp=(one_small_step,),
)
def one_pass(world: World) -> Claim:
    lessons, norm, n = soft_lessons(world), float(np.linalg.norm(world.weights)), world.groups_drawn
    noise = gradient_noise(lessons, world.weights)
    bound = norm**2 * lessons.smoothness / (2 * n) + norm * noise / math.sqrt(n)
    return Claim(expected_gap(lessons, world, noise) / bound, 1, 0.5)


@inequality("3.4", "listwise: the same with the largest diameter", broken="halved", sharp=(one_small_step,))
def one_pass_of_lists(world: World) -> Claim:
    few, tau, n = world.few, world.temperature, world.groups_drawn
    lists = Lists(few.of(world.vectors), np.exp(log_softmax(few.of(world.teacher) / tau)), tau)
    rows, norm = np.arange(len(few)), float(np.linalg.norm(world.weights))
    noise = math.sqrt((lists.gradients(np.tile(world.weights, (len(few), 1)), rows) ** 2).sum(1).mean())
    order = sequences(len(few), n)
    step = 1 / (lists.smoothness + noise * math.sqrt(n) / norm)
    mean = iterates(lists, order, step, world.radius).mean(1)
    left = lists.losses(mean).mean() - lists.losses(world.weights).mean()
    bound = norm**2 * lists.smoothness / (2 * n) + norm * noise / math.sqrt(n)
    return Claim(left / bound, 1, 0.5)


@identity("3.4", "G*^2 = G_mis^2 + G_lab^2 for drawn labels", broken="without G_lab")
def two_noises(world: World) -> Claim:
    lessons, v = hard_lessons(world)
    u = lessons.margins(world.weights)[: len(v)]
    square = (lessons.pairs[: len(v)] ** 2).sum(-1) / world.temperature**2
    misfit_ = ((sigmoid(u) - sigmoid(v)) ** 2 * square).mean()
    return Claim(gradient_noise(lessons, world.weights) ** 2, misfit_ + (slope(v) * square).mean(), misfit_)


@inequality(
    "3.4",
    "G_mis^2 <= 2 beta K(w*);  G_lab^2 <= D_max^2 H/(4 log 2 tau^2), over P if independent",
    broken="halved",
    sharp=(coin_tosses,),
)
def noise_bounds(world: World) -> Iterator[Claim]:
    few, tau = world.few, world.temperature
    v, pairs = few.margins(world.teacher) / tau, few.margins(world.vectors)
    u = pairs @ world.weights / tau
    gradients = ((sigmoid(u) - sigmoid(v))[..., None] * pairs).mean(1) / tau
    smooth = float((pairs**2).sum(-1).mean(1).max()) / (4 * tau**2)
    excess = 2 * smooth * pair_kl(v, u).mean()
    yield Claim((gradients**2).sum(1).mean(), excess, excess / 2)
    count, largest = pairs.shape[1], float((pairs**2).sum(-1).max())
    entropy = largest * doubt(v).mean() / (4 * LOG2 * tau**2)
    independent = (slope(v)[..., None] * pairs**2).sum((1, 2)).mean() / count**2 / tau**2
    yield Claim(independent / max(entropy, 1e-12), 1 / count, 1 / (2 * count))
    yield Claim((slope(v) * (pairs**2).sum(-1)).mean() / tau**2 / max(entropy, 1e-12), 1, 0.5)


@identity("3.4", "listwise label noise = E tr Cov of phi under the teacher's softmax / tau^2", broken="/ tau")
def list_noise(world: World) -> Claim:
    few, tau = world.few, world.temperature
    share, vectors = np.exp(log_softmax(few.of(world.teacher) / tau)), few.of(world.vectors)
    mean = np.einsum("gk,gkd->gd", share, vectors)
    # Drawing document j as the label moves the gradient by (mean - phi_j)/tau.
    moved = (mean[:, None] - vectors) / tau
    drawn = (share * (moved**2).sum(-1)).sum(1).mean()
    trace = ((share[..., None] * vectors**2).sum(1) - mean**2).sum(-1).mean()
    return Claim(drawn, trace / tau**2, trace / tau)


@inequality(
    "3.4",
    "soft labels: E K(wbar) <= K(w*) + B*^2/8n + B* sqrt(K(w*)/2n)",
    broken="without the root; a constant halved",
    uses=("bounds.theorem4.sgd_bound",),
    sharp=(one_small_step, misfit),
)
def soft_labels(world: World) -> Claim:
    world = replace(world, hard=False)
    lessons, norm, n = soft_lessons(world), float(np.linalg.norm(world.weights)), world.groups_drawn
    tau, across = world.temperature, 2 * world.temperature * math.sqrt(lessons.smoothness)
    excess = float(label_kl(lessons.labels, lessons.margins(world.weights)).mean().clip(0))
    entropy = float(label_entropies(world, world.few).mean())
    bound = sgd_bound(n, norm, across, tau, entropy=entropy, comparator_excess=excess)
    left = expected_gap(lessons, world, gradient_noise(lessons, world.weights)) + excess
    broken = excess + bound.terms["locality"] / (2 if excess < 1e-12 else 1)
    scale = max(bound.value, 1e-9)
    return Claim(left / scale, bound.value / scale, broken / scale)


@inequality(
    "3.4",
    "drawn hard labels: E K(wbar) <= K(w*) + B*^2/8n + B sqrt((K(w*)/2 + H/4 log 2)/n)",
    broken="without H: the fast rate",
    uses=("bounds.theorem4.sgd_bound",),
    sharp=(coin_tosses,),
)
def hard_labels(world: World) -> Claim | None:
    lessons, v = hard_lessons(world)
    if not lessons.smoothness:
        return None  # the same document twice in every pair
    world = replace(world, groups_drawn=min(world.groups_drawn, 3))
    n, norm, tau = world.groups_drawn, float(np.linalg.norm(world.weights)), world.temperature
    across = 2 * tau * math.sqrt(lessons.smoothness)
    excess = float(pair_kl(v, lessons.margins(world.weights)[: len(v)]).mean().clip(0))
    settings = {"entropy": float(doubt(v).mean()), "comparator_excess": excess}
    bound = sgd_bound(n, norm, across, tau, labels="hard", largest_distance=across, **settings)
    fast = sgd_bound(n, norm, across, tau, **settings)
    left = expected_gap(lessons, world, gradient_noise(lessons, world.weights)) + excess
    return Claim(left / bound.value, 1, fast.value / bound.value)
