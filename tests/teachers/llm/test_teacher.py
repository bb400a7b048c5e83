"""An LLM teacher through the stage `score` and the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from rankstill.errors import MissingScores
from rankstill.records import Pairs
from tests.nasty_server import NastyServer, log_odds_by_value, order_by_value


def score(*args, **kwargs):
    # Later, so that the child below starts without torch.
    from rankstill.teachers import score as stage

    return stage(*args, **kwargs)


SECRET = "sk-very-secret-1234"


def pairs(count=20):
    return Pairs(np.repeat(np.arange(4, dtype=np.uint32), count), np.tile(np.arange(count, dtype=np.uint32), 4),
                 np.zeros(4 * count, np.float32))  # fmt: skip


def table(folder):
    return (folder / "scores.parquet").read_bytes()


def test_a_pointwise_teacher_scores_through_the_store(server, collection, tmp_path):
    reference = f"llm:{server.url}#model=m"
    first = score(collection.path, pairs(), reference, tmp_path / "a", store=tmp_path / "store")
    assert len(server.requests) == 80
    again = score(collection.path, pairs(30), reference, tmp_path / "b", store=tmp_path / "store")
    assert len(server.requests) == 120
    assert json.loads((again / "cost.json").read_text())["from_store"] == 80
    assert table(first) == table(score(collection.path, pairs(), reference, tmp_path / "c", store=tmp_path / "store"))
    assert len(list((tmp_path / "store").glob("llm-*.jsonl"))) == 1


def test_a_budget_stops_the_stage_and_a_bigger_one_continues_it(server, collection, tmp_path):
    def run(budget, out="out"):
        return score(collection.path, pairs(), f"llm:{server.url}#model=m{budget}", tmp_path / out, tmp_path / "store")

    for budget, left in ((30, 50), (30, 50), (70, 10)):
        with pytest.raises(MissingScores, match=f"budget of {budget} requests is spent; {left} of 80 pairs are left"):
            run(f",requests={budget}")
        assert not (tmp_path / "out").exists()
        assert len(server.requests) == budget
    done = run(",requests=80")
    assert len(server.requests) == 80
    score(collection.path, pairs(), f"llm:{server.url}#model=m", tmp_path / "fresh", tmp_path / "other")
    assert table(done) == table(tmp_path / "fresh")


def test_a_listwise_teacher_scores_through_the_stage(server, collection, tmp_path):
    server.answer = order_by_value
    reference = f"llm:{server.url}#model=m,mode=listwise,window=8,stride=4,transform=neg-rank"
    done = score(collection.path, pairs(), reference, tmp_path / "out", store=tmp_path / "store")
    found = Pairs.read(done / "scores.parquet")
    # The best four of each list are certain after one pass.
    assert found.score[(found.query == 2) & (found.doc >= 16)].tolist() == [-4, -3, -2, -1]
    assert len(server.requests) == 4 * 4
    # Nothing of it is kept by text: a list of other documents would have other scores.
    assert not list((tmp_path / "store").glob("*/part-*"))


@pytest.mark.parametrize("mode", ["pointwise", "listwise"])
def test_a_killed_run_pays_for_nothing_twice(collection, tmp_path, mode):
    """A child asks without the stage, which would import torch; the stage then continues from its transcript."""
    script = (
        "import sys; from rankstill.collection.store import Collection\n"
        "from rankstill.teachers.llm.teacher import open_llm\n"
        "from tests.teachers.llm.test_teacher import pairs\n"
        "asked = pairs()\n"
        "open_llm(sys.argv[2], None).score(Collection(sys.argv[1]), asked.query, asked.doc)\n"
    )
    options = "mode=listwise,window=3,stride=1,first=given" if mode == "listwise" else "mode=pointwise"
    with NastyServer(order_by_value if mode == "listwise" else log_odds_by_value, delay=0.02) as server:
        reference = f"llm:{server.url}#model=m,concurrency=2,{options}"
        kept = f"{reference},transcript={tmp_path}/t.jsonl"
        child = subprocess.Popen([sys.executable, "-c", script, str(collection.path), kept])
        while len(server.requests) < 25 and child.poll() is None:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        time.sleep(0.1)
        server.delay = 0
        asked = len(server.requests)
        assert 25 <= asked < 60
        done = score(collection.path, pairs(), kept, tmp_path / "out", tmp_path / "store")
        bodies = [json.dumps(body) for body in server.requests]
        # What was in flight when the kill came, two requests, may be asked again; nothing else is.
        assert len(bodies) - len(set(bodies)) <= 2
        fresh = score(collection.path, pairs(), reference, tmp_path / "fresh", tmp_path / "fresh-store")
        assert table(done) == table(fresh)


def test_the_command_line_takes_it_and_writes_no_secret(rankstill, server, collection, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    teacher = f"llm:{server.url}#model=m,key_env=MY_KEY,transcript={tmp_path}/answers.jsonl"
    assert rankstill("sample", collection.path, "-o", "c", "--strategy", "random", "--negatives", "5").code == 0
    done = rankstill("score", collection.path, "c", "-o", "s", "--teacher", teacher, "--store", "store")
    assert (done.code, done.out.strip()) == (0, "s"), done.err
    assert server.headers[0]["authorization"] == f"Bearer {SECRET}"
    line = json.dumps({"query": "q", "documents": ["report1", "report300"]})
    ranked = rankstill("rerank", teacher, stdin=line + "\n")
    assert json.loads(ranked.out)["documents"][0]["text"] == "report300", ranked.err
    refused = rankstill("score", collection.path, "c", "-o", "t", "--teacher", f"{teacher},requests=1,seed=5")
    assert refused.code == 1
    assert "budget of 1 requests is spent" in refused.err
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(written) > 5
    assert not [p for p in written if SECRET.encode() in p.read_bytes()]
    assert SECRET not in done.err + done.out + ranked.err + refused.err


def test_a_bad_reference_is_told_in_two_lines(rankstill, collection):
    done = rankstill("sample", collection.path, "-o", "c", "--strategy", "random", "--negatives", "2")
    done = rankstill("score", collection.path, "c", "--teacher", "llm:http://h/v1#mode=graded")
    assert done.code == 2
    assert "names no model" in done.err


def test_a_dry_run_costs_nothing(server, collection, capfd):
    from rankstill.studies.estimate import _teacher_seconds
    from rankstill.teachers import open_teacher

    teacher = open_teacher(f"llm:{server.url}#model=m")
    assert _teacher_seconds(collection, np.arange(2, dtype=np.uint32), teacher, 1) == 0
    assert "is not asked in a dry run" in capfd.readouterr().err
    assert server.requests == []


def test_an_ensemble_takes_an_llm(server, collection, tmp_path):
    server.answer = order_by_value
    llm = f"llm:{server.url}#model=m,mode=listwise,window=8,stride=4,transform=neg-rank"
    lines = [f"q{q}\td{d}\t{(d * 7) % 20}" for q in range(4) for d in range(20)]
    (tmp_path / "l.tsv").write_text("\n".join(lines))
    reference = f"ensemble:[{llm}]+[labels:{tmp_path}/l.tsv]#normalise=z"
    done = score(collection.path, pairs(), reference, tmp_path / "out", store=tmp_path / "store")
    assert len(Pairs.read(done / "scores.parquet")) == 80
    assert len(server.requests) == 16
    assert len(list((tmp_path / "store").glob("llm-*.jsonl"))) == 1
