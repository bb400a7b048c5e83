"""Triangles in a plane: angles and weights worked by hand."""

import math

import numpy as np
import pytest

from rankstill.candidates import Vectors, open_strategy
from rankstill.candidates.strategy import Needs
from rankstill.candidates.trisampler import angles, log_weights
from rankstill.errors import DataError
from tests.candidates.requests import docs, plane, request, rows, scored
from tests.tiny_collections import make_collection

# On the unit circle, the query at 0 and the positive at 90 degrees. An angle at the circle is half of the arc that it
# looks at (Thales' theorem of the inscribed angle): from the positive, the arc between the query and a negative.
QUERY, POSITIVE = plane(0).values[0], plane(90).values[0]


def test_the_angle_at_the_positive_is_half_of_the_arc():
    degrees = [20, 60, -40, -90, 180, 120]
    # The arc from the query to the negative that does not hold the positive; past the positive, the other way round.
    arcs = [20, 60, 40, 90, 180, 360 - 120]
    found = np.rad2deg(angles(QUERY, POSITIVE, plane(*degrees).values))
    assert found == pytest.approx([arc / 2 for arc in arcs], abs=1e-4)


def test_a_right_angle_and_straight_lines():
    positive = np.array([0, 0], np.float32)  # Not of length 1: only directions count for the angle.
    negatives = np.array([[0, 3], [5, 0], [-2, 0], [1, 1], [0, 0]], np.float32)
    found = np.rad2deg(angles(np.array([1, 0], np.float32), positive, negatives))
    assert found == pytest.approx([90, 0, 180, 45, 90])


def test_the_first_weight_is_highest_where_the_negative_is_as_near_as_the_positive():
    found = log_weights(QUERY, POSITIVE, plane(90, -90, 0, 60, 180).values, "query")
    # s(q, d+) = 0; s(q, d-) = 0, 0, 1, 1/2, -1
    assert found == pytest.approx([0, 0, -1 / 4, -1 / 16, -1 / 4], abs=1e-7)


def test_the_second_weight_is_how_much_nearer_the_negative_is_to_the_positive():
    found = log_weights(QUERY, POSITIVE, plane(90, 60, 45, 0, 180).values, "positive")
    # s(d+, d-) - s(q, d-) = 1 - 0, √3/2 - 1/2, 0, 0 - 1, 0 + 1
    assert np.exp(found) == pytest.approx([1, math.sqrt(3) / 2 - 1 / 2, 0, 0, 1], abs=1e-6)


@pytest.fixture
def collection(tmp_path):
    texts = {f"d{i}": f"text {i}" for i in range(8)}
    judged = [("train", "q", "d0", 1), ("train", "q", "d7", 1)]
    return make_collection(tmp_path / "c", texts, {"q": "x", "free": "y"}, judged)


# d0 is the first positive; seen from it, the others lie at 10, 30, 45, 20, 90 and 120 degrees.
DOCUMENTS = plane(90, 20, 60, -90, -40, 180, 120, 33)
WIDER = scored(0, dict.fromkeys(range(1, 8), 0.0))


def asked(collection, **options):
    given = {"wider": WIDER, "query_vectors": plane(0, 0), "document_vectors": DOCUMENTS} | options
    return request(collection, **given)


def test_it_draws_within_the_angle(collection):
    for seed in range(40):
        drawn = open_strategy("trisampler#angle=40").sample(asked(collection, negatives=2, seed=seed))
        assert set(docs(drawn)) <= {1, 2, 4}
        assert drawn.source.tolist() == [0, 0]
    assert drawn.sources == ("within the angle", "filled up")


def test_the_others_fill_up_by_rising_angle(collection):
    drawn = open_strategy("trisampler#angle=40").sample(asked(collection, negatives=6))
    assert sorted(docs(drawn)[:3]) == [1, 2, 4]
    assert docs(drawn)[3:] == [3, 5, 6]
    assert drawn.source.tolist() == [0, 0, 0, 1, 1, 1]


def test_fewer_than_asked_are_all_drawn(collection):
    assert sorted(docs(open_strategy("trisampler").sample(asked(collection, negatives=9)))) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("weight", ["query", "positive"])
def test_one_document_is_drawn_with_its_weight(collection, weight):
    vectors, seeds = DOCUMENTS, 1500
    log = log_weights(QUERY, POSITIVE, vectors.values[1:7], weight)
    inside = np.array([True, True, True, True, False, False])
    share = np.where(inside, np.exp(log), 0)
    share = share / share.sum()
    strategy = open_strategy(f"trisampler#weight={weight}")
    drawn = [docs(strategy.sample(asked(collection, negatives=1, seed=seed)))[0] for seed in range(seeds)]
    counts = np.bincount(drawn, minlength=7)[1:7]
    assert (abs(counts - seeds * share) <= 5 * np.sqrt(seeds * share * (1 - share)) + 1e-6).all()


def test_a_weight_of_0_is_drawn_only_to_fill_up(collection):
    # By the second weight: 60 degrees is nearer to the positive, 20, -40 are not, -90 is not.
    drawn = open_strategy("trisampler#weight=positive").sample(asked(collection, negatives=3))
    assert docs(drawn)[0] == 2
    assert docs(drawn)[1:] == [1, 4]
    assert drawn.source.tolist() == [0, 1, 1]


def test_the_score_is_the_logarithm_of_the_weight(collection):
    drawn = open_strategy("trisampler").sample(asked(collection, negatives=6))
    expected = log_weights(QUERY, POSITIVE, DOCUMENTS.values[drawn.doc], "query")
    assert drawn.score == pytest.approx(expected)
    assert np.isnan(drawn.probability).all()


def test_it_asks_for_scores_and_vectors():
    assert open_strategy("trisampler#of=dense,model=m").needs() == Needs(wider="dense", model="m")


def test_what_it_lacks_is_refused(collection):
    strategy = open_strategy("trisampler")
    with pytest.raises(DataError, match="compares vectors, and none were given"):
        strategy.sample(asked(collection, query_vectors=None))
    with pytest.raises(DataError, match=r"1 of 1 queries have no positive \(first: free\)"):
        strategy.sample(asked(collection, queries=(1,), wider=scored(1, {1: 0.0, 2: 0.0})))
    few = Vectors(rows(*range(6)), DOCUMENTS.values[:6])
    with pytest.raises(DataError, match=r"1 of 6 texts have no vector \(first: row 6\)"):
        strategy.sample(asked(collection, document_vectors=few))
