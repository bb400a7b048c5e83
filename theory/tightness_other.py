"""How far bounds are from what they bound: one-pass SGD, held-out bounds; and Theorem 3 at the size of embeddings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rankstill.measures.bounds.group_statistics import GroupStatistics
from rankstill.measures.bounds.held_out import betting, empirical_bernstein
from rankstill.measures.bounds.theorem3 import Moments, uniform_bound
from rankstill.measures.bounds.theorem4 import sgd_bound, sgd_step
from rankstill.randomness import rng_for
from theory.formulas import Floats, doubt, pair_kl, sigmoid
from theory.tightness import DELTA, SIZES, Row

_WORLDS, _PAIRS, _DIM, _RUNS = 16, 6, 3, 12


def sgd_rows(seed: int) -> list[Row]:
    """Theorem 4: worlds of a few pairs whose teacher a head meets; and its worst case."""
    rng = rng_for(seed, "sgd")
    pairs = rng.normal(size=(_WORLDS, _PAIRS, _DIM))
    pairs /= np.linalg.norm(pairs, axis=-1, keepdims=True)
    best = rng.normal(size=(_WORLDS, _DIM)) * 1.5
    soft = _soft_run(rng, pairs, best)
    return [
        Row("[3.4] one-pass SGD, soft labels: E K(wbar)", *soft),
        Row("[3.4] one-pass SGD, labels drawn from the teacher", *_hard_runs(rng, pairs, best)),
        _orthogonal(),
    ]


def _soft_run(rng: np.random.Generator, pairs: Floats, best: Floats) -> tuple[Floats, Floats]:
    """One run is enough: its step does not depend on n."""
    norms = np.linalg.norm(best, axis=1)
    step = np.array([sgd_step(1, norm, 1.0, 1.0) for norm in norms])
    means = _run(rng, pairs, best, np.tile(step[:, None], (1, _RUNS)), SIZES[-1], hard=False)
    bound = np.array([[sgd_bound(n, norm, 1.0, 1.0, entropy=0.1).value for n in SIZES] for norm in norms])
    return bound, np.stack([_excess(pairs, best, means[n]) for n in SIZES], 1)


def _hard_runs(rng: np.random.Generator, pairs: Floats, best: Floats) -> tuple[Floats, Floats]:
    norms, v = np.linalg.norm(best, axis=1), np.einsum("wpd,wd->wp", pairs, best)
    entropy = doubt(v).mean(1)
    noise = np.sqrt((sigmoid(v) * sigmoid(-v)).mean(1))
    bound, actual = [], []
    for n in SIZES:
        step = np.array([sgd_step(n, a, 1.0, 1.0, gradient_noise=g) for a, g in zip(norms, noise, strict=True)])
        means = _run(rng, pairs, best, np.tile(step[:, None], (1, _RUNS)), n, hard=True)
        actual.append(_excess(pairs, best, means[n]))
        given: dict[str, Any] = {"labels": "hard", "largest_distance": 1.0}
        values = [sgd_bound(n, a, 1.0, 1.0, entropy=h, **given).value
                  for a, h in zip(norms, entropy, strict=True)]  # fmt: skip
        bound.append(values)
    return np.array(bound).T, np.stack(actual, 1)


def _run(
    rng: np.random.Generator, pairs: Floats, best: Floats, step: Floats, length: int, *, hard: bool
) -> dict[int, Floats]:
    """SGD in all worlds at once, in a ball that never bites much: the mean of the first n iterates, (W, runs, dim)."""
    worlds = np.arange(_WORLDS)[:, None]
    head, total = np.zeros((_WORLDS, _RUNS, _DIM)), np.zeros((_WORLDS, _RUNS, _DIM))
    chances = sigmoid(np.einsum("wpd,wd->wp", pairs, best))
    limit = 2 * np.linalg.norm(best, axis=1)[:, None]
    means = {}
    for done in range(1, length + 1):
        total += head
        if done in SIZES:
            means[done] = total / done
        rows = rng.integers(_PAIRS, size=(_WORLDS, _RUNS))
        z, p = pairs[worlds, rows], chances[worlds, rows]
        label = rng.random(p.shape) < p if hard else p
        u = (z * head).sum(-1)
        head = head - (step * (1 / (1 + np.exp(-u)) - label))[..., None] * z
        norm = np.sqrt((head * head).sum(-1))
        head *= np.minimum(1, limit / np.maximum(norm, 1e-300))[..., None]
    return means


def _excess(pairs: Floats, best: Floats, means: Floats) -> Floats:
    """K of averaged heads, mean over runs, (W,)."""
    v = np.einsum("wpd,wd->wp", pairs, best)[:, None]
    return np.asarray(pair_kl(v, np.einsum("wpd,wrd->wrp", pairs, means)).mean((1, 2)))


def _orthogonal() -> Row:
    """0.6 n pairs in orthogonal directions, tiny margins: a direction is learnt at its first visit, all at once.

    Its excess is then the square of the share of iterates before that visit, which is exact.
    """
    actual = []
    for n in SIZES:
        directions = round(0.6 * n)
        waits = np.arange(1, n + 1)
        first = (1 - 1 / directions) ** (waits - 1) / directions
        square = (first * waits**2).sum() + (1 - 1 / directions) ** n * n**2
        actual.append(square / n**2 / directions)  # in units of |w*|^2 beta/2
    return Row("[3.4] worst case: orthogonal directions, soft labels", 1 / np.array([SIZES]), np.array([actual]))


def held_out_rows(seed: int) -> list[Row]:
    """[7.1] and [7.2] on losses with the law Beta(1, 9), mean 0.1."""
    rng = rng_for(seed, "held out")
    rows = []
    for name, bound, runs in (("[7.1] empirical Bernstein", empirical_bernstein, 40), ("[7.2] betting", betting, 4)):
        values = np.array([[bound(rng.beta(1, 9, n), highest=1.0).value for n in SIZES] for _ in range(runs)])
        rows.append(Row(f"{name}: bound over risk, Beta(1, 9) losses", values, np.full_like(values, 0.1)))
    return rows


def realistic_lines(seed: int) -> list[str]:
    """The locality term [3.2k] on generated embeddings of 768 dimensions, teacher margins of sd 2."""
    lines = ["mean cosine distance   k   L/tau" + "".join(f"{f'n=1e{p}':>9}" for p in range(3, 7))]
    for cosine, size, radius in ((0.7, 16, 5), (0.7, 16, 20), (0.2, 16, 5), (0.2, 16, 20), (0.2, 2, 20)):
        rng = rng_for(seed, "embeddings", cosine, size)
        noise = rng.standard_normal((400, size, 768)) / math.sqrt(768)
        centre = rng.standard_normal((400, 1, 768)) / math.sqrt(768)
        vectors = math.sqrt(1 - cosine) * centre + math.sqrt(cosine) * noise
        found = GroupStatistics(float(radius), 1.0)
        found.add(vectors, rng.standard_normal((400, size)) * math.sqrt(2))
        means, variances = found.moments()
        moments = Moments(*(float(x) for x in means[:5]), math.sqrt(variances[5]))
        values = [uniform_bound(moments, found.head(), groups=10**p, delta=DELTA).value for p in range(3, 7)]
        lines.append(f"{cosine:20} {size:3} {radius:7}" + "".join(f"{v:9.3f}" for v in values))
    return lines
