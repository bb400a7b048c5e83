"""What an explanation says in words: where a student loses, and since when."""

from __future__ import annotations

from typing import Any

from rankstill.files import Json

Entry = dict[str, Any]


def words(found: Json) -> list[str]:
    """Write a few sentences from what `explanation.json` holds."""
    gaps = found["gaps"]
    fit, rest = gaps[0], gaps[1:]
    said = [f"On groups it has seen, the student is {_nats(fit)} from its teacher."]
    than = "those it has seen"
    for gap in rest:
        said.append(f"On {_where(gap)}, it is {_further(gap)} than on {than}.")
        if gap["name"] == "locality":
            than = "such unseen groups"
    largest = max(gaps, key=lambda gap: gap["mean"])
    said.append(_remedy(largest))
    lists = [p for p in found["places"] if p["kind"] == "lists"]
    if lists:
        worst = max(lists, key=lambda p: p["inversions"][1]["share"])
        sure = worst["inversions"][1]
        said.append(
            f"Of all pairs, {100 * sure['share']:.1f}% are turned round although the teacher is sure of them, on the "
            f"{worst['where']} (at most {min(100 * sure['bound'], 100):.0f}% given the excess)."
        )
    return said


def _remedy(gap: Entry) -> str:
    if gap["name"] == "fit":
        return "Most is lost in fitting what it has seen: a larger student, more epochs or another rate may help."
    if gap["name"] == "locality":
        return "Most is lost between queries it has seen and others: more training queries may help, more epochs not."
    return f"Most is lost between what it was trained on and {_where(gap)}: groups more like these may help."


def _where(gap: Entry) -> str:
    if gap["name"] == "locality":
        return "groups drawn the same way for queries it has not seen"
    return f"the {gap['name'].removeprefix('shift, ')}"


def _further(gap: Entry) -> str:
    clear = gap["low"] is not None and (gap["low"] > 0 or gap["high"] < 0)
    side = "further away" if gap["mean"] >= 0 else "closer"
    return f"{_nats(gap, absolute=True)} {side}" + ("" if clear else ", which is no clear difference,")


def _nats(gap: Entry, *, absolute: bool = False) -> str:
    mean, low, high = gap["mean"], gap["low"], gap["high"]
    if low is None:
        return f"{abs(mean) if absolute else mean:.3f} nats"
    if absolute and mean < 0:
        mean, low, high = -mean, -high, -low
    return f"{mean:.3f} nats (95%: {low:.3f} to {high:.3f})"
