from __future__ import annotations

import pytest

from rankstill.collection.text_files import texts
from rankstill.errors import DataError

from .conftest import write_lines


def test_title_and_text_are_joined_by_one_space(tmp_path):
    path = write_lines(
        tmp_path / "a.jsonl",
        {"_id": "1", "title": "Flea", "text": "lives"},
        {"_id": "2", "title": "", "text": " lives "},
        {"_id": "3", "title": None, "text": "lives"},
        {"_id": "4", "title": "Flea", "text": None},
        {"id": 5, "text": ""},
    )
    assert list(texts(path)) == [("1", "Flea lives"), ("2", "lives"), ("3", "lives"), ("4", "Flea"), ("5", "")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["1\tcats purr", "2\t"], [("1", "cats purr"), ("2", "")]),
        (["1\tCats\tpurr", "2\t\tdogs"], [("1", "Cats purr"), ("2", "dogs")]),
        (["id\ttitle\ttext", "1\tCats\tpurr"], [("1", "Cats purr")]),
        (['1\t"cats" purr'], [("1", '"cats" purr')]),
    ],
)
def test_tsv(tmp_path, lines, expected):
    assert list(texts(write_lines(tmp_path / "a.tsv", *lines))) == expected


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("a.jsonl", {"text": "x"}, r"line 1: `_id` \(or `id`\) must be a string: it is missing"),
        ("a.jsonl", {"_id": True, "text": "x"}, r"line 1: `_id` .* must be a string: got True"),
        ("a.jsonl", {"_id": 1.5, "text": "x"}, r"line 1: `_id` .* must be a string: got 1.5"),
        ("a.jsonl", {"_id": "", "text": "x"}, r"line 1: `_id` .* must be a string: got ''"),
        ("a.jsonl", {"_id": "1", "contents": "x"}, r"line 1: there is no `text`; keys: _id, contents"),
        ("a.jsonl", {"_id": "1", "text": ["x"]}, r"line 1: `text` must be a string: got \['x'\]"),
        ("a.jsonl", {"_id": "1", "title": 3, "text": ""}, r"line 1: `title` must be a string: got 3"),
        ("a.tsv", "1 cats purr", r"line 1: 1 columns, not 2 \(id, text\) or 3"),
        ("a.tsv", "1\ta\tb\tc", r"line 1: 4 columns, not 2"),
        ("a.tsv", "1\tcats\n2\tcats\tpurr", r"line 2: 3 columns, the lines before have 2"),
        ("a.tsv", "\tcats", r"line 1: the id is empty"),
        ("a.csv", "1,cats", r"cannot tell the format of .*a\.csv by its name"),
    ],
)
def test_broken_lines(tmp_path, name, line, message):
    path = write_lines(tmp_path / name, line)
    with pytest.raises(DataError, match=message):
        list(texts(path))
