"""What stands in which row and cell, in which order and in which words: shared by the report and the terminal.

The input is a *summary*, plain JSON as docs/formats.md describes it; only `systems`, `tests`, `measures` and `results`
must be there.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from rankstill.errors import DataError

Summary = Mapping[str, Any]
Entry = Mapping[str, Any]

ABSENT = "–"
MARKS = {"above": "▲", "below": "▼", "unclear": "≈", "": ""}
"""Above or below the first stage with an interval that excludes 0; unclear: the interval includes 0."""
LOSS_NAMES = {"lce": "LCE", "ranknet": "RankNet", "margin_mse": "MarginMSE", "kl": "KL"}
_ALWAYS = ("systems", "measures")
_REQUIRED = (*_ALWAYS, "tests", "results")
_HEADS = ("first stage", "teacher")


@dataclass(frozen=True, slots=True)
class Cell:
    """One system's value of one measure on one test, and its paired difference to the first stage.

    Attributes:
        mean, low, high: Mean over the queries and its 95% interval; low and high are None where there is none.
        n: Number of queries.
        difference, difference_low, difference_high: Mean paired difference to the first stage, and its interval.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None

    @property
    def verdict(self) -> str:
        """`above` or `below` where the difference's interval excludes 0, `unclear` where it does not, or nothing."""
        if self.difference is None or self.difference_low is None or self.difference_high is None:
            return ""
        if self.difference_low > 0:
            return "above"
        return "below" if self.difference_high < 0 else "unclear"


def checked(summary: Summary) -> Summary:
    """Return the summary if every result names a known system and test, once; it may have no test and no result.

    Raises:
        DataError: A required part is missing, or results name what is not listed, or come twice.
    """
    untested = summary.get("tests") == summary.get("results") == []
    if missing := [key for key in (_ALWAYS if untested else _REQUIRED) if not summary.get(key)]:
        raise DataError(
            f"the summary lacks {len(missing)} of the parts that a report needs (first: {missing[0]!r})",
            hint="run `rankstill measure` again; docs/formats.md lists the parts",
        )
    known = {
        "system": _names(summary["systems"]),
        "test": _names(summary["tests"]),
        "measure": list(summary["measures"]),
    }
    seen = set()
    for result in summary["results"]:
        for key, names in known.items():
            if result.get(key) not in names:
                raise DataError(f"a result names the {key} {result.get(key)!r}, which the summary does not list")
        place = tuple(result[key] for key in known)
        if place in seen:
            raise DataError(f"two results stand for the same system, test and measure: {', '.join(place)}")
        seen.add(place)
    return summary


def _names(entries: Iterable[Entry]) -> list[str]:
    return [entry["name"] for entry in entries]


def headline(summary: Summary) -> str:
    """Name the measure that is shown first."""
    measures = list(summary["measures"])
    return str(summary["headline"]) if summary.get("headline") in measures else str(measures[0])


def strategies(summary: Summary) -> list[str]:
    """Name every strategy once: first those that were measured, then any that only a student names."""
    named = _names(summary.get("strategies") or [])
    named += [s["strategy"] for s in summary["systems"] if s.get("strategy")]
    return list(dict.fromkeys(named))


def ordered(summary: Summary) -> list[Entry]:
    """Put first stage and teacher on top, then students by strategy and loss, each with its interpolations below."""
    systems = list(summary["systems"])
    place = {name: i for i, name in enumerate(strategies(summary))}
    heads = [s for kind in _HEADS for s in systems if s.get("kind") == kind]
    students = [s for s in systems if s.get("kind") not in (*_HEADS, "interpolated")]
    losses = list(dict.fromkeys(s.get("loss") for s in students))
    students.sort(key=lambda s: (place.get(s.get("strategy"), len(place)), losses.index(s.get("loss"))))
    mixed = [s for s in systems if s.get("kind") == "interpolated"]
    rows = heads + [row for s in students for row in (s, *(m for m in mixed if m.get("of") == s["name"]))]
    return rows + [m for m in mixed if m not in rows]


def first_stage(summary: Summary) -> str:
    """Name what the differences are taken against."""
    names = [s["name"] for s in summary["systems"] if s.get("kind") == "first stage"]
    return str(names[0]) if names else "the first stage"


def cells(summary: Summary, measure: str) -> dict[tuple[str, str], Cell]:
    """Collect the cells of one measure by system and test; a value that is not a number is left out."""
    fields = ("low", "high", "n", "difference", "difference_low", "difference_high")
    return {
        (r["system"], r["test"]): Cell(r["mean"], **{f: r.get(f) if is_number(r.get(f)) else None for f in fields})
        for r in summary["results"]
        if r["measure"] == measure and is_number(r.get("mean"))
    }


