"""`python -m benchmarks.speed.limit`: how much of the machine's matrix rate our training and scoring reach.

The limit is the arithmetic of the real tokens, without any padding, at the rate at which this machine multiplies
matrices of the model's shapes: per token and layer 24 D^2 for the projections (D to 4 D in between) and 4 L D for
attention in a sequence of L tokens; three times as much with the way back. Everything else counts as loss.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from benchmarks.peers import ENVIRONMENTS
from benchmarks.speed.data import MAX_LENGTH, make

from rankstill.students.transformer import fast_tokenizer

LAYERS, D = 6, 384
TOKENS = 2048


def best_rate(work: Callable[[], object], operations: float) -> float:
    """Return operations per second, the best of seven."""
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        for _ in range(20):
            work()
        times.append((time.perf_counter() - begun) / 20)
    return operations / min(times)


def matrix_rate(precision: torch.dtype) -> float:
    """Return the rate over the products of one layer, in their own proportions."""
    operations = seconds = 0.0
    for rows, columns in ((D, D), (D, D), (D, D), (D, D), (D, 4 * D), (4 * D, D)):
        x, w = torch.randn(TOKENS, rows).to(precision), torch.randn(columns, rows).to(precision)
        count = 2.0 * TOKENS * rows * columns
        seconds += count / best_rate(lambda x=x, w=w: torch.nn.functional.linear(x, w), count)
        operations += count
    return operations / seconds


def operations_of(lengths: np.ndarray) -> float:
    """Count those of one pass forward."""
    return float(LAYERS * (24 * D**2 * lengths.sum() + 4 * D * (lengths.astype(float) ** 2).sum()))


def main() -> None:
    torch.set_num_threads(2)
    data = make(ENVIRONMENTS / "speed")
    tokenizer = fast_tokenizer(str(data / "cross"))[1]
    rows = json.loads(Path("docs/performance.json").read_text(encoding="utf-8"))["rows"]
    groups = json.loads((data / "groups.json").read_text(encoding="utf-8"))
    pairs = json.loads((data / "pairs.json").read_text(encoding="utf-8"))
    trained = [[g["query"], doc] for g in groups[16:24] for doc in g["docs"]]
    for work, texts, passes in (("train cross-encoder", trained, 3), ("score", pairs, 1)):
        counts = np.array([min(len(e.ids), MAX_LENGTH) for e in tokenizer.encode_batch([tuple(p) for p in texts])])
        each = passes * operations_of(counts) / len(texts)
        for setting, precision in (("float32", torch.float32), ("default", torch.bfloat16)):
            rate = matrix_rate(precision)
            reached = next(r["ours_per_second"] for r in rows if r["work"] == work and r["setting"] == setting)
            print(
                f"{work}, {precision}: {counts.mean():.0f} tokens, {each / 1e9:.1f} GFLOP each; "
                f"matrices {rate / 1e9:.0f} GFLOP/s; limit {rate / each:.1f}/s, "
                f"reached {reached}/s = {reached * each / rate:.2f}"
            )


if __name__ == "__main__":
    main()
