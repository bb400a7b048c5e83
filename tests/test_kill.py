"""Killed at any moment, the same command continues and ends with the same bytes as an uninterrupted run."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_collections import WORDS
from tests.tiny_models import tiny_bi_encoder, tiny_transformer

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Write a BEIR folder, a teacher and a start model."""
    root = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS, 12)) + f" report{i}" for i in range(80)]
    data = root / "data"
    (data / "qrels").mkdir(parents=True)
    with (data / "corpus.jsonl").open("w") as file:
        file.writelines(json.dumps({"_id": f"d{i}", "title": "", "text": t}) + "\n" for i, t in enumerate(texts))
    with (data / "queries.jsonl").open("w") as file:
        file.writelines(json.dumps({"_id": f"q{i}", "text": " ".join(texts[i].split()[:4])}) + "\n" for i in range(40))
    for split, rows in (("train", range(32)), ("test", range(32, 40))):
        lines = [f"q{i}\td{i}\t1" for i in rows]
        (data / "qrels" / f"{split}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n")
    tiny_bi_encoder(root / "teacher")
    tiny_transformer(root / "start")
    return root


def _run(world: Path, where: Path, moments: list[float], *more: str) -> tuple[dict[str, bytes], str, float]:
    """Distil in `where`, killed at the given moments first; return every file but the costs."""
    where.mkdir()
    args = ["distill", "--collection", str(world / "data"), "--teacher", str(world / "teacher"), "--out", "out"]
    args += ["--start", str(world / "start"), "--layers", "1", "--max-length", "48", "--strategy", "teacher"]
    args += ["--size", "8", "--depth", "20", "--checkpoint-every", "0.05", *more]
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.killed", ",".join(map(str, moments)), *args]
    # tests.killed runs in `where`, so that both runs see the same relative paths.
    done = subprocess.run(command, cwd=where, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    out = where / "out"
    files = {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
    kept = {n: b for n, b in files.items() if not n.endswith(("cost.json", ".lock"))}
    return kept, done.stdout, time.monotonic() - began


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def test_killed_ten_times_it_ends_with_the_same_bytes(world, tmp_path):
    more = ("--epochs", "12")
    whole, _, _ = _run(world, tmp_path / "whole", [], *more)
    again, log, _ = _run(world, tmp_path / "again", [], *more)
    assert again == whole, "two uninterrupted runs differ"
    # Each attempt continues where the last one stopped, so that short lives reach every stage in turn.
    rng = np.random.default_rng(7)
    moments = [round(float(m), 3) for m in rng.uniform(0.05, 1.2, 10)]
    killed, log, _ = _run(world, tmp_path / "killed", moments, *more)
    assert sorted(killed) == sorted(whole), log
    assert [name for name in whole if killed[name] != whole[name]] == [], log
    assert log.count("status 9,") >= 5, f"too few attempts were killed:\n{log}"
    assert not [name for name in killed if name.endswith(".part")]


def test_another_seed_is_another_model(world, tmp_path):
    one, _, _ = _run(world, tmp_path / "one", [], "--epochs", "1")
    two, _, _ = _run(world, tmp_path / "two", [], "--epochs", "1", "--seed", "2")
    assert one["model/model.safetensors"] != two["model/model.safetensors"]
    assert one["collection/documents.arrow"] == two["collection/documents.arrow"]
