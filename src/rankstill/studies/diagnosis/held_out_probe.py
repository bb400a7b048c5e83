"""The probe's held-out excess: what a linear head learns from a strategy's groups, on queries that it has not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankstill.measures.probe import Probe, fit
from rankstill.randomness import rng_for
from rankstill.studies.diagnosis.material import Index, Material
from rankstill.studies.diagnosis.terms import RADII

PROBED = 4096
"""Groups at most that heads are fitted to: 100 MB of vectors at 384 dimensions."""
_ITERATIONS = 30


@dataclass(frozen=True)
class Probed:
    """Excess by radius, in nats.

    Attributes:
        fits: Of heads fitted to all probed groups, on those groups.
        own: (radii, n) on the strategy's own groups, each from a head fitted to the other half; NaN for those that were
            not probed.
        target: (radii, n) on the positive and the target sample of the same queries; NaN also where there is none.
        chosen: Which radius has the smallest mean on the strategy's own held-out groups. The target has no say.
        training_sd: Standard deviation of the mean excess on the target over training sets of the probed size: from two
            disjoint thirds of them, judged on the last; one degree of freedom only. NaN for fewer than nine groups.
    """

    fits: dict[float, float]
    own: NDArray[np.float64]
    target: NDArray[np.float64]
    chosen: int
    training_sd: float


def probe(material: Material, *, seed: int) -> Probed:
    """Fit heads to halves of the groups, crosswise, and to all of them.

    Args:
        material: The strategy's groups and target pool.
        seed: Of the choice of groups, and of the halves.
    """
    n = len(material.groups)
    rows: Index = np.sort(rng_for(seed, "probed").permutation(n)[:PROBED])
    halves = np.array_split(rng_for(seed, "halves").permutation(rows), 2)
    own, target = np.full((2, len(RADII), n), np.nan)
    for learnt, held_out in (halves, halves[::-1]):
        if len(learnt) and len(held_out):
            _cross(material, np.sort(learnt), np.sort(held_out), own, target)
    everything = material.bags(rows)
    heads = _heads(material, rows)
    fits = {r: float(head.excess(everything).mean()) for r, head in zip(RADII, heads, strict=True)}
    chosen = int(np.argmin(np.nanmean(own[:, rows], axis=1))) if len(rows) > 1 else 0
    return Probed(fits, own, target, chosen, _training_sd(material, rows, RADII[chosen], seed))


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


def _training_sd(material: Material, rows: Index, radius: float, seed: int) -> float:
    """Compare two heads from disjoint thirds on the last third's target pools; the variance falls with their size."""
    thirds = np.array_split(rng_for(seed, "thirds").permutation(rows), 3)
    pools = [(part, np.flatnonzero(np.isin(part.rows, thirds[2]))) for part in material.matched]
    if len(rows) < 9 or not any(len(which) for _, which in pools):
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
