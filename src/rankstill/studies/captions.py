"""The figures in words: one sentence under each, and a description for those who do not see it.

Every sentence is computed from the numbers that the figure shows, and claims no more than they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rankstill.studies import rows
from rankstill.studies.rows import Cell, Entry, Summary

DASHES = {"solid": "-", "dashed": (0, (5, 2)), "dotted": (0, (1, 1.5)), "dash-dotted": (0, (6, 2, 1, 2))}
"""Line styles of the learning curves, one an architecture."""


def effectiveness(summary: Summary, measure: str) -> str:
    """Say how to read the dots, and how many students stand clearly on either side of the first stage."""
    base = rows.first_stage(summary)
    reading = "Each mark is a mean over queries with its 95% interval"
    if any(s.get("kind") == "first stage" for s in summary["systems"]):
        reading += f", and the dashed line is {base}"
    if not rows.is_quality(measure):
        return f"{reading}: {measure} is the share of judged documents, and where it is low the measures understate."
    found = rows.cells(summary, measure)
    verdicts = [found[s["name"], t["name"]].verdict for s, t in _places(summary) if (s["name"], t["name"]) in found]
    compared = sum(v != "" for v in verdicts)
    if not compared:
        return f"{reading}."
    return (
        f"{reading}; of {compared} comparisons of a student with it, {verdicts.count('above')} are clearly above (▲) "
        f"and {verdicts.count('below')} clearly below (▼), by a paired interval that excludes 0."
    )


def _places(summary: Summary) -> list[tuple[Entry, Entry]]:
    return [(s, t) for s in summary["systems"] if rows.is_learner(s) for t in summary["tests"]]


def effectiveness_alt(measure: str, test: Entry, here: list[tuple[Entry, Cell]]) -> str:
    """List every system's value."""
    values = [f"{s['name']} {rows.number(c.mean)}" for s, c in here]
    return f"{measure} on {test['name']}: {', '.join(values)}"


def plane(shown: list[Entry]) -> str:
    """Say how to read the plane, and where its ends lie."""
    reading = (
        "Each large mark is a strategy's mean, with its 95% interval where that is wider than the mark, each small one "
        "a group"
    )
    if len(shown) < 2:
        return f"{reading}; further left the documents of a group are more alike, further up the teacher is less sure."
    local = min(shown, key=lambda s: float(s["diameter"]["mean"]))
    wide = max(shown, key=lambda s: float(s["diameter"]["mean"]))
    return (
        f"{reading}: from {wide['name']} to {local['name']} the diameter goes from {_value(wide, 'diameter')} to "
        f"{_value(local, 'diameter')} and the teacher's normalised entropy from {_value(wide, 'entropy')} to "
        f"{_value(local, 'entropy')} (0 certain, 1 undecided)."
    )


def plane_alt(shown: list[Entry]) -> str:
    """List every strategy's two means."""
    return "Mean diameter and mean normalised teacher entropy: " + "; ".join(
        f"{s['name']} {_value(s, 'diameter')} and {_value(s, 'entropy')}" for s in shown
    )


def distributions(shown: list[Entry]) -> str:
    """Say how to read the ridges, and whose negatives reach the positives most."""
    reading = "Filled: the teacher's scores of sampled negatives, line: of the positives, each with the same total area"
    shares = {s["name"]: s["false_negative_share"] for s in shown if rows.is_number(s.get("false_negative_share"))}
    if not shares:
        return f"{reading}; the more they overlap, the harder the negatives."
    most = max(shares, key=lambda name: float(shares[name]))
    return (
        f"{reading}: those of the strategy {most} reach highest, {100 * shares[most]:.1f}% of its negatives scored at "
        "or above their own positive, be they hard or false."
    )


def distributions_alt(shown: list[Entry]) -> str:
    """List the medians."""
    return "Median teacher score of negatives and positives: " + "; ".join(
        f"{s['name']} {_median(s.get('negative_scores'))} and {_median(s.get('positive_scores'))}" for s in shown
    )


def _median(values: Any) -> str:
    kept = [v for v in values or [] if rows.is_number(v)]
    return rows.number(float(np.median(kept)), 2) if kept else rows.ABSENT


def learning(panels: Mapping[tuple[str, bool], list[tuple[Entry, Any]]]) -> str:
    """Say how to read the curves, and who ends lowest in each panel."""
    ends = []
    for (loss, _), lines in panels.items():
        if len(lines) > 1:
            system, line = min(lines, key=lambda pair: _end(pair[1]))
            ends.append(f"{rows.LOSS_NAMES.get(loss, loss)} {system['name']} ({rows.number(_end(line))})")
    lowest = f"; lowest over the last tenth: {', '.join(ends)}" if ends else ""
    lowest += _dashes(lines for lines in panels.values())
    reading = "Thin: as recorded, thick: averaged over a tenth of the steps"
    if any(has_excess for _, has_excess in panels):
        return (
            f"{reading}; excess is the loss less the teacher's own entropy, which no student can undercut, so "
            f"strategies compare by it and not by the loss{lowest}."
        )
    return f"{reading}; losses of different strategies do not compare{lowest}."


def _dashes(panels: Iterable[list[tuple[Entry, Any]]]) -> str:
    """Say which line is which where a panel tells architectures apart by its dashes."""
    shapes = next((s for lines in panels if len(s := architectures(lines)) > 1), [])
    named = [f"{dash} {shape}" for dash, shape in zip(DASHES, shapes, strict=False)]
    return f"; {', '.join(named)}" if named else ""


def architectures(lines: list[tuple[Entry, Any]]) -> list[str]:
    """Name the architectures of a panel in their order, which is the order of the dashes."""
    return list(dict.fromkeys(str(s.get("architecture") or "other") for s, _ in lines))


def _end(line: Any) -> float:
    return float(np.mean(line[-max(1, len(line) // 10) :, 1]))


def learning_alt(title: str, lines: list[tuple[Entry, Any]]) -> str:
    """List the first and last values."""
    values = [f"{s['name']} from {rows.number(line[0, 1])} to {rows.number(line[-1, 1])}" for s, line in lines]
    return f"{title}, first to last step: {'; '.join(values)}"


def _value(strategy: Entry, field: str) -> str:
    return rows.number(strategy[field]["mean"], 2)
