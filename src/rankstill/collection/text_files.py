"""Ids and texts from JSONL and TSV files.

JSONL: `_id` or `id`, `text`, and optionally `title`; a title and a text are joined by one space. TSV: id, text or
id, title, text, without quoting; a first line of column names is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rankstill.collection.lines import json_lines, lines, plain_suffix
from rankstill.errors import DataError

_ID_NAMES = {"_id", "id", "docno", "doc_id", "doc-id", "pid", "corpus-id", "query_id", "query-id", "qid"}
_TEXT_NAMES = {"text", "query"}


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of a JSONL or TSV file of documents or queries, plain or gzipped.

    Raises:
        DataError: A line lacks an id or a text, has another number of columns than the first, or is not UTF-8; or the
            file's name tells no format.
    """
    suffix = plain_suffix(path)
    if suffix in (".jsonl", ".json"):
        return _from_json(path)
    if suffix in (".tsv", ".txt"):
        return _from_tsv(path)
    raise DataError(
        f"cannot tell the format of {path} by its name", hint="name it .jsonl or .tsv, optionally followed by .gz"
    )


def id_of(item: Mapping[str, Any], where: str) -> str:
    """Return the `_id` or `id` of a JSON object; whole numbers become strings.

    Raises:
        DataError: There is none, or it is neither a string nor a whole number.
    """
    found = item["_id"] if "_id" in item else item.get("id")
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if not isinstance(found, str) or not found:
        got = "it is missing" if found is None else f"got {found!r}"
        raise DataError(f"{where}: `_id` (or `id`) must be a string: {got}")
    return found


def text_of(item: Mapping[str, Any], where: str) -> str:
    """Return title and text of a JSON object, joined by one space; null counts as empty.

    Raises:
        DataError: There is no `text`, or one of the two is not a string.
    """
    if "text" not in item:
        raise DataError(f"{where}: there is no `text`; keys: {', '.join(item) or 'none'}")
    parts = []
    for key in ("title", "text"):
        value = item.get(key)
        if value is not None and not isinstance(value, str):
            raise DataError(f"{where}: `{key}` must be a string: got {value!r}")
        parts.append(value or "")
    return " ".join(parts).strip()


def _from_json(path: Path) -> Iterator[tuple[str, str]]:
    for number, item in json_lines(path):
        where = f"{path}, line {number}"
        yield id_of(item, where), text_of(item, where)


def _from_tsv(path: Path) -> Iterator[tuple[str, str]]:
    width = 0
    for number, line in lines(path):
        columns = line.split("\t")
        if not width:
            width = len(columns)
            if width not in (2, 3):
                raise DataError(
                    f"{path}, line {number}: {width} columns, not 2 (id, text) or 3 (id, title, text)",
                    hint="separate the columns by one tab",
                )
            if columns[0].lower() in _ID_NAMES and columns[-1].lower() in _TEXT_NAMES:
                continue
        if len(columns) != width:
            raise DataError(
                f"{path}, line {number}: {len(columns)} columns, the lines before have {width}",
                hint="separate the columns by one tab, and replace tabs inside texts by spaces",
            )
        if not columns[0]:
            raise DataError(f"{path}, line {number}: the id is empty")
        yield columns[0], " ".join(columns[1:]).strip()
