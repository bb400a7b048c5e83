"""The stage `measure`: means and paired differences by hand, whose order counts, and what is kept or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rankstill.collection.load import load
from rankstill.collection.source import Source
from rankstill.errors import DataError, OutputError, SpecError
from rankstill.files import read_manifest
from rankstill.measures import measure as stage
from rankstill.measures.measure import MeasureSpec, measure
from rankstill.records import Pairs
from tests.tiny_collections import make_collection

RR = MeasureSpec(measures=("RR@10",))
DOCUMENTS = {f"d{i}": f"text {i}" for i in range(4)}
QUERIES = {f"q{i}": f"ask {i}" for i in range(4)}


@pytest.fixture
def collection(tmp_path) -> Path:
    """Three test queries with one positive each: q0 d0, q1 d1, q2 d2; q3 is of another split."""
    judgements = [("test", f"q{i}", f"d{i}", 1) for i in range(3)] + [("dev", "q3", "d0", 1)]
    return make_collection(tmp_path / "collection", DOCUMENTS, QUERIES, judgements).path


@pytest.fixture
def run(tmp_path):
    """Write a run's documents, best first, by query; scores fall unless they are given."""

    def write(name: str, lists: dict[int, list[int]], score: float | None = None) -> Path:
        query = [q for q, docs in lists.items() for _ in docs]
        doc = [d for docs in lists.values() for d in docs]
        scores = [-float(rank) if score is None else score for docs in lists.values() for rank in range(len(docs))]
        folder = tmp_path / name
        folder.mkdir()
        table = Pairs(np.array(query, np.uint32), np.array(doc, np.uint32), np.array(scores, np.float32))
        table.write(folder / "run.parquet")
        return folder

    return write


def results(folder: Path) -> dict[tuple[str, str], dict]:
    return {(row["system"], row["measure"]): row for row in json.loads((folder / "results.json").read_text())}


def test_means_and_paired_difference_by_hand(tmp_path, collection, run):
    runs = {
        "BM25": run("first", {0: [0, 1], 1: [2, 1]}),  # RR 1, 1/2, and 0 for the query that it lacks
        "student": run("second", {0: [1, 0], 1: [1], 2: [0, 1, 2]}),  # RR 1/2, 1, 1/3
    }
    out = measure(collection, runs, tmp_path / "out", RR)
    found = results(out)
    assert list(found) == [("BM25", "RR@10"), ("student", "RR@10")]
    first, student = found.values()
    assert (first["mean"], first["n"]) == (pytest.approx(1 / 2), 3)
    assert (student["mean"], student["n"]) == (pytest.approx(11 / 18), 3)
    assert student["difference"] == pytest.approx(1 / 9)
    assert student["difference_low"] < 1 / 9 < student["difference_high"]
    assert "difference" not in first, "nothing is compared with itself"
    for row in found.values():
        assert 0 <= row["low"] <= row["mean"] <= row["high"] <= 1
    table = pq.read_table(out / "per_query.parquet").to_pylist()
    values = {(row["system"], row["query"], row["measure"]): row["value"] for row in table}
    assert values == {
        ("BM25", "q0", "RR@10"): 1,
        ("BM25", "q1", "RR@10"): 1 / 2,
        ("BM25", "q2", "RR@10"): 0,
        ("student", "q0", "RR@10"): 1 / 2,
        ("student", "q1", "RR@10"): 1,
        ("student", "q2", "RR@10"): pytest.approx(1 / 3),
    }
    assert len(table) == len(values)
    assert read_manifest(out)["counts"] == {"queries": 3, "systems": ["BM25", "student"]}


def test_differences_are_paired_by_query(tmp_path, run):
    """One more relevant document for every query: both means are uncertain, their difference is not."""
    judged = [("test", q, d, 1) for q in QUERIES for d in DOCUMENTS]
    collection = make_collection(tmp_path / "all", DOCUMENTS, QUERIES, judged).path
    runs = {
        "BM25": run("first", {0: [0], 1: [0, 1], 3: [2, 1, 3]}),
        "student": run("second", {0: [2, 0], 1: [3, 1, 2], 2: [1], 3: [0, 1, 2, 3]}),
    }
    first, student = results(measure(collection, runs, tmp_path / "out", MeasureSpec(measures=("P@4",)))).values()
    assert (first["mean"], student["mean"]) == (1.5 / 4, 2.5 / 4)
    assert first["high"] - first["low"] > 0.2
    assert (student["difference"], student["difference_low"], student["difference_high"]) == (0.25, 0.25, 0.25)


def test_swapping_the_baseline_turns_the_difference_round(tmp_path, collection, run):
    runs = {"a": run("first", {0: [0, 1], 1: [2, 1], 2: [0, 1, 2]}), "b": run("second", {0: [1, 0], 1: [1], 2: [2]})}
    of_b = results(measure(collection, runs, tmp_path / "one", replace(RR, baseline="a")))["b", "RR@10"]
    of_a = results(measure(collection, runs, tmp_path / "two", replace(RR, baseline="b")))["a", "RR@10"]
    assert of_a["difference"] == pytest.approx(-of_b["difference"])
    assert of_a["difference_low"] == pytest.approx(-of_b["difference_high"])
    assert of_a["difference_high"] == pytest.approx(-of_b["difference_low"])


