from __future__ import annotations

from typing import Any

import pytest

from rankstill.errors import DataError
from rankstill.studies import rows
from rankstill.studies.rows import Cell
from tests.studies.example_summary import example, minimal


def test_first_stage_and_teacher_come_first_then_students_by_strategy_and_loss() -> None:
    assert [s["name"] for s in rows.ordered(example())] == [
        "BM25",
        "all-MiniLM-L6-v2",
        "random-lce",
        "random-kl",
        "bm25-lce",
        "bm25-kl",
        "bm25-kl + BM25",  # an interpolation stands under its student
        "teacher-lce",
        "teacher-kl",
        "teacher-kl + BM25",
    ]


def test_no_system_is_lost_or_doubled_whatever_it_calls_itself() -> None:
    summary = minimal()
    summary["systems"] = [
        {"name": "a", "kind": "interpolated", "of": "nobody"},
        {"name": "b"},
        {"name": "c", "kind": "something new", "strategy": "unmeasured"},
    ]
    assert sorted(s["name"] for s in rows.ordered(summary)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.05, "above"),
        (-0.05, -0.01, "below"),
        (-0.01, 0.05, "unclear"),
        (0.0, 0.05, "unclear"),
        (None, None, ""),
    ],
)
def test_a_difference_counts_only_if_its_interval_excludes_0(low: Any, high: Any, verdict: str) -> None:
    assert Cell(0.4, difference=0.02, difference_low=low, difference_high=high).verdict == verdict


def test_the_best_learner_is_never_the_teacher() -> None:
    summary = example()
    best = rows.best_learners(summary, rows.cells(summary, "RR@10"))
    assert set(best.values()) == {"teacher-kl + BM25"}
    assert set(best) == {t["name"] for t in summary["tests"]}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (rows.number(0.41249), "0.412"),
        (rows.number(-0.5, 1), "−0.5"),
        (rows.number(float("nan")), "–"),
        (rows.number(True), "–"),
        (rows.signed(0.045), "+0.045"),
        (rows.signed(-0.0004), "0.000"),
        (rows.interval(0.1, None), ""),
        (rows.size(22_713_216), "22.7M"),
        (rows.size(950), "950"),
        (rows.count(1_234_567), "1,234,567"),
        (rows.plain("a\x1b[31mb\nc"), "a [31mb c"),
        (rows.plain("x" * 100, 9), "xxxxx…xxx"),
    ],
)
def test_formats(shown: str, expected: str) -> None:
    assert shown == expected


def test_descriptions_name_what_distinguishes_a_system() -> None:
    summary = example()
    words = {s["name"]: rows.describe(s, summary) for s in summary["systems"]}
    assert words["BM25"] == "first stage"
    assert words["all-MiniLM-L6-v2"] == "teacher · bi-encoder · 22.7M parameters"
    assert words["bm25-kl"] == "bm25 negatives · KL · 2-layer bi-encoder · 15.6M parameters · dev 0.415"
    assert words["bm25-kl + BM25"] == "bm25-kl interpolated with BM25, the student's share 0.35"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"results": []}, "lacks 1 of the parts.*'results'"),
        ({"tests": [{"name": "other"}]}, "names the test 'test'"),
        ({"systems": [{"name": "other"}]}, "names the system 'student'"),
        ({"measures": ["AP"]}, "names the measure 'RR@10'"),
        ({"results": minimal()["results"] * 2}, "two results stand for the same"),
    ],
)
def test_a_summary_that_contradicts_itself_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        rows.checked(minimal() | change)
