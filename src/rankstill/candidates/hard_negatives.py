"""`hard-negatives`: negatives that somebody mined, in the file of sentence-transformers' msmarco-hard-negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.hard_negatives_file import Line, read_lines
from rankstill.candidates.strategy import Request, Strategy, draw_from_ranked
from rankstill.candidates.writing import check_word
from rankstill.collection.trec_run import MISSING, Missing
from rankstill.errors import DataError, SpecError, unknown_name
from rankstill.progress import note
from rankstill.records import Candidates, Rows

_LINES = 4096
"""How many lines' ids are looked up at once."""


@dataclass(frozen=True)
class HardNegatives(Strategy):
    """Draws uniformly from the union of the systems' first documents; the file's positives are never drawn either.

    Attributes:
        file: The file, plain or gzipped.
        systems: Which systems, as in `bm25+msmarco-distilbert-base-tas-b`; all where empty.
        depth: Documents of each system, positives left out first; 0 for the request's depth.
        missing: What to do with documents that the collection does not have: refuse the file, or skip them and say how
            many.
    """

    name: ClassVar[str] = "hard-negatives"
    short: ClassVar[str] = "file"
    file: str = ""
    systems: str = ""
    depth: int = 0
    missing: Missing = "refuse"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.file:
            raise SpecError("the strategy hard-negatives needs a file", hint="--strategy hard-negatives:FILE")
        check_word(self.name, "missing", self.missing, MISSING)

    def files(self) -> list[Path]:
        """List the file."""
        return [Path(self.file).expanduser()]

    def sample(self, request: Request) -> Candidates:
        """Draw; queries that the file lacks get nothing. `source` says which system has a document, the first of them.

        Raises:
            DataError: A line is broken; or the file has none of the queries, or documents that the collection lacks.
            SpecError: It has no such system.
        """
        file = _File(self.files()[0], request, [name for name in self.systems.split("+") if name])
        file.read()
        file.tell_missing(refuse=self.missing == "refuse")
        request = request.without(file.positives)
        drawn = [
            self._draw(request, query, file.lists[query], self.depth or request.depth)
            for query in map(int, request.queries)
            if query in file.lists
        ]
        return Candidates.concatenate(drawn, tuple(file.names))

    def _draw(self, request: Request, query: int, lists: dict[int, Rows], depth: int) -> Candidates:
        lists = {source: own[request.allowed(query, own)][:depth] for source, own in lists.items()}
        docs = np.concatenate([*lists.values(), np.empty(0, np.uint32)]).astype(np.uint32)
        source = np.repeat(np.array(list(lists), np.uint8), [len(own) for own in lists.values()])
        # In the file's order; a document that several systems have stands where the first has it.
        first = np.sort(np.unique(docs, return_index=True)[1])
        scores = np.full(len(first), np.nan, np.float32)
        return draw_from_ranked(request, self.name, query, docs[first], scores, source=source[first])


class _File:
    """The asked lines of the file, as rows.

    Attributes:
        names: The systems, in the order in which they first come.
        lists: For each query each system's documents, by the system's place in `names`.
        positives: For each query the documents that the file holds relevant and the collection has.
    """

    def __init__(self, path: Path, request: Request, wanted: list[str]) -> None:
        self.path, self._collection, self._wanted = path, request.collection, wanted
        ids = request.collection.queries.ids(request.queries)
        self._asked = dict(zip(ids, map(int, request.queries), strict=True))
        self.names: list[str] = []
        self.lists: dict[int, dict[int, Rows]] = {}
        self.positives: dict[int, Rows] = {}
        self._entries, self._missing, self._first = 0, 0, ""

    def read(self) -> None:
        """Read it.

        Raises:
            DataError: A line is broken, or no line is of an asked query.
            SpecError: A wanted system is in none of the lines.
        """
        lines = read_lines(self.path, self._asked, self._wanted)
        while chunk := list(islice(lines, _LINES)):
            self._look_up(chunk)
        if not self.lists:
            raise DataError(
                f"{self.path} has none of the {len(self._asked)} queries", hint="use the file of this collection"
            )
        if absent := [name for name in self._wanted if name not in self.names]:
            raise unknown_name(f"system in {self.path}:", absent[0], self.names or ["(none of these)"])

    def _look_up(self, lines: Sequence[Line]) -> None:
        ids = [doc for line in lines for own in (line.positives, *line.systems.values()) for doc in own]
        rows = iter(np.split(self._collection.documents.find(ids), _ends(lines)))
        for line in lines:
            positives = next(rows)
            self.positives[line.query] = positives[positives >= 0].astype(np.uint32)
            lists = self.lists[line.query] = {}
            for name, own in line.systems.items():
                lists[self._number(name)] = self._known(next(rows), own, f"line {line.number}")

    def _number(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
            if len(self.names) > 255:
                raise DataError(f"{self.path} has more than 255 systems", hint="name those to use: #systems=A+B")
        return self.names.index(name)

    def _known(self, rows: NDArray[np.int64], ids: list[str], where: str) -> Rows:
        unknown = np.flatnonzero(rows < 0)
        self._entries += len(rows)
        self._missing += len(unknown)
        if len(unknown) and not self._first:
            self._first = f"{ids[int(unknown[0])]}, {where}"
        return rows[rows >= 0].astype(np.uint32)

    def tell_missing(self, *, refuse: bool) -> None:
        """Say how many documents the collection does not have, or refuse them."""
        if not self._missing:
            return
        what = (
            f"{self.path}: {self._missing} of {self._entries} negatives are not in the collection "
            f"(first: {self._first})"
        )
        if refuse:
            raise DataError(what, hint="use the collection that was mined; the option missing=skip leaves them out")
        note(f"{what}; skipped")


def _ends(lines: Sequence[Line]) -> list[int]:
    """Give the places where one list of ids ends and the next begins."""
    sizes = [len(own) for line in lines for own in (line.positives, *line.systems.values())]
    ends: list[int] = np.cumsum(sizes)[:-1].tolist()
    return ends
