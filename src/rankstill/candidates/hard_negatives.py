"""`hard-negatives`: negatives that somebody mined, in the file of sentence-transformers' msmarco-hard-negatives.

One JSON object a line: `{"qid": ..., "pos": [...], "neg": {SYSTEM: [...]}}`; documents are ids, or objects with an id
(`pid`, `id` or `_id`) and perhaps a score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rankstill.candidates.strategy import Request, Strategy, draw_from_ranked
from rankstill.collection.lines import json_lines
from rankstill.errors import DataError, SpecError, some, unknown_name
from rankstill.records import Candidates, Rows

_IDS = ("pid", "id", "_id")


@dataclass(frozen=True)
class HardNegatives(Strategy):
    """Draws uniformly from the union of the systems' first documents; the file's positives are never drawn.

    Attributes:
        file: The file, plain or gzipped.
        systems: Which systems, as in `bm25+msmarco-distilbert-base-tas-b`; all where empty.
        depth: Documents of each system; 0 for the request's depth.
    """

    name: ClassVar[str] = "hard-negatives"
    short: ClassVar[str] = "file"
    file: str = ""
    systems: str = ""
    depth: int = 0

    def __post_init__(self) -> None:
        if not self.file:
            raise SpecError("the strategy hard-negatives needs a file", hint="--strategy hard-negatives:FILE")

    def files(self) -> list[Path]:
        """List the file."""
        return [Path(self.file).expanduser()]

    def sample(self, request: Request) -> Candidates:
        """Draw; queries that the file lacks get nothing."""
        request = request.to_depth(self.depth)
        asked = dict(zip(request.collection.queries.ids(request.queries), map(int, request.queries), strict=True))
        lists, names = self._read(request, asked)
        drawn = {query: _draw(request, str(self), query, own) for query, own in lists.items()}
        nothing = Candidates.concatenate([])
        return Candidates.concatenate([drawn.get(int(q), nothing) for q in request.queries], tuple(names))

    def _read(self, request: Request, asked: dict[str, int]) -> tuple[dict[int, dict[int, Rows]], list[str]]:
        """Read the asked queries: for each the systems' rows; and the systems' names."""
        path, names, lists = self.files()[0], [], {}
        wanted = set(filter(None, self.systems.split("+")))
        for line, item in json_lines(path):
            query = asked.get(str(item.get("qid")))
            if query is None:
                continue
            if query in lists:
                raise DataError(f"{path}, line {line}: query {item['qid']} comes a second time")
            systems = _systems(path, line, item)
            positives = set(_ids(path, line, item.get("pos", [])))
            names += [name for name in systems if name not in names]
            lists[query] = {
                names.index(name): self._rows(request, path, line, ids, positives)
                for name, ids in systems.items()
                if not wanted or name in wanted
            }
        if not lists:
            raise DataError(f"{path} has none of the {len(asked)} queries", hint="use the file of this collection")
        if absent := wanted - set(names):
            raise unknown_name(f"system in {path}:", sorted(absent)[0], names)
        return lists, names

    def _rows(self, request: Request, path: Path, line: int, ids: list[str], positives: set[str]) -> Rows:
        kept = list(dict.fromkeys(doc for doc in ids if doc not in positives))[: request.depth]
        return request.collection.documents.rows(kept, f"{path}, line {line}")


def _draw(request: Request, name: str, query: int, lists: dict[int, Rows]) -> Candidates:
    docs = np.concatenate([*lists.values(), np.empty(0, np.uint32)]).astype(np.uint32)
    source = np.repeat(list(lists), [len(own) for own in lists.values()]).astype(np.uint8)
    # In the file's order, a document that several systems have stands where the first has it.
    first = np.sort(np.unique(docs, return_index=True)[1])
    docs, source = docs[first], source[first]
    wide = request.to_depth(max(len(docs), request.negatives))
    drawn = draw_from_ranked(wide, name, query, docs, np.full(len(docs), np.nan, np.float32))
    which = source[[int(np.flatnonzero(docs == doc)[0]) for doc in drawn.doc]]
    return Candidates(drawn.query, drawn.doc, drawn.score, drawn.probability, which)


def _systems(path: Path, line: int, item: dict[str, Any]) -> dict[str, list[str]]:
    found = item.get("neg")
    if not isinstance(found, dict) or not found:
        raise DataError(f'{path}, line {line}: no "neg" with systems in it', hint='{"qid": 1, "neg": {"bm25": [2, 3]}}')
    return {str(name): list(_ids(path, line, documents)) for name, documents in found.items()}


def _ids(path: Path, line: int, documents: Any) -> Iterator[str]:
    if not isinstance(documents, Iterable) or isinstance(documents, str | dict):
        raise DataError(f"{path}, line {line}: documents are not a list: {str(documents)[:60]!r}")
    for document in documents:
        value = document
        if isinstance(document, dict):
            value = next((document[key] for key in _IDS if key in document), None)
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise DataError(
                f"{path}, line {line}: a document is not an id: {str(document)[:60]!r}",
                hint=f"an id, or an object with one of {some(_IDS)}",
            )
        yield str(value)
