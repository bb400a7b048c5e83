"""Drawing candidates by any strategy, after making what it needs: a wider list with the teacher's scores, vectors.

Models are imported only where a strategy needs one: to draw from BM25 takes no second of start-up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rankstill.candidates import open_strategy
from rankstill.candidates.sample import CANDIDATES, Given, SampleSpec, sample
from rankstill.collection.extend import EDITED, extend
from rankstill.collection.store import Collection
from rankstill.errors import SpecError
from rankstill.records import Candidates, Pairs, Rows

if TYPE_CHECKING:
    from rankstill.teachers import Teacher


@dataclass(frozen=True)
class Drawn:
    """Folders of a draw.

    Attributes:
        candidates: What was drawn.
        collection: Where the drawn documents are: the collection that was drawn from, or, where the strategy edits
            texts, one that is extended by these.
        wider: The scores of the list that they were chosen from, if any.
    """

    candidates: Path
    collection: Path
    wider: Path | None


def draw(
    collection: Path,
    spec: SampleSpec,
    queries: Rows,
    to: Path,
    *,
    store: Path | None,
    teacher: Teacher | None = None,
    wider: Path | None = None,
) -> Drawn:
    """Draw candidates.

    Args:
        collection: The collection's folder.
        spec: What to draw.
        queries: Rows to draw for.
        to: The folder of the candidates; what is made beforehand stands beside it.
        store: Where scores and vectors are kept, besides the stages' own folders.
        teacher: Scores the wider list.
        wider: The scores of the wider list, if they are there already.

    Raises:
        SpecError: The strategy chooses by the teacher's scores, and there is no teacher.
    """
    needs, listed = open_strategy(spec.strategy).needs(), None
    if needs.wider and wider is None:
        wider = _score_wider(collection, spec, queries, to, needs.wider, needs.depth or spec.depth, store, teacher)
    if wider is not None:
        listed = Pairs.read(wider / "scores.parquet")
        queries = queries[np.isin(queries, listed.query)]
    given = Given(wider)
    if needs.model:
        given = _encode(collection, spec, queries, None if needs.whole else listed, needs.model, to, store, given)
    drawn = sample(collection, to, spec, queries=queries, given=given)
    if (drawn / EDITED).is_file():
        collection = extend(collection, drawn, to.with_name(f"{to.name}-collection"))
    return Drawn(drawn, collection, wider)


def _score_wider(
    collection: Path,
    spec: SampleSpec,
    queries: Rows,
    to: Path,
    strategy: str,
    depth: int,
    store: Path | None,
    teacher: Teacher | None,
) -> Path:
    """Draw the whole wider list, and let the teacher score it."""
    from rankstill.teachers import score

    if teacher is None:
        raise SpecError(
            f"the strategy {spec.strategy} chooses by the teacher's scores",
            hint="name the teacher (--teacher), or give the scores of a wider list (--wider)",
        )
    pool = replace(spec, strategy=strategy, negatives=depth, depth=max(depth, spec.depth))
    drawn = draw(collection, pool, queries, to.with_name(f"{to.name}-wider"), store=store, teacher=teacher)
    pairs = Candidates.read(drawn.candidates / CANDIDATES).pairs
    return score(collection, [pairs], teacher, to.with_name(f"{to.name}-wider-scores"), store=store)


def _encode(
    collection: Path,
    spec: SampleSpec,
    queries: Rows,
    listed: Pairs | None,
    model: str,
    to: Path,
    store: Path | None,
    given: Given,
) -> Given:
    """Encode the queries, and the documents that are compared: all, or those of a list and the positives."""
    from rankstill.teachers import Encoder, encode_collection

    encoder, docs = Encoder(model), None
    if store is not None:
        encoder.keep_in(store)
    if listed is not None:
        opened = Collection(collection)
        positives = opened.qrels(spec.split).positives(opened.relevant_from) if spec.split else {}
        docs = np.unique(np.concatenate([listed.doc, *(positives[q] for q in map(int, queries) if q in positives)]))
    place = {what: to.with_name(f"{to.name}-{what}-vectors") for what in ("query", "document")}
    rows = np.unique(queries)
    return replace(
        given,
        queries=encode_collection(collection, "queries", encoder, place["query"], rows=rows, dtype="float32"),
        documents=encode_collection(collection, "documents", encoder, place["document"], rows=docs),
    )
