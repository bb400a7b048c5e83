"""The report's figures, one function each: a summary in, a Picture of small panels out.

A picture is a set of small multiples about 380 pixels wide, so that the page can put them side by side on a wide screen
and below each other on a phone without shrinking their text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from rankstill.studies import captions, rows
from rankstill.studies.rows import Cell, Entry, Summary, plain
from rankstill.studies.svg import HALO, colour, draw, strategy_colour

WIDTH = 380
MARKERS = "osD^v<>p"
"""Shapes of the strategies, in their order: colour is never the only difference."""
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing.

    Attributes:
        title: What distinguishes it from its neighbours; may be empty.
        svg: Inline SVG, ready for the page.
        test: The name of the test it shows, if it shows one.
    """

    title: str
    svg: str
    test: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure of the report: its panels and one sentence on how to read it and what it shows."""

    title: str
    caption: str
    panels: tuple[Panel, ...]
    legend: bool = False
    """Whether colours need explaining, because the strategies' names do not stand in the drawing."""


def effectiveness(summary: Summary, measure: str) -> Picture | None:
    """Draw each system's mean and 95% interval, one panel a test; the first stage is also a vertical line."""
    found = rows.cells(summary, measure)
    panels = []
    for i, test in enumerate(summary["tests"]):
        scored = {s: found[s, t] for s, t in found if t == test["name"]}
        here = [(s, scored[s["name"]]) for s in rows.ordered(summary) if s["name"] in scored]
        if here:
            name = f"eff-{summary['measures'].index(measure)}-{i}"
            panels.append(Panel(test["name"], _effectiveness_panel(summary, measure, test, here, name), test["name"]))
    if not panels:
        return None
    return Picture(f"Effectiveness: {measure}", captions.effectiveness(summary, measure), tuple(panels), legend=True)


