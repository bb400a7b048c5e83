"""Killed at any moment, the same command continues, and ends with the same bytes as a run that nothing stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_collections import WORDS
from tests.tiny_models import tiny_bi_encoder, tiny_transformer

ROOT = Path(__file__).parents[1]
DOCUMENTS, TRAIN, TEST = 60, 24, 6


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Write a BEIR folder, a teacher and a start model."""
    root = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS, 12)) + f" report{i}" for i in range(DOCUMENTS)]
    data = root / "data"
    (data / "qrels").mkdir(parents=True)
    queries = [" ".join(texts[i].split()[:4]) for i in range(TRAIN + TEST)]
    for name, prefix, rows in (("corpus", "d", texts), ("queries", "q", queries)):
        lines = [json.dumps({"_id": f"{prefix}{i}", "text": text}) for i, text in enumerate(rows)]
        (data / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    for split, rows in (("train", range(TRAIN)), ("test", range(TRAIN, TRAIN + TEST))):
        lines = ["query-id\tcorpus-id\tscore", *(f"q{i}\td{i}\t1" for i in rows)]
        (data / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    tiny_bi_encoder(root / "teacher")
    tiny_transformer(root / "start")
    return root


def _distil(world: Path, root: Path, *kills: list[dict[str, float]], epochs: int) -> list[dict[str, Any]]:
    """Distil in ROOT/0, which is not killed, ROOT/1, ..., each killed as planned; say what happened to each."""
    args = ["distill", "--collection", str(world / "data"), "--teacher", str(world / "teacher"), "--out", "out"]
    args += ["--start", str(world / "start"), "--layers", "1", "--max-length", "48", "--strategy", "teacher"]
    args += ["--size", "8", "--depth", "20", "--checkpoint-every", "0", "--epochs", str(epochs)]
    # The same relative paths in another working folder: every run is the same command.
    runs = [{"folder": str(root / str(number)), "kills": planned} for number, planned in enumerate([[], *kills])]
    plan = root / "plan.json"
    plan.write_text(json.dumps({"args": args, "embedder": str(world / "teacher"), "runs": runs}))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", "tests.killed", str(plan)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for number, run in enumerate(found):
        assert run["attempts"][-1]["status"] == 0, (root / str(number) / "log").read_text()
    return found


def _files(folder: Path) -> dict[str, bytes]:
    """Read every file of an output but costs and locks."""
    found = sorted(p for p in (folder / "out").rglob("*") if p.is_file())
    kept = [p for p in found if p.name != "cost.json" and not p.name.endswith(".lock")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in kept}


def _told(run: dict[str, Any]) -> str:
    """Say which steps the kills hit, for people."""
    lines = [
        f"{'killed' if a['status'] == -9 else a['status']} in {a['began'] or 'the beginning'}, "
        f"unfinished: {', '.join(a['unfinished']) or 'nothing'}"
        for a in run["attempts"]
    ]
    return "\n".join(lines)


def _compare(root: Path, number: int, run: dict[str, Any]) -> list[str]:
    """Check that a killed run made what the first one made; list the steps in which it was killed."""
    whole, killed = _files(root / "0"), _files(root / str(number))
    assert len(whole) > 60
    assert sorted(killed) == sorted(whole), _told(run)
    assert [name for name in whole if killed[name] != whole[name]] == [], _told(run)
    return [a["began"] for a in run["attempts"] if a["status"] == -9]


def test_killed_anywhere_it_ends_with_the_same_bytes(world, tmp_path):
    rng = np.random.default_rng(7)
    # Ten moments, spread over the whole time, most of which is training;
    moments = [{"moment": round(float(share), 4)} for share in (np.arange(10) + rng.random(10)) / 10]
    # one moment in each step of the flow, however short it is;
    steps = [{"step": number, "share": round(float(share), 3)} for number, share in enumerate(rng.random(18) * 0.8)]
    # and, again and again, just before a file is opened, renamed or removed.
    changes = [{"changes": int(number)} for number in rng.integers(10, 90, 8)]
    whole, timed, stepped, changed = _distil(world, tmp_path, moments, steps, changes, epochs=20)
    assert len(whole["steps"]) == 18, whole["steps"]

    hit = _compare(tmp_path, 1, timed)
    assert len(hit) >= 9, _told(timed)
    assert hit.count("model") >= 4, _told(timed)

    hit = _compare(tmp_path, 2, stepped)
    assert len(hit) >= 16, _told(stepped)
    assert len(set(hit)) >= 12, _told(stepped)

    hit = _compare(tmp_path, 3, changed)
    assert len(hit) >= 6, _told(changed)


@pytest.mark.slow
def test_killed_before_any_change_of_files_it_ends_with_the_same_bytes(world, tmp_path):
    """One death in each run, just before its first, fifth, ninth, ... change of a file or folder."""
    numbers = range(1, 640, 4)
    whole, *killed = _distil(world, tmp_path, *([{"changes": number}] for number in numbers), epochs=1)
    hit = [name for number, run in enumerate(killed, 1) for name in _compare(tmp_path, number, run)]
    assert len(hit) > 80, "most of the deaths came before the end"
    assert set(hit) >= set(whole["steps"]), len(hit)
