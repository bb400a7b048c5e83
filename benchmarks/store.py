"""Fill a score store and join it with asked pairs: seconds and peak memory, at three sizes.

Run as `python -m benchmarks.store [SCORES ...]`. Scores are written in parts of a million; a tenth as many pairs are
asked, half of them in the store. Each step runs in a process of its own, so that its peak memory is its own; the
operating system keeps the files in memory as far as it likes. The keys are drawn evenly, as hashes are.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rankstill.files import hardware, peak_memory_mb, versions
from rankstill.randomness import rng_for
from rankstill.teachers.store import PairKeys, ScoreStore
from rankstill.teachers.store_care import compact
from rankstill.teachers.store_verify import verify

SIZES = (1_000_000, 10_000_000, 100_000_000)
PART = 1_000_000
CHUNK = 1024
STEPS = ("write", "join", "append", "verify", "compact", "join", "append")


def parts(scores: int) -> Iterator[tuple[PairKeys, np.ndarray]]:
    """Draw the stored pairs, a part at a time."""
    for number in range(scores // PART):
        keys = PairKeys(rng_for(0, "part", number).integers(0, 2**64, (PART, 4), np.uint64))
        yield keys, (keys.halves[:, 1] >> np.uint64(40)).astype(np.float32)


def asked(scores: int) -> PairKeys:
    """Draw a tenth as many pairs as are stored: every twentieth stored one, and as many others, shuffled."""
    rng = rng_for(0, "asked")
    count = scores // 10
    halves = np.empty((count, 4), np.uint64)
    each = PART // 20
    for number, (keys, _) in enumerate(parts(scores)):
        halves[number * each : (number + 1) * each] = keys.halves[::20]
    halves[count // 2 :] = rng.integers(0, 2**64, (count - count // 2, 4), np.uint64)
    rng.shuffle(halves)
    return PairKeys(halves)


def write(store: ScoreStore, scores: int) -> str:
    """Write the store as the stage does, which knows that what it scores is not there."""
    lacking: set[str] = set()
    seconds = 0.0
    for keys, score in parts(scores):
        began = time.monotonic()
        lacking.add(store.append(keys, score, lacking))
        seconds += time.monotonic() - began
    return f"{seconds:.1f}"


def join(store: ScoreStore, scores: int) -> str:
    keys = asked(scores)
    began = time.monotonic()
    found = store.lookup(keys)
    seconds = time.monotonic() - began
    there = ~np.isnan(found)
    assert there.sum() == scores // 10 // 2
    assert (found[there] == (keys.halves[there, 1] >> np.uint64(40)).astype(np.float32)).all()
    return f"{seconds:.1f}"


def append(store: ScoreStore, scores: int) -> str:
    """Add one teacher's chunk to the full store, which is searched for each of its pairs."""
    keys = PairKeys(rng_for(scores, "chunk", len(store.parts())).integers(0, 2**64, (CHUNK, 4), np.uint64))
    began = time.monotonic()
    store.append(keys, np.zeros(CHUNK, np.float32))
    return f"{time.monotonic() - began:.2f}"


def check(store: ScoreStore, scores: int) -> str:
    began = time.monotonic()
    found = verify(store)
    assert found.pairs == scores + CHUNK
    assert not found.damaged
    assert not found.repeated
    return f"{time.monotonic() - began:.1f}"


def merge(store: ScoreStore, scores: int) -> str:
    began = time.monotonic()
    before, after = compact(store)
    return f"{time.monotonic() - began:.1f} ({before} to {after} parts)"


def step(name: str, root: Path, scores: int) -> None:
    """Do one step and print its seconds and peak memory."""
    work = {"write": write, "join": join, "append": append, "verify": check, "compact": merge}[name]
    took = work(ScoreStore(root, "ab" * 32, "generated", "cross-encoder"), scores)
    print(f"{scores:,} | {name} | {took} | {peak_memory_mb():,.0f}", flush=True)


def main() -> None:
    """Measure every size."""
    if len(sys.argv) == 4:
        step(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
        return
    print(f"{hardware()}; {versions()}")
    print("scores | step | s | peak MB", flush=True)
    for size in [int(size) for size in sys.argv[1:]] or SIZES:
        with tempfile.TemporaryDirectory(prefix="rankstill-bench-") as folder:
            for name in STEPS:
                subprocess.run([sys.executable, "-m", "benchmarks.store", name, folder, str(size)], check=True)


if __name__ == "__main__":
    main()
