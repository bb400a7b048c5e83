"""`python -m benchmarks.speed.plot`: docs/performance.json as docs/performance.svg."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

SETTINGS = {
    "float32": ("#4477aa", "float32, both"),
    "default": ("#cc6677", "our default, its default"),
    "best": ("#999933", "our default, its best documented"),
}


def main() -> None:
    rows = json.loads(Path("docs/performance.json").read_text(encoding="utf-8"))["rows"]
    works = list(dict.fromkeys(row["work"] for row in rows))
    figure, axes = plt.subplots(figsize=(8, 0.75 * len(works) + 1.4), layout="constrained")
    for row in rows:
        at = works.index(row["work"]) + 0.25 * (list(SETTINGS).index(row["setting"]) - 1)
        colour, label = SETTINGS[row["setting"]]
        axes.plot([row["low"], row["high"]], [at, at], color=colour, lw=2)
        axes.plot(row["ratio"], at, "o", color=colour, label=label if row["work"] == works[0] else None)
        axes.annotate(f" {row['ratio']:.1f}", (row["high"], at), color=colour, va="center", fontsize=8)
        if row["floor"]:
            axes.plot([row["floor"]] * 2, [at - 0.1, at + 0.1], color="black", lw=1.5)
    axes.axvline(1, color="grey", lw=0.8)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 3, 5, 10, 20, 50], labels=["1", "2", "3", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.set_yticks(range(len(works)), labels=works)
    axes.invert_yaxis()
    axes.set_xlabel("times as fast as sentence-transformers (median and range; black: the floor set beforehand)")
    axes.legend(loc="lower right", fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    plt.rcParams["svg.hashsalt"] = "performance"
    figure.savefig("docs/performance.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
