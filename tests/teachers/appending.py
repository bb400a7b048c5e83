"""Writers and tidiers of one score store that are killed again and again: for `test_store_kill`.

Called as `python -m tests.teachers.appending STORE KILLS SEED`. The libraries are imported once; each child is a fork,
so that its life is spent in the store. A writer adds batch after batch of a few pairs, and acknowledges each on a pipe
when `append` has returned; beside it a tidier merges the parts over and over. Both are killed at random moments. The
next writer starts with the first batch that was not acknowledged, which the dead one may have stored or not.

Printed is one line of JSON: how many batches were `acknowledged`, how many of their pairs were `lost` when they were
looked up after a kill, while the tidier went on; how many `kills` hit a living writer, how many of them left something
half-written (`torn`), and how often a writer or a tidier `failed` by itself.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import pyarrow as pa

from rankstill.teachers.store import PairKeys, ScoreStore
from rankstill.teachers.store_care import compact

TEACHER = "ab" * 32
BATCH = 7
_LIFE = 0.12
"""Seconds that a writer lives at most."""


def batch(number: int) -> tuple[PairKeys, np.ndarray]:
    """Make the pairs of one batch, and their scores."""
    keys = np.random.default_rng(number).integers(0, 2**64, (BATCH, 4), np.uint64)
    return PairKeys(keys), (keys[:, 0] >> np.uint64(40)).astype(np.float32)


def _append_forever(store: ScoreStore, number: int, pipe: int) -> None:
    while True:
        store.append(*batch(number))
        os.write(pipe, number.to_bytes(8, "little"))
        number += 1


def _tidy_forever(store: ScoreStore) -> None:
    while True:
        compact(store)
        # Who waits for the lock looks for it twenty times a second.
        time.sleep(0.06)


def _fork(work: object, *args: object) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work(*args)
    except BaseException:
        traceback.print_exc()
    os._exit(70)


def _kill(child: int) -> bool:
    """Kill a child; tell whether it lived until then."""
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _acknowledged(pipe: int, until: float) -> list[int]:
    """Read acknowledgements until a moment, and what is left in the pipe then."""
    data = b""
    while (left := until - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0]:
            chunk = os.read(pipe, 4096)
            if not chunk:
                break
            data += chunk
    return [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]


def _lost(store: ScoreStore, count: int) -> int:
    """Look the last acknowledged pairs up, while the tidier may be replacing the parts that hold them."""
    known = [batch(number) for number in range(max(count - 20, 0), count)]
    return sum(int((store.lookup(keys) != score).sum()) for keys, score in known)


def main() -> None:
    root, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    # Where pandas is installed, pyarrow imports it with its first array: longer than a writer lives.
    pa.array(np.zeros(1))
    store = ScoreStore(root, TEACHER, "killed")
    done = {"acknowledged": 0, "lost": 0, "kills": 0, "torn": 0, "failed": 0}
    tidier = 0
    for round_ in range(kills):
        # Before there is a pipe, of which it would hold an end.
        tidier = tidier or _fork(_tidy_forever, store)
        read, write = os.pipe()
        writer = _fork(_append_forever, store, done["acknowledged"], write)
        os.close(write)
        told = _acknowledged(read, time.monotonic() + rng.uniform(0.005, _LIFE))
        alive = _kill(writer)
        # What the writer told after the last look.
        told += _acknowledged(read, time.monotonic() + 1)
        os.close(read)
        assert told == list(range(done["acknowledged"], done["acknowledged"] + len(told)))
        done["acknowledged"] += len(told)
        done["lost"] += _lost(store, done["acknowledged"])
        done["kills"] += alive
        done["failed"] += not alive
        if round_ % 2:
            done["failed"] += not _kill(tidier)
            tidier = 0
            names = [path.name for path in store.folder.glob("*")]
            done["torn"] += any(name.endswith(".part") or name == "replace.json" for name in names)
    if tidier:
        done["failed"] += not _kill(tidier)
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main()
