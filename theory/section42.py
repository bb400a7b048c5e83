"""Section 4: change of measure for any student: total variation, kappa, mixing, second moments, after training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rankstill.measures.bounds.four_terms import fitted_shift, variation_shift
from rankstill.measures.shift import kappa, total_variation, w1_embeddings, w1_two_scores
from theory.formulas import LOG2, Floats, doubt, list_kl, pair_kl
from theory.section4 import excess, laws, moved, one_step_apart
from theory.statement import Claim, identity, inequality
from theory.transport import assignment, joint_costs, lists
from theory.worlds import Groups, World, enumerate_groups, line


def far_document() -> World:
    """Two close documents that the student turns round, and one that everybody puts first; mining draws mostly that."""
    drawn, target = [[0, 1, 2, 2, 2, 2]], [[0, 1, 0, 1, 0, 1]]
    return line([0, 1, 90], drawn, target, teacher=np.array([[0, 2, 90.0]]), student=np.array([[2, 0, 90.0]]))


def centred() -> World:
    """Nothing to learn where mining draws; half of the target moves up, half down."""
    drawn, target = [[1] * 6], [[0, 2, 0, 2, 0, 2]]
    return line([-1, 0, 1], drawn, target, weights=-np.ones(1))


@inequality(
    "4.2",
    "any f: |K_mu - K_nu| <= 2 sup(KL) E TV",
    broken="halved",
    uses=("bounds.four_terms.variation_shift", "shift.total_variation"),
    sharp=(lambda: replace(one_step_apart(), student=np.array([[0, 1, -5.0]])),),
)
def variation(world: World) -> Claim:
    tau, both = world.temperature, (world.drawn_pairs, world.target_pairs)
    top = max(pair_kl(p.margins(world.teacher) / tau, p.margins(world.student) / tau).max() for p in both)
    bound = variation_shift(total_variation(*laws(world)), highest=max(float(top), 1e-9), entropy=0.0).value
    return Claim(moved(world, world.student) / top, bound / top, bound / 2 / top)


@inequality(
    "4.3",
    "any f: K_mu <= E kappa^2 K_nu; a loss of k documents kappa^k",
    broken="kappa; kappa^(k-1)",
    uses=("shift.kappa",),
    sharp=(far_document,),
)
def pairs_need_squares(world: World) -> Iterator[Claim]:
    ratios = kappa(*laws(world))
    if np.isinf(ratios).any():
        return
    tau, size = world.temperature, world.size
    for k, loss in ((2, _pair_excess), (size, _list_excess)):
        first, second = (
            loss(world, enumerate_groups(list_, k), tau).reshape(len(ratios), -1).mean(1)
            for list_ in (world.drawn, world.target)
        )
        right = (ratios**k * first).mean()
        yield Claim(second.mean(), right, (ratios ** (k - 1) * first).mean())


def _pair_excess(world: World, groups: Groups, tau: float) -> Floats:
    return pair_kl(groups.margins(world.teacher) / tau, groups.margins(world.student) / tau).mean(1)


def _list_excess(world: World, groups: Groups, tau: float) -> Floats:
    return list_kl(groups.of(world.teacher) / tau, groups.of(world.student) / tau)


@inequality("4.3b", "MarginMSE: kappa alone suffices", broken="its root", uses=("shift.kappa",), sharp=(far_document,))
def margin_mse_shift(world: World) -> Claim | None:
    ratios = kappa(*laws(world))
    if np.isinf(ratios).any():
        return None
    r = world.student - world.teacher
    drawn, target = (2 * x.var(1) for x in lists(world, r))
    return Claim(target.mean(), (ratios * drawn).mean(), (np.sqrt(ratios) * drawn).mean())


@inequality(
    "4.3c",
    "RankNet with bounded margins: kappa cosh^2(B_m/2)",
    broken="without cosh^2",
    uses=("shift.kappa",),
    sharp=(far_document,),
)
def bounded_margins(world: World) -> Claim | None:
    ratios = kappa(*laws(world))
    if np.isinf(ratios).any():
        return None
    most = max(
        float(np.abs(pairs.margins(scores)).max())
        for pairs in (world.drawn_pairs, world.target_pairs)
        for scores in (world.teacher, world.student)
    )
    right = ratios.max() * excess(world, world.student, world.drawn_pairs)
    return Claim(
        excess(world, world.student, world.target_pairs), right * np.cosh(most / world.temperature / 2) ** 2, right
    )


@inequality("4.3m", "mixing in the target: kappa <= 1/alpha", broken="1/(2 alpha)", uses=("shift.kappa",))
def mixing(world: World) -> Iterator[Claim]:
    nu, mu = laws(world)
    for alpha in (0.1, 0.5):
        yield Claim(kappa((1 - alpha) * nu + alpha * mu, mu), 1 / alpha, 1 / (2 * alpha))


@identity(
    "4.3m",
    "mixing: W1(nu_alpha, mu) = (1-alpha) W1(nu, mu)",
    broken="(1-alpha)^2",
    uses=("shift.w1_embeddings",),
)
def mixing_distance(world: World) -> Claim:
    mixed = replace(
        world,
        drawn=np.concatenate([world.drawn, world.target], 1),
        target=np.concatenate([world.target, world.target], 1),
    )
    whole, half = (w1_embeddings(*lists(w, w.vectors), unit=w.unit) for w in (world, mixed))
    return Claim(half, whole / 2, whole / 4)


@inequality("4.4", "MarginMSE: sqrt(R_mu) <= sqrt(R_nu) + sqrt(2 E W2^2)", broken="without the 2", sharp=(centred,))
def second_moments(world: World) -> Claim:
    r = world.linear - world.teacher
    drawn, target = (math.sqrt((2 * x.var(1)).mean()) for x in lists(world, r))
    square = assignment(joint_costs(world) ** 2)
    return Claim(target, drawn + math.sqrt(2 * square), drawn + math.sqrt(square))


@inequality(
    "4.5",
    "after training, any f: (e_max/2tau) E W1 of both scores",
    broken="halved",
    uses=("shift.w1_two_scores", "bounds.four_terms.fitted_shift"),
    sharp=(lambda: replace(one_step_apart(), student=np.array([[0, -1, -1.001]])),),
)
def after_training(world: World) -> Claim:
    tau = world.temperature
    pairs = enumerate_groups(np.concatenate([world.drawn, world.target], 1), 2)
    within = (world.drawn_pairs, world.target_pairs)
    student, teacher = lists(world, world.student), lists(world, world.teacher)
    distance = w1_two_scores(*student, *teacher)
    span = sum(float(np.abs(pairs.margins(x)).max()) for x in (world.student, world.teacher))
    gap = max(float(np.abs(p.margins(world.student - world.teacher)).max()) for p in within) / tau
    bound = fitted_shift(distance, largest_gap=gap, highest_cost=max(span, 1e-9), temperature=tau, entropy=0.0).value
    return Claim(moved(world, world.student) * 1e4, bound * 1e4, bound / 2 * 1e4)


@identity("4.6", "the constant student: K(0) = log 2 - H", broken="K(0) = log 2")
def constant_student(world: World) -> Claim:
    entropy = float(doubt(world.target_pairs.margins(world.teacher) / world.temperature).mean())
    return Claim(excess(world, np.zeros_like(world.teacher), world.target_pairs), LOG2 - entropy, LOG2)
