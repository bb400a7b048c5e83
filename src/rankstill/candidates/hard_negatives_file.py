"""Reading the file of sentence-transformers' msmarco-hard-negatives.

One JSON object a line: `{"qid": ..., "pos": [...], "neg": {SYSTEM: [...]}}`; documents are ids, or objects with an id
(`pid`, `id` or `_id`) and perhaps a score, which is not used: the systems' scores have no common scale.
"""

from __future__ import annotations

from collections.abc import Collection as Container
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankstill.collection.lines import json_lines
from rankstill.errors import DataError, some

_IDS = ("pid", "id", "_id")
_FORM = '{"qid": 1, "pos": [2], "neg": {"bm25": [3, 4]}}'


@dataclass(frozen=True)
class Line:
    """A line of the file.

    Attributes:
        number: From 1.
        query: The query's row.
        positives: Ids of the documents that the file holds relevant.
        systems: Each system's documents, in its order, each once.
    """

    number: int
    query: int
    positives: list[str]
    systems: dict[str, list[str]]


def read_lines(path: Path, asked: Mapping[str, int], wanted: Container[str]) -> Iterator[Line]:
    """Yield the lines of the asked queries.

    Args:
        path: The file, plain or gzipped.
        asked: Rows of the queries by id.
        wanted: The systems to read; all where empty.

    Raises:
        DataError: A line is broken, or a query comes twice.
    """
    seen: dict[int, int] = {}
    for number, item in json_lines(path):
        where = f"{path}, line {number}"
        query = asked.get(_id(where, item.get("qid"), "a query"))
        if query is None:
            continue
        if query in seen:
            raise DataError(f"{where}: query {item['qid']} comes a second time (first: line {seen[query]})")
        seen[query] = number
        systems = item.get("neg")
        if not isinstance(systems, dict) or not systems:
            raise DataError(f'{where}: no "neg" with systems in it', hint=_FORM)
        lists = {name: _ids(where, found) for name, found in systems.items() if not wanted or name in wanted}
        yield Line(number, query, _ids(where, item.get("pos", [])), lists)


def _ids(where: str, documents: Any) -> list[str]:
    if not isinstance(documents, list):
        raise DataError(f"{where}: documents are not a list: {str(documents)[:60]!r}", hint=_FORM)
    return list(dict.fromkeys(_id(where, document, "a document") for document in documents))


def _id(where: str, item: Any, what: str) -> str:
    value = item
    if isinstance(item, dict):
        value = next((item[key] for key in _IDS if key in item), None)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise DataError(
            f"{where}: {what} is not an id: {str(item)[:60]!r}", hint=f"an id, or an object with one of {some(_IDS)}"
        )
    return str(value)
