import math

import pytest

from rankstill.measures.bounds.bound import Bound


def made(**changes):
    usual = {
        "name": "excess risk",
        "source": "theory [3.2k]",
        "terms": {"fit": 0.1, "locality": 0.25},
        "assumptions": ("the head is linear", "groups are independent"),
        "trivial": 0.5,
        "confidence": 0.95,
    }
    return Bound(**usual | changes)


def test_the_value_is_the_sum_of_the_terms_times_the_factor():
    assert made().value == pytest.approx(0.35)
    assert made(factor=4.0).value == pytest.approx(1.4)


@pytest.mark.parametrize(("trivial", "vacuous"), [(0.36, False), (0.35, True), (0.2, True), (math.inf, False)])
def test_a_bound_at_or_above_what_is_known_without_data_is_vacuous(trivial, vacuous):
    assert made(terms={"fit": 0.35}, trivial=trivial).vacuous is vacuous


def test_a_bound_that_is_no_number_says_nothing():
    assert made(terms={"fit": math.nan}).vacuous
    assert made(terms={"fit": math.inf}, trivial=math.inf).vacuous


def test_it_is_never_written_without_terms_assumptions_and_vacuity():
    text = str(made())
    assert "0.1 (fit) + 0.25 (locality)" in text
    assert "the head is linear; groups are independent" in text
    assert "not vacuous" in text
    assert "VACUOUS" in str(made(trivial=0.2))
    assert "probability 0.95" in text
    assert "in expectation" in str(made(confidence=None))
    assert "4 x (" in str(made(factor=4.0))


def test_as_json_it_says_the_same_and_null_where_there_is_no_number():
    found = made(terms={"fit": 0.1, "shift": math.inf}, confidence=None).to_json()
    assert found["terms"] == {"fit": 0.1, "shift": None}
    assert found["value"] is None
    assert found["confidence"] is None
    assert found["vacuous"] is True
    assert found["assumptions"] == ["the head is linear", "groups are independent"]
