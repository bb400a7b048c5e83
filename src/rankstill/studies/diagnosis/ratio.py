"""kappa: how much likelier a document is in the target pool than in a strategy's draw, exactly, where the law is known.

Strategies that draw uniformly from a range of ranks are asked for the whole range; `random` draws from all documents.
Of the others only the probabilities of the documents that they drew are known, and kappa is a maximum over all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rankstill.candidates import open_strategy
from rankstill.candidates.random import Random
from rankstill.candidates.ranked import Ranked
from rankstill.candidates.sample import CANDIDATES, Given, SampleSpec, sample
from rankstill.files import MANIFEST, Json
from rankstill.measures.shift import aligned, kappa
from rankstill.records import Candidates, Rows
from rankstill.runs.run_files import read_run
from rankstill.studies.diagnosis.spec import DiagnoseSpec
from rankstill.studies.diagnosis.target import Target
from rankstill.studies.steps import Negatives, Training

_NONE = np.empty(0, np.uint32)


def largest_ratio(training: Training, made: Negatives, target: Target, spec: DiagnoseSpec) -> Json | None:
    """Compute kappa of every query whose list is known.

    Returns:
        `largest` over queries (null where infinite), `mean` of the finite ones, `infinite_share` of queries, `queries`;
        None where the strategy's law is not known.
    """
    pools = _pools(training, target)
    strategy = open_strategy(made.strategy)
    if isinstance(strategy, Random):
        ratios = _of_random(training, pools)
    elif isinstance(strategy, Ranked):
        ratios = _of_range(_range(training, made, strategy, spec), pools)
    else:
        return None
    if not len(ratios):
        return None
    finite = ratios[np.isfinite(ratios)]
    largest = float(ratios.max())
    return {
        "largest": largest if math.isfinite(largest) else None,
        "mean": float(finite.mean()) if len(finite) else None,
        "infinite_share": 1 - len(finite) / len(ratios),
        "queries": len(ratios),
    }


def _pools(training: Training, target: Target) -> Mapping[int, Rows]:
    """List each query's target pool: its list, the positives left out."""
    opened, run = training.open(), read_run(target.lists)
    judged = training.split.judged
    known = opened.qrels(judged).positives(opened.relevant_from) if judged else {}
    listed = {query: np.setdiff1d(run.doc[span], known.get(query, _NONE)) for query, span in run.per_query().items()}
    return {query: docs for query, docs in listed.items() if len(docs)}


def _of_random(training: Training, pools: Mapping[int, Rows]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    opened = training.open()
    judged = training.split.judged
    known = opened.qrels(judged).positives(opened.relevant_from) if judged else {}
    allowed = [len(opened.documents) - len(known.get(query, _NONE)) for query in pools]
    return np.array([n / len(docs) for n, docs in zip(allowed, pools.values(), strict=True)])


def _range(training: Training, made: Negatives, strategy: Ranked, spec: DiagnoseSpec) -> Path:
    """Draw the whole range of ranks for every query, with the vectors that the draw of the groups was given."""
    first, last = strategy.ranks(spec.depth)
    beside = {what: made.candidates.with_name(f"candidates-{what}-vectors") for what in ("query", "document")}
    there = {what: path if (path / MANIFEST).is_file() else None for what, path in beside.items()}
    whole = SampleSpec(made.strategy, last - first, max(last, spec.depth), spec.seed, training.split.judged, "drop")
    given = Given(queries=there["query"], documents=there["document"])
    to = made.candidates.with_name("range")
    return sample(training.path, to, whole, queries=training.split.train, given=given)


def _of_range(folder: Path, pools: Mapping[int, Rows]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    drawn = Candidates.read(folder / CANDIDATES)
    found = []
    for query, span in drawn.per_query().items():
        if query in pools:
            own, pool = drawn.doc[span], pools[query]
            found.append(float(kappa(*aligned(own, np.ones(len(own)), pool, np.ones(len(pool))))))
    return np.array(found)
