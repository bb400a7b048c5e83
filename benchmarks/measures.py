"""Diameters and entropy of generated groups: seconds and peak memory at three sizes.

    python -m benchmarks.measures FOLDER [GROUPS ...]     by default 5,000, 50,000 and 500,000 groups

Groups of 16 vectors of 768 dimensions, float16, in a memory-mapped file under FOLDER: 12.3 GB for 500,000 groups, and
removed again. Twice: rows in the order of the file, as where the embeddings of the drawn documents were written group
by group; and rows drawn from the whole file, as where all documents of a collection were encoded. Each is measured in
a process of its own. Mapped pages count towards the peak memory. Vectors are drawn around one centre for each group, in
tiles of 4,096 groups that repeat with another rotation of the dimensions, since drawing is slower than measuring.

What is measured: the rms diameter with its interval, the robust diameter with its bound, the largest distance, the
reference's diameter (one pass), pairwise and listwise entropy (another); from the open file to the result.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from benchmarks.peers import measured, row, seconds, tell

SIZES = (5_000, 50_000, 500_000)
GROUP, DIMENSION, TILE = 16, 768, 4096


def generate(path: Path, groups: int) -> None:
    """Write the vectors, group by group."""
    from rankstill.randomness import rng_for

    rng = rng_for(0, "vectors")
    tile = rng.standard_normal((TILE, GROUP, DIMENSION), np.float32)
    tile += rng.standard_normal((TILE, 1, DIMENSION), np.float32)
    halves = tile.astype(np.float16)
    header = {"descr": "<f2", "fortran_order": False, "shape": (groups * GROUP, DIMENSION)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for number, start in enumerate(range(0, groups, TILE)):
            file.write(np.roll(halves, number, axis=2)[: groups - start].tobytes())
        file.flush()
        os.fsync(file.fileno())  # or writing back would go on while measuring
    tell()


def measure(path: Path, order: str) -> None:
    """Measure one file in one order and tell."""
    from rankstill.measures.entropy import default_temperature, entropy
    from rankstill.measures.locality import locality
    from rankstill.randomness import rng_for

    embeddings = np.load(path, mmap_mode="r", allow_pickle=False)
    docs = np.arange(len(embeddings), dtype=np.uint32)
    if order == "drawn":
        docs = rng_for(0, "docs").permutation(docs)
    docs = docs.reshape(-1, GROUP)
    scores = rng_for(0, "scores").standard_normal(docs.shape, np.float32)
    diameters, found = seconds(lambda: locality(embeddings, docs, seed=1))
    entropies, doubt = seconds(lambda: entropy(scores, default_temperature(scores)))
    tell(
        diameters=diameters,
        entropies=entropies,
        rms=found.rms.mean,
        robust=found.robust.value,
        entropy=doubt.pairwise_normalised.mean,
    )


def main() -> None:
    """Measure every size, in both orders."""
    if sys.argv[1] == "generate":
        generate(Path(sys.argv[2]), int(sys.argv[3]))
        return
    if sys.argv[1] == "measure":
        measure(Path(sys.argv[2]), sys.argv[3])
        return
    from rankstill.files import hardware, versions

    print(f"{hardware()}; {versions()}; load {os.getloadavg()[0]:.1f} before the first size", flush=True)
    row("groups", "rows", "diameters s (cpu s)", "entropy s (cpu s)", "peak MB", "rms diameter", "normalised entropy")
    row(*["---"] * 7)
    for groups in [int(size) for size in sys.argv[2:]] or SIZES:
        with tempfile.TemporaryDirectory(prefix="rankstill-bench-", dir=sys.argv[1]) as folder:
            path = Path(folder) / "embeddings.npy"
            # In a process of its own too: what is started from a large one has its memory as a first peak.
            measured(sys.executable, "benchmarks.measures", "generate", path, groups)
            for order in ("in order", "drawn"):
                told = measured(sys.executable, "benchmarks.measures", "measure", path, order)
                took = [f"{told[name]['clock']:.1f} ({told[name]['cpu']:.1f})" for name in ("diameters", "entropies")]
                row(
                    f"{groups:,}",
                    order,
                    *took,
                    f"{told['peak_mb']:,.0f}",
                    f"{told['rms']:.4f}",
                    f"{told['entropy']:.4f}",
                )


if __name__ == "__main__":
    main()
