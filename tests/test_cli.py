"""The command line: the flow in order, paths on stdout, two-line errors, nothing written by a dry run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_models import tiny_bi_encoder, tiny_transformer


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("world")
    data = root / "data"
    (data / "qrels").mkdir(parents=True)
    words = ["wing", "flow", "heat", "lift", "cone", "nose", "wave"]
    texts = [f"{words[i % 7]} {words[(i * 3 + 1) % 7]} {words[(i * 5 + 2) % 7]} report{i}" for i in range(40)]
    corpus = [json.dumps({"_id": f"d{i}", "text": t}) for i, t in enumerate(texts)]
    (data / "corpus.jsonl").write_text("\n".join(corpus) + "\n")
    queries = [json.dumps({"_id": f"q{i}", "text": texts[i].rsplit(" ", 1)[0]}) for i in range(8)]
    (data / "queries.jsonl").write_text("\n".join(queries) + "\n")
    for split, rows in (("train", range(6)), ("test", range(6, 8))):
        lines = ["query-id\tcorpus-id\tscore", *(f"q{i}\td{i}\t1" for i in rows)]
        (data / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    tiny_bi_encoder(root / "teacher")
    tiny_transformer(root / "start")
    return root


def _run(*args: object, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rankstill.cli", *map(str, args)]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, check=False)


def test_help_reads_as_the_flow(tmp_path):
    shown = _run("--help", cwd=tmp_path).stdout
    places = [
        shown.index(f"│ {name} ")
        for name in [
            "load",
            "sample",
            "score",
            "group",
            "train",
            "rank",
            "measure",
            "report",
            "distill",
            "demo",
            "rerank",
        ]
    ]
    assert places == sorted(places)


def test_the_stages_one_by_one(world, tmp_path):
    steps = [
        ("load", world / "data", "--out", "c"),
        ("sample", "c", "--negatives", 3, "--out", "cand"),
        ("score", "c", "cand", "--teacher", world / "teacher", "--out", "scores"),
        ("group", "c", "cand", "scores", "--size", 4, "--out", "groups"),
        ("train", "c", "groups", "--student", "static", "--start", world / "start", "--out", "model"),
        ("rank", "c", "--out", "first"),
        ("rank", "c", "model", "--lists", "first", "--out", "run"),
        ("measure", "c", "BM25=first", "student=run", "--out", "measures"),
    ]
    for step in steps:
        done = _run(*step, cwd=tmp_path)
        assert done.returncode == 0, (step, done.stderr)
        assert done.stdout == f"{step[-1]}\n"
    assert (tmp_path / "measures" / "per_query.parquet").is_file()
    asked = json.dumps({"query": "wing flow", "documents": ["heat", {"id": 7, "text": "wing flow lift"}]})
    ranked = json.loads(_run("rerank", "model", cwd=tmp_path, stdin=asked + "\n").stdout)
    assert sorted(d.get("id", 0) for d in ranked["documents"]) == [0, 7]
    assert ranked["documents"][0]["score"] >= ranked["documents"][1]["score"]


def test_errors_are_two_lines_and_a_code(world, tmp_path):
    done = _run("load", "nowhere", cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("error: ")
    assert "hint: " in done.stderr
    done = _run("distill", "--collection", world / "data", "--out", "o", "--loss", "klm", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown loss 'klm'" in done.stderr
    assert "did you mean 'kl'" in done.stderr
    done = _run("rerank", world / "start", cwd=tmp_path, stdin="not json\n")
    assert "line 1 is not JSON" in done.stderr


def _distill(world: Path, cwd: Path, *more: object) -> subprocess.CompletedProcess[str]:
    args = [
        "--collection",
        world / "data",
        "--teacher",
        world / "teacher",
        "--start",
        world / "start",
        "--student",
        "static",
    ]
    return _run("distill", *args, "--size", 4, "--depth", 10, "--out", "out", *more, cwd=cwd)


def test_a_dry_run_counts_and_writes_nothing(world, tmp_path):
    done = _distill(world, tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "24 pairs asked" in done.stderr  # six queries with three negatives and a positive
    assert not list(tmp_path.iterdir())


def test_distilling_refuses_the_folder_of_another_run(world, tmp_path):
    done = _distill(world, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out/model\n"
    report = (tmp_path / "out" / "report.html").read_bytes()
    refused = _distill(world, tmp_path, "--loss", "lce")
    assert refused.returncode == 1
    assert "output of another run" in refused.stderr
    assert "lce" in refused.stderr
    assert (tmp_path / "out" / "report.html").read_bytes() == report
    again = _run("report", "out", cwd=tmp_path)
    assert again.stdout == "out/report.html\n"
    assert (tmp_path / "out" / "report.html").read_bytes() == report


def test_queries_alone_are_enough(world, tmp_path):
    (tmp_path / "bare").mkdir()
    for name in ("corpus.jsonl", "queries.jsonl"):
        (tmp_path / "bare" / name).write_bytes((world / "data" / name).read_bytes())
    done = _distill(world, tmp_path, "--collection", "bare", "--test", world / "data")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "stands in for the positive" in " ".join(summary["notes"])
