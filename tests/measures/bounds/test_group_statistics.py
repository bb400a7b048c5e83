"""Running moments: the same however the groups arrive, and as computed from all groups at once."""

from __future__ import annotations

import numpy as np
import pytest

from rankstill.errors import DataError, SpecError
from rankstill.measures.bounds.group_statistics import GroupStatistics
from rankstill.measures.bounds.group_terms import Head, per_group
from tests.measures.bounds.worlds import world


@pytest.mark.parametrize("cuts", [[], [1], [7, 8, 30], list(range(1, 60))])
def test_streaming_is_in_memory(cuts):
    w = world(5)
    statistics = GroupStatistics([0.5, 2.0], w.temperature)
    for vectors, scores in zip(np.split(w.vectors, cuts), np.split(w.scores, cuts), strict=True):
        statistics.add(vectors, scores)
    assert (statistics.groups, statistics.size) == (60, 3)
    for radius in (0.5, 2.0):
        whole = per_group(w.vectors, w.scores, Head(radius, w.temperature))
        means, variances = statistics.moments(radius)
        assert means == pytest.approx(whole.columns().mean(axis=0), rel=1e-12)
        assert variances == pytest.approx(whole.columns().var(axis=0, ddof=1), rel=1e-11)
        assert statistics.entropy == pytest.approx(whole.entropy.mean(), rel=1e-12)
        assert statistics.squared_diameter == pytest.approx(whole.squared_diameter.mean(), rel=1e-12)


def test_many_blocks_within_one_call_are_one():
    """A call of more groups than are computed at once."""
    w = world(6, groups=900, size=4, dimension=300)
    statistics = GroupStatistics(1.0, 1.0)
    statistics.add(w.vectors, w.scores)
    whole = per_group(w.vectors, w.scores, Head(1.0, 1.0))
    assert len(whole.signed) == 900
    assert statistics.moments()[0] == pytest.approx(whole.columns().mean(axis=0), rel=1e-12)


def test_lengths_that_are_not_1_need_a_largest_distance():
    w = world(2)
    with pytest.raises(SpecError, match="largest distance must be given"):
        GroupStatistics(1.0, 1.0, unit=False)
    statistics = GroupStatistics(1.0, 1.0, unit=False, largest_distance=9.0)
    statistics.add(3 * w.vectors, w.scores)
    assert statistics.squared_diameter == pytest.approx(
        9 * per_group(w.vectors, w.scores, Head(1.0, 1.0)).squared_diameter.mean()
    )


def test_refusals():
    w = world(2)
    statistics = GroupStatistics([1.0, 2.0], 1.0)
    statistics.add(w.vectors[:1], w.scores[:1])
    with pytest.raises(DataError, match="1 groups say nothing"):
        statistics.moments(1.0)
    with pytest.raises(SpecError, match="no statistics for radius 3"):
        statistics.moments(3.0)
    with pytest.raises(SpecError, match="no statistics for radius None"):
        statistics.moments()
    with pytest.raises(SpecError, match="groups of 2 documents after groups of 3"):
        statistics.add(w.vectors[:, :2], w.scores[:, :2])
    # A refused block leaves no trace.
    with pytest.raises(DataError):
        statistics.add(w.vectors, np.where(w.scores == w.scores[9, 1], np.nan, w.scores))
    w = world(6, groups=900, size=3, dimension=300)
    w.vectors[-1, 0, 0] = np.nan
    with pytest.raises(DataError, match="document 0 of group 899"):
        statistics.add(w.vectors, w.scores)
    assert statistics.groups == 1
    for radii in ([], [1.0, 1.0], [1.0, -1.0]):
        with pytest.raises(SpecError):
            GroupStatistics(radii, 1.0)
