"""Section 2: what mining does and does not leave alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rankstill.measures.entropy import entropy_gap_bound
from rankstill.measures.group_entropy import listwise_entropy, pairwise_entropy
from theory.formulas import LOG2, STEEPEST, Floats, doubt, pair_kl, pair_loss, sigmoid, slope
from theory.section1 import margins, near_coin_tosses
from theory.statement import Claim, identity, inequality
from theory.transport import lists, rms_diameter, score_distance
from theory.worlds import Groups, World, line


def risks(world: World, pairs: Groups, scores: Floats) -> tuple[float, float, float]:
    """R, K, H of a student on equally likely pairs."""
    tau = world.temperature
    v, u = pairs.margins(world.teacher) / tau, pairs.margins(scores) / tau
    return pair_loss(sigmoid(v), u).mean(), pair_kl(v, u).mean(), doubt(v).mean()


def one_step() -> World:
    """A sixth of the documents moves a little: nearly all of the transport is seen by pairs."""
    at = 1.5434  # where |v| s'(v) is largest
    return line([0, at, at + 1e-3], [[0, 0, 0, 0, 0, 1]], [[0, 0, 0, 0, 0, 2]])


@identity("2.1a", "the entropy has no gradient: grad R = grad K", broken="argmax labels")
def gradient(world: World) -> Claim:
    v, u = margins(world)
    step = 1e-30  # complex step: exact
    turned = u + 1j * step
    kl = sigmoid(v) * np.log1p(np.exp(-turned)) + sigmoid(-v) * np.log1p(np.exp(turned))
    return Claim(kl.imag / step, sigmoid(u) - sigmoid(v), sigmoid(u) - (v > 0))


@identity("2.1b", "at a fixed target, R_mu - K_mu is one number for every student", broken="H_nu for H_mu")
def floor(world: World) -> Iterator[Claim]:
    drawn = pairwise_entropy(world.drawn_pairs.of(world.teacher), world.temperature).mean()
    target = pairwise_entropy(world.target_pairs.of(world.teacher), world.temperature).mean()
    for student in (world.student, world.linear, world.lipschitz):
        risk, excess, _ = risks(world, world.target_pairs, student)
        yield Claim(risk - excess, target, drawn)


@inequality("2.1c", "the teacher itself minimises K_nu", broken="R with argmax labels")
def realisable(world: World) -> Claim:
    v, u = margins(world)
    argmax = np.where(v == 0, 0.5, v > 0)
    return Claim(
        pair_kl(v, v).mean(),
        pair_kl(v, u).mean(),
        broken_left=pair_loss(argmax, v).mean(),
        broken=pair_loss(argmax, 1.5 * v).mean(),
    )


@identity("2.1e", "hard labels: the gradient is right on average, with variance p(1-p) u'^2", broken="p for p(1-p)")
def noisy_gradient(world: World) -> Iterator[Claim]:
    v, u = margins(world)
    p, inner = sigmoid(v), world.groups.margins(world.vectors)[..., 0]
    one, zero = (sigmoid(u) - 1) * inner, sigmoid(u) * inner
    mean = p * one + (1 - p) * zero
    yield Claim(mean, (sigmoid(u) - p) * inner)
    yield Claim(p * one**2 + (1 - p) * zero**2 - mean**2, slope(v) * inner**2, p * inner**2)


@inequality(
    "2.2",
    "locality against entropy: H >= log 2 - (L_g D_rms/tau)^2/8",
    broken="/16",
    uses=("locality.squared_diameters", "group_entropy.pairwise_entropy"),
    sharp=(near_coin_tosses,),
)
def trade_off(world: World) -> Claim | None:
    if not np.isfinite(world.steepness):
        return None
    entropy = pairwise_entropy(world.groups.of(world.teacher), world.temperature).mean()
    drop = (world.steepness * rms_diameter(world, world.groups) / world.temperature) ** 2
    # Divided by the drop, so that worlds with small margins test the constant.
    return Claim((LOG2 - entropy) / max(drop, 1e-6), 1 / 8, 1 / 16)


@inequality(
    "2.2",
    "listwise: log k - H <= B_g^2/8, in every group",
    broken="/16",
    uses=("group_entropy.listwise_entropy",),
    sharp=(lambda: line([0, 1e-2], [[0, 1, 0, 1, 0, 1]], size=2),),
)
def list_trade_off(world: World) -> Claim:
    teacher = world.groups.of(world.teacher)
    range_ = np.ptp(teacher, axis=1) / world.temperature
    gap = np.log(teacher.shape[1]) - listwise_entropy(teacher, world.temperature)
    scale = 1 / np.maximum(range_**2, 1e-5)
    return Claim(gap * scale, range_**2 / 8 * scale, range_**2 / 16 * scale)


@inequality(
    "2.3",
    "|H_mu - H_nu| <= 2 c_h E W1(g)/tau",
    broken="halved",
    uses=("entropy.entropy_gap_bound",),
    sharp=(one_step,),
)
def entropy_moves(world: World) -> Claim:
    drawn, target = world.drawn_pairs, world.target_pairs
    moved = doubt(drawn.margins(world.teacher) / world.temperature).mean()
    moved -= doubt(target.margins(world.teacher) / world.temperature).mean()
    drawn_scores, target_scores = lists(world, world.teacher)
    bound = entropy_gap_bound(drawn_scores, target_scores, world.temperature).value
    return Claim(abs(moved), bound, bound / 2)


@identity("2.3", "the bound is what it says; c_h", broken="halved", uses=("entropy.entropy_gap_bound",))
def entropy_gap(world: World) -> Iterator[Claim]:
    found = entropy_gap_bound(*lists(world, world.teacher), world.temperature).value
    right = 2 * STEEPEST * score_distance(world, world.teacher) / world.temperature
    yield Claim(found, right, right / 2)
    v = np.float64(1.5434046384182083)
    yield Claim([v * np.tanh(v / 2), v * slope(v)], [1, STEEPEST])


@identity(
    "2.4",
    "counterexample: mining multiplies H by 1388",
    broken="'mining does not alter H'",
    uses=("group_entropy.pairwise_entropy",),
    every=1000,
)
def mined(world: World) -> Claim:
    easy, hard = (float(pairwise_entropy(np.array([pair]))[0]) for pair in ([5.0, -5.0], [5.0, 5.0]))
    closed = 10 * sigmoid(-10.0) + np.log1p(np.exp(-10))
    return Claim([hard, hard / easy], [LOG2, LOG2 / closed], [LOG2, 1])


@identity("2.5", "counterexample: fit 0 on the sample, excess E v tanh(v/2) elsewhere", broken="tanh(v)")
def memorised(world: World) -> Iterator[Claim]:
    v, _ = margins(world)
    yield Claim(pair_kl(v, -v).mean(), (v * np.tanh(v / 2)).mean(), (v * np.tanh(v)).mean())
    yield Claim(pair_kl(v, v), 0)
