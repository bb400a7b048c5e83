"""Pictures of a diagnosis and of an explanation; small panels of about 380 pixels, as in the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rankstill.files import Json
from rankstill.studies.figures import MARKERS, WIDTH, Panel, Picture, add_axes
from rankstill.studies.figures import plane as draw_plane
from rankstill.studies.rows import number, plain, short
from rankstill.studies.svg import HALO, colour, draw, strategy_colour

LOG2 = math.log(2)
Entry = dict[str, Any]
_ROW = 40
_NAMED = 5
"""Strategies at most whose names stand in the plane; of more, numbers do."""
_TERMS = {"fit": "s0", "locality": "s1", "shift": "s3", "entropy floor": "line"}


def plane(diagnosis: Json) -> Picture | None:
    """Each strategy in the locality-entropy plane with its cost, over the cloud of its queries."""
    shown = diagnosis["strategies"]
    numbered = len(shown) > _NAMED
    costs = {s["name"]: f"{short(s['cost']['calls'])} calls" for s in shown}
    labels = {name: str(i) if numbered else f"{plain(name, 14)} · {costs[name]}" for i, name in enumerate(costs, 1)}
    drawn = draw_plane({"strategies": shown, "systems": []}, labels)
    if drawn is None or not numbered:
        return drawn
    key = "; ".join(f"{i} {plain(name, 40)}, {costs[name]}" for i, name in enumerate(costs, 1))
    return replace(drawn, caption=f"{drawn.caption} {key}.")


def excess(diagnosis: Json) -> Picture | None:
    """The probe's held-out excess on the target of each strategy, with intervals, against knowing nothing."""
    shown = [
        (s["name"], s["probe"]["target"], i) for i, s in enumerate(diagnosis["strategies"]) if s["probe"]["target"]
    ]
    if not shown:
        return None
    room = diagnosis["strategies"][0]["score"]["room"]
    svg = _forest("excess", [(name, interval, strategy_colour(i)) for name, interval, i in shown], room, "nats")
    best = min(shown, key=lambda s: float(s[1]["mean"]))
    caption = (
        "How far a linear head, trained on half of a strategy's groups, is from the teacher on the lists of the other "
        f"half's queries: mean excess KL and 95% interval; further left is better. It is least for {best[0]}, "
        f"{number(best[1]['mean'])} nats. The dashed line is a head that prefers nothing, {number(room)}."
    )
    return Picture("What a small student would learn", caption, (Panel("", svg),))


def _forest(name: str, rows: Sequence[tuple[str, Json, str]], line: float | None, unit: str) -> str:
    """Draw means with intervals below each other, and a dashed line."""

    def paint(figure: Figure) -> None:
        axes = add_axes(figure, left=10, right=10, top=4, bottom=44)
        ends = [v for _, i, _ in rows for v in (i["mean"], i["low"], i["high"]) if v is not None] + (
            [line] if line else []
        )
        margin = 0.06 * (max(ends) - min(ends) or 1)
        axes.set(
            ylim=(len(rows), 0),
            xlim=(min(*ends, 0) if min(ends) < 0.2 * max(ends) else min(ends) - margin, max(ends) + margin),
            yticks=[],
            xlabel=unit,
        )
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="x", alpha=0.6)
        axes.set_axisbelow(True)
        if line:
            axes.axvline(line, color=colour("muted"), linewidth=1.2, linestyle=(0, (4, 3)))
        for row, (label, interval, shade) in enumerate(rows):
            _interval(axes, row + 0.7, interval, colour(shade), MARKERS[row % 8])
            across = axes.get_yaxis_transform()
            axes.annotate(plain(label, 36), (0, row + 0.4), xycoords=across, ha="left", fontweight="bold", gid=HALO)
            axes.annotate(number(interval["mean"]), (1, row + 0.4), xycoords=across, ha="right", fontsize=11, gid=HALO)

    alt = "; ".join(f"{label} {number(interval['mean'])}" for label, interval, _ in rows)
    return draw(name, alt, WIDTH, _ROW * len(rows) + 50, paint)


