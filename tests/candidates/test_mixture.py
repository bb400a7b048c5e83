"""A fixed share of every group from each part, and no document twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankstill.candidates import open_strategy
from rankstill.candidates.mixture import shares
from rankstill.candidates.strategy import Needs
from rankstill.errors import SpecError
from tests.candidates.requests import docs, plane, request, scored
from tests.tiny_collections import make_collection, word_collection


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return word_collection(tmp_path_factory.mktemp("words") / "c")


def draw(reference, asked):
    return open_strategy(reference).sample(asked)


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [
        (15, [0.7, 0.3], [11, 4]),  # 10.5 and 4.5: the first of equal remainders
        (10, [0.55, 0.45], [6, 4]),  # 5.5 and 4.5
        (10, [1 / 3, 1 / 3, 1 / 3], [4, 3, 3]),
        (3, [0.98, 0.01, 0.01], [1, 1, 1]),
        (5, [0.98, 0.01, 0.01], [3, 1, 1]),
        (7, [0.5, 0.3, 0.2], [4, 2, 1]),  # 3.5, 2.1, 1.4
    ],
)
def test_shares_worked_by_hand(total, weights, expected):
    assert shares(total, np.array(weights)).tolist() == expected


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=9), st.integers(0, 60))
def test_shares_sum_up_and_every_part_has_one(weights, more):
    total = len(weights) + more
    found = shares(total, np.array(weights) / sum(weights))
    assert found.sum() == total
    assert found.min() >= 1


def test_the_source_says_which_part_drew(collection):
    drawn = draw("mixture:bm25*0.7+random*0.3", request(collection, queries=(3, 1, 8), negatives=10, depth=20))
    assert drawn.sources == ("bm25", "random")
    for query in (3, 1, 8):
        span = drawn.per_query()[query]
        assert drawn.source[span].tolist() == [0] * 7 + [1] * 3
        assert len(set(docs(drawn, query))) == 10
        assert np.isfinite(drawn.score[span][:7]).all()
        assert np.isnan(drawn.score[span][7:]).all()
    assert list(drawn.per_query()) == [3, 1, 8]
    assert np.isnan(drawn.probability).all()


def test_weights_count_by_their_ratio(collection):
    asked = request(collection, negatives=10, depth=20)
    assert docs(draw("mixture:bm25*7+random*3", asked)) == docs(draw("mixture:bm25*0.7+random*0.3", asked))


def test_a_later_part_does_not_draw_what_an_earlier_one_drew_nor_its_copies(tmp_path):
    texts = {"d0": "positive", "d1": "wing a", "copy": "wing a", "d3": "other b", "d4": "other c"}
    collection = make_collection(tmp_path / "c", texts, {"q": "wing"}, [("train", "q", "d0", 1)])
    for seed in range(30):
        drawn = draw("mixture:bm25+random*2", request(collection, negatives=3, seed=seed))
        first, *others = docs(drawn)
        assert first in (1, 2)
        assert sorted(others) == [3, 4]


def test_parts_of_one_kind_draw_apart(collection):
    asked = request(collection, queries=(2,), negatives=20, depth=40)
    drawn = draw("mixture:(bm25#depth=40)+(bm25#depth=39)", asked)
    assert len(set(docs(drawn, 2))) == 20


def test_a_part_with_too_few_gives_fewer_and_no_other_makes_up_for_it(tmp_path):
    texts = {f"d{i}": f"text{i}" for i in range(20)} | {"w": "wing"}
    collection = make_collection(tmp_path / "c", texts, {"q": "wing"}, [("train", "q", "d0", 1)])
    drawn = draw("mixture", request(collection, negatives=6))
    assert drawn.source.tolist() == [0, 1, 1, 1]


def test_fewer_documents_than_parts_are_refused(collection):
    with pytest.raises(SpecError, match="1 negatives cannot come from 2 parts"):
        draw("mixture", request(collection, negatives=1))


def test_it_needs_what_its_parts_need():
    needs = open_strategy("mixture:stratified+dense+(trisampler#model=minilm)+random").needs()
    assert needs == Needs(wider="bm25", model="minilm", whole=True)
    with pytest.raises(SpecError, match="need different wider lists: bm25, dense"):
        open_strategy("mixture:stratified:bm25+teacher:dense").needs()
    with pytest.raises(SpecError, match="need different models: a, b"):
        open_strategy("mixture:dense:a+dense:b").needs()
    assert [str(p) for p in open_strategy("mixture:(run:a)+(run:b)*2").files()] == ["a", "b"]


def test_every_kind_of_part_can_be_mixed(collection):
    wider = scored(4, {doc: np.sin(doc) for doc in range(50, 90)})
    vectors = {"query_vectors": plane(*range(20)), "document_vectors": plane(*range(200))}
    asked = request(collection, queries=(4,), negatives=12, depth=20, wider=wider, **vectors)
    drawn = draw("mixture:bm25+random+teacher+stratified+dense+trisampler", asked)
    assert drawn.source.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert len(set(docs(drawn, 4))) == 12
