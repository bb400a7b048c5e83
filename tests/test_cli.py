"""The command line: the flow in order, paths on stdout, errors of two lines, and nothing written by a dry run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rankstill.files import read_manifest
from tests.tiny_folders import beir_folder, write_lines, write_qrels
from tests.tiny_models import tiny_bi_encoder, tiny_cross_encoder, tiny_transformer

FLOW = ["load", "sample", "score", "group", "train", "rank", "measure", "report", "distill", "demo", "rerank"]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Twenty training queries, four test queries, a teacher, and a model to start from."""
    root = tmp_path_factory.mktemp("world")
    beir_folder(root / "data", 60, train=range(20), test=range(20, 24))
    tiny_bi_encoder(root / "teacher")
    tiny_transformer(root / "start")
    return root


@pytest.fixture
def distill(rankstill, world):
    """Distil a static student from four documents a group."""

    def run(*more: object, **options: object):
        settings = {"collection": world / "data", "teacher": world / "teacher", "start": world / "start"}
        settings |= {"student": "static", "size": 4, "depth": 10, "out": "out", **options}
        return rankstill("distill", *[part for k, v in settings.items() for part in (f"--{k}", v)], *more)

    return run


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_help_reads_as_the_flow(rankstill):
    done = rankstill("--help")
    assert done.code == 0
    places = [done.out.index(f"│ {name} ") for name in FLOW]
    assert places == sorted(places)
    for name in FLOW:
        assert rankstill(name, "--help").code == 0


def test_the_stages_one_by_one(rankstill, world):
    steps = [
        ("load", world / "data", "--out", "c"),
        ("sample", "c", "--negatives", 3, "--out", "cand"),
        ("score", "c", "cand", "--teacher", world / "teacher", "--store", "store", "--out", "scores"),
        ("group", "c", "cand", "scores", "--size", 4, "--out", "groups"),
        ("train", "c", "groups", "--student", "static", "--start", world / "start", "--out", "model"),
        ("rank", "c", "--out", "first"),
        ("rank", "c", "model", "--lists", "first", "--out", "run"),
        ("measure", "c", "BM25=first", "student=run", "--out", "measures"),
    ]
    for again in (False, True):
        before = _files(Path()) if again else {}
        for step in steps:
            done = rankstill(*step)
            assert done.code == 0, (step, done.err)
            assert done.out == f"{step[-1]}\n", "its path, and nothing else"
        assert not again or _files(Path()) == before, "a finished stage is kept"
    assert read_manifest(Path("groups"))["counts"]["teacher"] == "teacher"
    assert Path("run/run.trec").read_text().splitlines()[0].split()[1::4] == ["Q0", "rankstill"]
    results = json.loads(Path("measures/results.json").read_text())
    assert {row["system"] for row in results} == {"BM25", "student"}


def test_a_collection_of_single_files(rankstill, world):
    data = world / "data"
    files = ("--documents", data / "corpus.jsonl", "--queries", data / "queries.jsonl")
    done = rankstill("load", *files, "--qrels", f"dev={data / 'qrels' / 'test.tsv'}", "--out", "c")
    assert done.code == 0, done.err
    assert read_manifest(Path("c"))["counts"]["judgements"] == {"dev": {"queries": 4, "pairs": 4, "positives": 4}}


@pytest.mark.parametrize("kind", [tiny_bi_encoder, tiny_cross_encoder])
def test_reranking_lines(rankstill, tmp_path, kind):
    kind(tmp_path / "model")
    lines = [
        {"query": "wing flow", "documents": ["heat", "wing flow lift", "wing flow"], "year": 1957},
        {"query": "nose", "documents": [{"id": 7, "text": "nose cone"}, {"id": 8, "text": "jet", "n": None}]},
        {"query": "tail", "documents": []},
    ]
    done = rankstill("rerank", "model", stdin="\n\n".join(map(json.dumps, lines)))
    assert done.code == 0, done.err
    ranked = [json.loads(line) for line in done.out.splitlines()]
    assert [r["query"] for r in ranked] == ["wing flow", "nose", "tail"]
    assert ranked[0]["year"] == 1957
    assert sorted(d["text"] for d in ranked[0]["documents"]) == ["heat", "wing flow", "wing flow lift"]
    assert {d["id"]: d["text"] for d in ranked[1]["documents"]} == {7: "nose cone", 8: "jet"}
    for r in ranked:
        scores = [d["score"] for d in r["documents"]]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no json", "line 2 is not JSON"),
        ('["a"]', "line 2 is not a query with documents"),
        ('{"query": "a", "documents": [3]}', "line 2 is not a query with documents"),
        ('{"query": "a", "documents": [{"id": 1}]}', "line 2 is not a query with documents"),
    ],
)
def test_a_broken_line_is_named(rankstill, tmp_path, line, message):
    tiny_bi_encoder(tmp_path / "model")
    done = rankstill("rerank", "model", stdin='{"query": "a", "documents": ["b"]}\n' + line + "\n")
    assert len(done.out.splitlines()) == 1, "what came before it is ranked"
    _is_an_error(done, 1, message, "write {")


