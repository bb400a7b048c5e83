"""The report: a summary in, one HTML file out that opens offline, reads on a phone and prints.

The page asks nobody for anything: styles, figures and a little script stand inside it, and its content security policy
forbids the rest, so that not even a text that slipped through the escaping could run or load something. The measure and
the test are chosen by radio buttons and CSS; the script only sorts and filters.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from markupsafe import Markup

from rankstill.files import Json, whole_or_absent
from rankstill.studies import figures, glossary, rows
from rankstill.studies.rows import Cell, Entry, Summary
from rankstill.studies.svg import DARK, LIGHT, strategy_colour
from rankstill.studies.templating import environment, packaged

TEXT_SHOWN = 320
"""Characters of an example's document that are shown."""
DOCUMENTS_SHOWN = 8
"""Documents of an example's group that are shown."""
_SUPERLATIVES = {
    "diameter": ("the most local", "the widest"),
    "entropy": ("the teacher is surest", "the teacher is least sure"),
}


def write_report(summary: Summary, out: Path) -> Path:
    """Write the report as one HTML file, whole or absent; the same summary gives the same bytes.

    Args:
        summary: As docs/formats.md describes it under "Summary"; parts that are missing are left out of the page.
        out: The file; its folder is made if need be.

    Returns:
        `out`.

    Raises:
        DataError: The summary lacks a required part, or its results name what it does not list.
        OutputError: The file cannot be written.
    """
    page = render(summary).encode("utf-8", errors="replace")  # half a surrogate pair in a text must not cost the report
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_or_absent(out) as file:
        file.write(page)
    return out


def render(summary: Summary) -> str:
    """Make the page as a string.

    Raises:
        DataError: As in `write_report`.
    """
    script, style = (packaged(name) for name in ("report.js", "report.css"))
    return (
        environment()
        .get_template("report.html")
        .render(
            **_view(rows.checked(summary)),
            style=style,
            script=script,
            script_hash=_hash(script),
            light=LIGHT,
            dark=DARK,
        )
    )


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _view(summary: Summary) -> Json:
    """Arrange everything that the template shows; it only loops and formats."""
    measures = [str(m) for m in summary["measures"]]
    return {
        "summary": summary,
        "title": summary.get("title") or "Distillation report",
        "first_stage": rows.first_stage(summary),
        "headline": measures.index(rows.headline(summary)),
        "tables": [_table(summary, m) for m in measures if summary["tests"]],
        "pictures": _pictures(summary),
        "shades": _shades(summary),
        "strategies": _strategies(summary),
        "examples": _examples(summary),
        "provenance": _provenance(summary),
        "words": glossary.words(summary),
        "reached": _reached(summary),
    }


def _shades(summary: Summary) -> dict[str, str]:
    return {name: strategy_colour(i) for i, name in enumerate(rows.strategies(summary))}


def _table(summary: Summary, measure: str) -> Json:
    """Arrange one measure's table: rows of systems, a cell or None for each test."""
    found = rows.cells(summary, measure)
    best = rows.best_learners(summary, found)
    tests = [str(t["name"]) for t in summary["tests"]]
    scales = {t: _scale([c for (_, test), c in found.items() if test == t]) for t in tests}
    bases = {t: found.get((rows.first_stage(summary), t)) for t in tests}
    return {
        "measure": measure,
        "caption": _table_caption(summary, measure, found.values()),
        "compares": rows.is_quality(measure) and any(c.difference is not None for c in found.values()),
        "rows": [
            {
                "system": s,
                "words": rows.describe(s, summary),
                "cells": [
                    _cell(found.get((s["name"], t)), bases[t], scales[t], best.get(t) == s["name"]) for t in tests
                ],
            }
            for s in rows.ordered(summary)
        ],
    }


def _table_caption(summary: Summary, measure: str, found: Iterable[Cell]) -> str:
    """Say what stands in the cells, which is not always everything."""
    cells = list(found)
    if not rows.is_quality(measure):
        measure = f"{measure} (how far the judgements reach, no quality)"
    parts = ["mean over queries"]
    if any(c.low is not None for c in cells):
        parts.append("its 95% interval")
    if rows.is_quality(measure) and any(c.difference is not None for c in cells):
        parts.append(f"the paired difference to {rows.first_stage(summary)}")
    return f"{measure}: {', '.join(parts)}"


def _scale(column: list[Cell]) -> tuple[float, float]:
    """Find the smallest and the largest end of the intervals of one column, with a little room."""
    ends = [v for c in column for v in (c.mean, c.low, c.high) if v is not None] or [0.0]
    room = 0.03 * (max(ends) - min(ends) or 1.0)
    return min(ends) - room, max(ends) + room


