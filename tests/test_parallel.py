"""Work shared out over a Ray cluster ends with the same bytes as here."""

import json
import os
import subprocess
import sys

import pytest

from rankstill.errors import SpecError
from rankstill.parallel import is_spread, on_ray, spread, unloaded
from tests.tiny_collections import word_collection
from tests.tiny_models import tiny_bi_encoder, tiny_cross_encoder

SCRIPT = """
import json, sys
import numpy as np, torch
from pathlib import Path
torch.set_num_threads(1)
from rankstill.parallel import on_ray
from rankstill.records import Pairs
from rankstill.teachers import open_teacher, score
collection, out, teachers = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
query, doc = (a.ravel().astype(np.uint32) for a in np.meshgrid(np.arange(20), np.arange(70), indexing="ij"))
pairs = Pairs(query, doc, np.zeros(len(query), np.float32))
with on_ray("local", 2):
    import rankstill.teachers.encode, rankstill.teachers.cross_encoder
    rankstill.teachers.encode.CHUNK = 16
    for number, name in enumerate(teachers):
        score(collection, pairs, open_teacher(name, precision="float32"), out / f"ray{number}")
for number, name in enumerate(teachers):
    score(collection, pairs, open_teacher(name, precision="float32"), out / f"here{number}")
"""


def test_two_workers_give_the_same_bytes(tmp_path):
    """1,400 pairs by a cross-encoder (two chunks of 1,024) and by a bi-encoder (texts in chunks of 16)."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'rankstill[ray]'")
    collection = word_collection(tmp_path / "c", documents=70, queries=20)
    models = [str(tiny_cross_encoder(tmp_path / "ce")), str(tiny_bi_encoder(tmp_path / "be"))]
    line = [sys.executable, "-c", SCRIPT, str(collection.path), str(tmp_path / "out"), *models]
    environment = {**os.environ, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Ray: 2 workers of 1 threads" in done.stderr
    for number in range(2):
        there, here = (tmp_path / "out" / f"{where}{number}" for where in ("ray", "here"))
        assert (there / "scores.parquet").read_bytes() == (here / "scores.parquet").read_bytes()
        assert (there / "manifest.json").read_bytes() == (here / "manifest.json").read_bytes()
        counts = [json.loads((folder / "cost.json").read_text())["scored"] for folder in (there, here)]
        assert counts[0] == counts[1] > 512


def test_without_a_cluster_pieces_are_computed_here_one_by_one():
    done = []

    def work(shared, piece):
        done.append(piece)
        return shared + piece

    results = spread(work, 10, iter([1, 2, 3]))
    assert next(results) == 11
    assert done == [1]
    assert list(results) == [12, 13]
    with on_ray(""):
        assert not is_spread()


def test_what_is_sent_leaves_loaded_models_behind(tmp_path):
    from rankstill.teachers import open_teacher

    teacher = open_teacher(str(tiny_cross_encoder(tmp_path / "ce")))
    teacher.score_texts(["a"], ["b"])
    assert "_model" in vars(teacher)
    assert "_model" not in unloaded(teacher)
    assert unloaded(teacher)["fingerprint"] == teacher.fingerprint


def test_ray_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SpecError, match="Ray is not installed"), on_ray("local"):
        pass
