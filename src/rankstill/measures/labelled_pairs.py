"""Pairs of a group that human labels tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, SpecError
from rankstill.measures.group_entropy import Scores
from rankstill.measures.row_blocks import row_blocks

Labels = NDArray[np.number[Any]]


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs (better, worse) of one group whose labels differ.

    Attributes:
        group: (m,) rows of the groups, rising.
        better, worse: (m,) columns.
        weight: (m,) 1 over the pairs of the group and over the groups that have any, so that groups count alike and the
            weights sum to 1.
        groups: How many groups have any.
    """

    group: NDArray[np.int64]
    better: NDArray[np.int64]
    worse: NDArray[np.int64]
    weight: NDArray[np.float64]
    groups: int

    def margins(self, scores: Scores) -> NDArray[np.float64]:
        """Subtract the score of the worse document from that of the better one, (m,)."""
        found: NDArray[np.float64] = np.subtract(
            scores[self.group, self.better], scores[self.group, self.worse], dtype=np.float64
        )
        return found

    def by_group(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average values of pairs within each group that has any, (groups,)."""
        _, place, counts = np.unique(self.group, return_inverse=True, return_counts=True)
        return np.bincount(place, values) / counts


def labelled_pairs(labels: Labels) -> LabelledPairs:
    """Find the pairs of each group whose labels differ.

    Args:
        labels: (n, k), higher for the better document; NaN where there is no judgement.

    Raises:
        DataError: No pair has different labels.
        SpecError: The shape is wrong.
    """
    if labels.ndim != 2:
        raise SpecError(f"expected labels of shape (groups, documents), got {labels.shape}")
    found = []
    for rows in row_blocks(len(labels), 8 * labels.shape[1] ** 2):
        block = labels[rows]
        where = np.argwhere(block[:, :, None] > block[:, None, :])
        where[:, 0] += rows.start
        found.append(where)
    pairs = np.concatenate(found) if found else np.empty((0, 3), np.int64)
    if not len(pairs):
        raise DataError(
            f"none of {len(labels)} groups holds two documents with different labels",
            hint="take a split with judgements, and groups with a positive",
        )
    present, counts = np.unique(pairs[:, 0], return_counts=True)
    weight = 1 / (np.repeat(counts, counts) * len(present))
    return LabelledPairs(pairs[:, 0], pairs[:, 1], pairs[:, 2], weight, len(present))


def check_labels(labels: Labels, scores: Scores) -> None:
    """Refuse labels that do not belong to the scores."""
    if labels.shape != scores.shape:
        raise SpecError(f"labels have the shape {labels.shape} and scores {scores.shape}; they must belong together")
