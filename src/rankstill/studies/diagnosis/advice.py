"""The advice: one plain paragraph. What to use, what it costs, how sure this is, and what would change it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rankstill.files import Json
from rankstill.studies.rows import short

SUSPICIOUS = 0.05
"""Share of suspected false negatives from which a filter is advised."""
Entry = dict[str, Any]


def advice(diagnosis: Json) -> str:
    """Write the paragraph from what `diagnosis.json` holds."""
    entries = {s["name"]: s for s in diagnosis["strategies"]}
    best = diagnosis["ranking"][0]
    equal = [c["name"] for c in diagnosis["comparisons"] if c["as_good"] or not c["told_apart"]]
    use = min([best, *equal], key=lambda name: (_spent(entries[name]), diagnosis["ranking"].index(name)))
    sentences = [
        _use(use, best, equal, entries, diagnosis),
        _cost(entries[use], entries, diagnosis),
        _sure(use, best, diagnosis),
        _bound(entries[use], diagnosis),
        *_labels(entries[use]),
        _change(use, diagnosis),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _spent(entry: Entry) -> int:
    """What decides among equals: calls of the teacher, a tenth more or less being the same."""
    return round(math.log(max(entry["cost"]["calls"], 1e-9)) / 0.1)


def _use(use: str, best: str, equal: Sequence[str], entries: dict[str, Entry], diagnosis: Json) -> str:
    if len(entries) == 1:
        return f"Only {use} was diagnosed, so there is nothing to choose."
    learnt = entries[use]["probe"]["target"]
    if learnt is None or not diagnosis["comparisons"]:
        return f"Too few queries were tested to tell these strategies apart; the rest speaks of {use}."
    what = f"a linear head trained on its groups is {_nats(learnt)} from the teacher on unseen lists"
    others = [name for name in (best, *equal) if name != use]
    if not others:
        which = "strategy here" if len(diagnosis["comparisons"]) + 1 == len(entries) else "that could be compared"
        return f"Use {use}: {what}, closer than with any other {which}."
    worth = f"{diagnosis['margin']:.2g} nats, {diagnosis['spec']['worth']:.0%} of what is at stake"
    are, cost = ("is", "costs") if len(others) == 1 else ("are", "cost")
    same = f"{_names(others)} {are} not better by more than {worth}, as far as these queries show"
    return f"Use {use}: {what}; {same}, and {cost} as much or more."


def _cost(entry: Entry, entries: dict[str, Entry], diagnosis: Json) -> str:
    cost = entry["cost"]
    said = f"A group takes {short(cost['calls'])} calls of the teacher"
    if cost["call_seconds"]:
        said += f" and {cost['seconds']:.2g} s"
    if cost["money"] is not None:
        said += f" and {cost['money']:.3g} in money"
    dearest = max(entries.values(), key=lambda e: e["cost"]["calls"])
    if dearest["cost"]["calls"] > 1.5 * cost["calls"]:
        said += f"; {dearest['name']} takes {short(dearest['cost']['calls'])}"
    amount, unit = diagnosis["budget"]["amount"], diagnosis["budget"]["unit"]
    if unit != "groups":
        said += f"; {amount:,.10g} {unit} buy {entry['score']['groups']:,} groups"
    return said + "."


def _sure(use: str, best: str, diagnosis: Json) -> str:
    """Say how far the chosen one is from the best, or the next one from it, and what would tell the two apart."""
    if not diagnosis["comparisons"]:
        return ""
    named = {c["name"]: c for c in diagnosis["comparisons"]}
    shown = named[use] if use != best else min(named.values(), key=lambda c: abs(c["difference"]["mean"]))
    d = shown["difference"]
    side = "further from" if d["mean"] >= 0 else "closer to"
    gap = (
        f"{shown['name']} is {abs(d['mean']):.2g} nats {side} the teacher than {shown['against']} (interval of the "
        f"difference {_ends(d)}, {d['n']:,} queries)"
    )
    if shown["told_apart"]:
        small = ", too little to pay for" if shown["as_good"] else ""
        return f"How sure: {gap}{small}."
    needed = shown["queries_needed"]
    return f"How sure: {gap}, which is no clear difference" + (
        f"; {needed:,} queries would show one of that size." if needed else "."
    )


def _bound(entry: Entry, diagnosis: Json) -> str:
    score = entry["score"]
    if not score["vacuous"]:
        return (
            f"If fit and shift stay as they are on the groups diagnosed, the four-term bound says something: at "
            f"{score['groups']:,} groups a linear head is at most {short(score['total'])} nats above the floor, "
            f"against {score['room']:.3g} for knowing nothing."
        )
    needed = score["groups_needed"]
    why = f"it takes {needed:,} groups to say anything" if needed else "its fit and shift alone exceed what is at stake"
    first = diagnosis["score_ranking"][0]
    order = f"; by its size, {first} would come first" if first != entry["name"] else ""
    return f"The four-term bound is vacuous at {score['groups']:,} groups ({why}): it proves nothing{order}."


def _labels(entry: Entry) -> list[str]:
    found = entry["false_negatives"]
    if found is None or found["share"]["mean"] < SUSPICIOUS:
        return []
    share = 100 * found["share"]["mean"]
    return [
        f"The teacher scores {share:.0f}% of the negatives of {entry['name']} at or above the positive: keep the "
        "teacher's scores as labels, or filter (--margin) before training on judgements."
    ]


def _change(use: str, diagnosis: Json) -> str:
    said = []
    for cross in diagnosis["crossovers"]:
        if use in (cross["first"], cross["second"]) and cross["budgets"]:
            other = cross["second"] if cross["first"] == use else cross["first"]
            unit = diagnosis["budget"]["unit"]
            said.append(
                f"a budget on the other side of {short(cross['budgets'][0])} {unit}, where {other} and it change "
                "places by the bound"
            )
    helping = [m for m in diagnosis["mixtures"] if m["helps"] and use in (m["first"], m["second"])]
    if helping:
        m = helping[0]
        said.append(f"a mixture, {m['best']:.0%} {m['second']} in {m['first']}, which has a smaller bound than either")
    said.append(f"other lists to rerank than {diagnosis['target']['origin']}, {diagnosis['target']['depth']} deep")
    return f"What would change this: {'; '.join(said)}."


def _nats(interval: Json) -> str:
    return f"{interval['mean']:.3g} nats ({_ends(interval)})"


def _ends(interval: Json) -> str:
    """Print an interval's ends; those of comparisons are wider than 95%, since there are several."""
    if interval["low"] is None or not math.isfinite(interval["low"]):
        return "no interval"
    return f"{interval['low']:.3g} to {interval['high']:.3g}"


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
