"""The same seed gives the same bytes, another seed another draw, and a new query moves nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rankstill.candidates.sample import Given, SampleSpec, sample
from rankstill.collection.load import load
from rankstill.collection.splits import training_split
from rankstill.collection.store import Collection
from rankstill.groups.build import GroupSpec, build_groups
from rankstill.records import Groups, Pairs
from rankstill.teachers import open_teacher, score
from tests.tiny_collections import make_collection
from tests.tiny_folders import beir_folder
from tests.tiny_models import tiny_bi_encoder, tiny_transformer

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Twenty training queries, four test queries, a teacher, and a model to start from."""
    root = tmp_path_factory.mktemp("world")
    beir_folder(root / "data", 60, train=range(20), test=range(20, 24))
    tiny_bi_encoder(root / "teacher")
    tiny_transformer(root / "start")
    return root


def _args(world: Path, *more: str) -> list[str]:
    args = ["distill", "--collection", str(world / "data"), "--teacher", str(world / "teacher"), "--out", "out"]
    args += ["--start", str(world / "start"), "--layers", "1", "--max-length", "48", "--epochs", "2"]
    return [*args, "--size", "4", "--depth", "20", *more]


def _files(folder: Path) -> dict[str, bytes]:
    """Read every file of an output but costs and locks."""
    kept = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "cost.json"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in kept if not p.name.endswith(".lock")}


@pytest.fixture
def distilled(rankstill, world, tmp_path, monkeypatch):
    """Distil in a working folder of its own, so that every run can be the same command."""

    def run(name: str, *more: str) -> dict[str, bytes]:
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        done = rankstill(*_args(world, *more))
        assert done.code == 0, done.err
        return _files(Path("out"))

    return run


@pytest.mark.parametrize("student", ["cross-encoder", "bi-encoder", "static"])
def test_the_same_seed_gives_the_same_bytes(distilled, student):
    first = distilled("first", "--student", student)
    assert len(first) > 40
    again = distilled("again", "--student", student)
    assert [name for name in first if again.get(name) != first[name]] == []
    assert again.keys() == first.keys()


def test_edited_texts_are_the_same_again(distilled, rankstill):
    first, again = (distilled(name, "--student", "static", "--strategy", "dark") for name in ("first", "again"))
    assert "negatives/dark/candidates-collection/documents.1.arrow" in first
    assert again == first
    # What came of it can be audited: the groups' documents are looked for where they are.
    done = rankstill("audit", "out")
    assert done.code == 0, done.err
    assert "negatives of dark" in done.err


def test_another_process_gives_the_same_bytes(distilled, world, tmp_path):
    """Another process hashes strings by another salt, and has another working folder, time zone and language."""
    first = distilled("first")
    # The embedded default is out of the way here as well.
    program = (
        "import rankstill.studies.distill as d, rankstill.cli as c; d.embedded_is_installed = lambda: False; c.main()"
    )
    other = {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "COLUMNS": "50", "PYTHONPATH": str(ROOT)}
    (tmp_path / "other").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program, *_args(world)],
        cwd=tmp_path / "other",
        env={**os.environ, **other},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    again = _files(tmp_path / "other" / "out")
    assert again.keys() == first.keys()
    assert [name for name in first if again[name] != first[name]] == []


def test_another_seed_is_another_draw(distilled):
    one, two = (distilled(seed, "--student", "static", "--seed", seed) for seed in ("1", "2"))
    same = {name for name in one if one[name] == two.get(name)}
    assert "collection/documents.arrow" in same
    assert "tests/data/first-stage/run.trec" in same
    (weights,) = (name for name in one if name.startswith("model/") and name.endswith("model.safetensors"))
    drawn = {f"negatives/bm25/{stage}.parquet" for stage in ("candidates/candidates", "groups/groups")}
    assert drawn < one.keys()
    assert not same & {*drawn, weights, "summary.json"}


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_number_of_queries_asked_for_moves_no_draw(rankstill, world, split):
    """A query's draw is its own, however many others are drawn for."""
    assert rankstill("load", world / "data", "--out", "c").code == 0
    drawn = []
    for limit in (0, 2):
        args = ("--strategy", "random", "--negatives", 3, "--split", split, "--queries", limit)
        assert rankstill("sample", "c", *args, "--out", f"of{limit}").code == 0
        drawn.append(Pairs.read(Path(f"of{limit}/candidates.parquet")))
    everything, few = ({int(q): p.doc[s].tolist() for q, s in p.per_query().items()} for p in drawn)
    assert len(few) == 2 < len(everything)
    assert few == {query: everything[query] for query in few}


