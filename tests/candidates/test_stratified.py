"""One document from each stretch of the teacher's order, so that easy and hard ones all come."""

import numpy as np
import pytest

from rankstill.candidates import open_strategy
from rankstill.candidates.strategy import Needs
from tests.candidates.requests import check_probability, docs, request, scored
from tests.tiny_collections import make_collection


@pytest.fixture
def collection(tmp_path):
    texts = {f"d{i}": f"text {i}" for i in range(120)}
    return make_collection(tmp_path / "c", texts, {"q": "x"}, [("train", "q", "d0", 1)])


def draw(asked):
    return open_strategy("stratified").sample(asked)


def test_each_stratum_gives_one_document(collection):
    # Seven documents by falling score, 7 6 ... 1; three strata: 7 6 5 | 4 3 | 2 1.
    wider = scored(0, {doc: doc for doc in range(1, 8)})
    for seed in range(30):
        drawn = draw(request(collection, negatives=3, seed=seed, wider=wider))
        first, second, third = docs(drawn)
        assert first in (7, 6, 5)
        assert second in (4, 3)
        assert third in (2, 1)
        assert drawn.probability.tolist() == pytest.approx([1 / 3, 1 / 2, 1 / 2])


def test_the_stated_probability_is_the_frequency(collection):
    wider = scored(0, {doc: -doc for doc in range(1, 12)})
    stated = check_probability("stratified", lambda seed: request(collection, negatives=4, seed=seed, wider=wider))
    assert sum(stated.values()) == pytest.approx(4)
    assert sorted(stated) == list(range(1, 12))


def test_positives_are_out_before_the_strata_are_made(collection):
    wider = scored(0, {0: 99.0, 1: 4, 2: 3, 3: 2, 4: 1})
    for seed in range(10):
        first, second = docs(draw(request(collection, negatives=2, seed=seed, wider=wider)))
        assert (first in (1, 2), second in (3, 4)) == (True, True)


def test_as_many_as_the_list_has_are_the_list(collection):
    wider = scored(0, {5: 1.0, 6: 3.0, 7: 2.0})
    assert docs(draw(request(collection, negatives=3, wider=wider))) == [6, 7, 5]
    assert docs(draw(request(collection, negatives=8, wider=wider))) == [6, 7, 5]


def test_the_spread_of_the_scores_is_kept_where_the_hardest_lose_it(collection):
    rng = np.random.default_rng(0)
    wider = scored(0, dict(enumerate(rng.normal(size=100).tolist(), 1)))
    deviations = [draw(request(collection, negatives=10, seed=s, wider=wider)).score.std() for s in range(50)]
    hardest = open_strategy("teacher").sample(request(collection, negatives=10, wider=wider)).score.std()
    whole = wider.score.std()
    assert abs(np.mean(deviations) / whole - 1) < 0.1
    assert hardest < whole / 2


def test_it_asks_for_the_scores_of_a_list():
    assert open_strategy("stratified:dense").needs() == Needs(wider="dense")
