from __future__ import annotations

import pytest

from rankstill.errors import SpecError
from rankstill.teachers.reference import split_members, split_options


def test_options_stand_behind_the_last_hash(tmp_path):
    assert split_options("a#b/c.trec#by=rank", ("by",)) == ("a#b/c.trec", {"by": "rank"})
    assert split_options("a.trec", ("by",)) == ("a.trec", {})
    # A file that exists with its hash and all is that file.
    (tmp_path / "a#by=rank").write_text("")
    assert split_options(f"{tmp_path}/a#by=rank", ("by",)) == (f"{tmp_path}/a#by=rank", {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a#bye=rank", "unknown key"),
        ("a#by", "by in 'a#by' has no value"),
        ("a#by=rank,by=score", "comes twice"),
        ("#by=rank", "names no teacher"),
    ],
)
def test_broken_options_are_refused(text, message):
    with pytest.raises(SpecError, match=message):
        split_options(text, ("by",))


@pytest.mark.parametrize(
    ("text", "members", "rest"),
    [
        ("[a]+[b]", ["a", "b"], ""),
        # Whatever stands between brackets is a teacher's own: plus, hash, comma, and pairs of brackets.
        ("[x+y.trec#by=rank]+[d[1]/m]#weights=1+2", ["x+y.trec#by=rank", "d[1]/m"], "#weights=1+2"),
        ("[ensemble:[a]+[b]#normalise=z]+[c]", ["ensemble:[a]+[b]#normalise=z", "c"], ""),
    ],
)
def test_teachers_stand_between_brackets(text, members, rest):
    assert split_members(text) == (members, rest)


@pytest.mark.parametrize("text", ["[a]+b", "[a][b]", "[a", "[a]+[b]]", "[]+[a]", "[a]x"])
def test_other_brackets_are_refused(text):
    with pytest.raises(SpecError, match=r"is no list of teachers|is not closed"):
        split_members(text)
