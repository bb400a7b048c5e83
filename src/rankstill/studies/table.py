"""The terminal's tables: the systems on the headline measure, and what the strategies' groups are like.

Same rows, order and marks as the report. Nothing is wider than 100 columns; more than four tests continue in a second
table. Marks do not depend on colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from rankstill.studies import rows
from rankstill.studies.rows import Cell, Entry, Summary

WIDTH = 100
_TESTS_A_TABLE = 4
_NAME = 36
_ONE_LINE = len("0.412 ▲  0.391–0.433")
_PAD = 2  # what a column takes beside its text
_STYLES = {"above": "bold green", "below": "bold red", "unclear": "dim", "": ""}


def print_table(summary: Summary, console: Console | None = None) -> Group:
    """Arrange the terminal's tables, and print them where a console is given.

    Args:
        summary: As for the report.
        console: Where to print.

    Returns:
        The systems' table (more for more than four tests), a key, who loses to the first stage, the strategies' table.

    Raises:
        DataError: The summary lacks a required part, or its results name what it does not list.
    """
    rows.checked(summary)
    measure = rows.headline(summary)
    found = rows.cells(summary, measure)
    tests = list(summary["tests"])
    first = f"{measure}, mean over queries and its 95% interval" if tests else "Nothing was evaluated."
    parts: list[RenderableType] = [Text(first, style="bold")]
    for i in range(0, len(tests), _TESTS_A_TABLE):
        parts.append(_systems(summary, measure, found, tests[i : i + _TESTS_A_TABLE]))
    parts += [Text(line, style="dim") for line in _key(summary, found)]
    if summary.get("strategies"):
        title = Text("\nWhat the strategies' groups are like", style="bold")
        parts += [title, _strategies(summary["strategies"])]
    tables = Group(*parts)
    if console is not None:
        console.print(tables)
    return tables


def _systems(summary: Summary, measure: str, found: Mapping[tuple[str, str], Cell], tests: Sequence[Entry]) -> Table:
    systems = rows.ordered(summary)
    names = [_indent(s) + rows.plain(s["name"], _NAME - 4) for s in systems]
    one_line = max(map(len, names)) + _PAD + len(tests) * (_ONE_LINE + _PAD) <= WIDTH
    best = rows.best_learners(summary, found)
    table = _empty()
    table.add_column("system", no_wrap=True)
    for test in tests:
        table.add_column(_head(test), max_width=_ONE_LINE if one_line else _ONE_LINE - 3)
    for i, (name, system) in enumerate(zip(names, systems, strict=True)):
        cells = [
            _cell(found.get((system["name"], t["name"])), best.get(t["name"]) == system["name"], measure, one_line)
            for t in tests
        ]
        last_head = not rows.is_learner(system) and i + 1 < len(systems) and rows.is_learner(systems[i + 1])
        table.add_row(Text(name), *cells, end_section=last_head)
    return table


def _empty() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))


def _indent(system: Entry) -> str:
    return "  + " if system.get("kind") == "interpolated" else ""


def _head(test: Entry) -> Text:
    head = Text(rows.plain(test["name"], 40), style="bold")
    queries = f"{rows.count(test['queries'])} queries" if test.get("queries") else ""
    for detail in filter(None, [rows.plain(test.get("domain") or ""), queries]):
        head.append(f"\n{detail}", style="not bold dim")
    return head


def _cell(cell: Cell | None, is_best: bool, measure: str, one_line: bool) -> Text:
    """Write a mean, its mark and its interval, on one line or on two."""
    if cell is None:
        return Text(rows.ABSENT, style="dim")
    verdict = cell.verdict if rows.is_quality(measure) else ""
    text = Text(rows.number(cell.mean), style="bold" if is_best else "")
    text.append(f" {rows.MARKS[verdict] or ' '}", style=_STYLES[verdict])
    if cell.low is not None and cell.high is not None:
        ends = f"{rows.number(cell.low)}–{rows.number(cell.high)}"
        text.append(f"  {ends}" if one_line else f"\n{ends}", style="not bold dim")
    return text


def _key(summary: Summary, found: Mapping[tuple[str, str], Cell]) -> Iterator[str]:
    """Explain the marks that occur, and name the students that lose."""
    if not rows.is_quality(rows.headline(summary)):
        return
    base, verdicts = rows.first_stage(summary), {c.verdict for c in found.values()} - {""}
    if verdicts:
        yield f"▲ above, ▼ below {base}: the 95% interval of the paired difference excludes 0; ≈ it does not."
    learners = [s["name"] for s in rows.ordered(summary) if rows.is_learner(s)]
    below = [system for (system, _), cell in found.items() if cell.verdict == "below"]
    lost = [(name, below.count(name)) for name in learners if name in below]
    if lost:
        named = ", ".join(f"{rows.plain(name)} on {n} test{'s' * (n > 1)}" for name, n in lost)
        yield f"Loses to {base}: {named}."


def _strategies(strategies: Sequence[Entry]) -> Table:
    table = _empty()
    heads = (
        "strategy", "diameter\nsmall: local", "teacher entropy\n0 sure, 1 undecided", "at or above\nthe positive",
        "groups", "pairs scored",
    )  # fmt: skip
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i < 3 else "right", no_wrap=i == 0)
    for s in strategies:
        share = s.get("false_negative_share")
        table.add_row(
            Text(rows.plain(s["name"], 24)),
            _spread(s.get("diameter")),
            _spread(s.get("entropy")),
            f"{100 * share:.1f}%" if rows.is_number(share) else rows.ABSENT,
            f"{rows.count(s.get('groups'))} × {rows.count(s.get('size'))}",
            rows.count(s.get("pairs_scored")),
        )
    return table


def _spread(value: Any) -> Text:
    """Write a mean and its interval."""
    value = value or {}
    text = Text(rows.number(value.get("mean"), 2))
    if rows.interval(value.get("low"), value.get("high")):
        text.append(f"  {rows.number(value['low'], 2)}–{rows.number(value['high'], 2)}", style="dim")
    return text


def results_table(results: Sequence[Mapping[str, Any]]) -> Table:
    """Lay out what the stage `measure` found: a row per system, a column per measure, mean and 95% interval."""
    measures = list(dict.fromkeys(str(row["measure"]) for row in results))
    table = Table("system", *measures, box=None, title=f"{results[0]['n']} queries", title_justify="left")
    for system in dict.fromkeys(str(row["system"]) for row in results):
        found = {row["measure"]: row for row in results if row["system"] == system}
        shown = [
            f"{rows.number(found[m]['mean'])} {rows.interval(found[m]['low'], found[m]['high'])}" for m in measures
        ]
        table.add_row(Text(system), *shown)
    return table
