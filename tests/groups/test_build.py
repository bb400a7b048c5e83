"""Groups: positive first, k-1 others, every score found, every shortage named."""

from pathlib import Path

import numpy as np
import pytest

from rankstill.errors import DataError, MissingScores, SpecError
from rankstill.files import read_manifest, run_stage
from rankstill.groups.build import GroupSpec, build_groups
from rankstill.records import Groups, Pairs
from tests.tiny_collections import make_collection

DOCUMENTS = {f"d{i}": f"text {i}" for i in range(8)}
QUERIES = {"q0": "first", "q1": "second"}
JUDGED = [("train", "q0", "d0", 1), ("train", "q1", "d1", 1), ("train", "q1", "d2", 1)]


def _folder(out: Path, stage: str, name: str, pairs: Pairs) -> Path:
    spec = {"strategy": "bm25"} if stage == "sample" else {"teacher": "f1"}

    def build(work: Path):
        pairs.write(work / name)
        return {"teacher": "handmade"}

    return run_stage(out, stage=stage, spec=spec, inputs={}, build=build)


def _pairs(rows: list[tuple[int, int, float]]) -> Pairs:
    query, doc, score = zip(*rows, strict=True)
    return Pairs(np.array(query, np.uint32), np.array(doc, np.uint32), np.array(score, np.float32))


@pytest.fixture
def collection(tmp_path):
    return make_collection(tmp_path / "collection", DOCUMENTS, QUERIES, JUDGED)


DRAWN = _pairs([(0, 4, 0), (0, 3, 0), (0, 5, 0), (1, 6, 0), (1, 7, 0), (1, 3, 0)])
SCORED = _pairs([(1, 1, 2.5), (1, 2, 2.6), (0, 0, 9), (0, 3, 1), (0, 4, 7), (0, 5, 2), (1, 3, 3), (1, 6, 4), (1, 7, 5)])


def _build(tmp_path, collection, spec, drawn=DRAWN, scored=SCORED) -> Path:
    candidates = _folder(tmp_path / "candidates", "sample", "candidates.parquet", drawn)
    scores = _folder(tmp_path / "scores", "score", "scores.parquet", scored)
    return build_groups(collection.path, candidates, scores, tmp_path / "groups", spec)


def test_the_positive_stands_first_and_scores_belong_to_their_documents(tmp_path, collection):
    out = _build(tmp_path, collection, GroupSpec(size=4))
    groups = Groups.read(out / "groups.parquet")
    assert groups.query.tolist() == [0, 1]
    assert groups.doc[0].tolist() == [0, 4, 3, 5]
    assert groups.score[0].tolist() == [9, 7, 1, 2]
    assert groups.doc[1, 0] in (1, 2)
    assert groups.doc[1, 1:].tolist() == [6, 7, 3]
    assert groups.label.tolist() == [[1, 0, 0, 0]] * 2
    counts = read_manifest(out)["counts"]
    made_by = {"strategy": "bm25", "teacher": "handmade", "teacher_fingerprint": "f1"}
    assert counts == {"groups": 2, "dropped_short": 0, "stand_ins": 0, **made_by}


def test_a_smaller_group_is_drawn_from_the_candidates(tmp_path, collection):
    groups = Groups.read(_build(tmp_path, collection, GroupSpec(size=3)) / "groups.parquet")
    assert set(groups.doc[0, 1:].tolist()) < {3, 4, 5}


def test_without_judgements_the_teachers_best_stands_in(tmp_path, collection):
    out = _build(tmp_path, collection, GroupSpec(size=3, split=""))
    groups = Groups.read(out / "groups.parquet")
    assert groups.doc[:, 0].tolist() == [4, 7]
    assert groups.doc[0].tolist() == [4, 3, 5]
    assert read_manifest(out)["counts"]["stand_ins"] == 2


def test_a_missing_score_refuses_and_is_never_zero(tmp_path, collection):
    keep = SCORED.doc != 5
    scored = Pairs(SCORED.query[keep], SCORED.doc[keep], SCORED.score[keep])
    with pytest.raises(
        MissingScores, match=r"1 of 8 pairs have no teacher score \(first: query q0, document d5\)"
    ) as error:
        _build(tmp_path, collection, GroupSpec(size=4), scored=scored)
    assert "rankstill score" in error.value.hint
    assert not (tmp_path / "groups").exists()


def test_a_group_larger_than_the_candidates_refuses(tmp_path, collection):
    with pytest.raises(DataError, match=r"2 of 2 queries have fewer than the 4 candidates .* \(first: q0 with 3\)"):
        _build(tmp_path, collection, GroupSpec(size=5))


def test_short_queries_can_be_dropped_and_are_counted(tmp_path, collection):
    drawn = Pairs(DRAWN.query[1:], DRAWN.doc[1:], DRAWN.score[1:])
    out = _build(tmp_path, collection, GroupSpec(size=4, on_short="drop"), drawn)
    assert Groups.read(out / "groups.parquet").query.tolist() == [1]
    assert read_manifest(out)["counts"]["dropped_short"] == 1


def test_a_constant_teacher_is_refused(tmp_path, collection):
    scored = Pairs(SCORED.query, SCORED.doc, np.full(len(SCORED), 0.5, np.float32))
    with pytest.raises(DataError, match="the same score, in all 2 groups"):
        _build(tmp_path, collection, GroupSpec(size=4), scored=scored)


def test_a_teacher_that_gives_nan_is_refused(tmp_path, collection):
    score = SCORED.score.copy()
    score[4] = np.nan
    with pytest.raises(DataError, match="1 of 2 groups hold a teacher score that is not finite"):
        _build(tmp_path, collection, GroupSpec(size=4), scored=Pairs(SCORED.query, SCORED.doc, score))


def test_a_group_of_one_is_refused():
    with pytest.raises(SpecError, match="two documents at least"):
        GroupSpec(size=1)
