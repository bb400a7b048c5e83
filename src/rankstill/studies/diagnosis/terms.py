"""The terms of the four-term bound for one strategy at every radius: what was seen, and what a budget would give."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.files import Json
from rankstill.measures.bounds.bound import Bound
from rankstill.measures.bounds.four_terms import four_term_bound, wasserstein_shift
from rankstill.measures.bounds.group_statistics import GroupStatistics
from rankstill.measures.bounds.theorem3 import Moments, empirical_bound, mean_bound
from rankstill.measures.entropy import pairwise_entropy
from rankstill.measures.prescriptions.choice import TailLaw
from rankstill.measures.shift import w1_cost
from rankstill.studies.diagnosis.material import BLOCK, Material

RADII = (0.5, 2.0, 4.0, 8.0, 16.0, 32.0)
"""L/τ of the balls tried: powers of two, so that the choice among them has its share of δ (theory [3.2e]). A head of
radius r turns a distance of 1 into a margin of at most r: at 0.5 it hardly prefers anything, at 32 it is sure."""

_FARTHEST = 2.0


@dataclass(frozen=True)
class Terms:
    """The terms at one radius, in nats.

    Attributes:
        radius: L/τ.
        fit: Mean excess of the best head of the ball on the groups, Khat.
        law: The locality term as a function of the number of groups, from the moments seen.
        shift: The bound on the shift to the target [4.1].
        shift_factor: That bound over the mean of W1.
        bound: The whole bound on the risk on the target [4.6], for the groups seen: by W1 or by the ratio of pairs,
            the smaller.
    """

    radius: float
    fit: float
    law: TailLaw
    shift: float
    shift_factor: float
    bound: Bound

    def to_json(self) -> Json:
        """Give the terms as numbers."""
        law = {"mean": self.law.mean, "moment": self.law.moment, "span": self.law.span}
        return {
            "radius": self.radius,
            "fit": self.fit,
            "law": law,
            "shift": self.shift,
            "shift_factor": self.shift_factor,
            "bound": self.bound.to_json(),
        }


def statistics_of(material: Material) -> GroupStatistics:
    """Gather what Theorem 3 needs, for all radii, a block of groups at a time."""
    gathered = GroupStatistics(RADII, 1.0)
    for start in range(0, len(material.groups), BLOCK):
        rows = slice(start, start + BLOCK)
        gathered.add(material.vectors(material.groups.doc[rows]), material.scores[rows])
    return gathered


def target_entropy(material: Material) -> NDArray[np.float64]:
    """Mean pairwise entropy, nats, of each matched query's positive and first target sample: H_mu, by query."""
    return np.concatenate([pairwise_entropy(material.target_scores(part)) for part in material.matched])


def shift_costs(material: Material, radius: float) -> NDArray[np.float64]:
    """W1 of every matched query under the cost radius · d + |v|, between the strategy and the first target sample."""
    found = []
    for part in material.matched:
        for rows in part.blocks():
            drawn = np.take_along_axis(material.groups.doc[part.rows[rows]], part.drawn[rows], axis=1)
            scores = np.take_along_axis(material.scores[part.rows[rows]], part.drawn[rows], axis=1)
            vectors = material.vectors(drawn), material.vectors(part.docs[0][rows])
            found.append(w1_cost(*vectors, scores, part.scores[0][rows], radius=radius))
    return np.concatenate(found)


def terms(material: Material, fits: dict[float, float], *, delta: float, pair_ratio: float | None) -> list[Terms]:
    """Compute the terms at every radius.

    Args:
        material: The strategy's.
        fits: Khat of the fitted head, the mean over all groups, by radius.
        delta: The probability with which the bounds of this strategy may fail, at all radii together.
        pair_ratio: How much likelier a pair is in the target at most; None where it is unknown or infinite.
    """
    gathered, floor = statistics_of(material), float(target_entropy(material).mean())
    widest = _widest(material)
    found = []
    for radius in RADII:
        moments = _moments(gathered, radius)
        head = gathered.head(radius)
        law = TailLaw(
            mean_bound(moments, head, 1).value,
            min(math.sqrt(moments.excess), math.sqrt(moments.swing) + moments.entropy_spread),
            min(float(np.logaddexp(0, head.margin)), head.margin + math.log(2)),
        )
        local = empirical_bound(gathered, radius=radius, delta=delta, union=True)
        costs = shift_costs(material, radius)
        shift = wasserstein_shift(
            costs,
            student_margin=radius * _FARTHEST,
            teacher_margin=widest,
            temperature=1.0,
            entropy=floor,
            shared_positive=material.groups.size if material.shared else None,
        )
        bounds = [four_term_bound(fits[radius], local, shift, floor)]
        if pair_ratio is not None:
            bounds.append(_by_ratio(fits[radius], local, floor, pair_ratio))
        factor = shift.value / max(float(costs.mean()), 1e-12)
        found.append(Terms(radius, fits[radius], law, shift.value, factor, min(bounds, key=lambda b: b.value)))
    return found


def _by_ratio(fit: float, local: Bound, floor: float, pair_ratio: float) -> Bound:
    """Bound by [4.3] with the ratio of pairs in place of kappa²: documents are drawn without replacement."""
    bound = four_term_bound(fit, local, None, floor, kappa=math.sqrt(pair_ratio))
    likelier = f"no pair of documents is more than {pair_ratio:.4g} times as likely in the target as in the strategy"
    return replace(bound, assumptions=(*local.assumptions, likelier, bound.assumptions[-1]))


def _moments(gathered: GroupStatistics, radius: float) -> Moments:
    """Take the groups seen for the law that they come from."""
    means, variances = gathered.moments(radius)
    signed, saturating, fourth, excess, swing, _ = map(float, means)
    # Of the groups seen as the whole population: their own variance, not an estimate of another's.
    spread = math.sqrt(float(variances[5]) * (gathered.groups - 1) / gathered.groups)
    return Moments(signed, saturating, fourth, excess, swing, spread)


def _widest(material: Material) -> float:
    """The widest margin of the teacher that was seen, over τ."""
    spans: list[Any] = [np.ptp(material.scores, axis=1).max()]
    for part in material.matched:
        both = np.concatenate([material.scores[part.rows], *part.scores], axis=1)
        spans.append(np.ptp(both, axis=1).max())
    return float(max(spans))
