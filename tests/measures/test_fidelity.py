import math

import numpy as np
import pytest
from scipy.special import expit, rel_entr, softmax

from rankstill.errors import DataError, SpecError
from rankstill.measures.fidelity import agreement, group_excess, inversions, listwise_excess
from rankstill.randomness import rng_for


def test_the_excess_of_a_pair_is_the_divergence_of_its_two_coins():
    # The teacher prefers the first with s(log 3) = 3/4, the student with s(0) = 1/2.
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert group_excess(np.array([[math.log(3), 0.0]]), np.zeros((1, 2))) == pytest.approx(expected)


def test_the_excess_agrees_with_scipys_divergence_over_all_pairs():
    rng = rng_for(1, "excess")
    teacher, student = rng.standard_normal((2, 5, 6)) * 3
    for t, s, found in zip(teacher, student, group_excess(teacher, student), strict=True):
        each = [
            rel_entr(p, q) + rel_entr(1 - p, 1 - q)
            for i in range(6)
            for j in range(i)
            for p, q in [(expit(t[i] - t[j]), expit(s[i] - s[j]))]
        ]
        assert found == pytest.approx(np.mean(each), rel=1e-9)


def test_the_excess_ignores_shifts_and_the_order_of_documents_and_survives_huge_margins():
    rng = rng_for(1, "excess")
    teacher, student = rng.standard_normal((2, 5, 6))
    usual, order = group_excess(teacher, student), rng.permutation(6)
    np.testing.assert_allclose(group_excess(teacher + 7, student - 3), usual, rtol=1e-9)
    np.testing.assert_allclose(group_excess(teacher[:, order], student[:, order]), usual, rtol=1e-12)
    assert group_excess(np.array([[1e4, 0.0]]), np.array([[0.0, 1e4]])) == pytest.approx(1e4)


def test_the_listwise_excess_agrees_with_scipy_and_with_the_pairwise_one_for_two_documents():
    rng = rng_for(1, "excess")
    teacher, student = rng.standard_normal((2, 5, 6)) * 3
    expected = rel_entr(softmax(teacher, axis=1), softmax(student, axis=1)).sum(axis=1)
    np.testing.assert_allclose(listwise_excess(teacher, student), expected, rtol=1e-9)
    two = teacher[:, :2], student[:, :2]
    np.testing.assert_allclose(listwise_excess(*two), group_excess(*two), rtol=1e-9)
    np.testing.assert_allclose(listwise_excess(teacher + 5, student - 1), expected, rtol=1e-9)


def test_inversions_of_a_worked_group():
    # Margins of the teacher: 5, 5.1, 0.1; the student turns the last two round, of which one is a sure pair.
    teacher, student = np.array([[5.0, 0.0, -0.1]]), np.array([[1.0, 0.5, 2.0]])
    all_sure, very_sure = inversions(teacher, student, sure=(1e-9, 0.9))
    assert all_sure.share == pytest.approx(2 / 3)
    assert all_sure.among == pytest.approx(2 / 3)
    assert very_sure.share == pytest.approx(1 / 3)
    assert very_sure.among == pytest.approx(1 / 2)
    assert very_sure.bound == pytest.approx(group_excess(teacher, student)[0] / (0.9 * math.log(2)))


def test_a_tie_of_the_student_is_half_an_inversion_and_of_the_teacher_none():
    assert inversions(np.array([[5.0, 0.0]]), np.array([[1.0, 1.0]]), sure=(0.5,))[0].share == 0.5
    tied = inversions(np.array([[1.0, 1.0]]), np.array([[5.0, 0.0]]), sure=(0.5,))[0]
    assert tied.share == 0
    assert math.isnan(tied.among)


def test_confident_inversions_never_exceed_what_the_excess_allows():
    for i in range(200):
        rng = rng_for(i, "inversions")
        teacher, student = rng.standard_normal((2, 4, 5)) * rng.exponential(3, (2, 1, 1))
        assert all(found.share <= found.bound + 1e-12 for found in inversions(teacher, student))


def test_agreement_of_worked_rankings():
    teacher = np.array([[4.0, 3.0, 2.0, 1.0]] * 3)
    student = np.array([[8.0, 6.0, 4.0, 2.0], [1.0, 2.0, 3.0, 4.0], [3.0, 4.0, 2.0, 1.0]])
    found = agreement(teacher, student, depth=2)
    assert found.tau.tolist() == pytest.approx([1.0, -1.0, 2 / 3])
    assert found.first.tolist() == [1.0, 0.0, 0.0]
    assert found.top.tolist() == [1.0, 0.0, 1.0]
    assert agreement(teacher, student).depth == 4
    assert np.isnan(agreement(teacher[:1], np.zeros((1, 4))).tau).all()


@pytest.mark.parametrize("measure", [group_excess, listwise_excess, inversions, agreement])
def test_scores_that_do_not_fit_together_are_refused(measure):
    fine = np.zeros((2, 3))
    broken = np.array([[0.0, math.nan, 0.0], [0.0, 0.0, 0.0]])
    with pytest.raises(SpecError, match="same groups"):
        measure(fine, fine[:, :2])
    with pytest.raises(SpecError, match="two documents"):
        measure(fine[:, :1], fine[:, :1])
    with pytest.raises(SpecError, match="same groups"):
        measure(fine[:0], fine[:0])
    with pytest.raises(DataError, match="1 of 2 groups hold a student score"):
        measure(fine, broken)
    with pytest.raises(DataError, match="1 of 2 groups hold a teacher score"):
        measure(broken, fine)
    with pytest.raises(SpecError, match="confidences"):
        inversions(fine, fine, sure=(0.0,))
