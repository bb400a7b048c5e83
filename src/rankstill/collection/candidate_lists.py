"""Candidate lists: for each query the documents that some first stage found, with their texts.

One JSON object a line: `{"_id": ..., "text": ..., "candidates": [{"_id": ..., "text": ..., "score": 1.5 or null}]}`. A
file of them is a collection by itself. Where a file of documents stands beside it, use that instead (`folder` does):
then documents outside the lists keep their texts and judgements.

Judgements on documents outside the lists. nDCG's ideal ranking and recall's denominator count every judged positive,
also one that the first stage missed, as trec_eval does; leaving it out would raise every figure. But a document without
a text cannot be in a collection. So positives outside the lists are refused, judgements of grade 0 or less outside them
(which change neither nDCG, RR, AP nor recall, only Judged@k) are left out, and the manifest says how many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rankstill.collection.lines import json_lines
from rankstill.collection.qrels_files import judgements, qrels_files
from rankstill.collection.source import Source
from rankstill.collection.store import text_key
from rankstill.collection.text_files import id_of, text_of
from rankstill.errors import DataError

Judgement = tuple[str, str, str, int]


def source(path: Path) -> Source:
    """Describe the collection that a file of candidate lists is by itself.

    Documents are those in the lists, each once, in the order in which they first come; queries are those of the lines.
    Judgements are those of the qrels files beside it (see `qrels_files`). A split that judges none of the queries
    belongs to other lists and is skipped. Memory grows by about 200 bytes for each distinct document.

    Raises:
        DataError: A line is broken, or judged positives stand outside the lists.
    """
    queries, documents = _known(path)
    kept: list[Judgement] = []
    files, left_out, skipped = {f"lists.{path.name}": path}, 0, []
    for split, qrels in qrels_files(path.absolute().parent).items():
        judged = list(judgements(qrels, split))
        if not any(query in queries for _, query, _, _ in judged):
            skipped.append(split)
            continue
        inside = [j for j in judged if j[2] in documents or j[1] not in queries]
        _refuse_positives_outside(qrels, judged, queries, documents)
        files[f"qrels.{split}"] = qrels
        left_out += len(judged) - len(inside)
        kept += inside
    facts = {"kind": "candidate lists", "left_out_judgements": left_out, "skipped_splits": skipped}
    return Source(
        name=f"{path.absolute().parent.name}-{path.name.split('.')[0]}",
        documents=lambda: _documents(path),
        queries=lambda: ((query, text) for _, query, text, _ in _lines([path])),
        judgements=lambda: iter(kept),
        lists=lambda: listed_pairs([path]),
        files=files,
        facts=facts,
        expected=lambda: len(documents),
    )


def listed_pairs(paths: Sequence[Path]) -> Iterator[tuple[str, str, float]]:
    """Yield (query id, document id, score) of all lists, in their order; NaN where the score is null or absent.

    Raises:
        DataError: A line is broken, has no candidates, or its query had a list before.
    """
    for where, query, _, candidates in _lines(paths):
        for item in candidates:
            yield query, id_of(item, where), _score(item, where)


def _lines(paths: Sequence[Path]) -> Iterator[tuple[str, str, str, list[dict[str, Any]]]]:
    """Yield (place, query id, query text, candidates) of each line of each file."""
    seen: dict[str, str] = {}
    for path in paths:
        for number, item in json_lines(path):
            where = f"{path}, line {number}"
            query, candidates = id_of(item, where), item.get("candidates")
            if not isinstance(candidates, list) or not all(isinstance(c, dict) for c in candidates):
                raise DataError(f"{where}: `candidates` must be a list of objects", hint=_FORM)
            if not candidates:
                raise DataError(f"{where}: query {query} has no candidates", hint="remove the line")
            if query in seen:
                raise DataError(
                    f"{where}: query {query} has a list already ({seen[query]})",
                    hint="one list a query; choose one file with #lists=FILE, or remove one of the two",
                )
            seen[query] = where
            yield where, query, text_of(item, where), candidates


_FORM = 'a line is {"_id": ..., "text": ..., "candidates": [{"_id": ..., "text": ..., "score": ...}]}'


def _documents(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each document of the lists once."""
    seen: dict[str, bytes] = {}
    for where, _, _, candidates in _lines([path]):
        for item in candidates:
            document, text = id_of(item, where), text_of(item, where)
            key = text_key(text)
            if document not in seen:
                seen[document] = key
                yield document, text
            elif seen[document] != key:
                raise DataError(
                    f"{where}: document {document} has another text than where it came before",
                    hint="equal ids must have equal texts; give the two texts two ids",
                )


def _known(path: Path) -> tuple[set[str], set[str]]:
    queries, documents = set(), set()
    for query, document, _ in listed_pairs([path]):
        queries.add(query)
        documents.add(document)
    return queries, documents


def _refuse_positives_outside(path: Path, judged: Sequence[Judgement], queries: set[str], documents: set[str]) -> None:
    outside = [(q, d) for _, q, d, grade in judged if grade > 0 and q in queries and d not in documents]
    if outside:
        query, document = outside[0]
        raise DataError(
            f"{path}: {len(outside)} of {len(judged)} judgements are positive and name documents that no list has "
            f"(first: query {query}, document {document})",
            hint="put corpus.jsonl and queries.jsonl with all judged texts beside the lists: without those positives "
            "nDCG and recall would be too high",
        )


def _score(item: dict[str, Any], where: str) -> float:
    score = item.get("score")
    if score is None:
        return math.nan
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise DataError(f"{where}: `score` must be a finite number or null: got {score!r}")
    return float(score)
