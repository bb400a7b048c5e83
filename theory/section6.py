"""Section 6: estimators."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from rankstill.measures.entropy import entropy
from rankstill.measures.locality import robust_diameter, squared_diameters
from rankstill.measures.shift import w1_embeddings
from theory.statement import Claim, Frequency, identity, inequality, probability
from theory.transport import assignment, costs, lists, rms_diameter
from theory.worlds import Groups, World, enumerate_groups, line


def rows_of(world: World, groups: Groups) -> tuple[np.ndarray, np.ndarray]:
    """The world as one collection: embeddings (N, dim) and rows (G, k)."""
    queries, documents, dim = world.vectors.shape
    return world.vectors.reshape(queries * documents, dim), groups.queries[:, None] * documents + groups.docs


@identity(
    "6.1",
    "mean squared distance by the centroid; unbiased for every k",
    broken="2/k for 2/(k-1)",
    uses=("locality.squared_diameters",),
)
def centroid(world: World) -> Iterator[Claim]:
    if not world.unit:
        return
    size = world.size
    found = squared_diameters(*rows_of(world, world.groups))
    brute = (world.groups.margins(world.vectors) ** 2).sum(-1).mean(1)
    yield Claim(found, brute, brute * (size - 1) / size)
    middle = world.groups.of(world.vectors).mean(1)
    yield Claim(found, 2 * size / (size - 1) * (1 - (middle**2).sum(-1)))
    expected = [squared_diameters(*rows_of(world, enumerate_groups(world.drawn, k))).mean() for k in (2, 3, 4)]
    yield Claim(expected, expected[0])


def two_places() -> World:
    """One pair in thirty is far apart, the others are in one place."""
    return line([0, 1], [[0] * 59 + [1]], size=2)


@inequality("6.2", "D_rms^2 <= (1-eps) Q_eps^2 + eps D_max^2", broken="without eps D_max^2", sharp=(two_places,))
def quantile_route(world: World) -> Iterator[Claim]:
    d = np.sort(np.linalg.norm(world.groups.margins(world.vectors), axis=-1).ravel())
    for eps in (0.2, 0.05):
        q = d[math.ceil((1 - eps) * len(d) - 1e-9) - 1]
        yield Claim((d**2).mean(), (1 - eps) * q**2 + eps * d[-1] ** 2, (1 - eps) * q**2)


@probability(
    "6.2",
    "measured Q_eps gives the same upper bound",
    broken="without eps D_max^2",
    uses=("locality.robust_diameter", "locality.squared_diameters"),
    every=20,
)
def measured_route(rng: np.random.Generator, trials: int) -> Frequency:
    failures = broken = 0
    for _ in range(trials):
        vectors = rng.normal([3, 0, 0], 1, (12, 3))
        vectors[0] *= [-1, 1, 1]
        docs = rng.integers(12, size=(30, 3))
        found = robust_diameter(vectors, docs, share=0.2)
        part, rms = 0.8 * found.value**2, squared_diameters(vectors, docs).mean()
        failures += rms > part + 0.2 * found.maximum**2 + 1e-12
        broken += rms > part
    return Frequency(failures, trials, broken, 1e-3)


@probability("6.3", "a new document extends the largest of k: <= 2/(k+1), a new pair: <= 2/(k+2)", broken="halved")
def small_groups(rng: np.random.Generator, trials: int) -> Iterator[Frequency]:
    trials *= 20
    for k in (3, 8, 16):
        # Tails so heavy that the largest distance is all but the largest document: the bounds are equalities.
        x = rng.standard_cauchy((trials, k + 2)) ** 9
        largest = np.ptp(x[:, :k], axis=1)
        extended = (np.ptp(x[:, : k + 1], axis=1) > largest).sum()
        farther = (np.abs(x[:, k] - x[:, k + 1]) > largest).sum()
        yield Frequency(int(extended), trials, 2 * int(extended), 2 / (k + 1))
        yield Frequency(int(farther), trials, 2 * int(farther), 2 / (k + 2))


@probability(
    "6.3",
    "upper confidence bound of the pooled quantile",
    broken="the sample quantile itself",
    uses=("locality.robust_diameter",),
    every=4,
)
def quantile_bound(rng: np.random.Generator, trials: int) -> Frequency:
    queries, documents, size = 20, 20, 4
    vectors = rng.standard_normal((queries, documents, 3)) + 2 * rng.standard_normal((queries, 1, 3))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    pairs = np.linalg.norm(vectors[:, :, None] - vectors[:, None], axis=-1).ravel()
    truth = float(np.sort(pairs)[math.ceil(0.8 * len(pairs)) - 1])
    failures = broken = 0
    for _ in range(trials):
        query = rng.integers(queries, size=(100, 1))
        docs = query * documents + rng.integers(documents, size=(100, size))
        found = robust_diameter(vectors.reshape(-1, 3), docs, share=0.2, level=0.9)
        failures += found.upper < truth - 1e-9
        broken += found.value < truth - 1e-9
    return Frequency(failures, trials, broken, 0.1)


@probability(
    "6",
    "the entropy's interval covers it",
    broken="pairs of a group counted as independent",
    uses=("entropy.entropy",),
    every=4,
)
def entropy_interval(rng: np.random.Generator, trials: int) -> Frequency:
    failures = broken = 0
    size, groups, truth = 8, 50, math.log(2) / 2
    for _ in range(trials):
        # A query either has eight documents alike, or pairs that are all decided... up to ties within two clusters.
        scores = 1e4 * rng.integers(2, size=(groups, 1)) * np.arange(size)
        found = entropy(scores, 1.0).pairwise
        assert found.low is not None
        assert found.high is not None
        half = math.log(2) * math.sqrt(math.log(40) / (2 * groups * size * (size - 1) / 2))
        failures += not found.low <= truth <= found.high
        broken += abs(found.mean - truth) > half
    return Frequency(failures, trials, broken, 0.05)


@inequality(
    "6.4",
    "W1 of samples is biased up: W1(nu, mu) <= E W1(nuhat, muhat), all samples of two",
    broken="the other way round",
    uses=("shift.w1_embeddings",),
    every=10,
)
def plug_in(world: World) -> Claim:
    drawn, target = lists(world, world.vectors)
    rows = enumerate_groups(np.arange(drawn.shape[1])[None], 2).docs
    first = np.repeat(drawn[:, rows], len(rows), axis=1).reshape(-1, 2, drawn.shape[-1])
    second = np.tile(target[:, rows], (1, len(rows), 1, 1)).reshape(-1, 2, drawn.shape[-1])
    exact = w1_embeddings(drawn, target, unit=False).mean()
    sampled = w1_embeddings(first, second, unit=False).mean()
    return Claim(exact, sampled, broken_left=sampled, broken=exact)


@inequality("6.4", "W1 of a projection is at most W1", broken="at least", uses=("shift.w1_embeddings",))
def projected(world: World) -> Claim:
    drawn, target = lists(world, world.vectors)
    whole = w1_embeddings(drawn, target, unit=False).mean()
    part = assignment(costs(world, world.vectors[..., 0]))
    return Claim(part, whole, broken_left=whole, broken=part)


@inequality("6", "the rms diameter is at most the largest distance", broken="mean distance for its square's root")
def diameters(world: World) -> Claim:
    d = np.linalg.norm(world.groups.margins(world.vectors), axis=-1)
    rms = rms_diameter(world, world.groups)
    return Claim(rms, d.max(), d.mean())
