"""The tokens of the texts that groups hold, gathered batch by batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.records import Groups, Rows
from rankstill.students.architectures import Batch, Student
from rankstill.students.tokens import DONE, tokenise

Places = NDArray[np.int64]


class GroupTexts:
    """The tokens of all queries and documents that the groups hold."""

    def __init__(self, collection: Collection, groups: Groups, student: Student, work: Path) -> None:
        tokenizer, most = student.tokenizer, student.spec.max_length
        self.folder = work / "tokens"
        queries, docs = np.unique(groups.query), np.unique(groups.doc)
        self.queries = tokenise(
            collection.queries, queries, tokenizer, most, self.folder / "queries", "tokens of queries"
        )
        self.docs = tokenise(
            collection.documents, docs, tokenizer, most, self.folder / "documents", "tokens of documents"
        )
        self._query_place, self._doc_place = self.queries.places(groups.query), self.docs.places(groups.doc)

    def vocabulary(self) -> NDArray[np.int64]:
        """List the token ids that any text has."""
        return np.union1d(self.queries.vocabulary(), self.docs.vocabulary())

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Gather the pairs of some groups; a document that comes twice is held once."""
        docs, pair_doc = np.unique(self._doc_place[rows], return_inverse=True)
        pair_query = np.repeat(np.arange(len(rows)), self._doc_place.shape[1])
        return self._pairs(self._query_place[rows], docs, pair_query, pair_doc.reshape(-1))

    def every_pair(self, rows: NDArray[np.int64], docs: Rows) -> Batch:
        """Gather every pair of the queries of some groups and of some of the groups' documents."""
        pair_query, pair_doc = np.indices((len(rows), len(docs))).reshape(2, -1)
        return self._pairs(self._query_place[rows], self.docs.places(docs), pair_query, pair_doc)

    def _pairs(self, queries: Places, docs: Places, pair_query: Places, pair_doc: Places) -> Batch:
        texts = [self.queries[int(p)] for p in queries], [self.docs[int(p)] for p in docs]
        return Batch(*texts, pair_query, pair_doc)

    def remove(self) -> None:
        """Delete the token files; a kill in between leaves none that count as done."""
        for done in self.folder.rglob(DONE):
            done.unlink()
        shutil.rmtree(self.folder)
