"""Work that is done once for each distinct thing, and handed back to every place that asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection, Texts
from rankstill.records import Rows, row_keys


def first_of_each(keys: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find where each distinct key comes first.

    Args:
        keys: (n,) anything that sorts.

    Returns:
        (u,) the positions in `keys` of the first of each kind, rising; and (n,) which of them each key equals.
    """
    _, first, same = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return first[order].astype(np.int64), place[same]


def distinct_pairs(
    collection: Collection, query: Rows, doc: Rows, *, by_text: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find where each distinct pair comes first: of rows, or of their texts; as `first_of_each` does."""
    if by_text:
        return first_of_each(row_keys(collection.queries.same_text[query], collection.documents.same_text[doc]))
    return first_of_each(row_keys(query, doc))


def distinct_strings(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """List each distinct one of n strings once, in their order; and (n,) which of them each is."""
    number = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return list(number), np.array([number[text] for text in texts], np.int64)


def distinct_texts(texts: Texts, rows: Rows) -> tuple[Rows, NDArray[np.int64]]:
    """List each distinct text among rows once.

    Args:
        texts: Documents or queries.
        rows: (n,) uint32.

    Returns:
        (u,) the lowest of the rows that have each text, rising; and (n,) which of them has the text of each row.
    """
    unique, back = np.unique(rows, return_inverse=True)
    first, same = first_of_each(texts.same_text[unique])
    return unique[first].astype(np.uint32), same[back]


class Places:
    """Where the text of each row stands among distinct ones.

    Args:
        texts: Documents or queries.
        distinct: (u,) rows of different texts, as of `distinct_texts`.
    """

    def __init__(self, texts: Texts, distinct: Rows) -> None:
        self._number = texts.same_text
        self._place = np.full(int(self._number.max(initial=-1)) + 1, -1, np.int64)
        self._place[self._number[distinct]] = np.arange(len(distinct))

    def find(self, rows: Rows) -> NDArray[np.int64]:
        """Find the places of rows: (n,); -1 for a text that is none of them."""
        return self._place[self._number[rows]]
