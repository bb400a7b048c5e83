"""kappa, and the ratio of pairs that are drawn without replacement, against counting."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from rankstill.candidates.sample import CANDIDATES
from rankstill.records import Candidates
from rankstill.studies.diagnosis.ratio import _of_range, _summary
from rankstill.studies.diagnosis.target import positives_and_copies
from tests.tiny_collections import make_collection


def test_the_ratio_of_pairs_is_that_of_their_probabilities():
    drawn, pool = range(7), range(3)
    of_pairs = [1 / len(list(permutations(docs, 2))) for docs in (drawn, pool)]
    found = _summary([(7 / 3, 7, 3)])
    assert found["pairs"] == pytest.approx(of_pairs[1] / of_pairs[0])
    assert found["pairs"] > found["largest"] ** 2, "without replacement kappa squared is not enough"
    assert _summary([(5.0, 5, 1)])["pairs"] == 5.0, "the pool's only document pairs with the positive"


def test_the_largest_of_all_queries_counts_and_one_that_is_infinite_says_so():
    found = _summary([(1.0, 4, 4), (2.0, 8, 4), (float("inf"), 1, 4)])
    assert (found["largest"], found["pairs"]) == (None, None)
    assert found["mean"] == 1.5
    assert found["infinite_share"] == pytest.approx(1 / 3)
    assert _summary([(1.0, 4, 4), (2.0, 8, 4)])["pairs"] == pytest.approx(8 * 7 / (4 * 3))


def test_a_range_that_misses_a_pooled_document_has_no_finite_ratio(tmp_path):
    none = np.full(4, np.nan, np.float32)
    ranges = [Candidates.of(q, np.arange(4, dtype=np.uint32), none, 0.5) for q in (1, 2, 3)]
    Candidates.concatenate(ranges).write(tmp_path / CANDIDATES)
    pools = {1: np.array([0, 1], np.uint32), 2: np.array([0, 9], np.uint32)}
    assert _of_range(tmp_path, pools) == [(2.0, 4, 2), (float("inf"), 4, 2)], "query 3 has no group or no list"


def test_copies_of_a_positives_text_are_in_no_pool(tmp_path):
    texts = {"d0": "wing slip", "d1": "wing slip", "d2": "jet flow", "d3": "gas wave"}
    made = make_collection(tmp_path / "c", texts, {"q0": "wing", "q1": "jet"}, [("train", "q0", "d0", 1)])
    without = positives_and_copies(made, "train", np.array([0, 1], np.uint32))
    assert {query: sorted(docs.tolist()) for query, docs in without.items()} == {0: [0, 1]}
    assert positives_and_copies(made, "", np.array([0], np.uint32)) == {}