def _interval(axes: Axes, height: float, interval: Json, shade: str, marker: str) -> None:
    if interval["low"] is not None and interval["high"] is not None:
        axes.plot([interval["low"], interval["high"]], [height, height], color=shade, linewidth=2.2)
    axes.plot([interval["mean"]], [height], marker, markersize=8, color=shade, zorder=4)


def terms(diagnosis: Json) -> Picture:
    """The bound of each strategy at the budget as stacked terms, against the line above which it says nothing."""
    shown = diagnosis["strategies"]
    # Bars beyond three times the line are cut, and say how long they are: shifts can be a hundred times that.
    widest = 3 * LOG2

    def paint(figure: Figure) -> None:
        axes = add_axes(figure, left=10, right=10, top=22, bottom=44)
        axes.set(ylim=(len(shown), 0), xlim=(0, widest), yticks=[], xlabel="nats of risk on the target, at most")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.axvline(LOG2, color=colour("ink"), linewidth=1.6, zorder=5)
        axes.annotate("log 2: says nothing beyond", (LOG2, 0), xytext=(4, 6), textcoords="offset points", fontsize=11)
        for row, strategy in enumerate(shown):
            _stack(axes, row, strategy, widest)

    alt = "; ".join(f"{s['name']} {number(s['score']['total'] + s['score']['floor'], 2)}" for s in shown)
    svg = draw("terms", f"Terms of the bound: {alt}", WIDTH, _ROW * len(shown) + 68, paint)
    fine = [s["name"] for s in shown if not s["score"]["vacuous"]]
    says = f"It says something for {', '.join(fine)}." if fine else "It says nothing for any strategy at this budget."
    legend = "blue fit, red locality, pink shift, grey entropy floor"
    return Picture(
        "The bound, term by term",
        f"The four-term bound at the budget ({legend}); beyond the line a student that prefers nothing does as "
        f"well. {says} Bars that are cut end in their length.",
        (Panel("", svg),),
    )


def _stack(axes: Axes, row: int, strategy: Entry, widest: float) -> None:
    score, left = strategy["score"], 0.0
    values = {
        "fit": score["fit"],
        "locality": score["locality"],
        "shift": score["shift"],
        "entropy floor": score["floor"],
    }
    for name, value in values.items():
        width = min(value, max(widest - left, 0))
        axes.barh(
            row + 0.7, width, left=left, height=0.36, color=colour(_TERMS[name]), edgecolor=colour("card"), zorder=3
        )
        left += width
    total = sum(values.values())
    across = axes.get_yaxis_transform()
    axes.annotate(plain(strategy["name"], 30), (0, row + 0.36), xycoords=across, ha="left", fontweight="bold", gid=HALO)
    axes.annotate(short(total), (1, row + 0.36), xycoords=across, ha="right", fontsize=11, gid=HALO)


def places(explanation: Json) -> Picture:
    """The student's excess at every place, against what a student that prefers nothing has there."""
    shades = {"seen": "s0", "held out": "s1", "lists": "s2"}
    rows = [(p["where"], p["excess"], shades[p["kind"]]) for p in explanation["places"]]
    last = explanation["places"][-1]
    svg = _forest("places", rows, (1 - last["entropy"]["mean"]) * LOG2, "nats of excess KL, mean over pairs")
    caption = (
        "How far the student is from its teacher: on groups it has seen, on groups drawn the same way for queries "
        "it has not, and on the lists that it reranks. The dashed line is a student that prefers nothing, on the last "
        "of them."
    )
    return Picture("Where the student follows its teacher", caption, (Panel("", svg),))


