"""What a strategy's stages took, read from folders that look like theirs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rankstill.errors import SpecError
from rankstill.files import FORMAT
from rankstill.records import Groups, Pairs
from rankstill.studies.diagnosis.costs import Cost, call_seconds, cost_of
from rankstill.studies.steps import Negatives


def stage(folder: Path, name: str, seconds: float, inputs=None, **cost) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "format": FORMAT,
        "stage": name,
        "spec": {},
        "inputs": inputs or {},
        "counts": {},
        "files": {},
        "fingerprint": "x",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "cost.json").write_text(json.dumps({"seconds": seconds, **cost}))


def scores(folder: Path, docs: range, seconds: float, **cost) -> Path:
    stage(folder, "score", seconds, **cost)
    doc = np.array(docs, np.uint32)
    Pairs(np.zeros(len(doc), np.uint32), doc, np.ones(len(doc), np.float32)).write(folder / "scores.parquet")
    return folder


@pytest.fixture
def made(tmp_path):
    groups = tmp_path / "groups"
    groups.mkdir()
    doc = np.arange(6, dtype=np.uint32).reshape(2, 3)
    Groups(np.arange(2, dtype=np.uint32), doc, np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)).write(
        groups / "groups.parquet"
    )
    stage(tmp_path / "candidates", "sample", 4.0)
    stage(tmp_path / "candidates-wider", "sample", 2.0)
    stage(tmp_path / "candidates-document-vectors", "encode", 50.0, {"rows": "all"})
    stage(tmp_path / "candidates-query-vectors", "encode", 6.0, {"rows": "ab12"})
    wider = scores(tmp_path / "candidates-wider-scores", range(20), 10.0, scored=20)
    own = scores(tmp_path / "scores", range(15, 23), 0.5, scored=0, from_store=8)
    return Negatives("teacher", tmp_path / "candidates", own, groups, wider)


def test_calls_are_distinct_pairs_and_drawing_is_all_but_scores_and_the_whole_collections_vectors(made):
    found = cost_of(made, 0.5, 0.01)
    assert found.calls == 23 / 2, "five of the eight pairs were in the wider list"
    assert found.drawing == (4.0 + 2.0 + 6.0) / 2
    assert found.once == 50.0
    assert found.seconds == pytest.approx(6.0 + 11.5 * 0.5)
    assert found.money == pytest.approx(0.115)


def test_a_call_takes_what_calls_took_that_were_made(made):
    assert call_seconds(made.paid()) == 10.0 / 20, "what came from the store took no call"
    assert call_seconds([made.scores]) is None


def test_a_budget_of_seconds_is_refused_where_no_call_was_timed():
    untimed = Cost(calls=10.0, drawing=1.0, call=None, price=None, once=0.0)
    with pytest.raises(SpecError, match="timed"):
        untimed.per_group("seconds")
    with pytest.raises(SpecError, match="price"):
        untimed.per_group("money")
    assert untimed.per_group("calls") == 10.0
    assert untimed.to_json()["money"] is None
