"""Checks of one collection's texts: the same under several ids, without words, and documents that are a query."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rankstill.collection.store import Collection, Texts
from rankstill.groups.audit.findings import EXAMPLES, Finding, text
from rankstill.groups.audit.words import NO_WORDS, Codes, Keys
from rankstill.records import Rows

_IDS = 5
"""Ids of one text in an example."""


def check_texts(name: str, collection: Collection, keys: Keys, skip: set[str]) -> Iterator[Finding]:
    """Check the texts of a whole collection; memory: some 30 bytes a text.

    Args:
        name: As the tables call it.
        collection: What to check.
        keys: Of its texts.
        skip: Checks to leave out.
    """
    for texts in (collection.queries, collection.documents):
        found, where = keys.of(texts), f"{name}: {texts.what}"
        if "same-text" not in skip:
            yield _same(where, texts, found)
        if "empty-texts" not in skip:
            empty = np.flatnonzero(found == NO_WORDS)
            examples = [text(texts, int(row)) for row in empty[:EXAMPLES]]
            yield Finding("empty-texts", where, len(empty), len(texts), f"{texts.what} without words", examples)
    if "own-query" not in skip:
        yield _own_queries(name, collection, keys)


def _same(where: str, texts: Texts, keys: Codes) -> Finding:
    rows = np.flatnonzero(keys != NO_WORDS)
    order = rows[np.argsort(keys[rows], kind="stable")]
    again = np.flatnonzero(keys[order][1:] == keys[order][:-1]) + 1
    starts = np.setdiff1d(again - 1, again)
    # In the order of the texts, each with its ids.
    starts = starts[np.argsort(order[starts])]
    examples = []
    for start in starts[:EXAMPLES]:
        stop = int(start) + 1
        while stop < len(order) and keys[order[stop]] == keys[order[start]]:
            stop += 1
        copies = order[start:stop]
        shown = text(texts, int(copies[0]))
        examples.append(
            {"ids": texts.ids(copies[:_IDS].astype(np.uint32)), "times": len(copies), "text": shown["text"]}
        )
    says = f"{texts.what} whose text stands under an earlier id too ({len(starts):,} texts have several ids)"
    return Finding("same-text", where, len(again), len(texts), says, examples)


def _own_queries(name: str, collection: Collection, keys: Keys) -> Finding:
    queries, documents = keys.of(collection.queries), keys.of(collection.documents)
    distinct, first = np.unique(queries, return_index=True)
    at = np.minimum(np.searchsorted(distinct, documents), len(distinct) - 1)
    found: Rows = np.flatnonzero((distinct[at] == documents) & (documents != NO_WORDS)).astype(np.uint32)
    examples = [
        {"query": text(collection.queries, int(first[at[row]])), "document": text(collection.documents, int(row))}
        for row in found[:EXAMPLES]
    ]
    says = "documents that say exactly what a query says: a first stage finds them first, and a judge may not mean them"
    return Finding("own-query", f"{name}: documents", len(found), len(documents), says, examples)
