"""How good a ranking is, per query: ir_measures' measures on our tables, with the ties decided by us.

Three rules, so that a number means the same everywhere:

- Ties. The order is that of `Pairs.ranked()`: falling score, then rising document row. ir_measures' providers break
  ties each in its own way (trec_eval by falling id), so they are given strictly falling stand-ins for the scores.
- Which queries. All judged ones. A judged query that the run lacks counts 0. A query of which no judged document is
  relevant counts 0 too, as in trec_eval (except for Judged, which needs no relevance). Unjudged queries are left out.
- What is relevant. Measures of binary relevance (RR, AP, R, P, ...) take grades from `relevant_from` on, a setting of
  the collection at hand and of nothing else. A name that states its own level, as RR(rel=2)@10 does, keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence

import ir_measures
import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, SpecError
from rankstill.records import Pairs, Qrels

DEFAULT_MEASURES = ("nDCG@10", "RR@10", "AP", "R@100", "Judged@10")


def per_query(
    run: Pairs, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES, relevant_from: int = 1
) -> dict[str, dict[int, float]]:
    """Measure a run against judgements.

    Args:
        run: The ranked pairs, in any order; scores must not be NaN.
        qrels: The judgements.
        measures: Names in ir_measures' notation. nDCG has linear gains and trec_eval's discount.
        relevant_from: The lowest grade that counts as relevant in binary measures.

    Returns:
        For each name, exactly as it was given, the value of every judged query's row, in rising order. The name does
        not grow a level; `full_name` states it where a reader needs to know.

    Raises:
        SpecError: A measure is unknown, or cannot be computed here.
        DataError: A score is NaN, a document comes twice for a query, or no query of the run is judged.
    """
    wanted = {name: _measure(name, relevant_from) for name in measures}
    queries = [int(query) for query in qrels.queries()]
    run = _judged_part(run, qrels)
    try:
        evaluator = ir_measures.evaluator(set(wanted.values()), _grades(qrels))
    except ValueError as error:
        raise SpecError(f"a measure cannot be computed here: {error}", hint="leave it out") from error
    # The evaluator itself yields a value for every judged query, the measure's default (0) where the run has none.
    found = {(metric.measure, metric.query_id): float(metric.value) for metric in evaluator.iter_calc(_stand_ins(run))}
    return {name: {query: found[measure, str(query)] for query in queries} for name, measure in wanted.items()}


def full_name(name: str, relevant_from: int = 1) -> str:
    """State the level of relevance that a measure was computed at, unless it is 1: `RR(rel=2)@10`."""
    return str(_measure(name, relevant_from))


def _measure(name: str, relevant_from: int) -> ir_measures.Measure:
    try:
        measure = ir_measures.parse_measure(name)
        measure.validate_params()  # type: ignore[no-untyped-call]
        str(measure)  # an unknown parameter shows only here
    except (ValueError, NameError, KeyError, AssertionError) as error:
        raise SpecError(
            f"{name!r} is not a measure: {error}", hint=f"write it like one of {', '.join(DEFAULT_MEASURES)}"
        ) from error
    level = measure.SUPPORTED_PARAMS.get("rel")
    # RBP and the like have a level but default to graded relevance; only those whose default is 1 are binary.
    binary = level is not None and level.default == 1
    return measure(rel=relevant_from) if binary and "rel" not in measure.params else measure


def _judged_part(run: Pairs, qrels: Qrels) -> Pairs:
    """Check a run and keep its judged queries, ranked."""
    nan = np.flatnonzero(np.isnan(run.score))
    if len(nan):
        first = nan[0]
        raise DataError(
            f"{len(nan)} of {len(run)} scores of the run are NaN "
            f"(first: query row {run.query[first]}, document row {run.doc[first]})",
            hint="rank with a model or a list that gives every pair a score",
        )
    keys, times = np.unique(run.key(), return_counts=True)
    if len(keys) < len(run):
        key = int(keys[times > 1][0])
        raise DataError(
            f"{len(run) - len(keys)} pairs of the run come twice "
            f"(first: query row {key >> 32}, document row {key & 0xFFFFFFFF})",
            hint="a ranking names each document once",
        )
    keep = np.isin(run.query, qrels.query)
    if not keep.any():
        raise DataError(
            f"none of the run's {len(np.unique(run.query))} queries is among the {len(qrels.queries())} judged ones",
            hint="the run and the judgements are of different splits or collections",
        )
    return Pairs(run.query[keep], run.doc[keep], run.score[keep]).ranked()


def _grades(qrels: Qrels) -> dict[str, dict[str, int]]:
    return _nested(qrels.query, qrels.doc, qrels.grade)


def _stand_ins(run: Pairs) -> dict[str, dict[str, int]]:
    """Give each document of a ranked run a whole number that falls by 1 from rank to rank."""
    return _nested(run.query, run.doc, np.arange(len(run), 0, -1))


def _nested(
    queries: NDArray[np.uint32], docs: NDArray[np.uint32], values: NDArray[np.integer]
) -> dict[str, dict[str, int]]:
    result: dict[str, dict[str, int]] = {}
    for query, doc, value in zip(queries.tolist(), docs.tolist(), values.tolist(), strict=True):
        result.setdefault(str(query), {})[str(doc)] = value
    return result
