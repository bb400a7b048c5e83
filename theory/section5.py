"""Section 5: hard labels, false negatives, judgements."""

from __future__ import annotations

import math
from collections.abc import Iterator
from math import comb

import numpy as np

from rankstill.measures.labels import hard_soft_variance, judgement_crossover, one_hot_misplaced
from theory.formulas import LOG2, doubt, log_softmax, pair_loss, sigmoid, slope
from theory.section1 import labels, margins
from theory.section34 import coin_tosses, hard_lessons
from theory.sgd import sequence_probability, sequences
from theory.statement import Claim, identity, inequality
from theory.worlds import World


@identity(
    "5.1",
    "Var(psi_Y) = Var(psi_p) + E p(1-p)u^2",
    broken="E p(1-p)|u|",
    uses=("labels.hard_soft_variance",),
)
def rao_blackwell(world: World) -> Iterator[Claim]:
    v, u = margins(world)
    p = sigmoid(v)
    one, zero = pair_loss(1.0, u), pair_loss(0.0, u)
    mean = (p * one + (1 - p) * zero).mean()
    hard = (p * (one - mean) ** 2 + (1 - p) * (zero - mean) ** 2).mean()
    found = hard_soft_variance(world.groups.of(world.teacher), world.groups.of(world.student), world.temperature)
    yield Claim(hard, found.soft + found.noise, found.soft + (slope(v) * np.abs(u)).mean())
    yield Claim(hard, found.hard)
    yield Claim(pair_loss(p, u).var(), found.soft)
    yield Claim((slope(v) * u**2).mean(), found.noise)


@inequality(
    "5.2",
    "uniform price of drawn labels: (L/tau) sqrt(V/n), V <= D_max^2 H/(4 log 2); all samples",
    broken="halved",
    sharp=(coin_tosses,),
)
def price(world: World) -> Iterator[Claim]:
    lessons, v = hard_lessons(world)
    n = min(world.groups_drawn, 3)
    order = sequences(len(lessons.labels), n)
    teacher = np.concatenate([sigmoid(v), sigmoid(v)])
    noise = ((lessons.labels - teacher)[..., None] * lessons.pairs).mean(1)
    mean = np.linalg.norm(noise[order].mean(1), axis=1) @ sequence_probability(lessons, order)
    variance = float((noise**2).sum(1) @ lessons.probability)
    scale = world.radius / world.temperature
    bound = scale * math.sqrt(variance / n)
    yield Claim(scale * mean / max(bound, 1e-9), 1, 0.5)
    largest = float((lessons.pairs**2).sum(-1).max()) * doubt(v).mean() / (4 * LOG2)
    yield Claim(variance / max(largest, 1e-12), 1, 0.5)


@identity("5.3", "argmax labels reward inflated margins: -E min(p,1-p) sign(v) u", broken="+E")
def argmax_labels(world: World) -> Claim:
    v, u = margins(world)
    p = sigmoid(v)
    order = np.where(v == 0, 0.5, v > 0)
    reward = (np.minimum(p, 1 - p) * np.sign(v) * u).mean()
    return Claim((pair_loss(order, u) - pair_loss(p, u)).mean(), -reward, reward)


@identity("5.4", "bias of pairwise LCE: -(rho/2) E[u|FN];  of the teacher: E(p*-p_g)u", broken="rho; E(p_g-p*)u")
def biases(world: World) -> Iterator[Claim]:
    v, u = margins(world)
    missed = world.rng("missed").random(u.shape) < 0.4
    truth = np.where(missed, 0.5, 1.0)
    rho = missed.mean()
    among = u[missed].mean() if missed.any() else 0.0
    found = (pair_loss(1.0, u) - pair_loss(truth, u)).mean()
    yield Claim(found, -rho / 2 * among, -rho * among)
    p = labels(world)
    right = ((p - sigmoid(v)) * u).mean()
    yield Claim((pair_loss(sigmoid(v), u) - pair_loss(p, u)).mean(), right, -right)


