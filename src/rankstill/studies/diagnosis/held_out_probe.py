"""The probe's held-out excess: what a linear head learns from a strategy's groups, on queries that it has not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankstill.measures.probe import Probe, fit
from rankstill.randomness import rng_for
from rankstill.studies.diagnosis.material import BLOCK, Index, Material
from rankstill.studies.diagnosis.terms import RADII

PROBED = 4096
"""Groups at most that heads are fitted to: 100 MB of vectors at 384 dimensions."""
_ITERATIONS = 30


@dataclass(frozen=True)
class Probed:
    """Excess by radius, in nats.

    Attributes:
        fits: Of heads fitted to all probed groups: the mean over all groups, probed or not, as the bound wants it.
        own: (radii, n) on the strategy's own groups, each from a head fitted to the other half; NaN for those that were
            not probed.
        target: (radii, n) on the positive and the target sample of the same queries; NaN also where there is none.
        half: (n,) which half a group is in, 0 or 1; -1 for those that were not probed.
        chosen: Which radius has the smallest mean on the strategy's own held-out groups. The target has no say.
        training_sd: Standard deviation of the mean excess on the target over training sets of the probed size: from two
            disjoint thirds of them, judged on the last; one degree of freedom only. NaN for fewer than nine groups.
    """

    fits: dict[float, float]
    own: NDArray[np.float64]
    target: NDArray[np.float64]
    half: NDArray[np.int8]
    chosen: int
    training_sd: float


def probe(material: Material, *, seed: int) -> Probed:
    """Fit heads to halves of the groups, crosswise, and to all of them.

    Args:
        material: The strategy's groups and target pool.
        seed: Of the choice of groups, and of the halves.
    """
    n, order = len(material.groups), shuffled(material, seed=seed)[:PROBED]
    half, halves = np.full(n, -1, np.int8), np.array_split(order, 2)
    own, target = np.full((2, len(RADII), n), np.nan)
    for which, (learnt, held_out) in enumerate((halves[::-1], halves)):
        half[halves[which]] = which
        if len(learnt) and len(held_out):
            _cross(material, np.sort(learnt), np.sort(held_out), own, target)
    chosen = int(np.argmin(np.nanmean(own[:, order], axis=1))) if len(order) > 1 else 0
    return Probed(_fits(material, order), own, target, half, chosen, _training_sd(material, order, RADII[chosen]))


def shuffled(material: Material, *, seed: int) -> Index:
    """Order groups by chance, queries alike for all strategies: what one of them dropped moves none of the others."""
    query = material.groups.query
    found: Index = np.argsort(rng_for(seed, "probed").random(int(query.max()) + 1)[query], kind="stable")
    return found


def _fits(material: Material, order: Index) -> dict[float, float]:
    """Fit to the groups listed; average over all there are, a block at a time."""
    heads, sums = _heads(material, np.sort(order)), np.zeros(len(RADII))
    n = len(material.groups)
    for start in range(0, n, BLOCK):
        bags = material.bags(np.arange(start, min(start + BLOCK, n)))
        sums += [head.excess(bags).sum() for head in heads]
    return {radius: float(total) / n for radius, total in zip(RADII, sums, strict=True)}


def _cross(
    material: Material, learnt: Index, held_out: Index, own: NDArray[np.float64], target: NDArray[np.float64]
) -> None:
    """Fit to one half; fill in the other half's excess."""
    heads, bags = _heads(material, learnt), material.bags(held_out)
    for i, head in enumerate(heads):
        own[i, held_out] = head.excess(bags)
    for part in material.matched:
        which = np.flatnonzero(np.isin(part.rows, held_out))
        if len(which):
            there = material.target_bags(part, which)
            for i, head in enumerate(heads):
                target[i, part.rows[which]] = head.excess(there)


def _training_sd(material: Material, order: Index, radius: float) -> float:
    """Compare two heads from disjoint thirds on the last third's target pools; the variance falls with their size."""
    thirds = np.array_split(order, 3)
    pools = [(part, np.flatnonzero(np.isin(part.rows, thirds[2]))) for part in material.matched]
    if len(order) < 9 or not any(len(which) for _, which in pools):
        return math.nan
    heads = [fit(material.bags(np.sort(third)), radius, iterations=_ITERATIONS) for third in thirds[:2]]
    bags = [material.target_bags(part, which) for part, which in pools if len(which)]
    means = [float(np.concatenate([head.excess(b) for b in bags]).mean()) for head in heads]
    # Each mean has half the variance of their difference; three times the groups leave a third of it.
    return abs(means[0] - means[1]) / math.sqrt(2 * 3)


def _heads(material: Material, rows: Index) -> list[Probe]:
    """Fit a head in each ball, each starting from the one before."""
    bags, found = material.bags(rows), list[Probe]()
    for radius in RADII:
        found.append(fit(bags, radius, start=found[-1] if found else None, iterations=_ITERATIONS))
    return found
