"""Section 4: from the sampled law nu to the target law mu."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rankstill.measures.bounds.four_terms import wasserstein_shift
from rankstill.measures.shift import kappa, total_variation, w1_cost, w1_embeddings, w1_scores, w1_two_scores
from theory.formulas import Floats, pair_kl
from theory.statement import Claim, identity, inequality
from theory.transport import assignment, costs, joint_costs, lists, score_distance
from theory.worlds import Groups, World, enumerate_groups, line


def one_step_apart() -> World:
    """A sixth of the documents moves a little; student and teacher are opposite and margins tiny."""
    drawn, target = [[0, 0, 0, 0, 0, 1]], [[0, 0, 0, 0, 0, 2]]
    return line([0, 1, 1.001], drawn, target, weights=-np.ones(1), temperature=100.0)


def all_move() -> World:
    """All documents but the positive move a little, in groups of two."""
    drawn, target = [[0, 1, 1, 1, 1, 1]], [[0, 2, 2, 2, 2, 2]]
    return line([0, 1, 1.001], drawn, target, weights=-np.ones(1), temperature=100.0, size=2)


def laws(world: World) -> tuple[Floats, Floats]:
    """nu and mu as probabilities of documents, (Q, m) each."""
    documents = world.vectors.shape[1]
    found = [
        np.array([np.bincount(row, minlength=documents) for row in list_]) for list_ in (world.drawn, world.target)
    ]
    return found[0] / world.drawn.shape[1], found[1] / world.target.shape[1]


def excess(world: World, scores: Floats, pairs: Groups) -> float:
    """K on equally likely pairs."""
    tau = world.temperature
    return float(pair_kl(pairs.margins(world.teacher) / tau, pairs.margins(scores) / tau).mean())


def largest_margins(world: World) -> tuple[float, float, float]:
    """B, B_g and D_max over the pairs of both laws."""
    both = (world.drawn_pairs, world.target_pairs)
    across = max(float(np.linalg.norm(p.margins(world.vectors), axis=-1).max()) for p in both)
    teacher = max(float(np.abs(p.margins(world.teacher)).max()) for p in both)
    return world.radius * across / world.temperature, teacher / world.temperature, across


def moved(world: World, scores: Floats) -> float:
    """|K_mu - K_nu|."""
    return abs(excess(world, scores, world.target_pairs) - excess(world, scores, world.drawn_pairs))


def w1_joint(world: World) -> Floats:
    """W1 under L d + |g - g'|, of each query, by rankstill."""
    return w1_cost(*lists(world, world.vectors), *lists(world, world.teacher), radius=world.radius, unit=False)


@identity(
    "4",
    "W1 on embeddings, scores, their sum and pairs of scores; unequal sizes; kappa; total variation",
    broken="sorted documents matched in order of the first coordinate; kappa the other way round",
    uses=("shift.w1_embeddings", "shift.w1_scores", "shift.w1_cost", "shift.w1_two_scores", "shift.kappa",
          "shift.total_variation"),
)  # fmt: skip
def distances(world: World) -> Iterator[Claim]:
    vectors, teacher, student = (lists(world, x) for x in (world.vectors, world.teacher, world.student))
    sorted_ = [np.take_along_axis(v, np.argsort(v[..., :1], axis=1), 1) for v in vectors]
    in_order = np.linalg.norm(sorted_[0] - sorted_[1], axis=-1).mean()
    plain = costs(world, world.vectors)
    yield Claim(w1_embeddings(*vectors, unit=world.unit).mean(), assignment(plain), in_order)
    yield Claim(w1_scores(*teacher).mean(), score_distance(world, world.teacher))
    yield Claim(w1_joint(world).mean(), assignment(joint_costs(world)))
    both = costs(world, world.student) + costs(world, world.teacher)
    yield Claim(w1_two_scores(*student, *teacher).mean(), assignment(both))
    both_twelve = plain[:, :, :4].repeat(2, axis=1).repeat(3, axis=2)
    yield Claim(w1_embeddings(vectors[0], vectors[1][:, :4], unit=False).mean(), assignment(both_twelve))
    nu, mu = laws(world)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(mu > 0, mu / nu, 0).max(1)
        turned = np.where(nu > 0, nu / mu, 0).max(1)
    finite = np.isfinite(ratios) & np.isfinite(turned)
    yield Claim(*(np.where(finite, x, 1) for x in (kappa(nu, mu), ratios, turned)))
    yield Claim(np.isinf(kappa(nu, mu)), np.isinf(ratios))
    yield Claim(total_variation(nu, mu), np.maximum(nu - mu, 0).sum(1))