def _effectiveness_panel(summary: Summary, measure: str, test: Entry, here: list[tuple[Entry, Cell]], name: str) -> str:
    row_height, places = 36, _places(summary)
    height = row_height * len(here) + 34

    def paint(figure: Figure) -> None:
        axes = add_axes(figure, left=10, right=10, top=4, bottom=30)
        ends = [v for _, c in here for v in (c.mean, c.low, c.high) if v is not None]
        margin = 0.04 * (max(ends) - min(ends) or 1)
        axes.set(ylim=(len(here), 0), xlim=(min(ends) - margin, max(ends) + margin), yticks=[])
        axes.xaxis.set_major_locator(MaxNLocator(_TICKS))
        axes.grid(axis="x", alpha=0.6)
        axes.set_axisbelow(True)
        for row, (system, cell) in enumerate(here):
            if system.get("kind") == "first stage":
                axes.axvline(cell.mean, color=colour("muted"), linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
            _effectiveness_row(axes, row, system, cell, places, measure)

    return draw(name, captions.effectiveness_alt(measure, test, here), WIDTH, height, paint)


def _effectiveness_row(
    axes: Axes, row: int, system: Entry, cell: Cell, places: Mapping[str, int], measure: str
) -> None:
    kind = system.get("kind")
    shade = colour(strategy_colour(places[system["strategy"]]) if system.get("strategy") else "ink")
    marker = {"first stage": "s", "teacher": "D"}.get(str(kind), "o")
    face = colour("card") if kind == "interpolated" else shade
    middle = row + 0.68
    if cell.low is not None and cell.high is not None:
        axes.plot([cell.low, cell.high], [middle, middle], color=shade, linewidth=2.2, zorder=3)
    axes.plot([cell.mean], [middle], marker=marker, markersize=7, markerfacecolor=face, markeredgecolor=shade,
              markeredgewidth=1.8, zorder=4)  # fmt: skip
    indent = 14 if kind == "interpolated" else 0
    across = axes.get_yaxis_transform()
    axes.annotate(plain(system["name"], 32), (0, row + 0.38), xytext=(indent, 0), textcoords="offset points",
                  xycoords=across, ha="left", gid=HALO)  # fmt: skip
    verdict = cell.verdict if rows.is_quality(measure) else ""
    words = f"{rows.number(cell.mean)}"
    if cell.difference is not None and rows.is_quality(measure):
        words += f"  {rows.MARKS[verdict]} {rows.signed(cell.difference)}"
    tone = {"above": "good", "below": "bad"}.get(verdict, "muted")
    axes.annotate(words, (1, row + 0.38), xycoords=across, ha="right", color=colour(tone), fontsize=11, gid=HALO)


def plane(summary: Summary, labels: Mapping[str, str] | None = None) -> Picture | None:
    """Draw the locality–entropy plane: each strategy's mean diameter and entropy, over a cloud of its groups.

    Args:
        summary: Its `strategies` and `systems`.
        labels: What to write beside a strategy's point, by its name; the name unless given.
    """
    shown = [s for s in summary.get("strategies") or [] if _mean(s, "diameter") and _mean(s, "entropy")]
    if not shown:
        return None
    places = _places(summary)

    def paint(figure: Figure) -> None:
        axes = add_axes(figure, left=38, right=14, top=30, bottom=46)
        for strategy in shown:
            place = places[strategy["name"]]
            points = _finite(strategy.get("points"), 2)
            axes.plot(points[:, 0], points[:, 1], MARKERS[place % 8], markersize=3, alpha=0.28,
                      color=colour(strategy_colour(place)), markeredgewidth=0, zorder=2)  # fmt: skip
        centres = [_plane_mean(axes, s, places[s["name"]]) for s in shown]
        axes.grid(alpha=0.6)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(_TICKS))
        axes.yaxis.set_major_locator(MaxNLocator(_TICKS))
        axes.margins(0.06)
        axes.set_xlabel("diameter of the group  (left: more local)")
        axes.annotate("teacher entropy  (up: less sure)", (0, 1), xytext=(-30, 14), xycoords="axes fraction",
                      textcoords="offset points", color=colour("muted"))  # fmt: skip
        _name_points(figure, axes, centres, [plain((labels or {}).get(s["name"], s["name"]), 24) for s in shown])

    svg = draw("plane", captions.plane_alt(shown), WIDTH, 330, paint)
    return Picture("Locality and teacher entropy", captions.plane(shown), (Panel("", svg),))


def _plane_mean(axes: Axes, strategy: Entry, place: int) -> tuple[float, float]:
    """Draw a strategy's mean with its two intervals, and return where it stands."""
    x, y = strategy["diameter"], strategy["entropy"]
    axes.errorbar(
        [x["mean"]], [y["mean"]], xerr=_arms(x), yerr=_arms(y), fmt=MARKERS[place % 8], markersize=10, elinewidth=2,
        color=colour(strategy_colour(place)), markeredgecolor=colour("card"), markeredgewidth=1.4, zorder=4,
    )  # fmt: skip
    return x["mean"], y["mean"]


def _arms(value: Entry) -> list[list[float]] | None:
    if not (rows.is_number(value.get("low")) and rows.is_number(value.get("high"))):
        return None
    return [[max(0.0, value["mean"] - value["low"])], [max(0.0, value["high"] - value["mean"])]]


def _name_points(figure: Figure, axes: Axes, points: list[tuple[float, float]], names: list[str]) -> None:
    """Write each name beside its point, at the first of four places where it covers no other name or point."""
    figure.draw_without_rendering()  # the limits are known only now
    at = axes.transData.transform(points)
    scale = figure.dpi / 72
    frame = axes.get_window_extent()
    taken = [(x - 8 * scale, y - 8 * scale, x + 8 * scale, y + 8 * scale) for x, y in at]
    for i, name in enumerate(names):
        width, height, gap = 7.2 * len(name) * scale, 14 * scale, 10 * scale
        x, y = at[i]
        boxes = {
            ("left", gap, 0): (x + gap, y - height / 2, x + gap + width, y + height / 2),
            ("right", -gap, 0): (x - gap - width, y - height / 2, x - gap, y + height / 2),
            ("center", 0, gap * 1.5): (x - width / 2, y + gap, x + width / 2, y + gap + height),
            ("center", 0, -gap * 1.5): (x - width / 2, y - gap - height, x + width / 2, y - gap),
        }
        others = [box for j, box in enumerate(taken) if j != i]
        place = min(boxes, key=lambda p: _covered(boxes[p], others, (frame.x0, frame.y0, frame.x1, frame.y1)))
        taken.append(boxes[place])
        axes.annotate(name, points[i], xytext=(place[1] / scale, place[2] / scale), textcoords="offset points",
                      ha=place[0], va="center", fontweight="bold", gid=HALO, zorder=6)  # fmt: skip


