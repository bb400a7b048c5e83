"""From the ids of judgements and candidate lists to rows, and the refusals on that way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rankstill.collection.source import Source
from rankstill.collection.store import Texts
from rankstill.errors import DataError
from rankstill.progress import bar
from rankstill.records import Pairs, Qrels

T = TypeVar("T")
_BATCH = 1 << 16
"""Entries that stand in memory as Python objects; all others are packed into Arrow columns."""


class _Columns:
    """Query ids, document ids and numbers, packed as they come in: about 30 bytes an entry."""

    def __init__(self) -> None:
        self._query: list[pa.Array] = []
        self._doc: list[pa.Array] = []
        self._number: list[NDArray[np.float64]] = []

    def add(self, entries: list[tuple[str, str, float]]) -> None:
        query, doc, number = zip(*entries, strict=True)
        self._query.append(pa.array(query, pa.string()))
        self._doc.append(pa.array(doc, pa.string()))
        self._number.append(np.array(number, np.float64))

    @property
    def query(self) -> pa.Array:
        return pa.chunked_array(self._query, pa.string()).combine_chunks()

    @property
    def doc(self) -> pa.Array:
        return pa.chunked_array(self._doc, pa.string()).combine_chunks()

    @property
    def number(self) -> NDArray[np.float64]:
        return np.concatenate(self._number) if self._number else np.empty(0)


def resolve_judgements(source: Source, documents: Texts, queries: Texts) -> tuple[dict[str, Qrels], int]:
    """Find the rows of all judgements.

    Returns:
        The judgements by split, in the order of the source, each sorted by query, then document; and how many entries
        repeated another one with the same grade and were dropped.

    Raises:
        DataError: An entry names a query or a document that there is not, or a pair has two different grades.
    """
    columns: dict[str, _Columns] = defaultdict(_Columns)
    for batch in _batches(source.judgements(), f"load {source.name} judgements"):
        by_split: dict[str, list[tuple[str, str, float]]] = defaultdict(list)
        for split, query, doc, grade in batch:
            by_split[split].append((query, doc, grade))
        for split, entries in by_split.items():
            columns[split].add(entries)
    splits, repeated = {}, 0
    for split, packed in columns.items():
        splits[split] = _qrels(packed, documents, queries, _place(source, split))
        repeated += len(packed.number) - len(splits[split])
    return splits, repeated


def _place(source: Source, split: str) -> str:
    path = source.files.get(f"qrels.{split}")
    return str(path) if path else f"{source.name}, split {split}"


def _qrels(packed: _Columns, documents: Texts, queries: Texts, place: str) -> Qrels:
    query, doc = queries.rows(packed.query, place), documents.rows(packed.doc, place)
    grade = packed.number
    order = np.lexsort((doc, query))
    query, doc, grade = query[order], doc[order], grade[order]
    again = np.r_[False, (query[1:] == query[:-1]) & (doc[1:] == doc[:-1])]
    clash = np.flatnonzero(again & np.r_[False, grade[1:] != grade[:-1]])
    if len(clash):
        row = clash[0]
        first, second = sorted((int(grade[row - 1]), int(grade[row])))
        raise DataError(
            f"{place}: {len(clash)} pairs are judged again with another grade (first: query {queries.id(query[row])}, "
            f"document {documents.id(doc[row])}: {first} and {second})",
            hint="keep one line for each pair",
        )
    return Qrels(query[~again], doc[~again], grade[~again].astype(np.int32))


def resolve_lists(source: Source, documents: Texts, queries: Texts) -> Pairs | None:
    """Find the rows of all candidate lists, if there are any.

    Returns:
        The lists in the order of the source; a query whose candidates do not stand together there gets them together,
        where its first one stood.

    Raises:
        DataError: A list names a query or a document that there is not, or a document twice.
    """
    if source.lists is None:
        return None
    packed = _Columns()
    for batch in _batches(source.lists(), f"load {source.name} lists"):
        packed.add(batch)
    files = [str(path) for key, path in source.files.items() if key.startswith("lists")]
    place = ", ".join(files) or f"{source.name}, candidate lists"
    query, doc = queries.rows(packed.query, place), documents.rows(packed.doc, place)
    _, first, number = np.unique(query, return_index=True, return_inverse=True)
    order = np.argsort(first[number], kind="stable")
    pairs = Pairs(query[order], doc[order], packed.number[order].astype(np.float32))
    _refuse_doubled(pairs, documents, queries, place)
    return pairs


def _refuse_doubled(pairs: Pairs, documents: Texts, queries: Texts, place: str) -> None:
    order = np.argsort(pairs.key(), kind="stable")
    keys = pairs.key()[order]
    doubled = order[1:][keys[1:] == keys[:-1]]
    if len(doubled):
        row = doubled.min()
        query, doc = queries.id(pairs.query[row]), documents.id(pairs.doc[row])
        raise DataError(
            f"{place}: {len(doubled)} of {len(pairs)} candidates stand twice in a list "
            f"(first: query {query}, document {doc})",
            hint="a list holds a document once",
        )


def _batches(items: Iterator[T], label: str) -> Iterator[list[T]]:
    with bar(label, None, "pairs") as shown:
        while batch := list(islice(items, _BATCH)):
            yield batch
            shown.advance(len(batch))
