"""In-batch negatives: every document of a batch serves every query of it, at the price of dot products.

A document that a query's own group has, one with the text of a positive of the query, and the second of two equal texts
do not count: a false negative in the batch would teach the opposite of what the judgements say.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Texts
from rankstill.records import Groups, Rows

Labels = NDArray[np.float32]
Mask = NDArray[np.bool_]


class InBatch:
    """Which documents of a batch count for which of its queries.

    Args:
        groups: All groups.
        documents: The collection's.
        positives: Every known positive, by query.
    """

    def __init__(self, groups: Groups, documents: Texts, positives: Mapping[int, Rows]) -> None:
        self._groups, self._text, self._positives = groups, documents.same_text, positives

    def over(self, rows: NDArray[np.int64]) -> tuple[Rows, Labels, Mask]:
        """Lay out a batch.

        Args:
            rows: (q,) the groups of the batch.

        Returns:
            The batch's distinct documents, (d,) rising; (q, d) labels, those of each query's own group and 0 else; and
            (q, d) bool, which count.
        """
        groups, docs = self._groups, np.unique(self._groups.doc[rows])
        own = np.searchsorted(docs, groups.doc[rows])
        each = np.arange(len(rows))[:, None]
        labels = np.zeros((len(rows), len(docs)), np.float32)
        labels[each, own] = groups.label[rows]
        mask = np.zeros(labels.shape, np.bool_)
        # Of equal texts the first counts, unless a query's own group has another one.
        mask[:, np.unique(self._text[docs], return_index=True)[1]] = True
        for i, row in enumerate(rows):
            known = self._positives.get(int(groups.query[row]), np.empty(0, np.uint32))
            mask[i] &= ~np.isin(self._text[docs], self._text[np.concatenate([known, groups.doc[row]])])
        mask[each, own] = True
        return docs, labels, mask