def _covered(box: Sequence[float], others: list[Any], frame: Sequence[float]) -> float:
    """Measure how much of a box lies on others or outside the frame."""
    inside = _overlap(box, frame)
    return (box[2] - box[0]) * (box[3] - box[1]) - inside + sum(_overlap(box, other) for other in others)


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def distributions(summary: Summary) -> Picture | None:
    """Draw, one ridge a strategy, how the teacher scores its sampled negatives (filled) and the positives (line)."""
    shown = [s for s in summary.get("strategies") or [] if len(_finite(s.get("negative_scores")))]
    if not shown:
        return None
    scores = [(_finite(s["negative_scores"]), _finite(s.get("positive_scores"))) for s in shown]
    pooled = np.concatenate([part for pair in scores for part in pair])
    edges = np.histogram_bin_edges(pooled, bins=44)
    curves = [[_density(part, edges) for part in pair] for pair in scores]
    top = max(float(c.max()) for pair in curves for c in pair)
    places, ridge = _places(summary), 70

    def paint(figure: Figure) -> None:
        axes = add_axes(figure, left=10, right=10, top=6, bottom=46)
        axes.set(ylim=(len(shown), 0), xlim=(edges[0], edges[-1]), yticks=[], xlabel="the teacher's score")
        axes.xaxis.set_major_locator(MaxNLocator(_TICKS))
        axes.grid(axis="x", alpha=0.6)
        axes.set_axisbelow(True)
        for row, (strategy, (negatives, positives)) in enumerate(zip(shown, curves, strict=True)):
            shade = colour(strategy_colour(places[strategy["name"]]))
            base = row + 1
            axes.axhline(base, color=colour("line"), linewidth=0.8, zorder=1)
            filled = base - 0.68 * negatives / top
            axes.stairs(filled, edges, baseline=base, fill=True, color=shade, alpha=0.3, linewidth=0)
            axes.stairs(filled, edges, baseline=base, color=shade, linewidth=1.6)
            if positives.any():
                axes.stairs(base - 0.68 * positives / top, edges, baseline=base, color=colour("ink"), linewidth=1.4)
            _ridge_words(axes, row, strategy)

    svg = draw("scores", captions.distributions_alt(shown), WIDTH, ridge * len(shown) + 52, paint)
    return Picture("Teacher scores of negatives and positives", captions.distributions(shown), (Panel("", svg),))


def _ridge_words(axes: Axes, row: int, strategy: Entry) -> None:
    across = axes.get_yaxis_transform()
    axes.annotate(plain(strategy["name"], 24), (0, row + 0.28), xycoords=across, ha="left", fontweight="bold", gid=HALO)
    share = strategy.get("false_negative_share")
    if rows.is_number(share):
        axes.annotate(f"{100 * share:.1f}% at or above", (1, row + 0.28), xycoords=across, ha="right", fontsize=11,
                      color=colour("muted"), gid=HALO)  # fmt: skip


