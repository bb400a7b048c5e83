"""A language model as the judge of suspicious candidates, asked over HTTP by a server that misbehaves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rankstill.errors import MissingScores, ModelError, SpecError
from rankstill.files import read_manifest, run_stage
from rankstill.groups.build import GroupSpec, build_groups
from rankstill.groups.filters.dropped import DROPPED, Dropped
from rankstill.groups.filters.rules import FilterSpec, JudgeSpec
from rankstill.records import Groups
from rankstill.teachers import open_teacher
from tests.groups.test_filters import _folder, _pairs
from tests.nasty_server import NastyServer, grade_by_value, log_odds_by_value, raw, reset, status, value_of, words
from tests.tiny_collections import make_collection

# The server's log-odds of "report150" are -1 + 150/100 = 0.5; its grade is 150 modulo 4 = 2.
VALUES = {"d0": 10, "d1": 150, "d2": 90, "d3": 200, "d4": 149, "d5": 20, "d6": 30, "d7": 151}
JUDGED = [("train", "q0", "d0", 1), ("train", "q1", "d0", 1)]
# The positive scores 1. Suspicious, that is no lower: d1, d2, d3 of q0, and d2, d4 of q1.
SCORED = [
    *[(0, 0, 1), (0, 1, 2), (0, 2, 1.5), (0, 3, 1), (0, 5, 0), (0, 6, 0.5)],
    *[(1, 0, 1), (1, 2, 2), (1, 4, 1), (1, 5, 0), (1, 6, 0.25), (1, 7, 0.75)],
]
DRAWN = [(0, 1, 9), (0, 2, 8), (0, 3, 7), (0, 5, 6), (0, 6, 5), (1, 2, 9), (1, 4, 8), (1, 5, 7), (1, 6, 6), (1, 7, 5)]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "RANKSTILL_LLM_KEY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server():
    with NastyServer(log_odds_by_value) as running:
        yield running


@pytest.fixture
def collection(tmp_path):
    documents = {name: f"wing report{value}" for name, value in VALUES.items()}
    return make_collection(tmp_path / "collection", documents, {"q0": "wing", "q1": "jet"}, JUDGED)


@pytest.fixture
def folders(tmp_path):
    """The stages before: candidates, and the teacher's scores."""

    def build(work):
        _pairs(DRAWN).write(work / "candidates.parquet")
        return {}

    spec = {"strategy": "bm25", "split": "train"}
    candidates = run_stage(tmp_path / "candidates", stage="sample", spec=spec, inputs={}, build=build)
    return candidates, _folder(tmp_path / "scores", "score", "scores.parquet", _pairs(SCORED))


@pytest.fixture
def build(tmp_path, collection, folders):
    def run(reference, out="groups", store="store", size=3, **judge):
        spec = GroupSpec(size, filters=FilterSpec(judge=JudgeSpec(**judge)))
        place = tmp_path / store if store else None
        return build_groups(collection.path, *folders, tmp_path / out, spec, judge=open_teacher(reference), store=place)

    return run


def asked(server):
    """The pairs that the server was asked about, as the query's first word and the document's value."""
    halves = [body["messages"][-1]["content"].split("Passage:") for body in server.requests]
    return sorted(("jet" if "jet" in query else "wing", value_of(passage)) for query, passage in halves)


SUSPICIOUS = [("jet", 90), ("jet", 149), ("wing", 90), ("wing", 150), ("wing", 200)]


@pytest.mark.parametrize("action", ["drop", "relabel", "drop-query"])
def test_what_the_model_calls_relevant_is_dropped_relabelled_or_takes_its_query_along(server, build, tmp_path, action):
    """From log-odds of 0.5 on: of q0 both 150 and 200, of q1 nothing, since 149 gives 0.49."""
    server.script(status(429, {"Retry-After": "0"}), raw(b'{"choices": ['), reset())
    out = build(f"llm:{server.url}#model=m", action=action)
    assert len(server.requests) == 5 + 3
    assert set(asked(server)) == set(SUSPICIOUS)
    groups = Groups.read(out / "groups.parquet")
    if action == "drop-query":
        assert groups.query.tolist() == [1]
    else:
        assert groups.query.tolist() == [0, 1]
        left = {2, 5, 6} if action == "drop" else {1, 2, 3, 5, 6}
        assert set(groups.doc[0, 1:].tolist()) < left
        assert groups.label[0].tolist() == [1, *np.isin(groups.doc[0, 1:], [1, 3]).astype(float)]
        assert groups.label[1].tolist() == [1, 0, 0]
    dropped = Dropped.read(out / DROPPED)
    assert dropped.doc.tolist() == [1, 3]
    np.testing.assert_allclose(dropped.judge_score, [0.5, 1.0], rtol=1e-6)
    told = {"dropped": 2, "of": 5, "judged": 5, "by": "m (pointwise)", "action": action, "queries": 1}
    assert read_manifest(out)["counts"]["filters"]["judge"] == told
    # What was paid is known: another threshold asks nobody, in any other folder with this store.
    build(f"llm:{server.url}#model=m", "again", threshold=0.75)
    assert Dropped.read(tmp_path / "again" / DROPPED).doc.tolist() == [3]
    assert len(server.requests) == 8
    transcripts = list((tmp_path / "store").glob("llm-*.jsonl"))
    answers = [json.loads(line) for file in transcripts for line in file.read_text().splitlines()]
    assert len(transcripts) == 1
    assert sum("answer" in line for line in answers) == 5