def _is_an_error(done, code: int, message: str, hint: str) -> None:
    assert done.code == code, done.err
    lines = done.err.splitlines()
    assert any(line.startswith("error: ") for line in lines), done.err
    # Notes, and the progress of what took longer than a second, stand before it.
    error, *rest = lines[next(i for i, line in enumerate(lines) if line.startswith("error: ")) :]
    assert message in error
    assert len(rest) == 1, done.err
    assert rest[0].startswith("hint: ")
    assert hint in rest[0]


@pytest.mark.parametrize(
    ("args", "code", "message", "hint"),
    [
        ("load", 2, "nothing to load", "--documents and --queries"),
        ("load DATA --documents d --queries q", 2, "not both", "leave one of them out"),
        ("load --documents d --queries q --qrels q.tsv", 2, "'q.tsv' names no split", "SPLIT=FILE"),
        ("load DATA#relevant=2", 2, "'relevant'", "did you mean 'relevant_from'"),
        ("load nowhere", 1, "nowhere", ""),
        ("sample nowhere", 1, "nowhere is not a finished stage", "run its stage again"),
        ("measure nowhere one/run two/run", 2, "two runs have the name 'run'", "NAME=FOLDER"),
        ("distill --collection DATA --out o --loss klm", 2, "unknown loss 'klm'", "did you mean 'kl'?"),
        ("distill --collection DATA --out o --strategy bm52", 2, "unknown strategy 'bm52'", "did you mean 'bm25'?"),
        ("distill --collection DATA --out o --student crossencoder", 2, "'crossencoder'", "cross-encoder"),
        ("distill --collection DATA --out o --precision half", 2, "'half'", "auto, float32, bfloat16"),
        ("distill --collection DATA --out o --on-short wait", 2, "'wait'", "refuse, drop"),
        ("distill --collection DATA --out o --headline ndcg", 2, "unknown headline 'ndcg'", "nDCG@10"),
        ("distill --collection DATA --out o --size 1", 2, "two documents at least", ""),
        ("distill --collection DATA --out o --teacher nowhere", 1, "no model folder nowhere", "minilm"),
        ("distill --collection DATA --out o --teacher run:nowhere", 1, "nowhere", ""),
        ("distill --collection nowhere --out o --teacher TEACHER", 1, "nowhere", ""),
        ("distill --collection DATA --out o --teacher TEACHER --split dev", 2, "no split 'dev'", "--split"),
        ("distill --collection DATA --out o --teacher PICKLED", 1, "pickled form only", "save_pretrained"),
        ("distill --collection DATA --out o --teacher TEACHER --start PICKLED --size 4", 1, "pickled form only", ""),
        (
            "distill --collection DATA --out o --teacher TEACHER --start START --layers 1 --size 4",
            2,
            "takes 64 tokens",
            "64",
        ),
        ("rerank PICKLED", 1, "pickled form only", "save_pretrained"),
        ("report nowhere", 1, "has no summary.json", "rankstill distill"),
    ],
)
def test_errors_are_two_lines_and_a_code(rankstill, world, tmp_path, args, code, message, hint):
    pickled = tmp_path / "pickled"
    shutil.copytree(world / "start", pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    places = {"DATA": world / "data", "TEACHER": world / "teacher", "START": world / "start", "PICKLED": pickled}
    words = args.split()
    for name, place in places.items():
        words = [word.replace(name, str(place)) for word in words]
    done = rankstill(*words)
    assert not done.out
    if not hint:  # some errors say all in one line
        done = done._replace(err=done.err if "\nhint: " in done.err else f"{done.err}hint: \n")
    _is_an_error(done, code, message, hint)
    if (code == 2 and "split" not in message) or "--start" in args:
        assert not Path("o").exists(), "settings and the start model are checked before anything is done or paid"
    assert not list(tmp_path.rglob("model")), "nothing half-written looks like a model"


def test_a_model_alone_cannot_rank(rankstill, world):
    assert rankstill("load", world / "data", "--out", "c").code == 0
    _is_an_error(rankstill("rank", "c", world / "teacher"), 2, "a model reranks lists", "rankstill rank COLLECTION")
    done = rankstill("sample", "c", "--strategy", "bm52")
    _is_an_error(done, 2, "unknown strategy 'bm52'", "did you mean 'bm25'?")


def test_what_typer_refuses_is_no_traceback(rankstill):
    for args in (["distil"], ["sample"], ["load", "--depth", "3"], ["demo", "--seed", "one"]):
        done = rankstill(*args)
        assert done.code == 2
        assert "Traceback" not in done.err


def test_interrupted_by_hand(rankstill, distill, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("rankstill.studies.distill.train", interrupt)
    done = distill()
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1] == "interrupted; the same command continues where it stopped"


@pytest.mark.parametrize("strategy", ["random", "bm25", "teacher"])
@pytest.mark.parametrize("judged", [True, False])
def test_a_dry_run_counts_and_writes_nothing(world, distill, tmp_path, strategy, judged):
    options = {"strategy": strategy}
    if not judged:
        options["collection"] = _without_judgements(world, tmp_path / "bare")
    before = _files(tmp_path)
    planned = distill("--dry-run", **options)
    assert planned.code == 0, planned.err
    assert planned.out == ""
    assert _files(tmp_path) == before
    assert "nothing was written" in planned.err
    # What it says is what happens.
    assert distill(**options).code == 0
    counts = [read_manifest(scores)["counts"] for scores in Path("out/negatives", strategy).glob("*scores")]
    asked, unique = (sum(c[name] for c in counts) for name in ("asked", "unique"))
    assert f"{asked} pairs asked, at most " in planned.err
    least = int(planned.err.split("pairs asked, at most ")[1].split()[0])
    scored = json.loads(Path("out/summary.json").read_text())["cost"]["pairs_scored"]
    assert scored <= least <= asked
    assert scored == (unique if strategy != "teacher" else least)
    steps = read_manifest(Path("out/model"))["counts"]["steps"]
    assert f"{steps} steps" in planned.err


def _without_judgements(world, folder: Path) -> Path:
    folder.mkdir()
    for name in ("corpus.jsonl", "queries.jsonl"):
        shutil.copy(world / "data" / name, folder)
    return folder


def test_distilling_says_where_things_are(distill, rankstill, tmp_path):
    done = distill(strategy="teacher")
    assert done.code == 0, done.err
    assert done.out == "out/model\n"
    assert f"report: {tmp_path / 'out' / 'report.html'}" in done.err
    assert "BM25" in done.err
    summary = json.loads(Path("out/summary.json").read_text())
    assert [s["name"] for s in summary["systems"]] == [
        "BM25",
        "teacher",
        "static, teacher, kl",
        "static, teacher, kl + BM25",
    ]
    assert summary["command"].startswith("rankstill distill --collection ")
    (strategy,) = summary["strategies"]
    # 18 queries (two of the twenty are dev): ten of BM25's list, three of them again, and the positive.
    assert strategy["pairs_asked"] == 18 * (10 + 3 + 1)
    assert strategy["pairs_scored"] == summary["cost"]["pairs_scored"] == 18 * (10 + 1)


def test_the_folder_of_another_run_is_refused(distill, rankstill):
    assert distill().code == 0
    before = _files(Path("out"))
    for options in ({"loss": "lce"}, {"size": 5}, {"seed": 2}, {"epochs": 7}, {"split": "test"}):
        refused = distill(**options)
        assert refused.code == 1
        assert "is the output of another run" in refused.err
        assert f"{next(iter(options.values()))}" in refused.err
        assert "choose another output folder" in refused.err
    kept = {name: content for name, content in _files(Path("out")).items() if ".part" not in name}
    assert kept == before
    again = distill()
    assert (again.code, again.out) == (0, "out/model\n")
    assert _files(Path("out")) == before


def test_the_report_is_rebuilt(distill, rankstill):
    assert distill().code == 0
    path = Path("out/report.html")
    report = path.read_bytes()
    path.unlink()
    done = rankstill("report", "out")
    assert (done.code, done.out) == (0, "out/report.html\n")
    assert path.read_bytes() == report
    assert "BM25" in done.err, "and its tables are printed"


def test_queries_alone_are_enough(world, distill, tmp_path):
    done = distill("--test", world / "data", collection=_without_judgements(world, tmp_path / "bare"))
    assert done.code == 0, done.err
    summary = json.loads(Path("out/summary.json").read_text())
    expected = "No judgements for 24 of 24 queries: the teacher's best document stands in for the positive."
    assert expected in summary["notes"]
    assert "stands in for the positive" in Path("out/report.html").read_text()
    assert "No dev queries" in " ".join(summary["notes"])
    assert [t["name"] for t in summary["tests"]] == ["data"]
    assert summary["tests"][0]["domain"] == "out of domain"


def test_without_any_test_nothing_is_evaluated(world, distill, tmp_path):
    done = distill(collection=_without_judgements(world, tmp_path / "bare"))
    assert done.code == 0, done.err
    summary = json.loads(Path("out/summary.json").read_text())
    assert "Nothing was evaluated" in " ".join(summary["notes"])
    assert summary["results"] == []
    report = Path("out/report.html").read_text()
    assert "Nothing was evaluated" in report
    assert "Nothing was evaluated" in done.err
    assert 'id="numbers"' not in report


def test_a_file_of_candidate_lists_as_a_test(distill, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    docs = [{"_id": f"x{i}", "text": f"jet stream nose{i} wave", "score": 9.0 - i} for i in range(5)]
    lists = [{"_id": f"t{q}", "text": "jet nose", "candidates": docs[q:]} for q in range(2)]
    write_lines(other / "candidates.bm25.jsonl", lists)
    write_qrels(other / "qrels" / "test.tsv", {"t0": "x3", "t1": "x1"})
    done = distill("--test", other / "candidates.bm25.jsonl")
    assert done.code == 0, done.err
    summary = json.loads(Path("out/summary.json").read_text())
    own, test = summary["tests"]
    assert (own["name"], own["domain"], own["first_stage"]) == ("data", "in domain", "BM25 (k1 1.2, b 0.75)")
    assert (test["name"], test["domain"], test["queries"], test["documents"]) == ("other bm25", "out of domain", 2, 5)
    assert test["first_stage"] == "given list"
    found = {(r["test"], r["system"], r["measure"]): r["mean"] for r in summary["results"]}
    # The given order has the positives at ranks 4 and 1.
    assert found["other bm25", "BM25 / given list", "RR@10"] == pytest.approx((1 / 4 + 1) / 2)
    doubled = distill("--test", other / "candidates.bm25.jsonl", "--test", other / "candidates.bm25.jsonl")
    _is_an_error(doubled, 2, "two tests have the name 'other bm25'", "once")


def test_a_run_as_teacher(world, distill, rankstill):
    """A TREC run teaches where it has scores, and says which pairs it lacks elsewhere."""
    assert rankstill("load", world / "data", "--out", "c").code == 0
    assert rankstill("rank", "c", "--split", "train", "--depth", 60, "--out", "first").code == 0
    done = distill(teacher="run:first/run.trec")
    assert done.code == 0, done.err
    assert "no teacher row on data" in done.err, "the run has no test queries"
    summary = json.loads(Path("out/summary.json").read_text())
    assert [s["kind"] for s in summary["systems"]] == ["first stage", "student", "interpolated"]
    lacking = distill(teacher="run:first/run.trec", strategy="random", out="other")
    _is_an_error(lacking, 1, "pairs have no score in run.trec", "collection's lists")
