"""Mean rank and mean teacher score of negatives."""

import math

import numpy as np
import pytest

from rankstill.errors import MissingScores, SpecError
from rankstill.measures.rivals.trivial import mean_rank, mean_teacher_score


def test_mean_rank_by_hand():
    """Ranking 7 3 9: documents 3 and 9 are at 2 and 3; document 5 is not ranked, 4."""
    ranked = np.array([[7, 3, 9], [7, -1, -1], [1, 2, 3], [-1, -1, -1]])
    negatives = np.array([[3, 9], [7, 5], [-1, -1], [4, 5]])
    found = mean_rank(negatives, ranked)
    assert found[[0, 1, 3]].tolist() == [2.5, 2.5, 4.0]
    assert math.isnan(found[2])


def test_mean_rank_against_a_search():
    rng = np.random.default_rng(1)
    ranked = np.stack([rng.permutation(40)[:20] for _ in range(30)]).astype(np.uint32)
    negatives = np.stack([rng.permutation(40)[:7] for _ in range(30)]).astype(np.uint32)
    expected = [
        np.mean([list(r).index(d) + 1 if d in r else 21 for d in docs])
        for docs, r in zip(negatives, ranked, strict=True)
    ]
    assert mean_rank(negatives, ranked) == pytest.approx(expected)
    assert mean_rank(negatives[:, ::-1], ranked) == pytest.approx(expected)


def test_mean_teacher_score_by_hand():
    scores = np.array([[9.0, 1.0, 2.0], [8.0, np.nan, 5.0], [1.0, 1.0, 1.0]], np.float32)
    negative = np.array([[False, True, True], [False, False, True], [False, False, False]])
    found = mean_teacher_score(scores, negative)
    assert found[:2].tolist() == [1.5, 5.0]
    assert math.isnan(found[2])


def test_refusals():
    with pytest.raises(
        MissingScores, match=r"1 negatives have no finite teacher score \(first: document 1 of group 0\)"
    ):
        mean_teacher_score(np.array([[1.0, np.nan]]), np.array([[False, True]]))
    with pytest.raises(SpecError, match="a mask"):
        mean_teacher_score(np.ones((2, 3)), np.ones((3, 2), bool))
    for negatives, ranked in ((np.ones(3, int), np.ones((3, 2), int)), (np.ones((3, 2), int), np.ones((2, 2), int)),
                              (np.ones((3, 2), int), np.ones((3, 0), int))):  # fmt: skip
        with pytest.raises(SpecError, match="expected negatives"):
            mean_rank(negatives, ranked)
