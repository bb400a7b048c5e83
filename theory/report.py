"""The laboratory's tables: for the terminal, and in docs/theory.md."""

from __future__ import annotations

import re
from pathlib import Path

from theory.statement import Result
from theory.tightness import SIZES, Row


def statements_table(results: list[Result]) -> str:
    """Two lines a statement."""
    lines = [
        "= identity: worst relative error;  <= inequality: largest left/right (of 1);",
        "P stated probability: frequency of failure (of what was stated)",
    ]
    for r in results:
        s = r.statement
        lines.append(f"{'ok  ' if r.passed else 'FAIL'} [{s.label}] {s.title}")
        lines.append(
            f"       {s.kind} {_worst(r)}, {r.violations} violations in {r.worlds:,}; broken ({s.broken}): {_caught(r)}"
        )
    return "\n".join(lines)


def verdict(results: list[Result]) -> str:
    """PASS or FAIL, and the sums."""
    failed = [r for r in results if not r.passed]
    head = f"{_sums(results)}; {len(_functions(results))} functions of rankstill.measures exercised"
    if not failed:
        return f"{head}\nPASS: every statement held and every broken variant was caught"
    return f"{head}\nFAIL: " + "; ".join(f"[{r.statement.label}] {r.statement.title}" for r in failed)


def tightness_table(rows: list[Row]) -> str:
    """Bound over actual at the sizes: ratio of means over worlds, and the median of the worlds' ratios."""
    head = f"{'bound / actual (median of worlds) at n =':60}" + "".join(f"{n:>19,}" for n in SIZES)
    return "\n".join([head, *(str(row) for row in rows)])


def fill_page(page: Path, results: list[Result], tables: str) -> None:
    """Put the figures into docs/theory.md, between its marks."""
    text = page.read_text()
    for name, part in (
        ("summary", f"{_sums(results)}. Exercised: {', '.join(f'`{f}`' for f in _functions(results))}."),
        ("tightness", f"```text\n{tables}\n```"),
        ("statements", _markdown(results)),
    ):
        mark = rf"(<!-- {name} -->\n).*?(\n<!-- end -->)"
        text, count = re.subn(mark, lambda m, part=part: m[1] + part + m[2], text, flags=re.DOTALL)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"{page} has {count} places for {name}; it must have one")
    page.write_text(text)


def _markdown(results: list[Result]) -> str:
    lines = ["| Label | Statement | | Worst | Broken variant | Caught |", "| --- | --- | --- | --- | --- | --- |"]
    for r in results:
        s = r.statement
        kind = {"=": "=", "<=": "≤", "P": "P"}[s.kind]
        cells = (s.label, s.title, kind, _worst(r), s.broken, _caught(r).removeprefix("caught").strip(" ,"))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _sums(results: list[Result]) -> str:
    kinds = (("=", "identities"), ("<=", "inequalities"), ("P", "stated probabilities"))
    sums = ", ".join(f"{sum(r.statement.kind == kind for r in results)} {name}" for kind, name in kinds)
    return f"{len(results)} checks: {sums}; {sum(r.violations for r in results)} violations"


def _functions(results: list[Result]) -> list[str]:
    return sorted({name for r in results for name in r.statement.uses})


def _worst(result: Result) -> str:
    if result.statement.kind == "=":
        return f"{result.worst:.1e}"
    if result.statement.kind == "<=":
        return f"{result.worst:.3f}"
    return f"{result.worst:.2g} of {result.probability:.2g}"


def _caught(result: Result) -> str:
    if not result.caught:
        return "NOT CAUGHT"
    if result.statement.kind == "P":
        return f"caught, failed {result.broken_frequency:.2g}"
    if result.unseen:
        return f"NOT CAUGHT in places {sorted(result.unseen)}"
    return f"caught in {result.caught:,} of {result.worlds:,}"