def test_relabelling_reaches_the_groups(server, build):
    """In a group of all six, both that the model calls relevant stand with label 1."""
    out = build(f"llm:{server.url}#model=m", size=6, action="relabel")
    groups = Groups.read(out / "groups.parquet")
    assert groups.doc[0].tolist() == [0, 1, 2, 3, 5, 6]
    assert groups.label[0].tolist() == [1, 1, 0, 1, 0, 0]


def test_grades_are_compared_with_the_threshold(server, build):
    """150 and 90 have grade 2 (modulo 4), 200 has 0, 149 has 1."""
    server.answer = grade_by_value
    out = build(f"llm:{server.url}#model=m,mode=graded", threshold=2)
    dropped = Dropped.read(out / DROPPED)
    assert list(zip(dropped.query.tolist(), dropped.doc.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 2)]
    assert dropped.judge_score.tolist() == [2, 2, 2]


def test_a_spent_budget_stops_cleanly_and_a_bigger_one_goes_on(server, build, tmp_path):
    def run(budget, out="groups", store="store"):
        return build(f"llm:{server.url}#model=m{budget}", out, store)

    for budget, left in ((2, 3), (2, 3), (4, 1)):
        with pytest.raises(MissingScores, match=f"budget of {budget} requests is spent; {left} of 5 pairs are left"):
            run(f",requests={budget}")
        assert not (tmp_path / "groups").exists()
        assert len(server.requests) == budget
    done = run(",requests=5")
    assert asked(server) == SUSPICIOUS, "each pair was paid once"
    fresh = run("", "fresh", "other")
    for name in ("groups.parquet", DROPPED, "manifest.json"):
        assert (done / name).read_bytes() == (fresh / name).read_bytes()


def test_without_a_store_the_transcript_remembers(server, build, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingScores, match="2 of 5 pairs are left"):
        build(f"llm:{server.url}#model=m,requests=3", store="")
    build(f"llm:{server.url}#model=m", store="")
    assert asked(server) == SUSPICIOUS
    assert len(list(tmp_path.glob("llm-*.jsonl"))) == 1


def test_the_command_line_says_what_is_left_and_goes_on(server, rankstill, collection, folders, tmp_path):
    judge = f"llm:{server.url}#model=m"
    command = ["group", collection.path, *folders, "--out", tmp_path / "groups", "--size", 3]
    command += ["--store", tmp_path / "store", "--judge-action", "drop-query", "--judge"]
    stopped = rankstill(*command, f"{judge},requests=1")
    assert stopped.code == 1
    assert "the budget of 1 requests is spent; 4 of 5 pairs are left" in stopped.err
    assert "the same command with a bigger budget" in stopped.err
    done = rankstill(*command, judge)
    assert (done.code, done.out.strip()) == (0, str(tmp_path / "groups"))
    assert "filter judge: dropped, with their queries, 2 of 5 candidates" in done.err
    assert asked(server) == SUSPICIOUS


def test_a_judge_that_does_not_answer_leaves_nothing_behind(server, build, tmp_path):
    server.answer = words("Perhaps.")
    with pytest.raises(ModelError, match=r"5 of 5 answers hold nothing that can be used \(first: 'Perhaps.'"):
        build(f"llm:{server.url}#model=m,without_logprobs=answer")
    assert not (tmp_path / "groups").exists()
    server.answer = log_odds_by_value
    server.script(*[status(401)] * 5)
    with pytest.raises(ModelError, match="401"):
        build(f"llm:{server.url}#model=n")


def test_an_order_is_no_judgement(server, build):
    with pytest.raises(SpecError, match="orders documents, and does not say which are relevant"):
        build(f"llm:{server.url}#model=m,mode=listwise")
    assert not server.requests


def test_an_ensembles_members_keep_their_scores(server, build, tmp_path):
    """The judge may be an ensemble with an LLM: what it paid for is in the store, too."""
    reference = f"ensemble:[llm:{server.url}#model=m]+[llm:{server.url}#model=m,seed=2]#normalise=none,weights=0.5+0.5"
    build(reference)
    assert len(server.requests) == 10
    build(f"llm:{server.url}#model=m", "alone")
    assert len(server.requests) == 10
    assert len(list((tmp_path / "store").glob("llm-*.jsonl"))) == 2
