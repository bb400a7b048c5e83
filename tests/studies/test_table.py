from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from rankstill.errors import DataError
from rankstill.studies.table import print_table
from tests.studies.example_summary import example, minimal


def shown(summary: dict[str, Any], width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), record=True, color_system=None)
    print_table(summary, console)
    return console.export_text()


@pytest.mark.parametrize("tests", [1, 2, 3, 4])
def test_tables_fit_into_100_columns_without_losing_a_number(tests: int) -> None:
    summary = example(tests)
    text = shown(summary)
    assert max(map(len, text.splitlines())) <= 100
    for result in summary["results"]:
        if result["measure"] == "RR@10":
            assert f"{result['mean']:.3f}" in text
            assert f"{result['low']:.3f}–{result['high']:.3f}" in text
    assert "…" not in text


def test_rows_stand_in_the_order_of_the_report() -> None:
    lines = shown(example(2)).splitlines()
    names = ["BM25", "all-MiniLM-L6-v2", "random-lce", "random-kl", "bm25-lce", "bm25-kl", "+ bm25-kl + BM25"]
    places = [next(i for i, line in enumerate(lines) if line.strip().startswith(name)) for name in names]
    assert places == sorted(places)


def test_a_student_that_loses_to_the_first_stage_is_marked_and_named() -> None:
    text = shown(example(2))
    line = next(line for line in text.splitlines() if line.strip().startswith("random-lce"))
    assert line.count("▼") == 2
    assert "Loses to BM25: random-lce on 2 tests, random-kl on 1 test." in text


def test_nothing_is_said_to_lose_where_nothing_does() -> None:
    summary = example(1)
    summary["results"] = [r for r in summary["results"] if not r["system"].startswith("random")]
    assert "Loses" not in shown(summary)


def test_strategies_show_diameter_and_entropy() -> None:
    line = next(line for line in shown(example()).splitlines() if line.strip().startswith("bm25 "))
    assert line.split() == ["bm25", "1.04", "1.03–1.05", "0.55", "0.54–0.57", "7.1%", "1,200", "×", "16", "17,731"]


def test_the_least_summary_makes_a_table() -> None:
    assert "0.250" in shown(minimal())


def test_a_missing_cell_is_a_dash_and_not_a_0() -> None:
    summary = minimal()
    summary["systems"].append({"name": "unmeasured", "kind": "student"})
    line = next(line for line in shown(summary).splitlines() if "unmeasured" in line)
    assert line.split() == ["unmeasured", "–"]


def test_names_cannot_command_the_terminal() -> None:
    summary = minimal()
    name = "[red]x[/red] \x1b[2J"
    summary["systems"][0]["name"] = summary["results"][0]["system"] = name
    text = shown(summary)
    assert "\x1b" not in text
    assert "[red]x[/red]" in text


def test_many_tests_continue_in_a_second_table() -> None:
    summary = minimal()
    summary["tests"] = [{"name": f"test{i}"} for i in range(6)]
    summary["results"] = [{**summary["results"][0], "test": f"test{i}", "mean": 0.1 + 0.01 * i} for i in range(6)]
    text = shown(summary)
    assert text.count("system") == 2
    assert "0.150" in text


def test_the_summary_is_checked() -> None:
    with pytest.raises(DataError):
        print_table(minimal() | {"results": []})
