"""All strategies on one collection, side by side, before anything is trained: `python -m benchmarks.strategies`.

For each: the teacher's mean score of its negatives, how many of them the filters would drop, diameter, entropy, pairs
that the teacher was asked for and had to score (all share one store), seconds. Then the share of documents that two
strategies have in common, and the strategies in the plane of locality and entropy, as Markdown and SVG.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rankstill.groups.filters.rules import below_margin, below_ratio
from rankstill.measures.describe import DESCRIPTION
from rankstill.measures.entropy import default_temperature
from rankstill.records import Groups
from rankstill.students.train import set_threads
from rankstill.studies import figures
from rankstill.studies.distill import describe_groups
from rankstill.studies.steps import Negatives, load_training, make_groups
from rankstill.studies.svg import LIGHT
from rankstill.teachers import open_teacher

STRATEGIES = {
    "random": "random",
    "bm25": "bm25",
    "dense": "dense",
    "teacher": "teacher",
    "stratified": "stratified",
    "trisampler": "trisampler",
    "mixture": "mixture#of=bm25*0.7+random*0.3",
    "ensemble": "ensemble#of=bm25+dense,fuse=60",
}
MARGINS, RATIO = (0.0, 0.1), 0.95


@dataclass(frozen=True)
class Found:
    """One strategy's groups: where they are, what they hold, and what they cost."""

    name: str
    made: Negatives
    groups: Groups
    seconds: float
    asked: int
    scored: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("collection")
    parser.add_argument("out", type=Path, help="where the work goes")
    parser.add_argument("page", type=Path, help="the Markdown file; its picture stands beside it")
    parser.add_argument("--split", default="train")
    parser.add_argument("--only", default="", help="names, separated by |")
    parser.add_argument("--add", action="append", default=[], help="NAME=REFERENCE of a further strategy")
    asked = parser.parse_args()
    chosen = {n: r for n, r in STRATEGIES.items() if not asked.only or n in asked.only.split("|")}
    chosen |= dict(item.split("=", 1) for item in asked.add)
    set_threads()
    training, teacher = load_training(asked.out, asked.collection, split=asked.split, limit=0), open_teacher("minilm")
    found = [_make(asked.out, training, teacher, name, reference) for name, reference in chosen.items()]
    temperature = default_temperature(np.concatenate([f.groups.score for f in found]))
    described = describe_groups(asked.out, training, [f.made for f in found], temperature, 1)
    told = [json.loads((d.description / DESCRIPTION).read_text()) for d in described]
    _write(asked.page, found, told, temperature)


def _make(out: Path, training: Any, teacher: Any, name: str, reference: str) -> Found:
    began = time.monotonic()
    made = make_groups(out, training, teacher, reference, size=16, depth=100, seed=1, on_short="drop")
    spent = time.monotonic() - began
    costs = [json.loads((folder / "cost.json").read_text()) for folder in made.paid()]
    counts = [json.loads((folder / "manifest.json").read_text())["counts"] for folder in made.paid()]
    scored, asked = sum(c["scored"] for c in costs), sum(c["asked"] for c in counts)
    return Found(name, made, Groups.read(made.groups / "groups.parquet"), spent, asked, scored)


def _write(page: Path, found: Sequence[Found], told: Sequence[Mapping[str, Any]], temperature: float) -> None:
    head = [*("strategy", "groups", "mean score"), *(f"≥ positive − {m:g}" for m in MARGINS), f"≥ {RATIO} × positive"]
    head += ["diameter", "entropy", "asked", "scored", "seconds"]
    lines = [_row(*head), _row(*["---"] * len(head))]
    lines += [_row(*_cells(f, t)) for f, t in zip(found, told, strict=True)]
    asked, scored = sum(f.asked for f in found), sum(f.scored for f in found)
    lines += [
        "",
        f"Temperature {temperature:.4f}. Asked {asked:,} pairs, scored {scored:,}: {asked / max(scored, 1):.2f} to 1.",
    ]
    lines += ["", _row("", *(f.name for f in found)), _row(*["---"] * (len(found) + 1))]
    lines += [_row(a.name, *(f"{_common(a.groups, b.groups):.0%}" for b in found)) for a in found]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines) + "\n")
    shown = [{"name": f.name, **t} for f, t in zip(found, told, strict=True)]
    # More names than that would cover each other: the rows of the table are counted instead.
    labels = {f.name: str(i) for i, f in enumerate(found, 1)} if len(found) > 10 else None
    picture = figures.plane({"strategies": shown, "systems": [], "measures": [], "tests": []}, labels)
    if picture is not None:
        page.with_suffix(".svg").write_text(_standing_alone(picture.panels[0].svg))
    print(page.read_text())


def _cells(found: Found, told: Mapping[str, Any]) -> list[str]:
    score, positive = found.groups.score[:, 1:], found.groups.score[:, :1]
    dropped = [1 - below_margin(score, positive, margin).mean() for margin in MARGINS]
    dropped.append(1 - below_ratio(np.maximum(score, 0), np.maximum(positive, 0), RATIO).mean())
    return [
        found.name,
        f"{len(found.groups):,}",
        f"{score.mean():.3f}",
        *(f"{share:.1%}" for share in dropped),
        *(f"{told[what]['mean']:.3f}" for what in ("diameter", "entropy")),
        f"{found.asked:,}",
        f"{found.scored:,}",
        f"{found.seconds:.0f}",
    ]


def _standing_alone(svg: str) -> str:
    """Give a drawing of the report the colours and the font that its page would."""
    for name, colour in LIGHT.items():
        svg = svg.replace(f"var(--{name})", colour)
    style = f'xmlns="http://www.w3.org/2000/svg" style="background:{LIGHT["card"]};font:12px sans-serif"'
    return svg.replace("<svg ", f"<svg {style} ", 1)


def _common(a: Groups, b: Groups) -> float:
    """Compute the share of a strategy's negatives that another has too, over the queries that both have."""
    of_b = {int(q): set(docs[1:].tolist()) for q, docs in zip(b.query, b.doc, strict=True)}
    shares = [
        len(of_b[int(q)] & set(d[1:].tolist())) / (a.size - 1)
        for q, d in zip(a.query, a.doc, strict=True)
        if int(q) in of_b
    ]
    return float(np.mean(shares)) if shares else float("nan")


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    main()
