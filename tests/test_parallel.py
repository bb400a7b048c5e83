"""Work shared out over a Ray cluster ends with the same bytes as here."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from rankstill.collection.store import Collection
from rankstill.errors import SpecError
from rankstill.parallel import is_spread, on_ray, spread, unloaded
from rankstill.teachers import open_teacher
from rankstill.teachers.textwise import CodeFiles
from tests.tiny_collections import word_collection
from tests.tiny_models import (
    tiny_bi_encoder,
    tiny_cross_encoder,
    tiny_late_interaction,
    tiny_sequence,
    tiny_sparse,
)

SCRIPT = """
import json, sys
import numpy as np, torch
from pathlib import Path
torch.set_num_threads(1)
from rankstill.collection.store import Collection
from rankstill.errors import ModelError
from rankstill.groups.filters.judge import judge_pairs
from rankstill.parallel import on_ray, spread
from rankstill.records import Pairs
from rankstill.teachers import cross_encoder, encode, late_interaction, open_teacher, score, sequence, sparse, textwise
collection, out = Path(sys.argv[1]), Path(sys.argv[2])
teachers, judge, broken = json.loads(sys.argv[3]), sys.argv[4], sys.argv[5]
query, doc = (a.ravel().astype(np.uint32) for a in np.meshgrid(np.arange(20), np.arange(70), indexing="ij"))
pairs = Pairs(query, doc, np.zeros(len(query), np.float32))
encode.CHUNK = textwise._CHUNK = 16

def score_all(where):
    for name, reference in teachers.items():
        opened = open_teacher(reference, precision="float32")
        score(collection, pairs, opened, out / where / name, out / where / "store")
    (out / where / "work").mkdir()
    judged = judge_pairs(Collection(collection), query, doc, open_teacher(judge), out / where / "work")[0]
    np.save(out / where / "judged.npy", judged)

def here(*_):
    raise AssertionError("a model ran in the driver")

work = [
    (cross_encoder.CrossEncoderTeacher, "score"),
    (sequence.SequenceTeacher, "score"),
    (encode.Encoder, "encode"),
    *((c, n) for c in (sparse.SparseCoder, late_interaction.LateInteractionCoder) for n in ("encode", "compare")),
]
own = [getattr(kind, name) for kind, name in work]
with on_ray("local", 2):
    # Classes of modules are looked up in the workers, so this is so here alone.
    for kind, name in work:
        setattr(kind, name, here)
    score_all("ray")
    threads = list(spread(lambda shared, piece: torch.get_num_threads(), (), range(4)))
    (out / "threads").write_text(json.dumps([*threads, torch.get_num_threads()]))
    try:
        score(collection, pairs, open_teacher(broken), out / "broken")
    except ModelError as error:
        (out / "refused").write_text(f"{type(error).__name__}: {error}")
for (kind, name), function in zip(work, own):
    setattr(kind, name, function)
