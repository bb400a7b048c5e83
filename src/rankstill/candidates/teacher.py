"""`teacher`: the hardest documents by the teacher's own scores, chosen from a wider list that it rescored."""

from __future__ import annotations

import numpy as np

from rankstill.candidates.strategy import Request
from rankstill.errors import DataError
from rankstill.records import Pairs


def sample(request: Request) -> Pairs:
    """Take the `negatives` highest-scored allowed documents of each query's wider list; ties by document row.

    Raises:
        DataError: No scored list was given, or it lacks some of the queries.
    """
    if request.wider is None:
        raise DataError(
            "the strategy `teacher` chooses from a wider list that the teacher has scored, and none was given",
            hint="sample that list first (`--strategy bm25 --negatives 100`), score it, and pass it as --wider",
        )
    ranked = request.wider.ranked()
    spans = ranked.per_query()
    absent = [int(q) for q in request.queries if int(q) not in spans]
    if absent:
        raise DataError(
            f"the wider list lacks {len(absent)} of {len(request.queries)} queries "
            f"(first: {request.collection.queries.id(absent[0])})",
            hint="sample and score the wider list for the same queries",
        )
    found = []
    for query in request.queries:
        span = spans[int(query)]
        docs, scores = ranked.doc[span], ranked.score[span]
        keep = np.flatnonzero(request.allowed(int(query), docs))[: request.negatives]
        found.append(Pairs(np.full(len(keep), query, np.uint32), docs[keep], scores[keep]))
    return Pairs.concatenate(found)
