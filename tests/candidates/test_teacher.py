"""The hardest documents of the wider list by the teacher's scores."""

import numpy as np
import pytest

from rankstill.candidates import open_strategy
from rankstill.candidates.strategy import Needs
from rankstill.errors import DataError
from rankstill.records import Pairs
from tests.candidates.requests import docs, request, rows, scored
from tests.tiny_collections import make_collection


@pytest.fixture
def collection(tmp_path):
    texts = {f"d{i}": f"text {i}" for i in range(9)} | {"copy": "text 3"}
    return make_collection(tmp_path / "c", texts, {"q": "x", "other": "y"}, [("train", "q", "d3", 1)])


LIST = scored(0, {1: 0.5, 3: 9.0, 9: 9.0, 6: -2.0, 5: 0.7, 2: 0.7, 8: 3.0})


def draw(asked):
    return open_strategy("teacher").sample(asked)


def test_it_takes_the_highest_scores_equal_ones_by_row(collection):
    drawn = draw(request(collection, negatives=4, wider=LIST))
    assert docs(drawn) == [8, 2, 5, 1]
    assert drawn.score.tolist() == pytest.approx([3, 0.7, 0.7, 0.5])
    assert set(drawn.probability.tolist()) == {1.0}


def test_nothing_is_left_to_chance(collection):
    assert len({tuple(docs(draw(request(collection, seed=seed, wider=LIST)))) for seed in range(9)}) == 1


def test_a_short_list_gives_all_it_has(collection):
    assert docs(draw(request(collection, negatives=9, wider=LIST))) == [8, 2, 5, 1, 6]


def test_it_asks_for_the_scores_of_a_list():
    assert open_strategy("teacher:(bm25#k1=0.9,b=0.4)").needs() == Needs(wider="bm25#k1=0.9,b=0.4")


@pytest.mark.parametrize("strategy", ["teacher", "stratified", "trisampler"])
def test_a_list_that_cannot_be_used_is_refused(collection, strategy):
    chosen = open_strategy(strategy)
    with pytest.raises(DataError, match="wider list that the teacher has scored, and none was given"):
        chosen.sample(request(collection))
    with pytest.raises(DataError, match=r"lacks 1 of 2 queries \(first: other\)"):
        chosen.sample(request(collection, queries=(0, 1), wider=LIST))
    with pytest.raises(DataError, match="1 of 2 pairs of the wider list have no finite score"):
        chosen.sample(request(collection, wider=scored(0, {1: np.nan, 2: 1.0})))
    twice = Pairs(rows(0, 0), rows(1, 1), np.ones(2, np.float32))
    with pytest.raises(DataError, match="a document twice"):
        chosen.sample(request(collection, wider=twice))
