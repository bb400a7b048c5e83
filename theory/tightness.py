"""How far bounds are from what they bound, at n = 100 to 100,000 groups: Theorem 3 and the four terms.

A sample of n groups of a finite world is a row of multinomial counts, so 100,000 groups cost no more than 100.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rankstill.measures.bounds.four_terms import four_term_bound
from rankstill.measures.bounds.group_statistics import GroupStatistics
from rankstill.measures.bounds.group_terms import Head
from rankstill.measures.bounds.theorem3 import Moments, empirical_bound, mean_bound, uniform_bound
from rankstill.randomness import rng_for
from theory.formulas import Floats
from theory.section3 import largest_distance, moments
from theory.section46 import floor_of, pairs_world, shift_of, target_risks
from theory.suprema import Heads
from theory.worlds import World, random_world

SIZES = (100, 1_000, 10_000, 100_000)
DELTA = 0.05
_GROUPS = 24


@dataclass(frozen=True)
class Row:
    """A bound against what it bounds: (worlds, sizes) each."""

    name: str
    bound: Floats
    actual: Floats

    def __str__(self) -> str:
        said = np.isfinite(self.bound) & np.isfinite(self.actual)
        bound, actual = (np.where(said, x, np.nan) for x in (self.bound, self.actual))
        ratio, median = np.nanmean(bound, 0) / np.nanmean(actual, 0), np.nanmedian(bound / actual, 0)
        return f"{self.name:60}" + "".join(
            f"{_short(r):>10} {f'({_short(m)})':>8}" for r, m in zip(ratio, median, strict=True)
        )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def uniform_rows(worlds: int, trials: int, seed: int) -> list[Row]:
    """Theorem 3 in random worlds of many groups, soft and hard labels."""
    soft = [_theorem3(w, trials) for w in _worlds(worlds, seed, hard=False)]
    hard = [_theorem3(w, trials) for w in _worlds(worlds, seed, hard=True)]
    names = {
        "mean": "[3.1] E sup(R - Rhat), soft labels",
        "tail": "[3.2] 0.95-quantile of sup(R - Rhat)",
        "excess tail": "[3.2k] 0.95-quantile of sup(K - Khat)",
        "empirical": "[3.2e] the same, fully empirical",
        "margin": "[3.5] 0.95-quantile of sup(inversions - ramp loss)",
        "risk": "[3.2] Rhat + loc over R, at the best head in training",
        "excess": "[3.2k] Khat + loc over K, at the best head in training",
    }
    rows = [_row(names[name], [found[name] for found in soft]) for name in names]
    return [*rows, _row("[3.1] E sup(R - Rhat), hard labels", [found["mean"] for found in hard])]


def four_term_rows(worlds: int, seed: int) -> list[Row]:
    """[4.6 A] at the best head in training, on pairs of independent documents."""
    found = [_four_terms(pairs_world(w)) for w in _worlds(worlds, seed, hard=False)]
    names = {
        "risk": "[4.6 A] four terms over R_mu",
        "excess": "[4.6 A] all terms but the floor, over K_mu",
        "no shift": "[4.6 A] target = sampled (no shift) over R_mu",
    }
    return [_row(name, [f[key] for f in found]) for key, name in names.items()]


def worst_mean(trials: int, seed: int) -> Row:
    """[3.1] where its linear part is sharp: 64 directions, coin tosses for labels, small margins."""
    rng, dim, radius = rng_for(seed, "worst mean"), 64, 0.02
    # Types: direction j with label 0 or 1. R is that of p = 1/2; the even part is the same for all of one |u|.
    bound, actual = [], []
    for n in SIZES:
        counts = rng.multinomial(n, np.full(2 * dim, 1 / (2 * dim)), size=trials)
        signed = (counts[:, :dim] - counts[:, dim:]) / (2 * n)
        seen = (counts[:, :dim] + counts[:, dim:]) / n
        heads = -radius * signed / np.linalg.norm(signed, axis=1, keepdims=True)
        even = np.log(np.cosh(heads / 2))
        gap = -(heads * signed).sum(1) + ((1 / dim - seen) * even).sum(1)
        actual.append(gap.mean())
        bound.append((radius / 2 + radius**2 / 4) / np.sqrt(n))
    return Row("[3.1] worst case: 64 directions, hard labels, small margins", np.array([bound]), np.array([actual]))


def _worlds(number: int, seed: int, *, hard: bool) -> Iterator[World]:
    """Worlds in the plane, with documents of length 1 and many groups."""
    index = 0
    while number:
        world, index = random_world(seed, index), index + 1
        if world.vectors.shape[-1] == 2 and world.unit:
            number -= 1
            rows = world.rng("groups").integers(len(world.groups), size=_GROUPS)
            yield replace(world, hard=hard, few_rows=tuple(int(r) for r in rows))


def _row(name: str, pairs: list[tuple[list[float], list[float]]]) -> Row:
    return Row(name, np.array([b for b, _ in pairs]), np.array([a for _, a in pairs]))


def _theorem3(world: World, trials: int) -> dict[str, tuple[list[float], list[float]]]:
    heads, (found, head) = Heads(world), moments(world)
    results: dict[str, tuple[list[float], list[float]]] = {}
    for n in SIZES:
        rng = world.rng(f"tightness {n}")
        shares = rng.multinomial(n, np.full(_GROUPS, 1 / _GROUPS), size=trials) / n
        for name, bound, actual in _at(world, heads, shares, n, found, head):
            entry = results.setdefault(name, ([], []))
            entry[0].append(bound)
            entry[1].append(actual)
    return results


def _at(
    world: World, heads: Heads, shares: Floats, n: int, found: Moments, head: Head
) -> list[tuple[str, float, float]]:
    risk, excess = heads.risk, heads.excess
    gap, gap_excess = ((x.mean(0) - shares @ x).max(1) for x in (risk, excess))
    labels = "hard" if world.hard else "soft"
    given: dict[str, Any] = {"groups": n, "delta": DELTA, "labels": labels}
    local = uniform_bound(found, head, **given).value
    best = np.argmin(shares @ risk, axis=1)
    rows = np.arange(len(shares))
    trained, true = (shares @ excess)[rows, best], excess.mean(0)[best]
    floor = (heads.risk - heads.excess).mean(0)[best]
    margin = _margins(world, heads, shares, n)
    counts = np.round(shares[0] * n).astype(int)
    return [
        ("mean", mean_bound(found, head, n).value, float(gap.mean())),
        ("tail", uniform_bound(found, head, form="risk", **given).value, _high(gap)),
        ("excess tail", local, _high(gap_excess)),
        ("empirical", math.nan if world.hard else _empirical(world, counts), _high(gap_excess)),
        ("margin", *margin),
        ("risk", float((trained + floor).mean()) + local, float((true + floor).mean())),
        ("excess", float(trained.mean()) + local, float(true.mean())),
    ]


def _high(values: Floats) -> float:
    return float(np.quantile(values, 1 - DELTA))


def _margins(world: World, heads: Heads, shares: Floats, n: int) -> tuple[float, float]:
    signed = np.sign(world.few.margins(world.teacher))[..., None] * heads.margins * world.temperature
    c = 0.3 * world.radius
    gap = ((signed <= 0).mean((0, 1)) - shares @ np.clip(1 - signed / c, 0, 1).mean(1)).max(1)
    rms = float(np.sqrt((heads.pairs**2).sum(-1).mean()))
    bound = 2 * world.radius * rms / (c * np.sqrt(n)) + np.sqrt(np.log(1 / DELTA) / (2 * n))
    # In most worlds no head inverts more pairs than its ramp loss says: there is no ratio.
    return float(bound), _high(gap) if _high(gap) > 1e-9 else math.nan


def _empirical(world: World, counts: np.ndarray) -> float:
    few = world.few
    found = GroupStatistics(
        world.radius,
        world.temperature,
        labels="hard" if world.hard else "soft",
        unit=False,
        largest_distance=max(largest_distance(world), 1e-9),
    )
    rows = np.repeat(np.arange(_GROUPS), counts)
    found.add(few.of(world.vectors)[rows], pair_labels=Heads(world).labels[rows])
    return empirical_bound(found, delta=DELTA).value


def _four_terms(world: World) -> dict[str, tuple[list[float], list[float]]]:
    heads, (found, head) = Heads(world), moments(world)
    floor, shift, target = floor_of(world), shift_of(world), target_risks(world)
    sampled = heads.risk.mean(0)
    entropy = float((heads.risk - heads.excess).mean())
    results: dict[str, tuple[list[float], list[float]]] = {"risk": ([], []), "excess": ([], []), "no shift": ([], [])}
    for n in SIZES:
        rng = world.rng(f"four terms {n}")
        shares = rng.multinomial(n, np.full(len(heads.risk), 1 / len(heads.risk)), size=40) / n
        best = np.argmin(shares @ heads.risk, axis=1)
        fit = float((shares @ heads.excess)[np.arange(40), best].clip(0).mean())
        local = uniform_bound(found, head, groups=n, delta=DELTA)
        bound = four_term_bound(fit, local, shift, floor).value
        own = four_term_bound(fit, local, None, entropy, kappa=1.0).value
        for name, top, actual in (
            ("risk", bound, target[best].mean()),
            ("excess", bound - floor, target[best].mean() - floor),
            ("no shift", own, sampled[best].mean()),
        ):
            results[name][0].append(top)
            results[name][1].append(float(actual))
    return results
