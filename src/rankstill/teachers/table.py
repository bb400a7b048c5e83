"""Teachers that only look scores up: a TREC run, or a file of labels.

A run is read in one pass; its ranks may become scores (see `transforms`). Of a pair that comes twice, the first line
counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rankstill.collection.lines import lines
from rankstill.collection.store import Collection, Texts
from rankstill.errors import DataError, MissingScores
from rankstill.files import file_fingerprint, fingerprint
from rankstill.progress import Bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.transforms import check_transform, transformed

_FORMS = {
    "run": "6 columns (query, Q0, document, rank, score, tag)",
    "labels": "3 columns (query, document, score) or 4 (query, 0, document, score)",
}


@dataclass(frozen=True)
class TableTeacher:
    """Scores pairs by a file's own scores; see `Teacher`.

    Scores belong to the ids of the file, not to texts, so they are not kept in the score store.

    Attributes:
        name: The file's name.
        kind: "run" or "labels".
        fingerprint: Of the file, and of the transform where there is one.
        query, doc: (n,) ids.
        value: (n,) float32.
    """

    name: str
    kind: Literal["run", "labels"]
    fingerprint: str
    query: pa.Array
    doc: pa.Array
    value: Scores32
    by_text: bool = False
    chunk: int = 1 << 20

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Look pairs up: (n,) float32.

        Raises:
            MissingScores: Some pairs are not in the file; says how many and names the first.
        """
        asked_query, asked_doc = _codes(collection.queries, query), _codes(collection.documents, doc)
        known_query, known_doc = asked_query.find(self.query), asked_doc.find(self.doc)
        both = (known_query >= 0) & (known_doc >= 0)
        known = (known_query[both] << 32) | known_doc[both]
        asked = (asked_query.codes << 32) | asked_doc.codes
        order = np.argsort(known, kind="stable")
        known, value = known[order], self.value[both][order]
        at = np.minimum(np.searchsorted(known, asked), max(len(known) - 1, 0))
        missing = np.flatnonzero(known[at] != asked) if len(known) else np.arange(len(asked))
        if len(missing):
            first = (
                f"query {collection.queries.id(query[missing[0]])}, document {collection.documents.id(doc[missing[0]])}"
            )
            raise MissingScores(
                f"{len(missing)} of {len(asked)} pairs have no score in {self.name} (first: {first})",
                hint="draw candidates from what it scored (the collection's lists), or use a model as teacher",
            )
        if shown is not None:
            shown.advance(len(asked))
        return value[at]

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> TableTeacher:
        """Return itself: there is nothing to prepare."""
        del collection, query, doc, folder
        return self


@dataclass(frozen=True)
class _Codes:
    """Asked rows, numbered by their ids: `codes` (n,) int64 into the distinct `ids`."""

    codes: NDArray[np.int64]
    ids: pa.Array

    def find(self, ids: pa.Array) -> NDArray[np.int64]:
        """Find other ids among these; -1 for those that are not."""
        found = pc.fill_null(pc.index_in(ids, value_set=self.ids), -1)
        return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def _codes(texts: Texts, rows: Rows) -> _Codes:
    unique, codes = np.unique(rows, return_inverse=True)
    return _Codes(codes.astype(np.int64), pa.array(texts.ids(unique.astype(np.uint32)), pa.string()))


def open_table(
    path: Path, kind: Literal["run", "labels"], transform: str = "score", by: str | None = None
) -> TableTeacher:
    """Read a TREC run or a file of labels, plain or gzipped.

    Args:
        path: A run has six columns; labels have three (under a line of names or not), or four as TREC judgements.
        kind: Which of the two.
        transform: What to make of a document's position in its query's list: a name in `TRANSFORMS`; "score" takes the
            file's scores as they are.
        by: Which column tells the position, "rank" or "score"; see `transforms`.

    Raises:
        DataError: The file is missing or empty, a line has another form, a score is not a finite number, a pair comes
            twice with different scores, or a run's scores contradict its ranks and `by` does not say what to believe.
        SpecError: There is no such transform or column.
    """
    chosen, column = check_transform(transform, by)
    pairs: dict[tuple[str, str], tuple[float, float]] = {}
    for number, query, doc, rank, value in _rows(path, kind):
        before = pairs.setdefault((query, doc), (rank, value))[1]
        if before != value:
            raise DataError(
                f"{path}, line {number}: query {query}, document {doc} has the score {value:g}, and {before:g} before",
                hint="keep one score for each pair",
            )
    if not pairs:
        raise DataError(f"{path} holds no scores", hint=f"give a file with {_FORMS[kind]}")
    ids = (pa.array(list(side), pa.string()) for side in zip(*pairs, strict=True))
    query_ids, doc_ids = ids
    ranks, values = (np.array(column) for column in zip(*pairs.values(), strict=True))
    codes = query_ids.dictionary_encode().indices.to_numpy().astype(np.int64)
    known = ranks if kind == "run" and np.isfinite(ranks).all() else None
    scores = transformed(values.astype(np.float32), known, codes, chosen, column, str(path))
    about: dict[str, object] = {"kind": kind, "file": file_fingerprint(path)}
    if chosen != "score":
        about |= {"transform": chosen, "by": column}
    return TableTeacher(path.name, kind, fingerprint(about), query_ids, doc_ids, scores)


def _rows(path: Path, kind: Literal["run", "labels"]) -> Iterator[tuple[int, str, str, float, float]]:
    """Yield (line number, query id, document id, rank or NaN, score)."""
    widths, width = ({6} if kind == "run" else {3, 4}), 0
    for number, line in lines(path):
        columns = line.split("\t") if kind == "labels" and "\t" in line else line.split()
        if len(columns) not in widths or (width and len(columns) != width):
            raise DataError(
                f"{path}, line {number}: {len(columns)} columns, not {_FORMS[kind]}: {line[:80]!r}",
                hint="use the prefix run: or labels: to say what the file is",
            )
        score = _number(columns[4] if kind == "run" else columns[-1])
        if score is None:
            # The first line of labels may name the columns.
            if kind == "labels" and not width:
                width = len(columns)
                continue
            raise DataError(f"{path}, line {number}: the score is not a finite number: {line[:80]!r}")
        width = len(columns)
        rank = _number(columns[3]) if kind == "run" else None
        yield (
            number,
            columns[0].strip(),
            columns[1 if width == 3 else 2].strip(),
            math.nan if rank is None else rank,
            score,
        )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
