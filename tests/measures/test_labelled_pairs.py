"""Pairs that labels tell apart: by hand, and group by group."""

from __future__ import annotations

import numpy as np
import pytest

from rankstill.measures.labelled_pairs import labelled_pairs


def test_labelled_pairs_by_hand():
    got = labelled_pairs(np.array([[2, 0, 1], [1, 1, np.nan], [0, 1, np.nan]]))
    assert list(zip(got.group, got.better, got.worse, strict=True)) == [(0, 0, 1), (0, 0, 2), (0, 2, 1), (2, 1, 0)]
    assert got.weight == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert got.groups == 2
    assert got.margins(np.array([[5.0, 1, 2], [0, 0, 0], [1, 4, 0]])) == pytest.approx([4, 3, 1, 3])
    assert got.by_group(np.array([1.0, 2, 6, 7])) == pytest.approx([3, 7])


def test_labelled_pairs_of_many_groups_are_those_of_each():
    labels = np.random.default_rng(0).integers(0, 2, (3000, 16))  # three blocks
    got = labelled_pairs(labels)
    assert (labels[got.group, got.better] == 1).all()
    assert (labels[got.group, got.worse] == 0).all()
    assert (np.bincount(got.group, minlength=3000) == labels.sum(1) * (1 - labels).sum(1)).all()
    assert got.weight.sum() == pytest.approx(1)
