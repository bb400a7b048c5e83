"""The verdict in plain sentences: what came out, with numbers, also where the student loses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Summary = Mapping[str, Any]


def verdict(summary: Summary) -> list[str]:
    """Say in a few sentences what a summary shows on its headline measure."""
    sentences = [s for test in summary["tests"] if (s := _on_test(summary, test["name"]))]
    sentences += [_on_strategies(summary)]
    return [s for s in sentences if s]


def _on_test(summary: Summary, test: str) -> str:
    """Compare the student that dev chose with the first stage and the teacher; never the best of many on the test."""
    measure = summary["headline"]
    rows = {r["system"]: r for r in summary["results"] if r["test"] == test and r["measure"] == measure}
    named = {s["kind"]: s["name"] for s in summary["systems"] if s["kind"] in ("first stage", "teacher")}
    first, teacher = rows.get(named.get("first stage", "")), rows.get(named.get("teacher", ""))
    student = chosen(summary)
    if first is None or student["name"] not in rows:
        return ""
    parts = [f"{student['name']} has {_worth(rows[student['name']])}"]
    mixed = next((s["name"] for s in summary["systems"] if s.get("of") == student["name"]), "")
    if mixed in rows:
        parts.append(f"interpolated with {first['system']} it has {_worth(rows[mixed])}")
    above = f" and the teacher {teacher['mean']:.3f}" if teacher else ""
    had = f"{first['system']} has {first['mean']:.3f}{above}"
    return f"On {test} ({first['n']} queries, {measure}), {had}; {'; '.join(parts)}."


def chosen(summary: Summary) -> Mapping[str, Any]:
    """Find the student of highest quality on dev, alone or interpolated; the first one where there is no dev."""
    students: list[Mapping[str, Any]] = [s for s in summary["systems"] if s["kind"] == "student"]
    mixed = {s.get("of"): s.get("dev") or 0.0 for s in summary["systems"]}
    return max(students, key=lambda s: max(s.get("dev") or 0.0, mixed.get(s["name"], 0.0)))


def _worth(row: Mapping[str, Any]) -> str:
    return f"{row['mean']:.3f}{_against(row)}"


def _against(row: Mapping[str, Any]) -> str:
    low, high = row.get("difference_low"), row.get("difference_high")
    if low is None or high is None:
        return ""
    word = "above it" if low > 0 else "below it" if high < 0 else "not told apart from it"
    return f" ({word}: {row['difference']:+.3f}, 95% interval {low:+.3f} to {high:+.3f})"


def _on_strategies(summary: Summary) -> str:
    found = [s for s in summary.get("strategies", []) if "diameter" in s]
    if len(found) < 2:
        return ""
    near = min(found, key=lambda s: s["diameter"]["mean"])
    wide = max(found, key=lambda s: s["diameter"]["mean"])
    return (
        f"Negatives from {near['name']} make the most local groups (rms diameter {near['diameter']['mean']:.2f}, "
        f"teacher entropy {near['entropy']['mean']:.2f} of 1), those from {wide['name']} the widest "
        f"({wide['diameter']['mean']:.2f}, {wide['entropy']['mean']:.2f})."
    )
