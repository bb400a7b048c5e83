"""W1 between drawn and target documents of every query, exactly: seconds and peak memory, at three sizes.

    python -m benchmarks.shift [QUERIES ...]      by default 200, 2,000 and 20,000

The vectors are generated, float16, in memory-mapped files, 16 documents a query on each side, in 384 and in 768
dimensions, around a centre for each query. `embeddings` is W1 of the vectors, `cost` W1 under L·d + |g - g'|, `scores`
W1 of the scores alone, `16 x 20` has unequal sizes, `16 x 100` is the linear programme, for 200 queries only. Each step
runs in a process of its own, so that its peak memory is its own; that includes the files, which are read once.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from benchmarks.peers import measured, row, seconds, tell

from rankstill.files import hardware
from rankstill.measures.shift import w1_cost, w1_embeddings, w1_scores
from rankstill.randomness import rng_for

SIZES = (200, 2_000, 20_000)
DIMENSIONS = (384, 768)
DRAWN, WIDE, UNEVEN = 16, 100, 20
CHUNK = 200
STEPS = ("embeddings", "cost", "scores", f"{DRAWN} x {UNEVEN}", f"{DRAWN} x {WIDE}")


def generate(folder: Path, queries: int, dimension: int) -> None:
    """Write drawn.npy, target.npy and their scores."""
    for name, size in (("drawn", DRAWN), ("target", UNEVEN), ("wide", WIDE if queries <= CHUNK else 1)):
        shape = (queries, size, dimension)
        out = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float16, shape)
        for start in range(0, queries, CHUNK):
            count = min(CHUNK, queries - start)
            centres = rng_for(0, "centres", dimension, start).standard_normal((count, 1, dimension), np.float32)
            noise = rng_for(0, name, dimension, start).standard_normal((count, size, dimension), np.float32)
            out[start : start + count] = centres + noise
        out.flush()
        np.save(folder / f"{name}-scores.npy", rng_for(0, name, "scores").normal(size=(queries, size)))


def step(name: str, folder: Path) -> None:
    """Run one step and tell what it took."""
    side = "wide" if name == STEPS[4] else "target"
    first, second = (np.load(folder / f"{which}.npy", mmap_mode="r") for which in ("drawn", side))
    scores = tuple(np.load(folder / f"{which}-scores.npy") for which in ("drawn", side))
    if name in STEPS[:3]:
        second, scores = second[:, :DRAWN], (scores[0], scores[1][:, :DRAWN])
    if name == "scores":
        took, found = seconds(lambda: w1_scores(*scores))
    elif name == "cost":
        took, found = seconds(lambda: w1_cost(first, second, *scores, radius=5.0))
    else:
        took, found = seconds(lambda: w1_embeddings(first, second))
    tell(**took, mean=float(found.mean()))


def main(sizes: list[int]) -> None:
    """Print the table."""
    print(hardware(), flush=True)
    row("queries", "dimensions", "step", "seconds", "processor seconds", "µs a query", "peak MB", "mean W1")
    row(*["---"] * 8)
    for dimension in DIMENSIONS:
        for queries in sizes:
            with tempfile.TemporaryDirectory(prefix="rankstill-shift-") as folder:
                measured(sys.executable, "benchmarks.shift", "--generate", folder, queries, dimension)
                for name in STEPS if queries <= CHUNK else STEPS[:4]:
                    found = measured(sys.executable, "benchmarks.shift", "--step", name, folder)
                    row(
                        f"{queries:,}",
                        dimension,
                        name,
                        f"{found['clock']:.2f}",
                        f"{found['cpu']:.2f}",
                        f"{1e6 * found['clock'] / queries:.0f}",
                        f"{found['peak_mb']:.0f}",
                        f"{found['mean']:.3f}",
                    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--generate"]:
        generate(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
        tell()
    elif sys.argv[1:2] == ["--step"]:
        step(sys.argv[2], Path(sys.argv[3]))
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
