"""The four-term theorem [4.6]: fit + locality + shift + entropy floor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from rankstill.measures.bounds.bound import Bound
from rankstill.measures.bounds.four_terms import four_term_bound, wasserstein_shift
from rankstill.measures.bounds.group_terms import Head
from rankstill.measures.bounds.theorem3 import uniform_bound
from rankstill.measures.bounds.theorem4 import sgd_bound
from rankstill.measures.shift import kappa
from theory.formulas import Floats, doubt, label_kl
from theory.section3 import largest_distance, moments
from theory.section4 import largest_margins, laws, w1_joint
from theory.section34 import gradient_noise, soft_lessons
from theory.sgd import iterates, sequence_probability, sequences
from theory.statement import Claim, Frequency, inequality, probability
from theory.suprema import Heads
from theory.worlds import World, line, random_world

_DELTA = 0.05


def mined_too_close() -> World:
    """Mining draws two documents in almost one place; the target holds a third, where the head is wrong."""
    teacher = np.array([[0, 1e-4, -3.0]])
    return line([0, 1e-4, 1], [[0, 1] * 3], [[0, 2] * 3], teacher=teacher, weights=np.ones(1), groups_drawn=2)


def saturated() -> World:
    """[4.3]'s worst case for a linear head: two documents it can turn round, one that is far on top."""
    vectors = np.array([[[0.0, 0], [0, 1], [10, 0]]])
    teacher = vectors @ np.array([4.0, 4.0])
    lists = {"drawn": np.array([[0, 1, 2, 2, 2, 2]]), "target": np.array([[0, 1, 0, 1, 0, 1]])}
    zeros = np.zeros((1, 3))
    return World(vectors, **lists, teacher=teacher, student=zeros, truth=zeros, weights=np.zeros(2), radius=6.0)


def pairs_world(world: World) -> World:
    """The same with groups that are pairs of independent documents, all of them, soft labels."""
    paired = replace(world, size=2, law="independent", hard=False)
    return replace(paired, few_rows=tuple(range(len(paired.groups))))


def floor_of(world: World) -> float:
    """H_mu."""
    return float(doubt(world.target_pairs.margins(world.teacher) / world.temperature).mean())


def shift_of(world: World) -> Bound:
    """The W1 form, with margins over all documents of either law."""
    together = np.concatenate([world.drawn, world.target], 1)
    student, teacher, _ = largest_margins(replace(world, drawn=together, target=together))
    return wasserstein_shift(
        w1_joint(world),
        student_margin=student,
        teacher_margin=teacher,
        temperature=world.temperature,
        entropy=floor_of(world),
    )


def target_risks(world: World) -> Floats:
    """R_mu of every head of the ball's grid, (W,)."""
    target = replace(world, drawn=world.target)
    return Heads(replace(target, few_rows=tuple(range(len(target.groups))))).risk.mean(0)


def _locality(world: World, groups: int) -> Bound:
    found, head = moments(world)
    head = Head(head.radius, head.temperature, max(largest_distance(world), 1e-9))
    return uniform_bound(found, head, groups=groups, delta=_DELTA)


def _fails(world: World, rng: np.random.Generator, groups: int, *, form: str) -> tuple[bool, bool]:
    """Whether some head's target risk is above the bound, and above the broken one, for one sample."""
    heads = Heads(world)
    counts = rng.multinomial(groups, np.full(len(world.few), 1 / len(world.few)))
    fits = (counts @ heads.excess / groups).clip(0)
    local, floor, risks = _locality(world, groups), floor_of(world), target_risks(world)
    shift, ratio = shift_of(world), float(kappa(*laws(world)).max())
    given: dict[str, Any] = {"shift": None, "kappa": ratio} if form == "kappa" else {"shift": shift}
    # The bound is a straight line in the fit, which differs from head to head.
    least, more = (four_term_bound(fit, local, floor=floor, **given).value for fit in (0.0, 1.0))
    right = least + (more - least) * fits
    broken = ratio * (fits + local.value) + floor if form == "kappa" else right - shift.value
    return bool((risks > right).any()), bool((risks > broken).any())