def _cell(cell: Cell | None, base: Cell | None, scale: tuple[float, float], is_best: bool) -> Json | None:
    if cell is None:
        return None

    def percent(value: float) -> str:
        return f"{100 * (value - scale[0]) / (scale[1] - scale[0]):.1f}"

    low, high = (cell.mean if v is None else v for v in (cell.low, cell.high))
    return {
        "is": cell,
        "best": is_best,
        "mark": rows.MARKS[cell.verdict],
        "left": percent(low),
        "width": f"{float(percent(high)) - float(percent(low)):.1f}",
        "at": percent(cell.mean),
        "base": None if base is None else percent(base.mean),
    }


def _pictures(summary: Summary) -> list[Json]:
    """Draw all figures; those of a measure carry its index, the others None."""
    drawn: list[tuple[int | None, figures.Picture | None]] = [
        (i, figures.effectiveness(summary, m)) for i, m in enumerate(summary["measures"])
    ]
    drawn += [(None, draw(summary)) for draw in (figures.plane, figures.distributions, figures.learning)]
    tests = [t["name"] for t in summary["tests"]]
    return [
        {
            "measure": measure,
            "title": picture.title,
            "caption": picture.caption,
            "legend": picture.legend,
            "panels": [
                {"title": p.title, "test": tests.index(p.test) if p.test else None, "svg": Markup(p.svg)}
                for p in picture.panels
            ],
        }
        for measure, picture in drawn
        if picture is not None
    ]


def _strategies(summary: Summary) -> list[Json]:
    """Add to each measured strategy what it is among the others, in words."""
    measured = summary.get("strategies") or []
    return [{"is": s, "words": "; ".join(_superlatives(s, measured))} for s in measured]


def _superlatives(strategy: Entry, among: list[Entry]) -> Iterator[str]:
    for field, words in _SUPERLATIVES.items():
        means = {s["name"]: s[field]["mean"] for s in among if rows.is_number((s.get(field) or {}).get("mean"))}
        if len(means) > 1 and min(means.values()) < max(means.values()):
            for extreme, word in zip((min, max), words, strict=True):
                if means.get(strategy["name"]) == extreme(means.values()):
                    yield word


def _examples(summary: Summary) -> list[Json]:
    """Put the groups of one query side by side, their scores on one scale."""
    queries: dict[str, list[Entry]] = {}
    for example in summary.get("examples") or []:
        queries.setdefault(example["query"], []).append(example)
    shown = []
    for query, groups in queries.items():
        scores = [d["score"] for g in groups for d in g["documents"] if rows.is_number(d.get("score"))] or [0.0]
        low, high = min(scores), max(scores)
        shown.append({"query": query, "groups": [_group(g, low, high) for g in groups]})
    return shown


def _group(example: Entry, low: float, high: float) -> Json:
    positives = [d["score"] for d in example["documents"] if d.get("label") and rows.is_number(d.get("score"))]
    documents = []
    for document in example["documents"][:DOCUMENTS_SHOWN]:
        score, text = document.get("score"), str(document["text"])
        known = rows.is_number(score)
        documents.append({
            "text": text if len(text) <= TEXT_SHOWN else text[:TEXT_SHOWN].rstrip() + "…",
            "score": score,
            "positive": bool(document.get("label")),
            "above": bool(known and positives and not document.get("label") and score >= max(positives)),
            "bar": f"{4 + 96 * (score - low) / (high - low or 1):.1f}" if known else "0",
        })  # fmt: skip
    return {"strategy": example["strategy"], "documents": documents, "more": len(example["documents"]) - len(documents)}


def _reached(summary: Summary) -> list[tuple[str, str]]:
    """Count what the report rests on, for its head."""
    collection, cost = summary.get("collection") or {}, summary.get("cost") or {}
    learners = sum(rows.is_learner(s) and s.get("kind") != "interpolated" for s in summary["systems"])
    counts = [
        (collection.get("documents"), "documents"),
        (collection.get("training_queries"), "training queries"),
        (cost.get("pairs_scored"), "pairs scored by the teacher"),
        (learners, "student" if learners == 1 else "students"),
        (len(summary["tests"]), "test" if len(summary["tests"]) == 1 else "tests"),
    ]
    return [(rows.count(value), word) for value, word in counts if rows.is_number(value)]


def _provenance(summary: Summary) -> list[tuple[str, Entry]]:
    """Name each part of what the results rest on: collection, teacher, settings, tools, and every test."""
    collection = dict(summary.get("collection") or {})
    collection |= collection.pop("facts", None) or {}
    parts = {"Teacher": "teacher", "Settings": "settings", "Made with": "provenance"}
    found = [("Collection", collection), *((name, summary.get(key) or {}) for name, key in parts.items())]
    found += [(f"Test {t['name']}", {k: v for k, v in t.items() if k != "name"}) for t in summary["tests"]]
    return [(name, part) for name, part in found if part]
