"""Approximate dense top-100: recall and seconds next to the exact list and to faiss-cpu's IndexIVFFlat.

    python -m benchmarks.approximate [VECTORS]        by default 100,000; 2,000 queries, 384 dimensions, float16

Two kinds of vectors: in clusters (those of `benchmarks.dense`), and without any (24 dimensions turned into 384, and a
little noise), which is the hard case for cells. faiss gets as many cells, and vectors whole, as float32 of length 1.
Each step runs in a process of its own.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.dense import CHUNK, DEPTH, DIMENSION, generate, install, unit
from benchmarks.peers import ENVIRONMENTS, measured, row, seconds, tell

QUERIES, HIDDEN, NOISE = 2_000, 24, 0.05
PROBES = (4, 16, 64)


def generate_smooth(folder: Path, queries: int, vectors: int) -> None:
    """Write documents.npy and queries.npy without clusters."""
    from rankstill.randomness import rng_for

    turn = rng_for(0, "turn").normal(size=(HIDDEN, DIMENSION)).astype(np.float32) / HIDDEN**0.5
    for name, count in (("documents", vectors), ("queries", queries)):
        out = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float16, (count, DIMENSION))
        for start in range(0, count, CHUNK):
            rng, size = rng_for(0, name, start), min(CHUNK, count - start)
            hidden = rng.standard_normal((size, HIDDEN), np.float32) @ turn
            out[start : start + size] = hidden + NOISE * rng.standard_normal((size, DIMENSION), np.float32)
        out.flush()


KINDS: dict[str, Callable[[Path, int, int], None]] = {"clusters": generate, "no clusters": generate_smooth}


def _vectors(folder: Path) -> Any:
    # Beforehand, as where the vectors were just made.
    import torch  # noqa: F401

    from rankstill.candidates.strategy import Vectors

    documents = np.load(folder / "documents.npy", mmap_mode="r")
    return Vectors(np.arange(len(documents), dtype=np.uint32), documents)


def exact(folder: Path) -> None:
    """Search exactly."""
    from rankstill.candidates.nearest import nearest

    documents, queries = _vectors(folder), unit(folder / "queries.npy")
    took, (rows, _) = seconds(lambda: nearest(queries, documents, DEPTH))
    np.save(folder / "exact.npy", np.stack(rows))
    tell(build=0.0, search=[took["cpu"]], recall=[1.0])


def ours(folder: Path) -> None:
    """Search with rankstill's cells."""
    from rankstill.candidates.cells import build_cells, cells_for, nearest_in_cells

    documents, queries = _vectors(folder), unit(folder / "queries.npy")
    build, cells = seconds(lambda: build_cells(documents, cells_for(len(documents.rows))))
    figures = []
    for probes in PROBES:
        took, (rows, _) = seconds(lambda p=probes: nearest_in_cells(queries, documents, cells, p, DEPTH))
        figures.append((took["cpu"], _recall(folder, rows)))
    tell(build=build["cpu"], search=[f[0] for f in figures], recall=[f[1] for f in figures])


def ivf(folder: Path) -> None:
    """Search with faiss."""
    sys.path.append(str(ENVIRONMENTS / "mining"))
    import faiss

    from rankstill.candidates.cells import cells_for

    documents, queries = unit(folder / "documents.npy"), unit(folder / "queries.npy")

    def make() -> Any:
        index = faiss.IndexIVFFlat(
            faiss.IndexFlatIP(DIMENSION), DIMENSION, cells_for(len(documents)), faiss.METRIC_INNER_PRODUCT
        )
        index.train(documents)
        index.add(documents)
        return index

    build, index = seconds(make)
    figures = []
    for probes in PROBES:
        index.nprobe = probes
        took, (_, rows) = seconds(lambda: index.search(queries, DEPTH))
        figures.append((took["cpu"], _recall(folder, rows)))
    tell(build=build["cpu"], search=[f[0] for f in figures], recall=[f[1] for f in figures])


def _recall(folder: Path, found: Any) -> float:
    true = np.load(folder / "exact.npy")
    return float(np.mean([len(np.intersect1d(a, b)) / DEPTH for a, b in zip(true, found, strict=True)]))


STEPS = {"exact": exact, "ours": ours, "ivf": ivf}


def compare(kind: str, vectors: int) -> None:
    """Measure one kind of vectors and print its rows."""
    with tempfile.TemporaryDirectory(prefix="rankstill-bench-") as place:
        KINDS[kind](Path(place), QUERIES, vectors)
        for step, name in (("exact", "exact"), ("ours", "rankstill"), ("ivf", "faiss-cpu, IndexIVFFlat")):
            told = measured(sys.executable, "benchmarks.approximate", "--step", step, place, threads=1)
            looked = ("all",) if step == "exact" else PROBES
            for probes, took, recall in zip(looked, told["search"], told["recall"], strict=True):
                figures = f"{told['build']:.1f}", f"{took:.2f}", f"{recall:.3f}", f"{told['peak_mb']:,.0f}"
                row(f"{vectors:,}, {kind}", name, probes, *figures)


def main() -> None:
    """Measure both kinds."""
    from rankstill.files import hardware, versions

    install()
    print(f"{hardware()}; {versions()}\n")
    row("vectors", "", "cells looked into", "cells CPU s", "search CPU s", "recall@100", "peak MB")
    row(*["---"] * 7)
    for kind in KINDS:
        compare(kind, int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        STEPS[sys.argv[2]](Path(sys.argv[3]))
    else:
        main()