@inequality(
    "4.1",
    "Lipschitz f: |K_mu - K_nu| <= ((B+B_g)/2tau) E W1_c",
    broken="halved",
    uses=("shift.w1_cost",),
    sharp=(one_step_apart,),
)
def lipschitz_shift(world: World) -> Iterator[Claim]:
    student, teacher, _ = largest_margins(world)
    bound = (student + teacher) / (2 * world.temperature) * w1_joint(world).mean()
    for scores in (world.linear, world.lipschitz):
        yield Claim(moved(world, scores) * 1e4, bound * 1e4, bound / 2 * 1e4)


@inequality(
    "4.1",
    "the same as a bound with margins over all documents of either law",
    broken="halved",
    uses=("bounds.four_terms.wasserstein_shift", "shift.w1_cost"),
    sharp=(one_step_apart,),
)
def shift_bound(world: World) -> Claim:
    tau, together = world.temperature, np.concatenate([world.drawn, world.target], 1)
    pairs = enumerate_groups(together, 2)
    across = float(np.linalg.norm(pairs.margins(world.vectors), axis=-1).max())
    teacher = float(np.abs(pairs.margins(world.teacher)).max())
    bound = wasserstein_shift(
        w1_joint(world),
        student_margin=world.radius * across / tau,
        teacher_margin=teacher / tau,
        temperature=tau,
        entropy=0.0,
    ).value
    return Claim(moved(world, world.linear) * 1e4, bound * 1e4, bound / 2 * 1e4)


@inequality(
    "4.1",
    "Lipschitz teacher: ((L+L_g)^2 D_max/2tau^2) E W1_d",
    broken="halved",
    uses=("shift.w1_embeddings",),
    sharp=(one_step_apart,),
)
def lipschitz_teacher_shift(world: World) -> Claim | None:
    if not np.isfinite(world.steepness):
        return None
    slopes = (world.radius + world.steepness) ** 2 / (2 * world.temperature**2)
    distance = w1_embeddings(*lists(world, world.vectors), unit=world.unit).mean()
    bound = slopes * largest_margins(world)[2] * distance
    return Claim(moved(world, world.linear) * 1e4, bound * 1e4, bound / 2 * 1e4)


@inequality("4.1", "any pair laws: ((B+B_g)/4tau) W1 of pairs", broken="halved", sharp=(one_step_apart,))
def pair_shift(world: World) -> Claim:
    rng = world.rng("pair laws")
    rows = rng.integers(len(world.drawn_pairs), size=(2, 12))
    if len(world.drawn) == 1:
        rows = np.array([[5] * 12, [5] * 12])  # the pair of the first and the last document
    student, teacher, _ = largest_margins(world)
    first, second = world.drawn_pairs[rows[0]], world.target_pairs[rows[1]]
    cost = np.zeros((12, 12))
    for values, weight in ((world.vectors, world.radius), (world.teacher[..., None], 1.0)):
        gap = first.of(values)[:, None] - second.of(values)[None]
        cost += weight * np.linalg.norm(gap, axis=-1).sum(-1)
    apart = first.queries[:, None] != second.queries[None]
    # Pairs of two queries are any distance apart that their margins say, and more.
    bound = (student + teacher) / (4 * world.temperature) * assignment(np.where(apart, 1e6, cost)[None])
    left = abs(excess(world, world.linear, first) - excess(world, world.linear, second))
    return Claim(left * 1e4, bound * 1e4, bound / 2 * 1e4)


@inequality(
    "4.1",
    "a shared positive: (k-1)/k of the shift",
    broken="halved",
    uses=("bounds.four_terms.wasserstein_shift",),
    sharp=(all_move,),
)
def positive_shift(world: World) -> Claim:
    world = replace(world, target=np.concatenate([world.drawn[:, :1], world.target[:, 1:]], 1))
    first, second = (
        enumerate_groups(list_, world.size, "positive_and_others") for list_ in (world.drawn, world.target)
    )
    others = replace(world, drawn=world.drawn[:, 1:], target=world.target[:, 1:])
    student, teacher, _ = largest_margins(world)
    together = np.concatenate([world.drawn, world.target], 1)
    union = largest_margins(replace(world, drawn=together, target=together))
    bound = wasserstein_shift(
        w1_joint(others),
        student_margin=union[0],
        teacher_margin=union[1],
        temperature=world.temperature,
        entropy=0.0,
        shared_positive=world.size,
    ).value
    left = abs(excess(world, world.linear, first) - excess(world, world.linear, second))
    tight = bound * (student + teacher) / (union[0] + union[1])
    return Claim(left * 1e4, tight * 1e4, tight / 2 * 1e4)
