"""The laboratory's tables, as text."""

from __future__ import annotations

from theory.statement import Result
from theory.tightness import SIZES, Row


def statements_table(results: list[Result]) -> str:
    """One line a statement, and one for its broken variant."""
    lines = [
        "     = identity: worst relative error.  <= inequality: largest left/right.",
        "     P stated probability: the frequency of failure, and what was stated.",
    ]
    for r in results:
        s = r.statement
        mark = "ok  " if r.passed else "FAIL"
        lines.append(f"{mark} [{s.label}] {s.title}")
        lines.append(f"       {s.kind:2} {_worst(r)}; {r.violations} violations in {r.worlds:,}{_uses(r)}")
        lines.append(f"       broken ({s.broken}): {_caught(r)}")
    return "\n".join(lines)


def verdict(results: list[Result]) -> str:
    """PASS or FAIL, and the sums."""
    failed = [r for r in results if not r.passed]
    functions = sorted({u for r in results for u in r.statement.uses})
    kinds = ", ".join(
        f"{sum(r.statement.kind == kind for r in results)} {name}"
        for kind, name in (("=", "identities"), ("<=", "inequalities"), ("P", "probabilities"))
    )
    head = f"{len(results)} statements: {kinds}; functions of rankstill.measures exercised: {', '.join(functions)}"
    if not failed:
        return f"{head}\nPASS: every statement held and every broken variant was caught"
    return f"{head}\nFAIL: " + "; ".join(f"[{r.statement.label}] {r.statement.title}" for r in failed)


def _worst(result: Result) -> str:
    if result.statement.kind == "=":
        return f"{result.worst:.1e}"
    if result.statement.kind == "<=":
        return f"{result.worst:.3f}"
    return f"{result.worst:.2g} of {result.probability:.2g}"


def _caught(result: Result) -> str:
    if result.statement.kind != "P":
        return f"caught in {result.caught:,} of {result.worlds:,}" if result.caught else "NOT CAUGHT"
    return f"{'caught' if result.caught else 'NOT CAUGHT'}, frequency {result.broken_frequency:.2g}"


def _uses(result: Result) -> str:
    return f"; runs {', '.join(result.statement.uses)}" if result.statement.uses else ""


def tightness_table(rows: list[Row]) -> str:
    """Bound over actual at the sizes: ratio of means over worlds, and the median of the worlds' ratios."""
    head = f"{'bound / actual at n =':68}" + "".join(f"{n:8,} (median )" for n in SIZES)
    return "\n".join([head, *(str(row) for row in rows)])
