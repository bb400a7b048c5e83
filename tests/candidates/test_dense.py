"""The nearest documents by cosine, without positives; vectors in a plane can be ranked by eye."""

import numpy as np
import pytest

from rankstill.candidates import Vectors, open_strategy
from rankstill.candidates.strategy import Needs, unit_length
from rankstill.errors import DataError, SpecError
from tests.candidates.requests import check_probability, docs, plane, request, rows
from tests.tiny_collections import make_collection

# Documents at 0, 10, ... 80 degrees and at 180; the query at 2; d1 (10 degrees) is the positive, d9 has its text.
ANGLES = [0, 10, 20, 30, 40, 50, 60, 70, 80, 10, 180]


@pytest.fixture
def collection(tmp_path):
    texts = {f"d{i}": f"text {1 if i == 9 else i}" for i in range(11)}
    return make_collection(tmp_path / "c", texts, {"q": "x"}, [("train", "q", "d1", 1)])


def asked(collection, **options):
    return request(collection, query_vectors=plane(2), document_vectors=plane(*ANGLES), **options)


def draw(reference, made):
    return open_strategy(reference).sample(made)


def test_the_nearest_come_first_without_the_positive_and_its_copy(collection):
    drawn = draw("dense", asked(collection, negatives=9))
    assert docs(drawn) == [0, 2, 3, 4, 5, 6, 7, 8, 10]
    expected = [np.cos(np.deg2rad(a)) for a in (2, 18, 28, 38, 48, 58, 68, 78, 178)]
    assert drawn.score == pytest.approx(expected, abs=1e-6)


def test_as_many_as_asked_are_left_after_the_positives_are_taken_out(collection):
    assert docs(draw("dense#depth=3", asked(collection, negatives=3))) == [0, 2, 3]


def test_the_rank_range(collection):
    assert docs(draw("dense#skip=2,depth=5", asked(collection, negatives=3))) == [3, 4, 5]
    with pytest.raises(SpecError, match="cannot draw 3 documents from the ranks 3 to 4"):
        draw("dense#skip=2,depth=4", asked(collection, negatives=3))


def test_the_stated_probability_is_the_frequency(collection):
    stated = check_probability("dense#skip=1,depth=6", lambda seed: asked(collection, negatives=2, seed=seed))
    assert stated == {doc: pytest.approx(2 / 5) for doc in (2, 3, 4, 5, 6)}


def test_fewer_documents_than_asked_are_all_drawn(collection):
    assert docs(draw("dense", asked(collection, negatives=50, depth=50))) == [0, 2, 3, 4, 5, 6, 7, 8, 10]


def test_the_length_of_a_vector_does_not_count(collection):
    long = Vectors(rows(*range(11)), plane(*ANGLES).values * np.arange(1, 12, dtype=np.float32)[:, None])
    made = request(collection, negatives=9, query_vectors=plane(2), document_vectors=long)
    assert docs(draw("dense", made)) == docs(draw("dense", asked(collection, negatives=9)))


def test_only_encoded_documents_are_drawn(collection):
    some = Vectors(rows(2, 5, 8), plane(20, 50, 80).values)
    made = request(collection, query_vectors=plane(2), document_vectors=some)
    assert docs(draw("dense", made)) == [2, 5, 8]


def test_it_needs_vectors_of_all_documents_and_of_the_queries(collection):
    assert open_strategy("dense:a/folder").needs() == Needs(model="a/folder", whole=True)
    with pytest.raises(DataError, match="compares vectors, and none were given"):
        draw("dense", request(collection))
    with pytest.raises(DataError, match="1 of 1 texts have no vector"):
        draw("dense", request(collection, query_vectors=Vectors(rows(), np.empty((0, 2))), document_vectors=plane(0)))


def test_a_vector_of_length_0_stays():
    assert unit_length(np.array([[3, 4], [0, 0]])).tolist() == [[np.float32(0.6), np.float32(0.8)], [0, 0]]
