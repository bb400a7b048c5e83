from __future__ import annotations

import gzip

import pytest

from rankstill.collection.lines import count_lines, json_lines, lines
from rankstill.errors import DataError


def test_blank_lines_are_skipped_and_counted(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\n\n  \ntwo\tx\nthree")
    assert list(lines(path)) == [(1, "one"), (4, "two\tx"), (5, "three")]


def test_only_newlines_end_a_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a\u2028b\x0bc\u0085d\n", "utf-8")
    assert list(lines(path)) == [(1, "a\u2028b\x0bc\u0085d")]


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "1"}\n', "utf-8-sig")
    assert list(json_lines(path)) == [(1, {"_id": "1"})]


def test_gzipped_files_read_the_same(tmp_path):
    plain, packed = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    plain.write_text("grün\nblau\n", "utf-8")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(lines(packed)) == list(lines(plain))
    assert (count_lines(plain), count_lines(packed)) == (2, None)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"there is no file .*nowhere\.txt"):
        list(lines(tmp_path / "nowhere.txt"))


def test_unreadable_file(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*: Is a directory"):
        list(lines(tmp_path))


def test_not_utf8_names_line_and_byte(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("grün\n".encode() + "x grün\n".encode("latin-1"))
    # The first line has 6 bytes (ü takes two); the bad byte is the fifth of the second line.
    with pytest.raises(DataError, match=r"a\.txt, line 2: not UTF-8 at byte 10 of the file \(0xfc\)"):
        list(lines(path))


def test_truncated_gzip(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"line\n" * 1000)[:-12])
    with pytest.raises(DataError, match="is not a whole gzip file"):
        list(lines(path))


def test_no_gzip_in_spite_of_its_name(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(b"plain\n")
    with pytest.raises(DataError, match="is not a whole gzip file"):
        list(lines(path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"_id": "2", ', r"line 2: not valid JSON: Expecting property name"),
        ('["2"]', r"line 2: a JSON list, not an object"),
        ("17", r"line 2: a JSON int, not an object"),
        ('{"text": "\\ud83d"}', r"line 2: holds half of a surrogate pair"),
        ("[" * 100_000, r"line 2: not valid JSON"),
    ],
)
def test_broken_json_names_the_line(tmp_path, line, message):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"_id": "1"}}\n{line}\n', "utf-8")
    with pytest.raises(DataError, match=message):
        list(json_lines(path))


def test_a_whole_surrogate_pair_is_one_character(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "\\ud83d\\ude00"}\n', "utf-8")
    assert list(json_lines(path)) == [(1, {"text": "\U0001f600"})]
