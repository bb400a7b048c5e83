"""Section 1: definitions and exact identities."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy.optimize import brentq

from rankstill.measures.fidelity import group_excess, inversions, listwise_excess
from rankstill.measures.group_entropy import listwise_entropy, pairwise_entropy
from theory.formulas import (
    LOG2,
    doubt,
    entropy_of,
    label_kl,
    list_kl,
    log_cosh,
    log_softmax,
    pair_kl,
    pair_loss,
    sigmoid,
    slope,
    softplus,
)
from theory.statement import Claim, identity, inequality
from theory.worlds import World, line

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


def margins(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Teacher's and student's margins over tau, (G, P)."""
    groups = world.groups
    return groups.margins(world.teacher) / world.temperature, groups.margins(world.student) / world.temperature


def labels(world: World) -> np.ndarray:
    """True preferences of the pairs, (G, P)."""
    return sigmoid(world.groups.margins(world.truth) / world.temperature)


def near_coin_tosses() -> World:
    """Margins so small that second-order bounds are equalities."""
    return line([0, 1e-3], [[0, 1, 0, 1, 0, 1]], student=-np.array([[0, 1e-5]]), truth=np.array([[0, 1.1e-3]]))


@identity("1.0", "the loss does not depend on how a pair is ordered", broken="the label is not turned")
def order(world: World) -> Claim:
    _, u = margins(world)
    p = labels(world)
    return Claim(pair_loss(p, u), pair_loss(1 - p, -u), pair_loss(p, -u))


@identity(
    "1.1",
    "risk = excess + entropy, every group, any student: R = K + H",
    broken="entropy without 1/tau",
    uses=("group_entropy.pairwise_entropy", "fidelity.group_excess"),
)
def risk_splits(world: World) -> Iterator[Claim]:
    v, u = margins(world)
    tau, teacher, student = world.temperature, world.groups.of(world.teacher), world.groups.of(world.student)
    risk = pair_loss(sigmoid(v), u).mean(1)
    excess = group_excess(teacher / tau, student / tau)
    broken = excess + pairwise_entropy(teacher)
    yield Claim(risk, excess + pairwise_entropy(teacher, tau), broken)
    yield Claim(risk.mean(), excess.mean() + pairwise_entropy(teacher, tau).mean(), broken.mean())


@identity(
    "1.1",
    "measured entropy and excess are their definitions",
    broken="raw scores over their sum; 1/tau dropped; KL(f||g)",
    uses=("group_entropy.pairwise_entropy", "group_entropy.listwise_entropy", "fidelity.group_excess"),
)
def measured(world: World) -> Iterator[Claim]:
    v, u = margins(world)
    tau, teacher = world.temperature, world.groups.of(world.teacher)
    raw = np.abs(teacher) / np.maximum(np.abs(teacher).sum(1, keepdims=True), 1e-300)
    logs = log_softmax(teacher / tau)
    wrong = -(raw * np.log(np.maximum(raw, 1e-300))).sum(1)
    yield Claim(-(np.exp(logs) * logs).sum(1), listwise_entropy(teacher, tau), wrong)
    yield Claim(entropy_of(sigmoid(v)).mean(1), pairwise_entropy(teacher, tau), pairwise_entropy(teacher))
    excess = group_excess(teacher / tau, world.groups.of(world.student) / tau)
    yield Claim(pair_kl(v, u).mean(1), excess, broken_left=pair_kl(u, v).mean(1), broken=excess)


@identity("1.1", "KL is a Bregman divergence of A", broken="the slope of A taken at u")
def bregman(world: World) -> Claim:
    v, u = margins(world)
    base = softplus(u) - softplus(v)
    return Claim(pair_kl(v, u), base - sigmoid(v) * (u - v), base - sigmoid(u) * (u - v))


@identity("1.2", "labels enter only the linear term", broken="lc(u) = log cosh(u)")
def linear_term(world: World) -> Claim:
    _, u = margins(world)
    p = labels(world)
    linear = LOG2 - (p - 0.5) * u
    return Claim(pair_loss(p, u), linear + log_cosh(u), linear + log_cosh(2 * u))


@identity(
    "1.3",
    "listwise: cross-entropy = KL + entropy",
    broken="entropy divided by log k",
    uses=("group_entropy.listwise_entropy", "fidelity.listwise_excess"),
)
def listwise(world: World) -> Iterator[Claim]:
    tau, teacher, student = world.temperature, world.groups.of(world.teacher), world.groups.of(world.student)
    cross = -(np.exp(log_softmax(teacher / tau)) * log_softmax(student / tau)).sum(1)
    excess = listwise_excess(teacher / tau, student / tau)
    broken = excess + listwise_entropy(teacher, tau, normalised=True)
    yield Claim(cross, excess + listwise_entropy(teacher, tau), broken)
    yield Claim(list_kl(teacher / tau, student / tau), excess)


@identity("1.4", "MarginMSE = twice the variance of f - g", broken="once the variance; the biased variance")
def margin_mse(world: World) -> Iterator[Claim]:
    r = world.student - world.teacher
    found = np.take_along_axis(r, world.drawn, 1)
    spread = found.var(1).mean()
    yield Claim((world.drawn_pairs.margins(r) ** 2).mean(), 2 * spread, spread)
    group = world.groups.of(r)
    yield Claim((world.groups.margins(r) ** 2).mean(1), 2 * group.var(1, ddof=1), 2 * group.var(1))