def test_without_the_baseline_there_is_no_difference(tmp_path, collection, run):
    row = results(measure(collection, {"student": run("one", {0: [0]})}, tmp_path / "out", RR))["student", "RR@10"]
    assert row["mean"] == pytest.approx(1 / 3)
    assert set(row) == {"system", "measure", "mean", "low", "high", "n"}


def test_a_runs_own_order_counts_not_its_scores(tmp_path, collection, run):
    """All scores are equal; row order would put d0 before d1 and lose for q1, the run's order does not."""
    tied = run("tied", {0: [0, 1], 1: [1, 0], 2: [2, 0]}, score=0.5)
    assert results(measure(collection, {"tied": tied}, tmp_path / "out", RR))["tied", "RR@10"]["mean"] == 1


def test_queries_of_another_split_do_not_count(tmp_path, collection, run):
    runs = {"run": run("one", {0: [0], 1: [1], 2: [2], 3: [1, 0]})}
    row = results(measure(collection, runs, tmp_path / "test", RR))["run", "RR@10"]
    assert (row["mean"], row["n"]) == (1, 3)
    row = results(measure(collection, runs, tmp_path / "dev", replace(RR, split="dev")))["run", "RR@10"]
    assert (row["mean"], row["low"], row["high"], row["n"]) == (0.5, None, None, 1), "one query has no spread"


def test_what_is_relevant_is_the_collections_word(tmp_path, run):
    judgements = [("test", "q0", "d0", 1), ("test", "q0", "d1", 2)]
    source = Source(
        "graded",
        lambda: iter(DOCUMENTS.items()),
        lambda: iter(QUERIES.items()),
        lambda: iter(judgements),
        identity="graded",
    )
    runs = {"run": run("run", {0: [0, 1]})}
    for level, expected in ((1, 1), (2, 1 / 2)):
        collection = load(source, tmp_path / f"c{level}", relevant_from=level)
        assert results(measure(collection, runs, tmp_path / f"m{level}", RR))["run", "RR@10"]["mean"] == expected


def test_a_lower_level_gives_a_narrower_interval(tmp_path, collection, run):
    runs = {"run": run("one", {0: [0], 1: [0, 1], 2: [1]})}
    wide = results(measure(collection, runs, tmp_path / "wide", RR))["run", "RR@10"]
    narrow = results(measure(collection, runs, tmp_path / "narrow", replace(RR, level=0.5)))["run", "RR@10"]
    assert wide["low"] < narrow["low"] < narrow["mean"] < narrow["high"] < wide["high"]


def test_a_finished_stage_is_used_again(tmp_path, collection, run, monkeypatch):
    runs = {"BM25": run("first", {0: [0], 1: [0, 1]}), "student": run("second", {0: [0], 2: [2]})}
    out = measure(collection, runs, tmp_path / "out", MeasureSpec())
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(stage, "measure_run", lambda *_: pytest.fail("measured again"))
        assert measure(collection, runs, out, MeasureSpec()) == out
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    # And anew the bytes are the same.
    again = measure(collection, runs, tmp_path / "again", MeasureSpec())
    assert {p.name for p in again.iterdir()} == set(before)
    assert all((again / name).read_bytes() == data for name, data in before.items() if name != "cost.json")


def test_a_folder_of_other_runs_or_settings_is_refused(tmp_path, collection, run):
    runs = {"BM25": run("first", {0: [0], 1: [1]})}
    out = measure(collection, runs, tmp_path / "out", RR)
    with pytest.raises(OutputError, match=r"its spec differs \(there: seed = 1; asked: seed = 2\)"):
        measure(collection, runs, out, replace(RR, seed=2))
    with pytest.raises(OutputError, match=r"its inputs differ .*run student"):
        measure(collection, {**runs, "student": run("second", {0: [1, 0]})}, out, RR)
    path = runs["BM25"] / "run.parquet"
    Pairs.read(path).write(path)
    assert measure(collection, runs, out, RR) == out, "the same pairs are the same bytes"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"split": "tests"}, SpecError, "unknown split 'tests'"),
        ({"measures": ("RR@10", "nDGC@10")}, SpecError, "'nDGC@10' is not a measure"),
        ({"split": "dev"}, DataError, "none of the run's 2 queries is among the 1 judged ones"),
        ({"level": 95}, SpecError, "level is 95; it must be between 0 and 1"),
    ],
)
def test_what_cannot_be_measured_is_said_and_no_output_appears(tmp_path, collection, run, change, error, message):
    with pytest.raises(error, match=message):
        measure(collection, {"BM25": run("first", {0: [0], 1: [1]})}, tmp_path / "out", replace(RR, **change))
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_not_there_is_named(tmp_path, collection):
    with pytest.raises(DataError, match=r"there is nothing at .*nowhere"):
        measure(collection, {"BM25": tmp_path / "nowhere"}, tmp_path / "out", RR)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"there is no file .*run\.parquet"):
        measure(collection, {"BM25": tmp_path / "empty"}, tmp_path / "out", RR)
