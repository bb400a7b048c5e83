"""Killed a hundred times, or written by two processes at once, the store loses nothing and doubles nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from rankstill.records import Pairs
from rankstill.teachers.store import PairKeys, ScoreStore
from rankstill.teachers.store_care import held
from rankstill.teachers.store_verify import verify
from tests.teachers.appending import BATCH, TEACHER, batch
from tests.tiny_collections import word_collection
from tests.tiny_models import tiny_cross_encoder

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def test_a_hundred_kills_lose_nothing_and_double_nothing(tmp_path):
    """A writer and a tidier, killed at random moments; see `tests.teachers.appending`."""
    command = [sys.executable, "-m", "tests.teachers.appending", str(tmp_path), "100", "7"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failed"] == 0, done.stderr
    assert found["kills"] == 100
    assert found["lost"] == 0
    assert found["torn"] > 0, "the kills hit something"
    count = found["acknowledged"]
    assert count > 20, "the writers came to write"
    store = ScoreStore(tmp_path, TEACHER)

    # The next writer clears up what the last ones left.
    last = batch(count)
    store.append(*last)
    left = [p.name for p in store.folder.iterdir() if not p.name.startswith("part-")]
    assert sorted(left) == [".lock", "teacher.json"]
    assert all(p.suffix == ".arrow" for p in store.folder.glob("part-*"))

    keys, scores = zip(*(batch(number) for number in range(count + 1)), strict=True)
    asked = PairKeys.concatenate(list(keys))
    np.testing.assert_array_equal(store.lookup(asked), np.concatenate(scores))
    checked = verify(store)
    assert checked.damaged == []
    assert (checked.pairs, checked.repeated) == ((count + 1) * BATCH, 0)
    assert held(store).pairs == (count + 1) * BATCH


SCORE = """
import json, os, sys
from pathlib import Path
import numpy as np
from rankstill.records import Pairs
from rankstill.teachers import open_teacher, score
collection, model, store, jobs = sys.argv[1:]
read, write = os.pipe()
children = []
for out, begin, end in json.loads(jobs):
    if child := os.fork():
        children.append(child)
        continue
    teacher = open_teacher(model)
    teacher.chunk = 16
    query, doc = np.divmod(np.arange(begin, end, dtype=np.uint32), np.uint32(30))
    os.close(write)
    os.read(read, 1)  # Both begin when the parent closes the pipe.
    score(Path(collection), Pairs(query, doc, np.zeros(len(query), np.float32)), teacher, Path(out), Path(store))
    os._exit(0)
os.close(write)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def _score_at_once(root: Path, collection: Path, spans: tuple[tuple[int, int], ...]) -> list[Pairs]:
    """Run the stage `score` for spans of all pairs, each in a process of its own, with one store."""
    model = tiny_cross_encoder(root / "model")
    jobs = [[str(root / f"out{number}"), *span] for number, span in enumerate(spans)]
    command = [sys.executable, "-c", SCORE, *map(str, (collection, model, root / "store")), json.dumps(jobs)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [Pairs.read(Path(out) / "scores.parquet") for out, *_ in jobs]


def _opened(root: Path) -> ScoreStore:
    (about,) = root.glob("*/teacher.json")
    return ScoreStore(root, json.loads(about.read_text())["fingerprint"])


def test_processes_that_score_the_same_pairs_at_once(tmp_path):
    """Two the very same pairs, a third a set that overlaps, whose chunks are others."""
    collection = word_collection(tmp_path / "c", documents=30, queries=4)
    tables = _score_at_once(tmp_path, collection.path, ((0, 120), (0, 120), (25, 110)))
    for name in ("scores.parquet", "manifest.json"):
        assert (tmp_path / "out0" / name).read_bytes() == (tmp_path / "out1" / name).read_bytes()
    known = dict(zip(tables[0].key().tolist(), tables[0].score.tolist(), strict=True))
    assert [known[key] for key in tables[2].key().tolist()] == tables[2].score.tolist()

    store = _opened(tmp_path / "store")
    keys = PairKeys.of(collection, tables[0].query, tables[0].doc)
    assert store.lookup(keys).tolist() == tables[0].score.tolist()
    checked = verify(store)
    assert (checked.pairs, checked.repeated, checked.damaged) == (len(np.unique(keys.halves, axis=0)), 0, [])
