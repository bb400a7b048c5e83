from __future__ import annotations

import json

import pytest

from rankstill.teachers.llm.answer import Answer, error_text, read_answer
from tests.nasty_server import completion


def read(**body):
    return read_answer(json.dumps(body).encode())


def test_a_whole_answer():
    body = completion("Yes.", {"Yes": -0.1, "No": -2.5})
    assert read(**body) == Answer("Yes.", [("Yes", -0.1), ("No", -2.5)], "stop", (100, 2))


def test_the_first_token_that_is_no_white_space_counts():
    blank = {"token": "\n", "top_logprobs": [{"token": "\n", "logprob": 0}]}
    then = {"token": "No", "top_logprobs": [{"token": "No", "logprob": -0.5}]}
    choice = {"message": {"content": "\nNo"}, "logprobs": {"content": [blank, then]}}
    assert read(choices=[choice]).top == [("No", -0.5)]


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"<html>busy</html>", "not JSON"),
        (b'{"choices": [{"mess', "not JSON"),
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[1, 2]", "no choices"),
        (b'{"object": "chat.completion"}', "no choices"),
        (b'{"choices": []}', "no choices"),
        (b'{"choices": ["Yes"]}', "no choices"),
        (b'{"error": {"message": "out of memory"}}', "no choices (out of memory)"),
        (b'{"choices": [{"text": "Yes"}]}', "no message"),
        (b'{"choices": [{"message": {"content": ["Yes"]}}]}', "no message"),
    ],
)
def test_what_is_no_answer_is_told_in_words(data, wrong):
    found = read_answer(data)
    assert isinstance(found, str)
    assert wrong in found


@pytest.mark.parametrize(
    "logprobs",
    [None, {}, {"content": None}, {"content": []}, {"content": [7]}, {"content": [{"token": "Yes"}]}, [1],
     {"content": [{"token": "Yes", "top_logprobs": [{"token": 3, "logprob": -1}, {"token": "No", "logprob": "x"}]}]}],
)  # fmt: skip
def test_log_probabilities_of_an_odd_form_are_none(logprobs):
    assert read(choices=[{"message": {"content": "Yes"}, "logprobs": logprobs}]).top is None


def test_log_probabilities_that_are_no_numbers_of_json_are_kept_as_what_json_knows():
    data = (
        b'{"choices": [{"message": {"content": "a"}, "logprobs": {"content": [{"token": "a", "top_logprobs": '
        b'[{"token": "Yes", "logprob": -Infinity}, {"token": "No", "logprob": NaN}, {"token": "x", "logprob": 3}]}]}}]}'
    )
    assert read_answer(data).top == [("Yes", -9999.0), ("x", 0.0)]


@pytest.mark.parametrize(
    "usage", [None, [], {}, {"prompt_tokens": 3}, {"prompt_tokens": -1, "completion_tokens": 0},
              {"prompt_tokens": 10**12, "completion_tokens": 0}, {"prompt_tokens": True, "completion_tokens": 1}],
)  # fmt: skip
def test_a_usage_that_cannot_be_is_none(usage):
    assert read(choices=[{"message": {"content": "a"}}], usage=usage).usage is None


def test_what_a_filter_kept_back_is_not_an_empty_answer():
    assert read(**completion("")).empty
    assert read(**completion(None)).empty
    assert not read(**completion(None, finish="content_filter")).empty
    assert not read(**completion("", {"Yes": -1.0})).empty


def test_what_a_server_says_of_an_error():
    assert error_text(b'{"error": {"message": "too\\nlong"}}') == "too long"
    assert error_text(b'{"detail": "Not Found"}') == "Not Found"
    assert error_text(b'{"error": "plain"}') == "plain"
    assert error_text(b"<h1>Bad</h1>") == "<h1>Bad</h1>"
    assert error_text(b"\xff" * 1000) == "\ufffd" * 200
