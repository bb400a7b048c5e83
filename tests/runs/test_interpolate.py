"""Interpolation: equal scales, the right ends, the weight that dev chooses."""

import numpy as np
import pytest

from rankstill.errors import DataError
from rankstill.records import Pairs
from rankstill.runs.interpolate import choose_weight, interpolate, standardise


def _run(rows: list[tuple[int, int, float]]) -> Pairs:
    query, doc, score = zip(*rows, strict=True)
    return Pairs(np.array(query, np.uint32), np.array(doc, np.uint32), np.array(score, np.float32))


FIRST = _run([(0, 1, 30), (0, 2, 20), (0, 3, 10), (1, 5, 2), (1, 6, 1)])
RANKER = _run([(0, 3, 0.9), (0, 2, 0.6), (0, 1, 0.3), (1, 6, 5), (1, 5, -5)])


def test_by_hand():
    # Both lists of query 0 standardise to ±sqrt(3/2) and 0; at weight 0.75 the ranker's order wins by half of that.
    mixed = interpolate(RANKER, FIRST, 0.75)
    assert mixed.doc.tolist() == [3, 2, 1, 6, 5]
    np.testing.assert_allclose(mixed.score[:3], [0.5 * np.sqrt(1.5), 0, -0.5 * np.sqrt(1.5)], atol=1e-6)


def test_the_ends_are_the_two_runs():
    assert interpolate(RANKER, FIRST, 1).doc.tolist() == RANKER.doc.tolist()
    assert interpolate(RANKER, FIRST, 0).doc.tolist() == FIRST.doc.tolist()


def test_scale_and_shift_of_either_run_change_nothing():
    moved = Pairs(RANKER.query, RANKER.doc, RANKER.score * 100 - 7)
    a, b = interpolate(RANKER, FIRST, 0.3), interpolate(moved, FIRST, 0.3)
    assert a.doc.tolist() == b.doc.tolist()
    np.testing.assert_allclose(a.score, b.score, atol=1e-5)


def test_equal_scores_say_nothing():
    assert standardise(np.array([4, 4, 4], np.float32)).tolist() == [0, 0, 0]


def test_other_lists_are_refused():
    with pytest.raises(DataError, match="different lists"):
        interpolate(RANKER, _run([(0, 1, 3)]), 0.5)


def test_dev_chooses_the_best_weight_and_trusts_the_ranker_at_ties():
    def first_document(run: Pairs) -> float:
        return float(run.doc[run.query == 0][0] == 3)

    weight, tried = choose_weight(RANKER, FIRST, first_document)
    assert weight == 1.0
    assert tried[0.0] == 0.0
    assert tried[1.0] == 1.0
    assert len(tried) == 21
