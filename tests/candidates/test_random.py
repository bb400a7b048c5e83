"""Uniform over all documents that may be drawn."""

import numpy as np
import pytest

from rankstill.candidates import open_strategy
from rankstill.errors import DataError
from tests.candidates.requests import check_probability, docs, request
from tests.tiny_collections import make_collection


@pytest.fixture
def collection(tmp_path):
    texts = {f"d{i}": f"text {i}" for i in range(13)} | {"copy": "text 4"}
    return make_collection(tmp_path / "c", texts, {"q": "x"}, [("train", "q", "d4", 1)])


@pytest.mark.parametrize("negatives", [2, 5, 12])
def test_the_stated_probability_is_the_frequency(collection, negatives):
    stated = check_probability("random", lambda seed: request(collection, negatives=negatives, depth=12, seed=seed))
    # 14 documents without the positive and its copy.
    assert sorted(stated) == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]
    assert set(stated.values()) == {np.float32(negatives / 12)}


def test_rejection_draws_with_the_stated_probability_too(tmp_path):
    texts = {f"d{i}": f"text {i}" for i in range(30)}
    collection = make_collection(tmp_path / "c", texts, {"q": "x"}, [("train", "q", "d4", 1)])
    stated = check_probability("random", lambda seed: request(collection, negatives=2, seed=seed))
    assert len(stated) == 29


def test_it_has_no_scores(collection):
    assert np.isnan(open_strategy("random").sample(request(collection)).score).all()


def test_excluded_documents_and_their_copies_are_not_drawn(collection):
    asked = request(collection, negatives=10).without({0: np.array([0, 1], np.uint32)})
    assert sorted(docs(open_strategy("random").sample(asked))) == [2, 3, 5, 6, 7, 8, 9, 10, 11, 12]


def test_too_few_documents_are_refused(collection):
    with pytest.raises(DataError, match="query q: only 12 of 14 documents may be negatives, 13 are needed"):
        open_strategy("random").sample(request(collection, negatives=13, depth=13))


def test_every_document_forbidden_is_refused(collection):
    asked = request(collection, negatives=1).without({0: np.arange(14, dtype=np.uint32)})
    with pytest.raises(DataError, match="only 0 of 14 documents may be negatives"):
        open_strategy("random").sample(asked)