def is_learner(system: Entry) -> bool:
    """Tell students, alone or interpolated, from the first stage and the teacher."""
    return system.get("kind") not in _HEADS


def best_learners(summary: Summary, found: Mapping[tuple[str, str], Cell]) -> dict[str, str]:
    """Name, for each test, the student (alone or interpolated) with the highest mean; the upper row wins a tie."""
    names = [s["name"] for s in ordered(summary) if is_learner(s)]
    best = {}
    for test in _names(summary["tests"]):
        scored = [name for name in names if (name, test) in found]
        if scored:
            best[test] = max(scored, key=lambda name: found[name, test].mean)
    return best


def is_quality(measure: str) -> bool:
    """Tell measures of effectiveness from Judged@k, which says how far the judgements reach."""
    return not measure.startswith("Judged")


def has_excess(curve: Entry) -> bool:
    """Tell whether a curve's excess says more than its loss; it does not where the loss has no floor."""
    excess = [v for v in curve.get("excess") or [] if is_number(v)]
    return bool(excess) and excess != curve.get("loss")


def is_number(value: object) -> TypeGuard[float]:
    """Tell a finite number from everything else."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any, digits: int = 3) -> str:
    """Format a number, or a dash where there is none.

    >>> number(0.41249), number(None)
    ('0.412', '–')
    """
    return f"{value:.{digits}f}".replace("-", "−") if is_number(value) else ABSENT


def short(value: Any) -> str:
    """Format a number of any size by its first three digits, or a dash where there is none.

    >>> short(0.041249), short(92083.1), short(None)
    ('0.0412', '92,100', '–')
    """
    return f"{float(f'{value:.3g}'):,.10g}".replace("-", "−") if is_number(value) else ABSENT


def signed(value: Any, digits: int = 3) -> str:
    """Format a difference with its sign; what rounds to 0 has none.

    >>> signed(0.045), signed(-0.0212), signed(0.0001)
    ('+0.045', '−0.021', '0.000')
    """
    if not is_number(value):
        return ABSENT
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def interval(low: Any, high: Any, digits: int = 3) -> str:
    """Format the two ends of an interval, or nothing where there is none.

    >>> interval(0.391, 0.4331)
    '0.391 to 0.433'
    """
    return f"{number(low, digits)} to {number(high, digits)}" if is_number(low) and is_number(high) else ""


def count(value: Any) -> str:
    """Format a count with separators.

    >>> count(29012)
    '29,012'
    """
    return f"{value:,}" if is_number(value) else ABSENT


def size(parameters: int) -> str:
    """Format a number of parameters as people say it.

    >>> size(22_713_216), size(1_200)
    ('22.7M', '1.2K')
    """
    for unit, scale in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= scale:
            return f"{parameters / scale:.1f}{unit}"
    return str(parameters)


def plain(text: object, longest: int = 60) -> str:
    """Make any name fit to be drawn or printed: one line, no control characters, its middle cut out where it is long.

    >>> plain("cross-encoder of random negatives", longest=16)
    'cross-enc…atives'
    """
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in str(text))
    kept = " ".join(kept.split())
    if len(kept) <= longest:
        return kept
    tail = (longest - 1) * 2 // 5
    return f"{kept[: longest - 1 - tail].rstrip()}…{kept[len(kept) - tail :].lstrip()}"


def describe(system: Entry, summary: Summary) -> str:
    """Say in a few words what a system is."""
    if system.get("kind") == "interpolated":
        weight = system.get("weight")
        of = f"{system.get('of') or 'a student'} interpolated with {first_stage(summary)}"
        return f"{of}, the student's share {number(weight, 2)}" if is_number(weight) else of
    words = [] if is_learner(system) else [str(system["kind"])]
    if system.get("kind") == "teacher":
        known = summary.get("teacher") or {}
        words += [str(known[key]) for key in ("name", "kind") if known.get(key) and known[key] != system["name"]]
    if system.get("strategy"):
        words.append(f"{system['strategy']} negatives")
    if system.get("loss"):
        words.append(LOSS_NAMES.get(system["loss"], str(system["loss"])))
    if system.get("architecture"):
        words.append(str(system["architecture"]))
    if is_number(system.get("parameters")):
        words.append(f"{size(system['parameters'])} parameters")
    if is_number(system.get("dev")):
        words.append(f"dev {number(system['dev'])}")
    return " · ".join(dict.fromkeys(words))
