"""Section 8: prescriptions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rankstill.measures.group_entropy import pairwise_entropy
from rankstill.measures.prescriptions.choice import RootLaw, Strategy, crossover, strategy_scores
from rankstill.measures.prescriptions.mixing import Spread, best_mixture
from rankstill.measures.prescriptions.sample_size import groups_needed, informative_distance
from rankstill.measures.temperature import calibrated_temperature, temperature_for
from theory.formulas import LOG2, Floats, doubt, pair_loss, sigmoid, slope
from theory.section1 import labels, margins
from theory.statement import Claim, identity, inequality
from theory.transport import costs, lists
from theory.worlds import World


@identity(
    "8.2",
    "crossover of two strategies with loc = c/sqrt(n)",
    broken="without the square",
    uses=("prescriptions.choice.crossover", "prescriptions.choice.strategy_scores"),
)
def where_they_cross(world: World) -> Iterator[Claim]:
    rng = world.rng("crossover")
    near, far = np.sort(rng.uniform(0.1, 9, 2))
    less, more = np.sort(rng.uniform(0, 0.6, 2))
    wide = Strategy("wide", 1.0, 0.0, float(less), RootLaw(float(far)))
    local = Strategy("local", 1.0, 0.0, float(more), RootLaw(float(near)))
    found = crossover(wide, local)
    share = (far - near) / (more - less)
    yield Claim(found.budgets, share**2, share)
    for budget, winner in ((0.9 * share**2, "local"), (1.1 * share**2 + 1, "wide")):
        if budget > 20:
            best = strategy_scores([wide, local], float(np.floor(budget)))[0].name
            yield Claim(best == winner == found.best(budget), True)


def _spread(world: World) -> tuple[Spread, Floats, Floats]:
    drawn, target = lists(world, world.vectors)
    square = [((a[:, :, None] - b[:, None]) ** 2).sum(-1).mean((1, 2)) for a, b in
              ((drawn, drawn), (drawn, target), (target, target))]  # fmt: skip
    return Spread(*(float(s.mean()) for s in square)), drawn, target


@identity(
    "8.3",
    "D_rms^2 of a mixture, inside groups and pure",
    broken="without D_12",
    uses=("prescriptions.mixing.Spread",),
)
def mixture(world: World) -> Iterator[Claim]:
    spread, drawn, target = _spread(world)
    mixed = np.concatenate([drawn, target, target], 1)
    alpha = np.array(2 / 3)
    found = ((mixed[:, :, None] - mixed[:, None]) ** 2).sum(-1).mean()
    inside, pure = (float(spread.squared_diameter(alpha, form)) for form in ("inside", "pure"))
    yield Claim(found, inside, inside - 4 / 9 * spread.between)
    centroids = ((drawn.mean(1) - target.mean(1)) ** 2).sum(-1).mean()
    yield Claim(pure - inside, -2 * alpha * (1 - alpha) * centroids)
    yield Claim(spread.centroids, centroids)


@inequality(
    "8.3",
    "with the straight line for the shift, no mixture beats the better end",
    broken="no mixture is worse than the better end",
    uses=("prescriptions.mixing.best_mixture",),
)
def ends_win(world: World) -> Claim:
    rng = world.rng("mixture")
    found = best_mixture(_spread(world)[0], tuple(rng.uniform(0, 1, 2)), float(rng.uniform(0, 5)), 9.0).total
    best = min(found[0], found[-1])
    return Claim(best, found, broken_left=found, broken=best)


@identity("8.4", "entropy's slope in tau; CE - H = E(p_g - y)v", broken="tau^2 for tau^3; E(y - p_g)v")
def temperature(world: World) -> Iterator[Claim]:
    gaps, tau = world.groups.margins(world.teacher), world.temperature
    v = gaps / tau
    odds = np.exp(-np.abs(gaps) / (tau + 1e-30j))  # complex step
    turned = np.log1p(odds) + np.abs(gaps) / (tau + 1e-30j) * odds / (1 + odds)
    yield Claim(turned.imag / 1e-30, gaps**2 * slope(v) / tau**3, gaps**2 * slope(v) / tau**2)
    y, p = labels(world), sigmoid(v)
    right = ((p - y) * v).mean()
    yield Claim((pair_loss(y, v) - doubt(v)).mean(), right, -right)


@identity(
    "8.4",
    "tau for a wanted entropy; at the calibrated tau, CE = H",
    broken="tau doubled",
    uses=("temperature.temperature_for", "temperature.calibrated_temperature"),
    every=10,
)
def wanted(world: World) -> Iterator[Claim]:
    scores = world.groups.of(world.teacher)
    tied = float((world.groups.margins(world.teacher) == 0).mean())
    aim = tied + (1 - tied) * 0.4
    if tied < 0.99:
        tau = temperature_for(scores, aim)
        found, broken = (pairwise_entropy(scores, t, normalised=True).mean() for t in (tau, 2 * tau))
        yield Claim(found, aim, broken_left=found, broken=broken)
    # People's order, with noise, so that no temperature fits perfectly.
    human = np.round(world.groups.of(world.truth) + world.rng("people").normal(size=scores.shape), 1)
    if np.ptp(human, axis=1).max() > 0 and tied < 0.99:
        fitted = calibrated_temperature(scores, human)
        if fitted.edge is None:
            yield Claim(fitted.cross_entropy, fitted.entropy)


@inequality(
    "8.8",
    "from n groups on the bound says something; W1 from which on the shift alone says nothing",
    broken="half the groups; half the distance",
    uses=("prescriptions.sample_size.groups_needed", "prescriptions.sample_size.informative_distance"),
)
def room(world: World) -> Iterator[Claim]:
    v, _ = margins(world)
    entropy = float(doubt(v).mean())
    if LOG2 - entropy < 1e-3:
        return
    law = RootLaw(float(np.sqrt(costs(world, world.vectors).mean())) + 1)
    n = groups_needed(law, target_entropy=entropy)
    assert n is not None
    yield Claim(law(n), LOG2 - entropy, broken_left=law(max(n // 2, 1)), broken=LOG2 - entropy)
    if n > 1:
        yield Claim(LOG2 - entropy, law(n - 1))
    reach, own, tau = 2.0, float(np.abs(v).max()), world.temperature
    distance = informative_distance(target_entropy=entropy, temperature=tau, reach=reach, teacher_reach=own)
    yield Claim((reach + own) / (2 * tau) * distance, LOG2 - entropy)
