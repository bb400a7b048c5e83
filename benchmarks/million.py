"""Load a generated collection and sample BM25 negatives from it: seconds and peak memory at three sizes.

Run by `make bench`, or `python -m benchmarks.million [DOCUMENTS ...]`. Each size runs in a process of its own, so that
its peak memory is its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.generated import write_collection

from rankstill.candidates import Request, open_strategy
from rankstill.collection.load import load
from rankstill.collection.splits import training_split
from rankstill.collection.store import Collection
from rankstill.files import hardware, peak_memory_mb, versions

SIZES = (10_000, 100_000, 1_000_000)
QUERIES = 1000


def measure(documents: int) -> None:
    """Measure one size and print a row."""
    with tempfile.TemporaryDirectory(prefix="rankstill-bench-") as folder:
        root = Path(folder)
        write_collection(root / "source", documents, QUERIES, seed=0)
        began = time.monotonic()
        collection = load(str(root / "source"), root / "collection")
        loaded = time.monotonic()
        opened = Collection(collection)
        chosen = training_split(opened)
        # The strategy itself: the stage refuses queries of words that no other document has, of which a small
        # collection of invented words has some.
        positives = opened.qrels(chosen.judged).positives()
        open_strategy("bm25").sample(Request(opened, chosen.train, positives, negatives=15, depth=100, seed=1))
        done = time.monotonic()
    row = [f"{documents:,}", f"{len(chosen.train):,}", f"{loaded - began:.1f}", f"{done - loaded:.1f}"]
    print(" | ".join([*row, f"{peak_memory_mb():,.0f}"]), flush=True)


def main() -> None:
    """Measure every size."""
    sizes = [int(size) for size in sys.argv[1:]] or list(SIZES)
    if len(sizes) == 1:
        measure(sizes[0])
        return
    print(f"{hardware()}; {versions()}")
    print("documents | queries | load s | index and sample s | peak MB", flush=True)
    for size in sizes:
        subprocess.run([sys.executable, "-m", "benchmarks.million", str(size)], check=True)


if __name__ == "__main__":
    main()