WORDS = ["wing", "slip", "stream", "jet", "flow", "shock", "heat", "plate"]
DOCUMENTS = {f"d{i}": f"{WORDS[i % 8]} {WORDS[(3 * i + 1) % 8]} report{i}" for i in range(80)}
QUERIES = {f"q{i}": f"{WORDS[i % 8]} {WORDS[(i + 3) % 8]}" for i in range(12)}
JUDGED = [("train", f"q{i}", f"d{5 * i}", 1) for i in range(12)]


def _draw(collection: Collection, folder: Path, strategy: str, teacher: str):
    """Draw, score and group for all training queries; list each query's documents with their scores, by id."""
    queries = np.array(sorted(collection.qrels("train").positives()), np.uint32)
    wider = None
    if strategy == "teacher":
        pool = sample(collection.path, folder / "pool", SampleSpec("bm25", 20, 20), queries=queries)
        wider = score(collection.path, pool, open_teacher(teacher), folder / "wider")
    drawn = sample(collection.path, folder / "cand", SampleSpec(strategy, 6, 20), queries=queries, given=Given(wider))
    positives = Pairs(queries, *_first_positives(collection, queries))
    scored = score(collection.path, [drawn, positives], open_teacher(teacher), folder / "scores")
    groups = Groups.read(build_groups(collection.path, drawn, scored, folder / "g", GroupSpec(5)) / "groups.parquet")
    candidates = Pairs.read(drawn / "candidates.parquet")
    ids = collection.documents.ids
    found = {}
    for query, span in candidates.per_query().items():
        (row,) = np.flatnonzero(groups.query == query)
        group = list(zip(ids(groups.doc[row]), groups.score[row].tolist(), strict=True))
        found[collection.queries.id(query)] = (ids(candidates.doc[span]), group)
    return found


def _first_positives(collection: Collection, queries):
    doc = np.array([collection.qrels("train").positives()[int(q)][0] for q in queries], np.uint32)
    return doc, np.full(len(doc), np.nan, np.float32)


@pytest.mark.parametrize("strategy", ["random", "bm25", "teacher"])
def test_a_new_query_changes_no_other_querys_group(tmp_path, strategy):
    teacher = str(tiny_bi_encoder(tmp_path / "teacher"))
    before = make_collection(tmp_path / "a", DOCUMENTS, QUERIES, JUDGED)
    # The new ones stand in front, so that every row moves.
    more = {"new1": "heat plate", "new2": "jet", **QUERIES}
    judged = [("train", "new1", "d7", 1), ("train", "new2", "d3", 1), *JUDGED]
    after = make_collection(tmp_path / "b", DOCUMENTS, more, judged)
    first = _draw(before, tmp_path / "x", strategy, teacher)
    second = _draw(after, tmp_path / "y", strategy, teacher)
    assert second.keys() - first.keys() == {"new1", "new2"}
    assert {query: second[query] for query in first} == first


def test_a_new_query_moves_no_other_between_train_and_dev(tmp_path):
    """Held out are the queries with the smallest hashes: one more query moves at most one of the others."""
    queries = {f"q{i}": f"text {i}" for i in range(60)}
    judged = [("train", q, "d0", 1) for q in queries]
    before = make_collection(tmp_path / "a", {"d0": "x", "d1": "y"}, queries, judged)
    after = make_collection(
        tmp_path / "b", {"d0": "x", "d1": "y"}, {"new": "n", **queries}, [("train", "new", "d0", 1), *judged]
    )
    held = [set(c.queries.ids(training_split(c).dev)) for c in (before, after)]
    assert len(held[0]) == len(held[1]) == 6
    assert len(held[0] & held[1]) >= 5
    assert held[1] <= held[0] | {"new"}


def test_the_order_of_the_source_is_the_order_of_the_rows(tmp_path):
    """Loading twice gives the same files, whatever the folder is called."""
    data = beir_folder(tmp_path / "data", 20, test=range(3))
    one, two = load(str(data), tmp_path / "one"), load(str(data), tmp_path / "elsewhere" / "two")
    assert _files(one) == _files(two)
    assert Collection(one).documents.ids() == [f"d{i}" for i in range(20)]
