"""Section 7 and [3.2e]: bounds from samples, for any network; their failure probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy.stats import binom

from rankstill.measures.bounds.group_statistics import GroupStatistics
from rankstill.measures.bounds.held_out import betting, deviation_upper, empirical_bernstein
from rankstill.measures.bounds.prequential import prequential_bound
from rankstill.measures.bounds.theorem3 import empirical_bound
from theory.section3 import cold, largest_distance
from theory.statement import Frequency, probability
from theory.suprema import Heads, pair_labels
from theory.worlds import World, random_world

_DELTA = 0.05


@probability(
    "7.1",
    "empirical Bernstein fails with probability <= delta, exact for Bernoulli losses",
    broken="without the range",
    uses=("bounds.held_out.empirical_bernstein",),
)
def bernstein(rng: np.random.Generator, trials: int) -> Iterator[Frequency]:
    del rng, trials
    for n in (10, 40, 300):
        counts = np.arange(n + 1)
        bounds = [empirical_bernstein(np.repeat([0.0, 1.0], [n - k, k]), highest=1.0, delta=_DELTA) for k in counts]
        whole = np.array([b.value for b in bounds])
        broken = whole - np.array([b.terms["range"] for b in bounds])
        for p in (0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.99):
            likely = binom.pmf(counts, n, p)
            yield Frequency(likely[whole < p].sum(), 1, likely[broken < p].sum(), _DELTA, exact=True)


@probability(
    "7.1",
    "upper bound of a standard deviation, exact for Bernoulli values",
    broken="the sample's own",
    uses=("bounds.held_out.deviation_upper",),
)
def deviation(rng: np.random.Generator, trials: int) -> Iterator[Frequency]:
    del rng, trials
    for n in (10, 40, 300):
        counts = np.arange(n + 1)
        variances = counts * (n - counts) / (n * (n - 1))
        whole = np.array([deviation_upper(float(v), n, 1.0, _DELTA) for v in variances])
        for p in (0.001, 0.01, 0.1, 0.3, 0.5):
            likely, sd = binom.pmf(counts, n, p), np.sqrt(p * (1 - p)) - 1e-12
            yield Frequency(likely[whole < sd].sum(), 1, likely[np.sqrt(variances) < sd].sum(), _DELTA, exact=True)


@probability(
    "7.2",
    "betting fails with probability <= delta, exact over all sequences",
    broken="refuted at a stake of 2 instead of 1/delta",
    uses=("bounds.held_out.betting",),
)
def bets(rng: np.random.Generator, trials: int) -> Iterator[Frequency]:
    del rng
    losses = np.array(list(product((0.0, 1.0), repeat=10 if trials >= 1000 else 7)))
    ones = losses.sum(1)
    found = np.array([betting(x, highest=1.0, delta=_DELTA).value for x in losses])
    broken = np.array([betting(x, highest=1.0, delta=0.5).value for x in losses])
    for p in (0.05, 0.2, 0.35, 0.5, 0.7, 0.9, 0.97):
        likely = p**ones * (1 - p) ** (losses.shape[1] - ones)
        yield Frequency(likely[found < p].sum(), 1, likely[broken < p].sum(), _DELTA, exact=True)


@probability(
    "7.3",
    "prequential: fails with probability <= delta, exact, risks that follow the past",
    broken="without M log(1/delta)/n",
    uses=("bounds.prequential.prequential_bound",),
)
def prequential(rng: np.random.Generator, trials: int) -> Iterator[Frequency]:
    del rng, trials
    losses = np.array(list(product((0.0, 1.0), repeat=11)))
    past = np.concatenate([np.zeros((len(losses), 1)), losses[:, :-1]], 1)
    ages = np.cumsum(past, 1)
    adversaries = [
        np.full_like(past, 0.2),
        np.where(past > 0, 0.05, 0.6),  # after a mistake the student learns; then it forgets
        np.where(ages > 1, 0.0, 0.5),  # stops erring as soon as it was seen to err twice
        np.clip(0.9 - 0.2 * ages, 0.02, 1),
    ]
    for grid in ((1.0,), (0.25, 1.0, 4.0)):
        bounds = [prequential_bound(x, highest=1.0, delta=_DELTA, grid=grid) for x in losses]
        whole = np.array([b.value for b in bounds])
        broken = np.array([b.terms["loss in training"] for b in bounds])
        for risks in adversaries:
            likely = np.where(losses > 0, risks, 1 - risks).prod(1)
            mean = risks.mean(1)
            yield Frequency(likely[whole < mean].sum(), 1, likely[broken < mean].sum(), _DELTA, exact=True)


def _fails(world: World, rng: np.random.Generator, groups: int) -> tuple[bool, bool]:
    """Whether [3.2e] from one sample fails for some head; with 1/tau, and without."""
    few = world.few
    rows = rng.integers(len(few), size=groups)
    heads = Heads(world)
    losses = heads.risk if world.hard else heads.excess
    gap = float((losses.mean(0) - losses[rows].mean(0)).max())
    found = []
    for tau in (world.temperature, 1.0):
        statistics = GroupStatistics(
            world.radius,
            tau,
            labels="hard" if world.hard else "soft",
            unit=False,
            largest_distance=max(largest_distance(world), 1e-9),
        )
        labels = pair_labels(world, few)[rows]
        statistics.add(few.of(world.vectors)[rows], pair_labels=labels)
        found.append(gap > empirical_bound(statistics, delta=_DELTA).value)
    return found[0], found[1]


@probability(
    "3.2e",
    "fully empirical bound fails with probability <= delta, random worlds and a cold one",
    broken="1/tau dropped",
    uses=("bounds.theorem3.empirical_bound", "bounds.group_statistics.GroupStatistics"),
    every=5,
)
def fully_empirical(rng: np.random.Generator, trials: int) -> Iterator[Frequency]:
    found = [_fails(random_world(int(rng.integers(1 << 40)), i), rng, int(rng.integers(2, 200))) for i in range(trials)]
    yield Frequency(sum(f for f, _ in found), trials, sum(b for _, b in found), _DELTA)
    found = [_fails(cold(), rng, 200) for _ in range(50)]
    yield Frequency(sum(f for f, _ in found), 50, sum(b for _, b in found), _DELTA)
