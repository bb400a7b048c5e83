"""The temperature τ that turns a teacher's scores into probabilities: by spread, by a wanted entropy, by human labels.

The entropy of a teacher means nothing without it: any teacher can be made as decided or undecided as one likes. τ
fitted to the spread compares teachers of any scale; τ fitted to labels makes the teacher's doubt an honest one. Source:
docs/theory.md, sections 6 and 8.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from rankstill.errors import SpecError
from rankstill.measures.checks import check_positive
from rankstill.measures.group_entropy import (
    Scores,
    check_scores,
    margin_entropy,
    pairwise_entropy,
    spread_of_margins,
)
from rankstill.measures.labelled_pairs import Labels, check_labels, labelled_pairs

WIDEST = 100.0
"""How far, as a factor, a calibrated temperature is looked for from the spread of the margins."""
_HOTTEST = 1e6
"""At this many times the spread of the margins, entropy is within 1e-12 of its maximum."""
_COLDEST = 800.0
"""At a temperature this much below the smallest margin there is, a pair's entropy is 0 in float64."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The temperature at which the teacher's probabilities fit human labels best.

    Attributes:
        temperature: τ, the minimum of the cross-entropy.
        edge: Where the minimum is no minimum but the end of the range searched: "lowest", if sharper is always better,
            as where the teacher ranks all labelled pairs as people do; "highest", if blunter is, as where its margins
            say nothing about the labels. None inside, where cross-entropy and entropy agree [8.4].
        cross_entropy: Of the labels under the teacher, nats, mean over the labelled pairs of each group.
        entropy: The teacher's own, over the same pairs, nats.
        pairs, groups: How many were labelled.
    """

    temperature: float
    edge: Literal["lowest", "highest"] | None
    cross_entropy: float
    entropy: float
    pairs: int
    groups: int


def default_temperature(scores: Scores, c: float = 0.5) -> float:
    """Choose τ = c · sd of the margins within groups, which makes teachers of any scale comparable (theory section 6).

    The margins are those of all pairs of a group, pooled over groups; their mean is 0, and their mean square is twice
    the mean sample variance within groups [1.4]. At c = 1/2 a pair that is typically far apart has p about s(2) = 0.88.

    Args:
        scores: (n, k) teacher scores.
        c: Temperature per standard deviation, above 0.

    Raises:
        DataError: A score is not finite, or the teacher gives all documents of every group the same score.
        SpecError: The shape is wrong, or `c` is not above 0.
    """
    check_scores(scores)
    check_positive(c=c)
    return c * spread_of_margins(scores)


def temperature_for(scores: Scores, wanted: float) -> float:
    """Find the τ at which the mean pairwise entropy is the wanted one (theory 8.4).

    Entropy rises strictly with τ, from the share of tied pairs to 1, so there is exactly one; found between two
    brackets by Brent's method, which never leaves them. Takes some twenty passes over the pairs: 2 s for 20,000 groups
    of 64.

    Args:
        scores: (n, k) teacher scores.
        wanted: Normalised entropy, in units of log 2.

    Returns:
        τ, to 12 digits.

    Raises:
        DataError: A score is not finite, or the teacher gives all documents of every group the same score.
        SpecError: The shape is wrong, or no temperature gives this entropy.
    """
    check_scores(scores)
    spread = spread_of_margins(scores)

    def at(log_temperature: float) -> float:
        return float(pairwise_entropy(scores, math.exp(log_temperature), normalised=True).mean())

    def excess(log_temperature: float) -> float:
        return at(log_temperature) - wanted

    gaps = np.diff(np.sort(scores.astype(np.float64), axis=1))
    coldest, hottest = math.log(gaps[gaps > 0].min() / _COLDEST), math.log(spread * _HOTTEST)
    if not (excess(coldest) < 0 < excess(hottest)):
        raise SpecError(
            f"no temperature gives a normalised entropy of {wanted}",
            hint=f"take one between {at(coldest):.3g}, the share of pairs that the teacher ties, and 1; both excluded",
        )
    low = high = math.log(spread)
    step = math.log(4)
    while excess(low) > 0:
        low = max(low - step, coldest)
    while excess(high) < 0:
        high = min(high + step, hottest)
    return math.exp(brentq(excess, low, high, xtol=1e-13)) if low < high else math.exp(low)


def calibrated_temperature(scores: Scores, labels: Labels) -> Calibration:
    """Find the τ at which the teacher's probabilities fit human labels best: argmin of CE(y, s(v/τ)) (theory 8.4).

    Over the pairs of a group that labels tell apart, each group counting alike. In 1/τ the cross-entropy is convex, so
    the minimum is where its slope, E(p - y)v, passes 0: there, and there only, the cross-entropy equals the teacher's
    own entropy over these pairs. A negative that nobody judged counts as worse than the positive, so unlabelled
    positives push τ up; see `false_negative_rate`.

    Args:
        scores: (n, k) teacher scores.
        labels: (n, k), higher for the better document; NaN where there is no judgement.

    Returns:
        τ within a factor of 100 of the spread of the margins, and whether it stands at an end of this range.

    Raises:
        DataError: A score is not finite, the teacher's scores are constant, or no pair has different labels.
        SpecError: A shape is wrong.
    """
    check_scores(scores)
    check_labels(labels, scores)
    spread = spread_of_margins(scores)
    pairs = labelled_pairs(labels)
    margins = pairs.margins(scores)

    def slope(log_sharpness: float) -> float:
        """E(p - y)v at 1/τ; y = 1, as the better document stands first."""
        return float(-(pairs.weight * margins) @ expit(-margins * math.exp(log_sharpness)))

    bluntest, sharpest = -math.log(spread * WIDEST), math.log(WIDEST / spread)
    edge: Literal["lowest", "highest"] | None = None
    if slope(bluntest) >= 0:
        edge, best = "highest", bluntest
    elif slope(sharpest) <= 0:
        edge, best = "lowest", sharpest
    else:
        best = brentq(slope, bluntest, sharpest, xtol=1e-13)
    decided = margins * math.exp(best)
    return Calibration(
        temperature=math.exp(-best),
        edge=edge,
        cross_entropy=float(pairs.weight @ np.logaddexp(0, -decided)),
        entropy=float(pairs.weight @ margin_entropy(decided)),
        pairs=len(margins),
        groups=pairs.groups,
    )
