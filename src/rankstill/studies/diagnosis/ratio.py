"""kappa: how much likelier a document is in the target pool than in a strategy's draw, exactly, where the law is known.

Strategies that draw uniformly from a range of ranks are asked for the whole range; `random` draws from all documents.
Of the others only the probabilities of the documents that they drew are known, and kappa is a maximum over all.

Either law draws a pair without replacement. If the strategy draws from a documents, b of which are the pool, a pair of
the pool is a(a-1)/(b(b-1)) times as likely in the target: a little more than kappa² = (a/b)² of theory [4.3], which
takes the two documents of a pair to be independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates import open_strategy
from rankstill.candidates.random import Random
from rankstill.candidates.ranked import Ranked
from rankstill.candidates.sample import CANDIDATES, Given, SampleSpec, sample
from rankstill.files import MANIFEST, Json
from rankstill.measures.shift import aligned, kappa
from rankstill.records import Candidates, Rows
from rankstill.studies.diagnosis.spec import DiagnoseSpec
from rankstill.studies.steps import Negatives, Training

Sizes = list[tuple[float, int, int]]
"""Of each query: kappa, a (documents that the strategy draws from) and b (documents of the pool)."""


def largest_ratio(
    training: Training,
    made: Negatives,
    grouped: Rows,
    pools: Mapping[int, Rows],
    without: Mapping[int, NDArray[np.int64]],
    spec: DiagnoseSpec,
) -> Json | None:
    """Compute kappa of every query that has a group and a list.

    Args:
        training: The collection and the queries diagnosed.
        made: The strategy's folders.
        grouped: The queries that it made groups for.
        pools: Each query's target pool; see `pools`.
        without: What no strategy draws for a query; see `positives_and_copies`.
        spec: Depth and seed of the draw.

    Returns:
        `largest` over queries (null where infinite), `mean` of the finite ones, `infinite_share` of queries, `queries`,
        `pairs`: the largest ratio of a pair's probabilities (null where infinite); None where the strategy's law is not
        known.
    """
    strategy = open_strategy(made.strategy)
    if not isinstance(strategy, Random | Ranked):
        return None
    asked = set(grouped.tolist())
    pool = {query: docs for query, docs in pools.items() if query in asked}
    if isinstance(strategy, Random):
        everything = len(training.open().documents)
        allowed = ((everything - len(without.get(query, ())), len(docs)) for query, docs in pool.items())
        sizes = [(a / b, a, b) for a, b in allowed]
    else:
        sizes = _of_range(_range(training, made, strategy, spec), pool)
    return _summary(sizes) if sizes else None


def _summary(sizes: Sizes) -> Json:
    ratios = np.array([ratio for ratio, _, _ in sizes])
    finite = ratios[np.isfinite(ratios)]
    # A pair of one pooled document is the positive and it.
    pairs = max(max(ratio, ratio * (a - 1) / (b - 1)) if b > 1 else ratio for ratio, a, b in sizes)
    return {
        "largest": _finite(float(ratios.max())),
        "mean": float(finite.mean()) if len(finite) else None,
        "infinite_share": 1 - len(finite) / len(ratios),
        "queries": len(ratios),
        "pairs": _finite(pairs),
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _range(training: Training, made: Negatives, strategy: Ranked, spec: DiagnoseSpec) -> Path:
    """Draw the whole range of ranks for every query, with the vectors that the draw of the groups was given."""
    first, last = strategy.ranks(spec.depth)
    beside = {what: made.candidates.with_name(f"candidates-{what}-vectors") for what in ("query", "document")}
    there = {what: path if (path / MANIFEST).is_file() else None for what, path in beside.items()}
    whole = SampleSpec(made.strategy, last - first, max(last, spec.depth), spec.seed, training.split.judged, "drop")
    given = Given(queries=there["query"], documents=there["document"])
    to = made.candidates.with_name("range")
    return sample(training.path, to, whole, queries=training.split.train, given=given)


def _of_range(folder: Path, pool: Mapping[int, Rows]) -> Sizes:
    drawn, found = Candidates.read(folder / CANDIDATES), Sizes()
    for query, span in drawn.per_query().items():
        if query in pool:
            own, listed = drawn.doc[span], pool[query]
            ratio = float(kappa(*aligned(own, _even(own), listed, _even(listed))))
            found.append((ratio, len(own), len(listed)))
    return found


def _even(docs: Rows) -> NDArray[np.float64]:
    return np.ones(len(docs))
