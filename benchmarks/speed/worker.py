"""What every rival's worker shares: the protocol, the data folder, the clock.

A worker stays alive between requests, so that the harness can alternate between warm processes. It runs in a rival's
own virtual environment: this file may import nothing but the standard library, numpy and torch, and must be imported
before the rival (it keeps the hub's clients offline and the thread count equal).
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

THREADS = 2
# A look-up of the model's name on a hub would be timed as the library's work.
os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"})
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))

import numpy as np  # noqa: E402
import torch  # noqa: E402

Request = dict[str, Any]
WARM_UP = 32


class Data:
    """The folder that the harness made; each file is read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    @cached_property
    def groups(self) -> list[dict[str, Any]]:
        return self._read("groups.json")

    @cached_property
    def pairs(self) -> list[list[str]]:
        return self._read("pairs.json")

    @cached_property
    def texts(self) -> list[str]:
        return self._read("texts.json")

    @cached_property
    def sets(self) -> list[list[list[str]]]:
        return self._read("sets.json")

    def model(self, name: str) -> str:
        return str(self.folder / name)

    def group_pairs(self, rows: Sequence[int]) -> list[list[str]]:
        """Return the (query, document) pairs of some groups, one group after the other."""
        return [[self.groups[row]["query"], doc] for row in rows for doc in self.groups[row]["docs"]]


def student_temperature(request: Request) -> float:
    default = 1.0 if request["architecture"] == "cross-encoder" else 0.05
    return float(request.get("student_temperature", default))


def rate_of(request: Request) -> Callable[[int], float]:
    """Return the learning rate of each step; schedulers ask for one step more than there is."""
    rates = request["rates"]
    return lambda step: rates[min(step, len(rates) - 1)]


def teacher_entropy(data: Data, steps: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the mean entropy of the teacher's softmax in each step: cross-entropy less this is KL."""
    means = []
    for rows in steps:
        scores = torch.tensor([data.groups[row]["scores"] for row in rows], dtype=torch.float64)
        means.append(float(-(scores.softmax(1) * scores.log_softmax(1)).sum(1).mean()))
    return np.array(means)


class Clock:
    """The end of each step; `seconds` are the times between."""

    def __init__(self) -> None:
        self.ends = [time.perf_counter()]

    def tick(self) -> None:
        self.ends.append(time.perf_counter())

    @property
    def seconds(self) -> list[float]:
        return np.diff(self.ends).tolist()


def timed(work: Callable[[Sequence[Any]], Any], items: Sequence[Any], warm: Sequence[Any] | None = None) -> Any:
    """Do some work over a few items outside the clock, then over all; return the seconds and the result."""
    work(items[:WARM_UP] if warm is None else warm)
    start = time.perf_counter()
    result = work(items)
    return time.perf_counter() - start, result


def serve(handlers: dict[str, Callable[[Data, Request], dict[str, Any]]]) -> None:
    """Answer one JSON request a line until the input ends.

    Replies go to the standard output that the process began with; what libraries print goes to the standard error.
    """
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    torch.set_num_threads(THREADS)
    data = Data(Path(sys.argv[1]))
    for line in sys.stdin:
        try:
            request = json.loads(line)
            reply = handlers[request["do"]](data, request)
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def about(library: str) -> dict[str, Any]:
    from importlib.metadata import version

    versions = {name: version(name) for name in ("torch", "transformers")}
    return {"library": library, "version": version(library), **versions}
