"""The pictures of docs/theory.md: `python -m theory.pictures docs`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy.optimize import linear_sum_assignment

from rankstill.measures.group_entropy import pairwise_entropy
from rankstill.measures.prescriptions.choice import RootLaw, Strategy, crossover
from rankstill.studies.svg import LIGHT, colour, draw
from theory.formulas import LOG2, Floats, doubt, pair_kl, sigmoid

_WIDE, _TALL = 760, 300


def main(folder: Path) -> None:
    """Write all pictures."""
    for name, (alt, paint) in PICTURES.items():
        svg = draw(name, alt, _WIDE, _TALL, paint)
        for key, code in LIGHT.items():
            svg = svg.replace(f"var(--{key})", code)
        style = f'xmlns="http://www.w3.org/2000/svg" style="background:{LIGHT["card"]};font:12px sans-serif"'
        (folder / f"{name}.svg").write_text(svg.replace("<svg ", f"<svg {style} ", 1))


def quantities(figure: Figure) -> None:
    """Locality, entropy and shift, of one query."""
    places, margins, shift = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.04, right=0.96, top=0.88, bottom=0.22, wspace=0.22)
    rng = np.random.default_rng(5)
    cloud = rng.normal(size=(160, 2))
    near = np.array([1.3, 0.5]) + 0.28 * rng.normal(size=(8, 2))
    far = cloud[rng.choice(160, 8, replace=False)]
    _dots(places, cloud, "line", 9)
    _dots(places, far, "s0", 30, "s")
    _dots(places, near, "s1", 30)
    places.plot(1.3, 0.5, marker="*", markersize=15, color=colour("ink"), markeredgecolor=colour("card"))
    _bare(
        places,
        "Locality",
        "one query's documents: a random group (■)\nspans the space, a mined one (●) hugs\nthe positive (★)",
    )
    _entropy_panel(margins)
    target = np.array([0.9, 0.3]) + 0.45 * rng.normal(size=(9, 2))
    drawn = np.array([-0.8, -0.3]) + 0.45 * rng.normal(size=(9, 2))
    gaps = np.linalg.norm(drawn[:, None] - target[None], axis=-1)
    for i, j in zip(*linear_sum_assignment(gaps), strict=True):
        shift.plot(*zip(drawn[i], target[j], strict=True), color=colour("muted"), linewidth=0.8)
    _dots(shift, drawn, "s1", 30)
    _dots(shift, target, "s2", 34, "D")
    _bare(
        shift,
        "Shift",
        "W1: how far, on average, the drawn\ndocuments (●) must move to become\nthose that will be ranked (◆)",
    )


def _entropy_panel(axes: Axes) -> None:
    v = np.linspace(-6, 6, 200)
    axes.plot(v, sigmoid(v), color=colour("muted"), linewidth=1.4)
    axes.plot(v, doubt(v), color=colour("accent"), linewidth=2.2)
    axes.text(2.6, 1.03, "p, that x beats x'", color=colour("muted"), ha="center")
    axes.text(-6, 0.42, "entropy\nof p", color=colour("accent"))
    for at, kind, marker in ((0.4, "s1", "o"), (4.2, "s0", "s")):
        axes.plot(at, doubt(np.array(at)), marker, color=colour(kind), markersize=8)
    axes.set_ylim(-0.05, 1.15)
    axes.set_xticks([-4, 0, 4])
    axes.set_yticks([])
    axes.set_title("Entropy", loc="left", fontsize=13, fontweight="bold", color=colour("ink"))
    axes.set_xlabel(
        "teacher's margin over τ: near 0 (●) it tosses\na coin, log 2 nats; far out (■) it is sure", fontsize=11
    )


def mining(figure: Figure) -> None:
    """[2.4]."""
    scores, bars = figure.subplots(1, 2, width_ratios=[1, 1])
    for x, y, name in ((5, 0.0, "a"), (5, 0.34, "b"), (-5, 0.0, "c")):
        scores.plot(x, y, "o", color=colour("ink"), markersize=9)
        scores.text(x + (0.5 if x > 0 else -0.9), y, name, va="center", fontsize=13)
    scores.plot([-4.6, 4.6], [0, 0], color=colour("s0"), linewidth=2)
    scores.text(0, -0.09, "easy pair: margin 10, p = 0.99995", ha="center", va="top", color=colour("s0"))
    scores.plot([5, 5], [0.05, 0.29], color=colour("s1"), linewidth=2)
    scores.text(4.6, 0.17, "mined pair: margin 0, p = 1/2", ha="right", va="center", color=colour("s1"))
    scores.set_xlim(-6.5, 7)
    scores.set_ylim(-0.45, 0.7)
    scores.set_yticks([])
    scores.set_xticks([-5, 0, 5])
    scores.set_xlabel("teacher's score over τ")
    scores.set_title("One teacher, one query, three documents", loc="left", fontsize=13, color=colour("ink"))
    easy, mined = (float(pairwise_entropy(np.array([pair]))[0]) for pair in ([5.0, -5.0], [5.0, 5.0]))
    excess = float(pair_kl(np.array(10.0), np.array(8.0)))
    values = (("H, easy pairs", easy, "s0"), ("H, mined pairs", mined, "s1"),
              ("K of f = 0.8 g, easy", excess, "s0"), ("K of f = 0.8 g, mined", 0.0, "s1"))  # fmt: skip
    for place, (_, value, kind) in enumerate(values):
        bars.barh(-place, value, color=colour(kind), height=0.55)
        bars.text(value + 0.012, -place, f"{value:.4f}", va="center")
    bars.set_yticks([-i for i in range(4)], [name for name, _, _ in values])
    bars.set_xlim(0, 0.85)
    bars.set_xlabel("nats")
    bars.set_title(
        f"Mining multiplies the entropy by {mined / easy:,.0f}", loc="left", fontsize=13, color=colour("ink")
    )
    figure.subplots_adjust(left=0.04, right=0.97, top=0.84, bottom=0.2, wspace=0.5)


def memorised(figure: Figure) -> None:
    """[2.5]."""
    students, risks = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.06, right=0.95, top=0.84, bottom=0.2, wspace=0.24)
    x = np.array([0.0, 1.0])
    for sign, kind, name in ((1, "s0", "queries seen in training: f = g"), (-1, "s1", "all other queries: f = -g")):
        for jitter in (-0.06, 0, 0.06):
            students.plot(x, sign * (2 * x - 1) + jitter, color=colour(kind), linewidth=1.6)
        students.text(0.5, 0.95 if sign > 0 else -0.95, name, color=colour(kind), ha="center", va="center")
    students.set_xticks([0, 1], ["document x'", "document x"])
    students.set_yticks([])
    students.set_ylim(-1.25, 1.25)
    students.set_ylabel("student's score")
    students.set_title("Every line has the same slope", loc="left", fontsize=13, color=colour("ink"))
    v = np.array(2.0)
    n = np.logspace(2, 6, 50)
    actual, constant = float(v * np.tanh(v / 2)), LOG2 - float(doubt(v))
    for level, kind, name in ((actual, "s1", f"K on all queries: v tanh(v/2) = {actual:.2f}"),
                              (constant, "muted", f"a constant student: log 2 - H = {constant:.2f}"),
                              (0.0, "s0", "K on the training groups: 0")):  # fmt: skip
        risks.plot(n, np.full_like(n, level), color=colour(kind), linewidth=2.2, clip_on=False)
        risks.text(1.2e2, level + 0.05, name, color=colour(kind))
    _log_ticks(risks, range(2, 7))
    risks.set_ylim(0, 1.85)
    risks.set_yticks([0, 0.5, 1, 1.5])
    risks.set_xlabel("training queries n (margin v = ±2)")
    risks.set_title("No number of queries helps", loc="left", fontsize=13, color=colour("ink"))


def budget(figure: Figure) -> None:
    """The four terms over n, and where two strategies cross."""
    stacked, crossing = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.05, right=0.95, top=0.84, bottom=0.2, wspace=0.24)
    n, floor, fit = np.logspace(2.5, 6, 120), 0.2, 0.03
    wide, local = RootLaw(22.0), RootLaw(9.0)
    parts = [("entropy floor", np.full_like(n, floor), "line"), ("shift", np.full_like(n, 0.12), "s2"),
             ("fit", np.full_like(n, fit), "s5"), ("locality", 9.0 / np.sqrt(n), "s1")]  # fmt: skip
    below = np.zeros_like(n)
    for name, part, kind in parts:
        stacked.fill_between(
            n, below, below + part, color=colour(kind), alpha=0.55 if kind != "line" else 1, linewidth=0
        )
        if name != "locality":
            stacked.text(3e5, float((below + part / 2)[-1]), name, va="center", ha="center", fontsize=11)
        below = below + part
    stacked.text(8e2, 0.42, "locality ∝ 1/√n", fontsize=11)
    stacked.axhline(LOG2, color=colour("bad"), linewidth=1.5, linestyle="--")
    stacked.text(9e5, LOG2 + 0.02, "log 2: vacuous above", color=colour("bad"), ha="right")
    _over_n(stacked, "The bound of one strategy")
    strategies = [("local: bm25 negatives", local, 0.12, "s1"), ("wide: random negatives", wide, 0.03, "s0")]
    for name, law, shift, kind in strategies:
        crossing.plot(n, law.root / np.sqrt(n) + shift, color=colour(kind), linewidth=2.2, label=name)
    at = crossover(*(Strategy(name, 1.0, 0.0, shift, law) for name, law, shift, _ in strategies)).budgets[0]
    crossing.axvline(at, color=colour("muted"), linewidth=0.8, linestyle=":")
    crossing.text(at * 1.15, 0.45, f"n* = {at:,.0f}", color=colour("muted"))
    crossing.text(5e3, 0.10, "take the local", color=colour("s1"), ha="center")
    crossing.text(2.6e5, 0.22, "take the wide", color=colour("s0"), ha="center")
    crossing.text(3.6e3, 0.44, "wide", color=colour("s0"))
    crossing.text(5e2, 0.37, "local", color=colour("s1"))
    _over_n(crossing, "Locality + shift of two strategies")


def _over_n(axes: Axes, title: str) -> None:
    _log_ticks(axes, range(3, 7))
    axes.set_xlim(3.2e2, 1e6)
    axes.set_ylim(0, 0.8)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8])
    axes.set_xlabel("training groups n (made-up numbers)")
    axes.set_title(title + ", nats", loc="left", fontsize=13, color=colour("ink"))


def _log_ticks(axes: Axes, powers: range) -> None:
    axes.set_xscale("log")
    axes.set_xticks([10.0**p for p in powers], [f"{10**p:,}" for p in powers])
    axes.xaxis.set_minor_formatter(NullFormatter())


def _dots(axes: Axes, places: Floats, kind: str, size: float, marker: str = "o") -> None:
    axes.scatter(places[:, 0], places[:, 1], s=size, c=colour(kind), marker=marker, linewidths=0, zorder=2)


def _bare(axes: Axes, title: str, caption: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", "datalim")
    axes.spines["bottom"].set_visible(False)
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=colour("ink"))
    axes.set_xlabel(caption, fontsize=11)


PICTURES: dict[str, tuple[str, Callable[[Figure], None]]] = {
    "theory-quantities": (
        "Locality: a random group spans the space, a mined group is close together. Entropy of a pair against the "
        "teacher's margin: log 2 at margin 0, near 0 far out. Shift: drawn documents joined to target documents.",
        quantities,
    ),
    "theory-mining": (
        "Documents a and b with teacher score 5, c with -5. Entropy of the easy pair (a, c) 0.0005 nats, of the mined "
        "pair (a, b) 0.6931 nats.",
        mining,
    ),
    "theory-memorised": (
        "A student equal to the teacher on the training queries and to its negative elsewhere: its excess risk is 0 in "
        "training and 1.52 nats on all queries, for any number of training queries.",
        memorised,
    ),
    "theory-budget": (
        "The four terms of the bound stacked over the number of groups: entropy floor, shift, fit, and locality, which "
        "falls; above log 2 it says nothing. Two strategies' locality plus shift cross at n*.",
        budget,
    ),
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
