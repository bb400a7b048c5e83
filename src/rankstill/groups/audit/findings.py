"""What a check found, as numbers and examples, and the tables and sides that checks look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rankstill.collection.store import Collection, Texts
from rankstill.records import Rows

EXAMPLES = 10
_SHOWN = 200
"""Characters of a text in an example."""

Example = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check on one thing.

    Attributes:
        check: The check's name, one of `CHECKS`.
        where: What was looked at.
        found: How many of them are as they should not be.
        of: How many there are.
        says: What was counted, as a sentence.
        examples: A few of them, with ids and the start of their texts.
    """

    check: str
    where: str
    found: int
    of: int
    says: str
    examples: Sequence[Example] = field(default_factory=tuple)


CHECKS = {
    "positives-among-negatives": "judged positives, or copies of them, that stand as negatives",
    "same-text": "texts that stand under several ids",
    "shared-queries": "training queries that are test queries too",
    "alike-queries": "training queries nearly equal to a test query",
    "shared-documents": "training documents that are test documents too",
    "alike-documents": "training documents nearly equal to a test document",
    "empty-texts": "texts without words",
    "cut-texts": "documents longer than a model reads",
    "own-query": "documents that say exactly what a query says",
}


@dataclass(frozen=True)
class Side:
    """The queries and documents that train, or that test.

    Attributes:
        name: As the tables call it.
        collection: Where the texts are.
        queries: Rows of its queries.
        documents: Rows of its documents.
        relevant: Rows of the documents that are relevant to one of its queries.
    """

    name: str
    collection: Collection
    queries: Rows
    documents: Rows
    relevant: Rows

    def narrowed(self) -> Side:
        """Look at the relevant documents only: the others are shared with the other side on purpose."""
        return Side(self.name, self.collection, self.queries, self.relevant, self.relevant)

    def texts(self, what: str) -> tuple[Texts, Rows]:
        """Give the table and the rows of its "queries" or "documents"."""
        if what == "queries":
            return self.collection.queries, self.queries
        return self.collection.documents, self.documents


def same_documents(a: Collection, b: Collection) -> bool:
    """Tell whether two collections hold the same documents in the same order."""
    name = "documents.arrow"
    return bool(a.path == b.path or a.manifest["files"][name] == b.manifest["files"][name])


def text(texts: Texts, row: int) -> Example:
    """Show one text by its id and its start."""
    whole = texts[row]
    return {"id": texts.id(row), "text": whole if len(whole) <= _SHOWN else whole[: _SHOWN - 1] + "…"}


def every(texts: Texts) -> Rows:
    """List all rows of a table."""
    return np.arange(len(texts), dtype=np.uint32)
