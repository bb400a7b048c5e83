from __future__ import annotations

import pytest

from rankstill.collection.reference import Reference
from rankstill.errors import SpecError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data/scifact", Reference("data/scifact")),
        ("data/scifact#", Reference("data/scifact")),
        ("data/dl19#relevant_from=2,split=test", Reference("data/dl19", split="test", relevant_from=2)),
        ("pydocs#part=ood", Reference("pydocs", part="ood")),
        ("pydocs#size=demo", Reference("pydocs", size="demo")),
        ("data/wikiqa#lists=dev,dev=dev", Reference("data/wikiqa", lists="dev", dev="dev")),
    ],
)
def test_parse(text, expected):
    assert Reference.parse(text) == expected
    assert Reference.parse(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#split=test", "names no collection"),
        ("a#splt=test", r"unknown key in 'a#splt=test': 'splt'\nhint: did you mean 'split'\?"),
        ("a#split", "split in 'a#split' has no value"),
        ("a#split=x,split=y", "split in .* comes twice"),
        ("a#relevant_from=two", "relevant_from in .* must be a whole number of at least 1: got 'two'"),
        ("a#relevant_from=0", "relevant_from in .* must be a whole number of at least 1: got '0'"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(SpecError, match=message):
        Reference.parse(text)