@identity("1.4", "MarginMSE's floor is the label variance; bias and variance", broken="the variance is left out")
def margin_mse_floor(world: World) -> Iterator[Claim]:
    v, u = margins(world)
    tau, rng = world.temperature, world.rng("noise")
    step, p = rng.uniform(0.1, 2, v.shape), rng.uniform(0.1, 0.9, v.shape)
    up, down = tau * v + step * (1 - p), tau * v - step * p  # the label: up with probability p, mean tau v
    noisy = p * (tau * u - up) ** 2 + (1 - p) * (tau * u - down) ** 2
    clean = ((tau * u - tau * v) ** 2).mean()
    yield Claim(noisy.mean(), clean + (step**2 * p * (1 - p)).mean(), clean)
    students = rng.normal(size=(7, *v.shape))
    bias = (students.mean(0) - v) ** 2
    yield Claim(((students - v) ** 2).mean(0), bias + students.var(0), bias)


@identity("1.5", "teacher error + distillation error + a cross term", broken="without the cross term")
def transfer(world: World) -> Claim:
    v, u = margins(world)
    p = labels(world)
    sum_ = label_kl(p, v) + pair_kl(v, u)
    return Claim(label_kl(p, u), sum_ + (p - sigmoid(v)) * (v - u), sum_)


@inequality("1.5", "the cross term, by Pinsker", broken="halved", sharp=(near_coin_tosses,))
def cross_term(world: World) -> Claim:
    v, u = margins(world)
    p = labels(world)
    # Scaled up, so that small cross terms are compared as strictly as large ones.
    right = np.sqrt(np.maximum(label_kl(p, v), 0) / 2) * 1e3
    left = np.abs(p - sigmoid(v)) * 1e3
    fine = right > 1e-3  # below, KL is lost in rounding
    return Claim(np.where(fine, left * np.abs(u - v), 0), right * np.abs(u - v), right * np.abs(u - v) / 2)


@inequality("1.6", "the loss lies in [A(-B), A(B)], an interval of width B", broken="B halved")
def width(world: World) -> Iterator[Claim]:
    pairs = world.groups
    u = pairs.margins(world.linear) / world.temperature
    b = world.radius * pairs.margins(world.vectors)
    bound = float(np.linalg.norm(b, axis=-1).max()) / world.temperature
    loss = pair_loss(labels(world), u)
    yield Claim(loss, softplus(bound))
    yield Claim(softplus(-bound), loss)
    widest = pair_loss(0.0, bound) - pair_loss(0.0, -bound)
    yield Claim(widest, bound, bound / 2)
    yield Claim(bound, widest)


@identity("1.7", "KL = the integral of s(t) - s(v) from v to u", broken="integral of s(t) - s(u)")
def integral(world: World) -> Claim:
    v, u = (m[:20, :1] for m in margins(world))
    t = v + (u - v) * (_NODES + 1) / 2
    area = ((sigmoid(t) - sigmoid(v)) * _WEIGHTS).sum(-1) * (u - v)[:, 0] / 2
    broken = ((sigmoid(t) - sigmoid(u)) * _WEIGHTS).sum(-1) * (u - v)[:, 0] / 2
    return Claim(pair_kl(v, u)[:, 0], area, broken)


@inequality("1.7", "KL <= (u-v)^2/8", broken="/16", sharp=(near_coin_tosses,))
def quadratic_above(world: World) -> Claim:
    v, u = margins(world)
    scale = 1 / max(float(((u - v) ** 2).max()), 1e-9)
    return Claim(pair_kl(v, u) * scale, (u - v) ** 2 / 8 * scale, (u - v) ** 2 / 16 * scale)


@inequality("1.7", "KL >= (u-v)^2 / (8 cosh^2(B_m/2))", broken="cosh for its square")
def quadratic_below(world: World) -> Claim:
    v, u = margins(world)
    most = np.maximum(np.abs(v), np.abs(u))
    square = (u - v) ** 2
    return Claim(
        square / (8 * np.cosh(most / 2) ** 2),
        pair_kl(v, u),
        pair_kl(v, u),
        broken_left=square / (8 * np.cosh(most / 2)),
    )


@inequality("1.8", "p(1-p) <= h(p)/(4 log 2)", broken="halved", sharp=(near_coin_tosses,))
def variance_below_entropy(world: World) -> Claim:
    v, _ = margins(world)
    return Claim(slope(v), doubt(v) / (4 * LOG2), doubt(v) / (8 * LOG2))


def barely_confident(c: float) -> World:
    """The teacher is just confident enough of all pairs to count, and the student just inverts them."""
    v = float(brentq(lambda x: doubt(x) - (1 - c - 1e-6) * LOG2, 0, 50))
    return line([0, v], [[0, 1] * 3], student=-np.array([[0, 1e-6]]), size=2, law="distinct")


@inequality(
    "1.9",
    "excess bounds inversions of confident pairs",
    broken="halved",
    uses=("fidelity.inversions",),
    sharp=tuple(partial(barely_confident, c) for c in (0.05, 0.3, 0.9)),
)
def confident_inversions(world: World) -> Iterator[Claim]:
    v, u = margins(world)
    inverted, h, excess = u * v < 0, doubt(v), pair_kl(v, u).mean()
    yield Claim((inverted * (LOG2 - h)).mean(), excess, excess / 2)
    tau, levels = world.temperature, (0.05, 0.3, 0.9)
    found = inversions(world.groups.of(world.teacher) / tau, world.groups.of(world.student) / tau, levels)
    for c, measured in zip(levels, found, strict=True):
        share = (inverted & (h <= (1 - c) * LOG2)).mean()
        yield Claim(share, measured.bound, measured.bound / 2)
        yield Claim(share, measured.share)  # which counts ties by half beside