score_all("here")
"""


def _references(folder):
    """Name a teacher of every kind that computes; the ensemble's members are models of their own."""
    made = {
        "cross-encoder": tiny_cross_encoder(folder / "ce"),
        "bi-encoder": tiny_bi_encoder(folder / "be"),
        "sparse": tiny_sparse(folder / "sparse"),
        "late-interaction": tiny_late_interaction(folder / "li", False),
        "sequence": tiny_sequence(folder / "t5"),
    }
    members = tiny_cross_encoder(folder / "two", labels=2), tiny_sparse(folder / "cosine", "cosine")
    made["ensemble"] = f"ensemble:[{members[0]}]+[{members[1]}]#normalise=z"
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        return made
    from tests.test_onnx import with_graph

    made["onnx cross-encoder"] = f"{with_graph(tiny_cross_encoder(folder / 'xce'), True)}#backend=onnx"
    made["onnx bi-encoder"] = f"{with_graph(tiny_bi_encoder(folder / 'xbe'), False)}#backend=onnx"
    return made


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Score 1,400 pairs by every teacher, on two workers of one cluster and then without it."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'rankstill[ray]'")
    folder = tmp_path_factory.mktemp("ray")
    collection = word_collection(folder / "c", documents=70, queries=20)
    teachers = {name: str(reference) for name, reference in _references(folder).items()}
    broken = tiny_cross_encoder(folder / "broken", labels=3)
    arguments = [collection.path, folder / "out", json.dumps(teachers), teachers["cross-encoder"], broken]
    environment = {**os.environ, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "Ray: 2 workers of 1 threads" in ended.stderr
    return folder / "out", list(teachers)


def test_two_workers_give_the_same_bytes(done):
    """And this process computes nothing: the script fails where a model runs in it."""
    out, teachers = done
    assert len(teachers) >= 6
    for name in teachers:
        there, here = out / "ray" / name, out / "here" / name
        assert (there / "scores.parquet").read_bytes() == (here / "scores.parquet").read_bytes(), name
        assert (there / "manifest.json").read_bytes() == (here / "manifest.json").read_bytes(), name
        counts = [json.loads((folder / "cost.json").read_text())["scored"] for folder in (there, here)]
        assert counts[0] == counts[1] > 512, name


def test_workers_judge_the_same(done):
    out, _ = done
    assert (out / "ray" / "judged.npy").read_bytes() == (out / "here" / "judged.npy").read_bytes()


def test_the_stores_hold_the_same(done):
    out, _ = done
    stores = [
        {p.relative_to(out / where): p.read_bytes() for p in (out / where / "store").rglob("part-*")}
        for where in ("ray", "here")
    ]
    assert stores[0] == stores[1]
    assert len(stores[0]) > 10


def test_workers_use_as_many_threads_as_this_process(done):
    """A score's last bits may depend on them."""
    out, _ = done
    assert (out / "threads").read_text() == "[1, 1, 1, 1, 1]"


def test_a_worker_refuses_a_model_as_this_process_would(done):
    out, _ = done
    assert (out / "refused").read_text().startswith("ModelError: broken gives 3 outputs for a pair")
    assert "hint: use a model that was trained to rank" in (out / "refused").read_text()


def test_without_a_cluster_pieces_are_computed_here_one_by_one():
    done = []

    def work(shared, piece):
        done.append(piece)
        return shared[0] + piece

    results = spread(work, (10,), iter([1, 2, 3]))
    assert next(results) == 11
    assert done == [1]
    assert list(results) == [12, 13]
    with on_ray(""):
        assert not is_spread()


def test_what_is_sent_leaves_loaded_models_behind(tmp_path, monkeypatch):
    tiny_cross_encoder(tmp_path / "ce")
    monkeypatch.chdir(tmp_path)
    teacher = open_teacher("./ce")
    teacher.score_texts(["a"], ["b"])
    assert "_model" in vars(teacher)
    assert "_model" not in unloaded(teacher)
    assert unloaded(teacher)["fingerprint"] == teacher.fingerprint
    # Another process may stand in another folder.
    assert unloaded(teacher)["path"] == tmp_path / "ce"


def test_texts_and_codes_are_sent_as_their_places(tmp_path, monkeypatch):
    word_collection(tmp_path / "c", documents=9)
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps((Collection("c"), Collection("c").queries, CodeFiles(tmp_path, "documents", 4)))
    assert len(sent) < 1000
    monkeypatch.chdir("/")
    collection, queries, codes = pickle.loads(sent)
    assert collection.documents[8] == Collection(tmp_path / "c").documents[8]
    assert queries.what == "queries"
    assert (codes.folder, codes.size) == (tmp_path, 4)


def test_ray_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SpecError, match="Ray is not installed"), on_ray("local"):
        pass


class FakeRay(SimpleNamespace):
    """Stands in for the module: notes what it is asked for."""

    def __init__(self, error: BaseException | None = None, processors: int = 64, up: bool = False):
        super().__init__(calls=[], up=up)
        self._error, self._processors = error, processors

    def is_initialized(self):
        return self.up

    def init(self, **options):
        self.calls.append("init")
        if self._error:
            raise self._error

    def cluster_resources(self):
        return {"CPU": float(self._processors)}

    def shutdown(self):
        self.calls.append("shutdown")


@pytest.mark.parametrize(
    ("ray", "raised", "message"),
    [
        (FakeRay(ConnectionError("nobody there\nand more")), SpecError, "no Ray cluster at auto: nobody there$"),
        (FakeRay(RuntimeError()), SpecError, "no Ray cluster at auto: RuntimeError"),
        (FakeRay(KeyboardInterrupt()), KeyboardInterrupt, ""),
        (FakeRay(processors=0), SpecError, "processors for 0 workers"),
    ],
)
def test_what_a_failed_start_leaves_is_shut_down(monkeypatch, ray, raised, message):
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(raised) as error, on_ray("auto"):
        pass
    if raised is SpecError:
        assert re.search(message, error.value.message)
    assert ray.calls == ["init", "shutdown"]
    assert not is_spread()


def test_a_cluster_of_the_callers_own_is_left_alone(monkeypatch):
    ray = FakeRay(up=True)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(SpecError, match="connected to a Ray cluster already"), on_ray("auto"):
        pass
    assert not ray.calls
