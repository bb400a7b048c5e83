"""The verdict: numbers as they are, the student that dev chose, and losses said as plainly as gains."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rankstill.studies.rows import Cell
from rankstill.studies.sentences import chosen, verdict
from tests.studies.example_summary import example


def row(system: str, mean: float, *difference: float | None, test: str = "pydocs", measure: str = "RR@10"):
    gap, low, high = difference or (None, None, None)
    return {
        **{"system": system, "test": test, "measure": measure, "mean": mean, "n": 200},
        **{"difference": gap, "difference_low": low, "difference_high": high},
    }


def summary(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    systems = [
        {"name": "BM25", "kind": "first stage"},
        {"name": "teacher", "kind": "teacher"},
        {"name": "weak", "kind": "student", "dev": 0.30},
        {"name": "strong", "kind": "student", "dev": 0.40},
        {"name": "weak + BM25", "kind": "interpolated", "of": "weak"},
        {"name": "strong + BM25", "kind": "interpolated", "of": "strong"},
    ]
    found = {"headline": "RR@10", "tests": [{"name": "pydocs"}], "systems": systems, "results": list(results)}
    return {**found, **more}


FIRST, TEACHER = row("BM25", 0.41), row("teacher", 0.4949)
STRONG = row("strong", 0.45, 0.04, 0.01, 0.07)
MIXED = row("strong + BM25", 0.3801, -0.0299, -0.05, -0.01)


def test_the_whole_sentence():
    assert verdict(summary(FIRST, TEACHER, STRONG, MIXED)) == [
        "On pydocs (200 queries, RR@10), BM25 has 0.410 and the teacher 0.495; "
        "strong has 0.450 (above it: +0.040, 95% interval +0.010 to +0.070); "
        "interpolated with BM25 it has 0.380 (below it: -0.030, 95% interval -0.050 to -0.010)."
    ]


def test_what_is_not_there_is_not_mentioned():
    assert verdict(summary(FIRST, row("strong", 0.45))) == [
        "On pydocs (200 queries, RR@10), BM25 has 0.410; strong has 0.450."
    ]
    assert verdict(summary(FIRST, TEACHER)) == [], "no student was evaluated"
    assert verdict(summary(STRONG)) == [], "there is no first stage to compare with"
    assert verdict(summary(tests=[])) == []


@pytest.mark.parametrize(
    ("low", "high", "said", "verdict_of_the_tables"),
    [
        (0.001, 0.05, "above it", "above"),
        (-0.05, -0.001, "below it", "below"),
        (-0.01, 0.05, "not told apart from it", "unclear"),
        (0.0, 0.05, "not told apart from it", "unclear"),
        (-0.05, 0.0, "not told apart from it", "unclear"),
        (0.0, 0.0, "not told apart from it", "unclear"),
    ],
)
def test_the_sentence_and_the_tables_judge_alike(low, high, said, verdict_of_the_tables):
    (sentence,) = verdict(summary(FIRST, row("strong", 0.45, 0.02, low, high)))
    assert f"strong has 0.450 ({said}: +0.020, " in sentence
    assert Cell(0.45, difference=0.02, difference_low=low, difference_high=high).verdict == verdict_of_the_tables


def test_dev_chooses_the_student_and_never_the_test():
    """The weak student is far better on the test; saying so would be choosing by the test."""
    told = verdict(summary(FIRST, row("weak", 0.9, 0.49, 0.4, 0.5), STRONG, row("weak + BM25", 0.95), MIXED))
    assert "strong has 0.450" in told[0]
    assert "weak" not in told[0]


def test_without_dev_the_first_student_stands_for_all():
    told = summary(FIRST, row("weak", 0.3), STRONG)
    for system in told["systems"]:
        system.pop("dev", None)
    assert chosen(told)["name"] == "weak"
    for system in told["systems"]:
        system["dev"] = None
    assert chosen(told)["name"] == "weak"
    assert "; weak has 0.300" in verdict(told)[0]


def test_each_test_has_its_sentence_in_order_and_another_measure_none():
    other = [row("BM25", 0.2, test="other"), row("strong", 0.1, -0.1, -0.2, -0.05, test="other")]
    results = [*other, FIRST, STRONG, row("BM25", 0.99, measure="AP"), row("strong", 0.98, measure="AP")]
    told = verdict(summary(*results, tests=[{"name": "pydocs"}, {"name": "other"}]))
    assert [sentence.partition(" (")[0] for sentence in told] == ["On pydocs", "On other"]
    assert "strong has 0.100 (below it: -0.100" in told[1]
    assert "0.99" not in " ".join(told)


def strategy(name: str, diameter: float, entropy: float) -> dict[str, Any]:
    return {"name": name, "diameter": {"mean": diameter}, "entropy": {"mean": entropy}}


def test_the_most_local_and_the_widest_strategy_are_named():
    strategies = [strategy("bm25", 1.041, 0.55), strategy("random", 1.224, 0.31), strategy("teacher", 0.929, 0.71)]
    expected = (
        "Negatives from teacher make the most local groups (rms diameter 0.93, teacher entropy 0.71 of 1), "
        "those from random the widest (1.22, 0.31)."
    )
    assert verdict(summary(strategies=strategies)) == [expected]
    assert verdict(summary(strategies=strategies[::-1])) == [expected]
    assert verdict(summary(strategies=strategies[:1])) == [], "one strategy compares with nothing"
    assert verdict(summary(strategies=[{"name": "a"}, {"name": "b"}])) == [], "no diameters without embeddings"


def test_every_number_of_a_large_summary_is_one_of_its_results():
    told = verdict(example())
    assert len(told) == 5, "four tests and the strategies"
    for test, sentence in zip(example()["tests"], told, strict=False):
        results = [r for r in example()["results"] if r["measure"] == "RR@10" and r["test"] == test["name"]]
        said = re.findall(r"(?:has|teacher) (\d\.\d{3})", sentence)
        assert len(said) == 3, "first stage, teacher, and the student that dev chose"
        assert set(said) <= {f"{r['mean']:.3f}" for r in results}


def test_dev_may_choose_a_student_for_its_interpolation():
    """Alone the first is better, with the first stage the second is: that is how they would be used."""
    systems = [
        {"name": "BM25", "kind": "first stage"},
        {"name": "a", "kind": "student", "dev": 0.5},
        {"name": "a + BM25", "kind": "interpolated", "of": "a", "dev": 0.6},
        {"name": "b", "kind": "student", "dev": 0.4},
        {"name": "b + BM25", "kind": "interpolated", "of": "b", "dev": 0.7},
    ]
    assert chosen({"systems": systems})["name"] == "b"
    assert chosen({"systems": [s for s in systems if s["kind"] == "student"]})["name"] == "a"
