"""Negatives that may be positives nobody labelled, as the teacher sees them.

Whether a document is a positive that nobody labelled cannot be known without a judgement; the teacher's opinion stands
in for it and inherits the teacher's errors. Source: docs/theory.md, sections 5, 8.7 and 9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankstill.errors import DataError
from rankstill.measures.column import Column
from rankstill.measures.group_entropy import Scores, check_scores
from rankstill.measures.intervals import Interval, hoeffding_interval
from rankstill.measures.labelled_pairs import Labels, check_labels, labelled_pairs


@dataclass(frozen=True, slots=True)
class FalseNegatives:
    """Negatives that the teacher takes for positives.

    Attributes:
        share: ρ, the share of a group's negatives that the teacher scores at or above a positive, mean over groups,
            with its Hoeffding interval.
        groups: How many groups have a positive and a negative.
        pairs: How many pairs of a positive and a negative were compared.
    """

    share: Interval
    groups: int
    pairs: int


class FalseNegativeStream:
    """The suspected false negatives of groups that come block by block; one number is kept of each group."""

    def __init__(self) -> None:
        self._shares = Column()
        self._pairs = 0

    def add(self, scores: Scores, labels: Labels) -> None:
        """Take in the scores and labels of groups, (m, k); none of them where one is refused.

        Raises:
            DataError: A score is not finite; MissingScores where it is NaN.
            SpecError: A shape is wrong.
        """
        check_scores(scores)
        check_labels(labels, scores)
        positive = labels > 0
        mixed = positive.any(axis=1) & ~positive.all(axis=1)
        if mixed.any():
            pairs = labelled_pairs(positive[mixed].astype(np.int8))
            self._shares.add(pairs.by_group((pairs.margins(scores[mixed]) <= 0).astype(np.float64)))
            self._pairs += len(pairs.group)

    def result(self, *, level: float = 0.95) -> FalseNegatives:
        """Sum up, with a Hoeffding interval of this coverage.

        Raises:
            DataError: No group has both a positive and a negative.
        """
        if not len(self._shares):
            raise DataError(
                "no group holds both a positive and a negative, so no negative can be suspected",
                hint="take groups that hold a positive, and negatives",
            )
        interval = hoeffding_interval(self._shares.values(), lowest=0.0, highest=1.0, level=level)
        return FalseNegatives(interval, len(self._shares), self._pairs)


def false_negative_rate(scores: Scores, labels: Labels, *, level: float = 0.95) -> FalseNegatives:
    """Estimate the share ρ of sampled negatives that are unlabelled positives, by the teacher's opinion (theory 8.7).

    Ties count: of two documents that the teacher cannot tell apart, one is as good as the other.

    Args:
        scores: (n, k) teacher scores.
        labels: (n, k), above 0 for a positive; 0 or NaN, which is no judgement, for a negative. Groups without either
            are left out.
        level: Coverage of the interval.

    Raises:
        DataError: A score is not finite (MissingScores where it is NaN), or no group has a positive and a negative.
        SpecError: A shape is wrong.
    """
    stream = FalseNegativeStream()
    stream.add(scores, labels)
    return stream.result(level=level)