def _simulate(rng: np.random.Generator, trials: int, form: str, sharp: World, groups: int) -> Iterator[Frequency]:
    failures = broken = checked = 0
    for i in range(trials):
        world = pairs_world(random_world(int(rng.integers(1 << 40)), i))
        if form == "kappa" and np.isinf(kappa(*laws(world))).any():
            continue
        failed, failed_broken = _fails(world, rng, int(10 ** rng.uniform(1, 6)), form=form)
        failures, broken, checked = failures + failed, broken + failed_broken, checked + 1
    yield Frequency(failures, checked, broken, _DELTA)
    found = [_fails(pairs_world(sharp), rng, groups, form=form) for _ in range(10)]
    yield Frequency(sum(f for f, _ in found), 10, sum(b for _, b in found), _DELTA)


@probability(
    "4.6 A",
    "R_mu <= Khat + loc + shift + H_mu for all heads, fails with probability <= delta",
    broken="without the shift",
    uses=("bounds.four_terms.four_term_bound", "bounds.four_terms.wasserstein_shift", "bounds.theorem3.uniform_bound"),
    every=10,
)
def four_terms(rng: np.random.Generator, trials: int) -> Iterator[Frequency]:
    yield from _simulate(rng, trials, "shift", mined_too_close(), 1000)


@probability(
    "4.6 A",
    "R_mu <= kappa^2 (Khat + loc) + H_mu for all heads, fails with probability <= delta",
    broken="kappa",
    uses=("bounds.four_terms.four_term_bound", "shift.kappa"),
    every=10,
)
def four_terms_kappa(rng: np.random.Generator, trials: int) -> Iterator[Frequency]:
    yield from _simulate(rng, trials, "kappa", saturated(), 10_000_000)


@inequality(
    "4.6 B",
    "one-pass SGD: E R_mu(wbar) <= K_nu(w*) + rate + shift + H_mu, all sequences",
    broken="without the shift",
    uses=("bounds.four_terms.four_term_bound", "bounds.theorem4.sgd_bound", "shift.w1_cost", "shift.kappa"),
    sharp=(mined_too_close,),
    every=2,
)
def four_terms_sgd(world: World) -> Iterator[Claim]:
    world = pairs_world(replace(world, drawn=world.drawn[:, :2]))
    lessons, n = soft_lessons(world), min(world.groups_drawn, 2)
    if not lessons.smoothness:
        return
    norm, tau = float(np.linalg.norm(world.weights)), world.temperature
    fit = float(label_kl(lessons.labels, lessons.margins(world.weights)).mean().clip(0))
    entropy = float(doubt(world.groups.margins(world.teacher) / tau).mean())
    rate = sgd_bound(n, norm, 2 * tau * math.sqrt(lessons.smoothness), tau, entropy=entropy, comparator_excess=fit)
    noise = gradient_noise(lessons, world.weights)
    step = 1 / (lessons.smoothness + noise * math.sqrt(n) / norm)
    order = sequences(len(lessons.pairs), n)
    mean = iterates(lessons, order, step, world.radius).mean(1)
    left = float((_risks_of(world, mean) * sequence_probability(lessons, order)).sum())
    shift, floor = shift_of(world), floor_of(world)
    bound = four_term_bound(fit, rate, shift, floor).value
    yield Claim(left, bound, bound - shift.value)
    ratio = float(kappa(*laws(world)).max())
    if np.isfinite(ratio):
        yield Claim(left, four_term_bound(fit, rate, None, floor, kappa=ratio).value)


def _risks_of(world: World, heads: Floats) -> Floats:
    """R_mu of heads (S, dim)."""
    target = world.target_pairs
    tau = world.temperature
    u = target.margins(world.vectors)[:, 0] @ heads.T / tau
    v = target.margins(world.teacher) / tau
    return np.asarray((label_kl(1 / (1 + np.exp(-v)), u) + doubt(v)).mean(0))
