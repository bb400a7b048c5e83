from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.teachers.llm import reading
from rankstill.teachers.llm.answer import Answer


def test_log_odds_are_the_difference_of_the_log_probabilities():
    assert reading.log_odds([("Yes", -0.25), ("No", -1.5)]) == reading.Judged(1.25)


def test_spellings_of_a_word_add_up():
    top = [
        ("Yes", math.log(0.3)),
        (" yes", math.log(0.2)),
        ("▁YES", math.log(0.1)),
        ("No", math.log(0.25)),
        ("Not", -3.0),
    ]
    assert reading.log_odds(top).score == pytest.approx(math.log(0.6 / 0.25))


def test_a_word_that_is_not_listed_counts_as_the_least_listed_token():
    assert reading.log_odds([("Yes", -0.1), ("Sure", -4.0)]) == reading.Judged(-0.1 + 4.0, bounded=True)
    assert reading.log_odds([("no", -0.1), ("Sure", -4.0)]) == reading.Judged(-4.0 + 0.1, bounded=True)


def test_neither_word_is_no_score():
    top = [("Maybe", -0.1), ("The", -5.0)]
    assert reading.log_odds(top).score is None
    assert reading.worst_log_odds(top) == -5.0
    assert reading.worst_log_odds(None) == -1.0


def test_what_is_nearly_impossible_is_finite():
    assert reading.log_odds([("Yes", 0.0), ("No", -9999.0)]).score == 50.0


@pytest.mark.parametrize(
    ("text", "score"),
    [("Yes", 1), ("yes, it does", 1), ("**No.**", -1), ("\nNo", -1), ("<think>Yes?</think> No", -1),
     ("Yesterday", None), ("", None), ("Well, yes", None), ("<think>Yes yes", None)],
)  # fmt: skip
def test_the_first_word_of_an_answer(text, score):
    assert reading.answered_word(text).score == score


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("2", 2), (" 3.\n", 3), ("0", 0), ("2/3", 2), ("2 - partly", 2), ("**1**", 1),
        ("Grade: 2", 2), ('{"grade": 1}', 1), ("The passage is off topic. Relevance = 0", 0),
        ("I would say 2.", 2), ("Score: **3** of 3", 3),
        ("<think>3? or 1?</think>2", 2), ("2, although 3 is close", 2), ("7 of 9: Grade: 1", 1),
        ("4", None), ("-1", None), ("2.5", None), ("1,5", None), ("two", None), ("", None), ("between 1 and 3", None),
        ("Grade: 1 ... Grade: 3", None), ("Score (0-3): 2", None), ("9" * 5000, None), ("12", None),
        ("<think>so 3", None),
    ],
)  # fmt: skip
def test_the_grade_of_an_answer(text, grade):
    assert reading.grade(text, 3).score == grade


def order(text, count=4):
    found = reading.order(Answer(text, None, "stop", None), count)
    return [p + 1 for p in found.places], found.missing, found.doubled, found.unknown


@pytest.mark.parametrize(
    ("text", "places", "missing", "doubled", "unknown"),
    [
        ("[2] > [4] > [1] > [3]", [2, 4, 1, 3], 0, 0, 0),
        ("2 > 4 > 1 > 3", [2, 4, 1, 3], 0, 0, 0),
        ("The 4 passages: [2] > [ 4 ] > [1] > [3]", [2, 4, 1, 3], 0, 0, 0),
        ("[3] > [2]", [3, 2, 1, 4], 2, 0, 0),
        ("[3] > [3] > [1] > [3] > [2] > [4]", [3, 1, 2, 4], 0, 2, 0),
        ("[0] > [5] > [2] > [-1] > [99999999999999999999]", [2, 1, 3, 4], 3, 0, 4),
        ("[A] > [second] > [1.5] > [3] > [] > [²]", [3, 1, 2, 4], 3, 0, 5),
        ("<think>[1] > [2]</think>[4] > [3]", [4, 3, 1, 2], 2, 0, 0),
        ("I cannot rank these.", [1, 2, 3, 4], 4, 0, 0),
        ("", [1, 2, 3, 4], 4, 0, 0),
        ("[" * 1000, [1, 2, 3, 4], 4, 0, 0),
    ],
)
def test_the_order_of_an_answer(text, places, missing, doubled, unknown):
    assert order(text) == (places, missing, doubled, unknown)


def test_an_answer_that_names_nothing_is_not_readable():
    assert not reading.order(Answer("[9] > [x]", None, "", None), 4).readable
    assert reading.order(Answer("[4]", None, "", None), 4).readable


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.text(), st.integers(1, 30))
def test_any_text_gives_a_permutation_and_a_true_count(text, count):
    found = reading.order(Answer(text, None, "", None), count)
    assert sorted(found.places) == list(range(count))
    assert 0 <= found.missing <= count
    assert min(found.doubled, found.unknown) >= 0


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.text(), st.integers(1, 100))
def test_any_text_gives_a_grade_in_range_or_none(text, highest):
    score = reading.grade(text, highest).score
    assert score is None or (score == int(score) and 0 <= score <= highest)