@identity(
    "5.4",
    "bias of listwise one-hot labels; misplaced mass E m/(m+1)",
    broken="m for m/(m+1); k-1 for k",
    uses=("labels.one_hot_misplaced",),
)
def one_hot(world: World) -> Iterator[Claim]:
    rng, tau = world.rng("one hot"), world.temperature
    scores, missed = rng.normal(size=8), int(rng.integers(1, 7))
    logs = log_softmax(scores / tau)
    found = -logs[0] + logs[: missed + 1].mean()
    gap = (scores[1 : missed + 1].mean() - scores[0]) / tau
    yield Claim(found, missed / (missed + 1) * gap, missed * gap)
    size, rho = int(rng.integers(2, 20)), rng.uniform(0.01, 1)
    weights = [comb(size - 1, m) * rho**m * (1 - rho) ** (size - 1 - m) for m in range(size)]
    exact = sum(w * m / (m + 1) for m, w in enumerate(weights))
    broken = 1 - (1 - (1 - rho) ** size) / ((size - 1) * rho)
    yield Claim(exact, one_hot_misplaced(size, rho), broken)
    if world.seed % 100 == 0:
        yield Claim(round(one_hot_misplaced(16, 0.3), 2), 0.79)


@identity("5.5", "mean squared error of the empirical risk under human and teacher labels", broken="no label noise")
def errors(world: World) -> Iterator[Claim]:
    v, u = (m[:7, 0] for m in margins(world))
    p = labels(world)[:7, 0]
    teacher = sigmoid(v)
    target = pair_loss(p, u).mean()
    order = sequences(7, 2)
    one, zero = pair_loss(1.0, u), pair_loss(0.0, u)
    human = taught = 0.0
    for a, b in order:
        for x, px in ((one[a], p[a]), (zero[a], 1 - p[a])):
            for y, py in ((one[b], p[b]), (zero[b], 1 - p[b])):
                human += px * py * ((x + y) / 2 - target) ** 2 / len(order)
        taught += ((pair_loss(teacher[a], u[a]) + pair_loss(teacher[b], u[b])) / 2 - target) ** 2 / len(order)
    spread, noise = pair_loss(p, u).var(), (p * (1 - p) * u**2).mean()
    yield Claim(human, (spread + noise) / 2, spread / 2)
    yield Claim(taught, pair_loss(teacher, u).var() / 2 + ((teacher - p) * u).mean() ** 2)


@inequality(
    "5.5",
    "the teacher has the smaller error below n0, people above it",
    broken="n0 halved",
    uses=("labels.judgement_crossover",),
    every=10,
)
def crossover(world: World) -> Iterator[Claim]:
    groups, tau = world.groups[:40], world.temperature
    judged = np.round(2 * groups.of(world.truth)) + 0.25 * np.arange(groups.docs.shape[1])
    teacher, student = groups.of(world.teacher), groups.of(world.student)
    # One pair a group, the first two documents, turned so that the better one is first: people say 1.
    order = np.argsort(-judged[:, :2], axis=1)
    teacher, student, judged = (np.take_along_axis(x[:, :2], order, 1) for x in (teacher, student, judged))
    n0 = judgement_crossover(teacher, student, judged, tau, seed=0).queries
    v, u = ((x[:, 0] - x[:, 1]) / tau for x in (teacher, student))
    p = sigmoid(v)
    human, taught, bias = pair_loss(1.0, u).var(), pair_loss(p, u).var(), ((p - 1) * u).mean() ** 2
    if not 0 < n0 < 1e9:
        return
    below, above, middle = 0.99 * n0, 1.01 * n0, 0.75 * n0
    yield Claim(taught / below + bias, human / below)
    yield Claim(human / above, taught / above + bias)
    # If n0 were half of what it is, people would be better from there on.
    yield Claim(0, 1, broken_left=human / middle, broken=taught / middle + bias)
