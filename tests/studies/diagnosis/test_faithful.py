"""Fidelity of lists of different lengths, joined."""

import numpy as np
import pytest

from rankstill.measures.fidelity import group_excess, inversions
from rankstill.records import Pairs
from rankstill.studies.diagnosis.faithful import by_size, faithful


def pairs(query, doc, score):
    return Pairs(np.array(query, np.uint32), np.array(doc, np.uint32), np.array(score, np.float32))


def test_lists_are_joined_by_length_and_need_two_documents():
    teacher = pairs([0, 0, 1, 1, 1, 2], [5, 6, 5, 6, 7, 5], [1, 2, 3, 4, 5, 6])
    # The student has them in another order.
    student = pairs([0, 0, 1, 1, 1, 2], [6, 5, 7, 6, 5, 5], [20, 10, 50, 40, 30, 60])
    found = by_size(teacher, student)
    assert [matrix.tolist() for matrix in found[0]] == [[[3, 4, 5]], [[1, 2]]]
    assert [matrix.tolist() for matrix in found[1]] == [[[30, 40, 50]], [[10, 20]]]


def test_means_are_over_groups_whatever_their_lengths():
    rng = np.random.default_rng(1)
    teacher = [rng.standard_normal((1, 5)) * 4, rng.standard_normal((3, 4)) * 4]
    student = [rng.standard_normal((1, 5)), rng.standard_normal((3, 4))]
    found = faithful("here", "lists", teacher, student, seed=1)
    each = np.concatenate([group_excess(t, s) for t, s in zip(teacher, student, strict=True)])
    assert found["excess"]["mean"] == pytest.approx(each.mean())
    one, three = (inversions(t, s) for t, s in zip(teacher, student, strict=True))
    expected = [(a.share + 3 * b.share) / 4 for a, b in zip(one, three, strict=True)]
    assert [i["share"] for i in found["inversions"]] == pytest.approx(expected)
    assert any(expected)


def test_a_side_that_ties_everything_has_no_tau_and_costs_nobody_theirs():
    teacher = [np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])]
    found = faithful("here", "lists", teacher, [np.array([[1.0, 1.0, 1.0], [3.0, 2.0, 1.0]])], seed=1)
    assert found["tau"]["mean"] == 1.0
    assert found["tau"]["n"] == 1
    assert found["per_group"]["tau"] == [None, 1.0]
    assert found["groups"] == 2
