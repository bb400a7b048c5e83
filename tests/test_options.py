from __future__ import annotations

import pytest

from rankstill.errors import SpecError
from rankstill.options import read_options


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
