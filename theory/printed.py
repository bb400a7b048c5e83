"""That the bounds of rankstill are the formulas that docs/theory.md prints, term by term."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from rankstill.measures.bounds.four_terms import four_term_bound, wasserstein_shift
from rankstill.measures.bounds.group_statistics import GroupStatistics
from rankstill.measures.bounds.group_terms import Head
from rankstill.measures.bounds.held_out import empirical_bernstein
from rankstill.measures.bounds.prequential import prequential_bound
from rankstill.measures.bounds.theorem3 import Moments, empirical_bound, mean_bound, uniform_bound
from rankstill.measures.bounds.theorem4 import sgd_bound
from theory.formulas import LOG2, Floats, doubt, log_cosh, softplus
from theory.section3 import largest_distance
from theory.statement import Claim, identity
from theory.suprema import Heads
from theory.worlds import World


def locality(moments: Moments, head: Head, n: int, delta: float, form: str) -> tuple[float, float]:
    """([3.1], loc_n(delta)) from moments; b_R = B, b_K = min{log(1+e^B), B + log 2}."""
    rate, b = head.radius / head.temperature, head.radius / head.temperature * head.largest_distance
    even = min(rate * math.sqrt(moments.saturating), rate**2 / 4 * math.sqrt(moments.fourth))
    mean = (rate * math.sqrt(moments.signed) + even) / math.sqrt(n)
    size, range_ = math.sqrt(moments.swing), b
    if form == "excess":
        size = min(math.sqrt(moments.excess), size + moments.entropy_spread)
        range_ = min(float(softplus(np.array(b))), b + LOG2)
    log = math.log(1 / delta)
    return mean, mean + size * math.sqrt(2 * log / n) + range_ * log / (3 * n)


@identity(
    "3.2",
    "the bounds from moments are their formulas: [3.1], [3.2], [3.2k]",
    broken="E2 / 8; M_R for M_K; b without the log",
    uses=("bounds.theorem3.mean_bound", "bounds.theorem3.uniform_bound"),
)
def from_moments(world: World) -> Iterator[Claim]:
    rng = world.rng("moments")
    moments = Moments(*(float(x) for x in np.exp(rng.normal(0, 2, 6))))
    head = Head(*(float(x) for x in np.exp(rng.normal(0, 1, 3))))
    n, delta = int(rng.integers(1, 1000)), float(rng.uniform(0.001, 0.5))
    bound = mean_bound(moments, head, n)
    broken = bound.value - 7 / 8 * bound.terms["even part"]
    yield Claim(bound.value, locality(moments, head, n, delta, "risk")[0], broken_left=broken, broken=bound.value)
    values = {form: locality(moments, head, n, delta, form)[1] for form in ("risk", "excess")}
    risk = uniform_bound(moments, head, groups=n, delta=delta, form="risk")
    excess = uniform_bound(moments, head, groups=n, delta=delta, form="excess")
    yield Claim(risk.value, values["risk"], risk.value - risk.terms["range"] * (1 + 1 / math.log(delta)))
    yield Claim(excess.value, values["excess"], values["risk"])


def bernstein(values: Floats, range_: float, delta: float) -> float:
    """[7.1], cut at the range."""
    n, log = len(values), math.log(2 / delta)
    bound = values.mean() + math.sqrt(2 * values.var(ddof=1) * log / n) + 7 * range_ * log / (3 * (n - 1))
    return min(float(bound), range_)


@identity(
    "3.2e",
    "the fully empirical bound is its formula",
    broken="delta not divided by 7; 1/tau dropped",
    uses=("bounds.theorem3.empirical_bound", "bounds.group_statistics.GroupStatistics"),
    every=2,
)
def from_the_sample(world: World) -> Iterator[Claim]:
    few, n = world.few, 400
    rows = world.rng("sample").integers(len(few), size=n)
    across = max(largest_distance(world), 1e-9)
    given = {"labels": "hard" if world.hard else "soft", "unit": False, "largest_distance": across}
    found = GroupStatistics(world.radius, world.temperature, **given)  # type: ignore[arg-type]
    labels = Heads(world).labels
    found.add(few.of(world.vectors)[rows], pair_labels=labels[rows])
    form = "risk" if world.hard else "excess"
    whole, split = (_empirical(world, labels, rows, across, delta, form) for delta in (world.delta, world.delta / 7))
    yield Claim(empirical_bound(found, delta=world.delta).value, split, whole)


def _empirical(world: World, labels: Floats, rows: Floats, across: float, delta: float, form: str) -> float:
    z, rate = world.few.margins(world.vectors), world.radius / world.temperature
    d, b = np.linalg.norm(z, axis=-1), world.radius / world.temperature * across
    signed = np.linalg.norm(((labels - 0.5)[..., None] * z).mean(1), axis=-1)
    swing = rate * signed + log_cosh(rate * d).mean(1)
    h = doubt(np.log(np.maximum(labels, 1e-300)) - np.log(np.maximum(1 - labels, 1e-300)))
    most = (softplus(-rate * d) + np.maximum(labels, 1 - labels) * rate * d - h).mean(1)
    top_b, top_d = float(softplus(np.array(b))), b / 2 + float(log_cosh(np.array(b)))
    moments = Moments(
        bernstein(signed[rows] ** 2, across**2 / 4, delta),
        bernstein((np.tanh(rate * d / 2) ** 2 * d**2).mean(1)[rows], across**2 * math.tanh(b / 2) ** 2, delta),
        bernstein((d**4).mean(1)[rows], across**4, delta),
        bernstein(most[rows] ** 2, top_b**2, delta),
        bernstein(swing[rows] ** 2, top_d**2, delta),
        min(h.mean(1)[rows].std(ddof=1) + LOG2 * math.sqrt(2 * math.log(1 / delta) / (len(rows) - 1)), LOG2 / 2),
    )
    return locality(moments, Head(world.radius, world.temperature, across), len(rows), delta, form)[1]


@identity(
    "3.4",
    "the SGD bound is its formula, soft and drawn labels",
    broken="without H; P for 1",
    uses=("bounds.theorem4.sgd_bound",),
)
def from_sgd(world: World) -> Iterator[Claim]:
    rng = world.rng("sgd")
    norm, across, tau, farthest = (float(x) for x in np.exp(rng.normal(0, 1, 4)))
    entropy, excess, n, pairs = float(rng.uniform(0.01, 0.69)), float(rng.uniform(0, 2)), 37, 3
    reach, b = norm * across / tau, norm * farthest / tau
    soft = excess + reach**2 / (8 * n) + reach * math.sqrt(excess / (2 * n))
    given = {"entropy": entropy, "comparator_excess": excess}
    yield Claim(sgd_bound(n, norm, across, tau, **given).value, soft, soft - reach**2 / (16 * n))  # type: ignore[arg-type]
    for labels in (1, pairs):
        noise = reach**2 * excess / 2 + b**2 * entropy / (4 * LOG2) / labels
        right = excess + reach**2 / (8 * n) + math.sqrt(noise / n)
        hard = {"labels": "hard", "largest_distance": farthest, "independent_labels": labels}
        yield Claim(sgd_bound(n, norm, across, tau, **given, **hard).value, right, soft)  # type: ignore[arg-type]


@identity(
    "4.6",
    "the four terms, both forms, are their formula",
    broken="kappa for its square; no floor",
    uses=("bounds.four_terms.four_term_bound", "bounds.four_terms.wasserstein_shift"),
)
def from_four_terms(world: World) -> Iterator[Claim]:
    rng = world.rng("four terms")
    fit, floor, kappa, cost, local = (float(x) for x in rng.uniform(0.05, 0.6, 5))
    moments, head = Moments(local, local, local, local, local, local), Head(1.0, 1.0, 2.0)
    term, kappa = uniform_bound(moments, head, groups=50), 1 + kappa
    shift = wasserstein_shift(
        np.array([cost]), student_margin=2.0, teacher_margin=3.0, temperature=0.7, entropy=floor, shared_positive=4
    )
    moved = (2 + 3) / (2 * 0.7) * 3 / 4 * cost
    yield Claim(
        four_term_bound(fit, term, shift, floor).value, fit + term.value + moved + floor, fit + term.value + moved
    )
    right = kappa**2 * (fit + term.value) + floor
    broken = kappa * (fit + term.value) + floor
    yield Claim(four_term_bound(fit, term, None, floor, kappa=kappa).value, right, broken)


@identity(
    "7",
    "held-out and prequential bounds are their formulas",
    broken="log(1/delta) for log(2/delta); J candidates, or J values of a, for free",
    uses=("bounds.held_out.empirical_bernstein", "bounds.prequential.prequential_bound"),
)
def from_losses(world: World) -> Iterator[Claim]:
    x, m, delta = world.rng("losses").beta(0.5, 2, 50) * 3, 3.0, 0.03
    for candidates in (1, 7):
        share, free = delta / candidates, delta if candidates > 1 else 2 * delta
        log = math.log(2 / share)
        right = x.mean() + math.sqrt(2 * x.var(ddof=1) * log / 50) + 7 * m * log / (3 * 49)
        log = math.log(2 / free)
        broken = x.mean() + math.sqrt(2 * x.var(ddof=1) * log / 50) + 7 * m * log / (3 * 49)
        found = empirical_bernstein(x, highest=m, delta=delta, candidates=candidates)
        yield Claim(found.value, right, broken)
    grid = np.array([0.5, 1.0, 2.0])
    right, broken = (((grid * x.mean() + m * math.log(j / delta) / 50) / (1 - np.exp(-grid))).min() for j in (3, 1))
    yield Claim(prequential_bound(x, highest=m, delta=delta, grid=tuple(grid)).value, right, broken)
