"""Effectiveness: hand-worked values, ties, levels of relevance, missing queries, ir_measures and a published number."""

from __future__ import annotations

import math
from pathlib import Path

import ir_measures
import numpy as np
import pytest

from rankstill.errors import DataError, SpecError
from rankstill.measures.effectiveness import DEFAULT_MEASURES, full_name, per_query
from rankstill.records import Pairs, Qrels

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def run(*rows: tuple[int, int, float]) -> Pairs:
    query, doc, score = zip(*rows, strict=True)
    return Pairs(np.array(query, np.uint32), np.array(doc, np.uint32), np.array(score, np.float32))


def judged(*rows: tuple[int, int, int]) -> Qrels:
    query, doc, grade = zip(*rows, strict=True)
    return Qrels(np.array(query, np.uint32), np.array(doc, np.uint32), np.array(grade, np.int32))


# Ranked: 5 (grade 1), 7 (unjudged), 6 (grade 2), and 8 (grade 0).
RUN = run((3, 6, 0.7), (3, 5, 0.9), (3, 7, 0.8), (3, 8, 0.1))
QRELS = judged((3, 5, 1), (3, 6, 2), (3, 8, 0), (3, 99, 1))


def test_by_hand():
    got = per_query(RUN, QRELS)
    assert list(got) == list(DEFAULT_MEASURES)
    gain, ideal = 1 + 2 / math.log2(4), 2 + 1 / math.log2(3) + 1 / math.log2(4)
    assert got["nDCG@10"] == {3: pytest.approx(gain / ideal)}
    assert got["RR@10"] == {3: 1.0}
    assert got["AP"] == {3: pytest.approx((1 / 1 + 2 / 3) / 3)}
    assert got["R@100"] == {3: pytest.approx(2 / 3)}
    assert got["Judged@10"] == {3: 0.75}


def test_the_level_of_relevance_reaches_the_binary_measures_alone():
    plain, from_2 = per_query(RUN, QRELS), per_query(RUN, QRELS, relevant_from=2)
    assert from_2["RR@10"] == {3: pytest.approx(1 / 3)}
    assert from_2["AP"] == {3: pytest.approx(1 / 3)}
    assert from_2["R@100"] == {3: 1.0}
    for graded in ("nDCG@10", "Judged@10"):
        assert from_2[graded] == plain[graded]


def test_the_level_never_leaks_from_one_collection_to_the_next():
    """Elsewhere a level set for TREC DL stays set for the binary collections after it, which then score 0."""
    binary, first = judged((3, 5, 1)), per_query(RUN, QRELS)
    assert per_query(RUN, QRELS, relevant_from=2) != first
    assert per_query(RUN, QRELS) == first
    assert per_query(RUN, binary)["AP"] == {3: 1.0}
    # And one that a name states is that measure's own, not the collection's nor the next measure's.
    got = per_query(RUN, QRELS, ["RR(rel=2)@10", "RR@10", "RR(rel=1)@10"], relevant_from=2)
    assert got == {
        "RR(rel=2)@10": {3: pytest.approx(1 / 3)},
        "RR@10": {3: pytest.approx(1 / 3)},
        "RR(rel=1)@10": {3: 1.0},
    }


def test_the_full_name_states_the_level():
    assert [full_name(name, 2) for name in DEFAULT_MEASURES] == [
        "nDCG@10", "RR(rel=2)@10", "AP(rel=2)", "R(rel=2)@100", "Judged@10"]  # fmt: skip
    assert [full_name(name, 1) for name in DEFAULT_MEASURES] == list(DEFAULT_MEASURES)
    assert full_name("RR(rel=3)@10", 2) == "RR(rel=3)@10"
    assert full_name("RBP", 2) == "RBP"  # graded unless told otherwise


@pytest.mark.parametrize("name", ["nDCG@10", "RR@10", "RR", "AP", "P@1", "Judged@1", "Success@1"])
@pytest.mark.parametrize("relevant", [8, 9, 10])
def test_ties_stand_in_the_order_of_the_document_rows(name: str, relevant: int):
    """As numbers 8 < 9 < 10, as strings "10" < "8" < "9": providers that break ties by id would disagree."""
    tied = run((0, 10, 1.0), (0, 8, 1.0), (0, 9, 1.0))
    untied = run((0, 10, 1.0), (0, 8, 3.0), (0, 9, 2.0))
    qrels = judged((0, relevant, 1))
    assert per_query(tied, qrels, [name]) == per_query(untied, qrels, [name])
    rank = relevant - 7
    expected = {"RR@10": 1 / rank, "nDCG@10": 1 / math.log2(1 + rank), "P@1": float(rank == 1)}
    if name in expected:
        assert per_query(tied, qrels, [name])[name][0] == pytest.approx(expected[name])


def test_the_order_of_the_runs_rows_does_not_matter():
    rng = np.random.default_rng(0)
    query = np.repeat(np.arange(6, dtype=np.uint32), 40)
    table = Pairs(query, np.tile(np.arange(40, dtype=np.uint32), 6), rng.integers(0, 5, 240).astype(np.float32))
    qrels = judged(*((q, d, int(rng.integers(0, 3))) for q in range(6) for d in range(0, 40, 3)))
    order = rng.permutation(240)
    assert per_query(Pairs(query[order], table.doc[order], table.score[order]), qrels) == per_query(table, qrels)


def test_scores_that_differ_in_the_last_digit_stay_apart():
    close = np.nextafter(np.float32(1e8), np.float32(2e8))
    assert per_query(run((0, 1, 1e8), (0, 2, float(close))), judged((0, 2, 1)), ["RR"])["RR"] == {0: 1.0}