def inverted(explanation: Json) -> Picture | None:
    """Inversions of pairs that the teacher is sure of, with what the excess allows at most; None where all was seen."""
    panels = []
    for i, place in enumerate(explanation["places"]):
        if place["kind"] == "seen":
            continue
        sure = [x["sure"] for x in place["inversions"]]
        share = [100 * x["share"] for x in place["inversions"]]
        bound = [min(100 * x["bound"], 100) for x in place["inversions"]]

        def paint(
            figure: Figure, sure: list[float] = sure, share: list[float] = share, bound: list[float] = bound
        ) -> None:
            axes = add_axes(figure, left=46, right=12, top=12, bottom=46)
            axes.plot(sure, bound, color=colour("muted"), linestyle=(0, (4, 3)), label="at most")
            axes.plot(sure, share, "o-", color=colour("s1"), linewidth=2)
            axes.set(ylim=(0, None), xlabel="the teacher's confidence, c", ylabel="% of pairs")
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.set_xticks(sure)
            axes.grid(alpha=0.6)

        alt = "; ".join(
            f"at {c:g}: {s:.2f}% inverted, at most {b:.0f}%" for c, s, b in zip(sure, share, bound, strict=True)
        )
        panels.append(Panel(place["where"], draw(f"inverted-{i}", alt, WIDTH, 220, paint)))
    if not panels:
        return None
    caption = (
        "Pairs that the student turns round although the teacher is sure of them (entropy at most (1 - c) log 2), "
        "of all pairs; dashed, what the excess allows at most."
    )
    return Picture("Confident pairs turned round", caption, tuple(panels))


def curve(explanation: Json) -> Picture | None:
    """The prequential curve: mean excess of the groups so far, each before the student was trained on it."""
    found = explanation["curve"]
    if not found or len(found["groups"]) < 2:
        return None

    def paint(figure: Figure) -> None:
        axes = add_axes(figure, left=46, right=14, top=12, bottom=46)
        axes.plot(found["groups"], found["mean"], color=colour("s0"), linewidth=2)
        if found["bound"]:
            axes.axhline(found["bound"]["value"], color=colour("muted"), linestyle=(0, (4, 3)))
        axes.set(ylim=(0, None), xlabel="groups seen for the first time", ylabel="nats")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.grid(alpha=0.6)

    end = found["mean"][-1]
    svg = draw("curve", f"Mean excess over the first epoch, {number(end)} at its end", WIDTH, 250, paint)
    said = f"; dashed, the bound on it that this proves, {number(found['bound']['value'])}" if found["bound"] else ""
    why = f" No bound: {found['why']}." if found["why"] else ""
    caption = (
        f"Mean excess of the loss {found['loss']} over all groups so far, each before it was trained on{said}.{why}"
    )
    return Picture("The first epoch, as a test", caption, (Panel("", svg),))


def agreement(explanation: Json) -> Picture | None:
    """How alike the two rankings are, query by query; None where all was seen."""
    shown = [p for p in explanation["places"] if p["kind"] != "seen"]
    if not shown:
        return None

    def paint(figure: Figure) -> None:
        axes = add_axes(figure, left=10, right=10, top=6, bottom=46)
        edges = np.linspace(-1, 1, 41)
        axes.set(ylim=(len(shown), 0), xlim=(-1, 1), yticks=[], xlabel="Kendall's tau with the teacher")
        axes.grid(axis="x", alpha=0.6)
        for row, place in enumerate(shown):
            values = np.array([t for t in place["per_group"]["tau"] if t is not None])
            counts = np.histogram(values, edges)[0] / max(len(values), 1)
            axes.stairs(
                row + 1 - 0.6 * counts / max(counts.max(), 1e-9),
                edges,
                baseline=row + 1,
                fill=True,
                color=colour(strategy_colour(row)),
                alpha=0.4,
            )
            across = axes.get_yaxis_transform()
            axes.annotate(
                plain(place["where"], 36), (0, row + 0.28), xycoords=across, ha="left", fontweight="bold", gid=HALO
            )
            axes.annotate(_tau(place), (1, row + 0.28), xycoords=across, ha="right", fontsize=11, gid=HALO)

    alt = "; ".join(f"{p['where']} {_tau(p)}" for p in shown)
    svg = draw("agreement", f"Mean Kendall's tau: {alt}", WIDTH, 62 * len(shown) + 52, paint)
    caption = (
        "Kendall's tau between the student's and the teacher's ranking of the same documents, one value a query; "
        "right, its mean."
    )
    return Picture("Agreement, query by query", caption, (Panel("", svg),))


def _tau(place: Entry) -> str:
    """Print a place's mean; there is none where one side ties all documents of every list."""
    return number(place["tau"]["mean"], 2) if "tau" in place else "–"
