"""How likely a document was to come into its group."""

import numpy as np
import pytest

from rankstill.groups.build import with_probabilities
from rankstill.records import Candidates, Groups, Pairs


def candidates(query, doc, probability):
    n = len(query)
    return Candidates(
        np.array(query, np.uint32),
        np.array(doc, np.uint32),
        np.zeros(n, np.float32),
        np.array(probability, np.float32),
        np.zeros(n, np.uint8),
    )


def groups(query, doc):
    doc = np.array(doc, np.uint32)
    return Groups(np.array(query, np.uint32), doc, np.zeros(doc.shape, np.float32), np.zeros(doc.shape, np.float32))


def test_all_candidates_in_the_group_keep_theirs_and_the_positive_is_certain():
    drawn = candidates([4, 4, 2, 2], [7, 8, 9, 5], [0.2, 0.4, 0.1, 0.3])
    found = with_probabilities(groups([2, 4], [[1, 5, 9], [0, 7, 8]]), drawn, drawn.pairs).probability
    np.testing.assert_allclose(found, [[1, 0.3, 0.1], [1, 0.2, 0.4]], rtol=1e-6)


def test_choosing_some_of_the_candidates_multiplies():
    """Four drawn with 1/2 each, two of the four chosen: 1/2 x 2/4."""
    drawn = candidates([0] * 4, [1, 2, 3, 4], [0.5] * 4)
    found = with_probabilities(groups([0], [[9, 2, 4]]), drawn, drawn.pairs).probability
    np.testing.assert_allclose(found, [[1, 0.25, 0.25]])


def test_what_a_filter_took_out_was_not_chosen_from():
    """Of four drawn a filter left two, and both were taken."""
    drawn = candidates([0] * 4, [1, 2, 3, 4], [0.5] * 4)
    left = Pairs(drawn.query[:2], drawn.doc[:2], drawn.score[:2])
    found = with_probabilities(groups([0], [[9, 1, 2]]), drawn, left).probability
    np.testing.assert_allclose(found, [[1, 0.5, 0.5]])


def test_a_stand_in_is_not_chosen_from_either():
    """The teacher's best of three candidates stands in for the positive; the other two are all taken."""
    drawn = candidates([0] * 3, [1, 2, 3], [0.6] * 3)
    found = with_probabilities(groups([0], [[2, 1, 3]]), drawn, drawn.pairs).probability
    np.testing.assert_allclose(found, [[1, 0.6, 0.6]], rtol=1e-6)


def test_where_the_strategy_cannot_say_nothing_is_said():
    drawn = candidates([0, 0], [1, 2], [np.nan, np.nan])
    found = with_probabilities(groups([0], [[9, 1, 2]]), drawn, drawn.pairs).probability
    assert found[0, 0] == 1
    assert np.isnan(found[0, 1:]).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_candidates_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    drawn = candidates([0] * 6, range(6), rng.uniform(size=6))
    table = groups([0], [[9, 0, 3, 5]])
    one = with_probabilities(table, drawn, drawn.pairs).probability
    other = drawn.take(rng.permutation(6))
    np.testing.assert_array_equal(with_probabilities(table, other, other.pairs).probability, one)