def _density(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.histogram(values, edges)[0].astype(float)
    return counts / (counts.sum() or 1)


def learning(summary: Summary) -> Picture | None:
    """Draw what is still to be learnt at each step, one panel a loss: its excess where there is one, else the loss."""
    systems = {s["name"]: s for s in summary["systems"]}
    curves = [(systems.get(c["system"], {"name": c["system"]}), c) for c in summary.get("curves") or []]
    floored = {system.get("loss") for system, curve in curves if rows.has_excess(curve)}
    panels: dict[tuple[str, bool], list[tuple[Entry, NDArray[np.float64]]]] = {}
    for system, curve in curves:
        line = _curve(curve, "excess") if system.get("loss") in floored else _curve(curve, "loss")
        if len(line):
            key = (str(system.get("loss") or ""), system.get("loss") in floored)
            panels.setdefault(key, []).append((system, line))
    if not panels:
        return None
    drawn = tuple(_learning_panel(summary, i, key, lines) for i, (key, lines) in enumerate(panels.items()))
    return Picture("Learning curves", captions.learning(panels), drawn, legend=True)


def _learning_panel(
    summary: Summary, index: int, key: tuple[str, bool], lines: list[tuple[Entry, NDArray[np.float64]]]
) -> Panel:
    places = _places(summary)
    shapes, dashes = captions.architectures(lines), list(captions.DASHES.values())

    def paint(figure: Figure) -> None:
        axes = add_axes(figure, left=46, right=14, top=10, bottom=46)
        axes.set_xlabel("training step")
        for system, line in lines:
            shade = colour(strategy_colour(places[system["strategy"]]) if system.get("strategy") else "ink")
            dash: Any = dashes[shapes.index(str(system.get("architecture") or "other")) % len(dashes)]
            axes.plot(*line.T, color=shade, linewidth=0.8, alpha=0.3)
            axes.plot(line[:, 0], _smooth(line[:, 1]), color=shade, linewidth=2, linestyle=dash)
        _loss_scale(axes, np.concatenate([line[:, 1] for _, line in lines]))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.grid(alpha=0.6)

    loss, has_excess = key
    name = rows.LOSS_NAMES.get(loss, loss)
    title = f"{name + ': ' if name else ''}{'excess over the floor' if has_excess else 'loss'}"
    return Panel(title, draw(f"learning-{index}", captions.learning_alt(title, lines), WIDTH, 270, paint))


def _loss_scale(axes: Axes, values: NDArray[np.float64]) -> None:
    """Use a logarithmic scale where the values are positive and span more than a factor of 8."""
    if values.min() > 0 and values.max() / values.min() > 8:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        ticks = [d * 10.0**e for e in range(-9, 9) for d in (1, 2, 5)]
        axes.set_yticks([t for t in ticks if values.min() <= t <= values.max()])
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(_TICKS))


def _curve(curve: Entry, field: str) -> NDArray[np.float64]:
    """Pair steps and values, dropping those that are not numbers; empty where the curve has no such field."""
    pairs = list(zip(curve.get("steps") or [], curve.get(field) or [], strict=False))
    return _finite([p for p in pairs if all(map(rows.is_number, p))], 2)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over a window of a tenth of the curve: centred, narrowing at the steep start, cut at the flat end."""
    half, at = len(values) // 20, np.arange(len(values))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    reach = np.minimum(half, at)
    first, last = at - reach, np.minimum(at + reach, len(values) - 1)
    return np.asarray((sums[last + 1] - sums[first]) / (last + 1 - first))


def add_axes(figure: Figure, *, left: int, right: int, top: int, bottom: int) -> Axes:
    """Add axes with margins in pixels."""
    width, height = figure.get_size_inches() * 72
    return figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    )


def _places(summary: Summary) -> dict[str, int]:
    return {name: i for i, name in enumerate(rows.strategies(summary))}


def _mean(strategy: Entry, field: str) -> bool:
    return rows.is_number((strategy.get(field) or {}).get("mean"))


def _finite(values: Any, width: int = 0) -> NDArray[np.float64]:
    """Turn a JSON list into an array, (n,) or (n, width), without what is not a finite number."""
    array = np.asarray([] if values is None else values, np.float64)
    array = array.reshape(-1, width) if width else array.reshape(-1)
    return array[np.isfinite(array).all(axis=1)] if width else array[np.isfinite(array)]