def test_against_ir_measures_on_plain_input():
    """Without ties our numbers are those that ir_measures gives for the same run and judgements as text."""
    rng = np.random.default_rng(1)
    rows = [(q, int(d), float(s)) for q in range(8) for d, s in enumerate(rng.permutation(60))]
    marks = [(q, d, int(g)) for q in range(8) for d, g in zip(range(0, 90, 2), rng.integers(0, 4, 45), strict=True)]
    got = per_query(run(*rows), judged(*marks), [*DEFAULT_MEASURES, "P@5", "Rprec"], relevant_from=2)
    theirs = ir_measures.iter_calc(
        [ir_measures.parse_measure(full_name(name, 2)) for name in got],
        [ir_measures.Qrel(f"q{q}", f"d{d}", g) for q, d, g in marks],
        [ir_measures.ScoredDoc(f"q{q}", f"d{d}", s) for q, d, s in rows],
    )
    expected = {(str(m.measure), int(m.query_id[1:])): m.value for m in theirs}
    assert len(expected) == 7 * 8
    for name, values in got.items():
        assert values == {q: pytest.approx(expected[full_name(name, 2), q]) for q in range(8)}


def test_a_judged_query_that_the_run_lacks_counts_zero_and_an_unjudged_one_is_left_out():
    qrels = judged((2, 1, 1), (3, 5, 1), (9, 5, 1))
    got = per_query(run((3, 5, 1.0), (77, 5, 1.0)), qrels)
    for values in got.values():
        assert values == {2: 0.0, 3: 1.0, 9: 0.0}
        assert list(values) == [2, 3, 9]


def test_a_query_without_a_relevant_document_counts_zero_as_in_trec_eval():
    import pytrec_eval

    table, qrels = run((0, 1, 1.0), (1, 1, 1.0)), judged((0, 1, 0), (1, 1, 1))
    got = per_query(table, qrels)
    assert {name: values[0] for name, values in got.items()} == {
        "nDCG@10": 0.0, "RR@10": 0.0, "AP": 0.0, "R@100": 0.0, "Judged@10": 1.0}  # fmt: skip
    trec_eval = pytrec_eval.RelevanceEvaluator({"0": {"1": 0}, "1": {"1": 1}}, {"map", "ndcg_cut_10"})
    theirs = trec_eval.evaluate({"0": {"1": 1.0}, "1": {"1": 1.0}})
    assert theirs == {"0": {"map": 0.0, "ndcg_cut_10": 0.0}, "1": {"map": 1.0, "ndcg_cut_10": 1.0}}


def test_grades_below_zero_are_judged_and_not_relevant():
    got = per_query(run((0, 1, 2.0), (0, 2, 1.0)), judged((0, 1, -2), (0, 2, 1)))
    assert got["RR@10"] == {0: 0.5}
    assert got["Judged@10"] == {0: 1.0}
    assert got["nDCG@10"] == {0: pytest.approx(1 / math.log2(3))}


def test_nan_scores_are_refused():
    with pytest.raises(DataError, match=r"1 of 2 scores of the run are NaN \(first: query row 3, document row 5\)"):
        per_query(run((3, 6, 0.1), (3, 5, math.nan)), QRELS)


def test_a_document_that_comes_twice_is_refused():
    with pytest.raises(DataError, match=r"1 pairs of the run come twice \(first: query row 3, document row 5\)"):
        per_query(run((3, 5, 0.1), (3, 6, 0.3), (3, 5, 0.2)), QRELS)


def test_a_run_of_other_queries_is_refused():
    with pytest.raises(DataError, match="none of the run's 2 queries is among the 1 judged"):
        per_query(run((1, 5, 0.1), (2, 5, 0.2)), QRELS)
    with pytest.raises(DataError, match="none of the run's 0 queries"):
        per_query(Pairs.empty(), QRELS)


@pytest.mark.parametrize("bad", ["nDGC@10", "RR@", "RR(level=2)@10", "nDCG@ten", "", "P"])
def test_unknown_measures_are_refused(bad: str):
    with pytest.raises(SpecError, match="is not a measure"):
        per_query(RUN, QRELS, [bad])


def test_a_measure_that_no_installed_provider_has_is_refused():
    with pytest.raises(SpecError, match="cannot be computed here"):
        per_query(RUN, QRELS, ["StRecall@5"])


@pytest.mark.shared
def test_bm25_on_trec_dl_2019_has_the_published_ndcg():
    """0.5058, as in pyserini's reproduction matrix for BM25 with k1 = 0.9, b = 0.4."""
    folder = SHARED / "dl19-passage"
    trec, marks = folder / "runs" / "first_stage.BM25.trec", folder / "qrels" / "test.tsv"
    if not trec.is_file():
        pytest.skip(f"there is no {trec}")
    ranked = [line.split() for line in trec.read_text().splitlines()]
    grades = [line.split("\t") for line in marks.read_text().splitlines()[1:]]
    docs = {d: row for row, d in enumerate(dict.fromkeys([r[2] for r in ranked] + [g[1] for g in grades]))}
    queries = {q: row for row, q in enumerate(dict.fromkeys(g[0] for g in grades))}
    table = run(*((queries[r[0]], docs[r[2]], float(r[4])) for r in ranked if r[0] in queries))
    qrels = judged(*((queries[q], docs[d], int(float(g))) for q, d, g in grades))
    values = per_query(table, qrels, ["nDCG@10"])["nDCG@10"]
    assert len(values) == 43
    assert np.mean(list(values.values())) == pytest.approx(0.5058, abs=1e-3)
