from __future__ import annotations

import pytest

from rankstill.errors import SpecError
from rankstill.options import read_number, read_options


def test_keys_and_values_in_their_order():
    assert read_options("b=1=2,,a=x", ("a", "b"), "of a test") == {"b": "1=2", "a": "x"}
    assert read_options("", (), "of a test") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c=1", "unknown key of a test: 'c'"),
        ("a", "a of a test has no value"),
        ("a=", "a of a test has no value"),
        ("a=1,a=1", "a of a test comes twice"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, message):
    with pytest.raises(SpecError, match=message):
        read_options(text, ("a", "b"), "of a test")


def test_options_may_come_one_by_one():
    assert read_options(["a=x,y", "", "b=1"], ("a", "b"), "of a test") == {"a": "x,y", "b": "1"}
    with pytest.raises(SpecError) as error:
        read_options(["a=1"], (), "of a test")
    assert "known: (none)" in error.value.hint


def test_numbers_are_read_as_what_they_are_to_be():
    assert read_number("3", int, "n") == 3
    assert read_number("3", float, "n") == 3.0
    with pytest.raises(SpecError, match=r"n of x must be a whole number: got '3\.5'"):
        read_number("3.5", int, "n of x")
    with pytest.raises(SpecError, match="n of x must be a number: got 'three'"):
        read_number("three", float, "n of x")
