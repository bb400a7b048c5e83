"""Groups: positive first, k-1 others, every score found, every shortage named."""

from pathlib import Path

import numpy as np
import pytest

from rankstill.errors import DataError, MissingScores, SpecError
from rankstill.files import read_manifest, run_stage
from rankstill.groups import build
from rankstill.groups.build import GroupSpec, build_groups
from rankstill.records import Candidates, Groups, Pairs
from rankstill.teachers import lookup
from tests.tiny_collections import make_collection

DOCUMENTS = {f"d{i}": f"text {i}" for i in range(8)}
QUERIES = {"q0": "first", "q1": "second"}
JUDGED = [("train", "q0", "d0", 1), ("train", "q1", "d1", 1), ("train", "q1", "d2", 1)]


def _folder(out: Path, stage: str, name: str, pairs: Pairs, strategy: str = "bm25") -> Path:
    spec = {"strategy": strategy} if stage == "sample" else {"teacher": "f1"}

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


def _build(tmp_path, collection, spec, drawn=DRAWN, scored=SCORED, strategy="bm25") -> Path:
    candidates = _folder(tmp_path / "candidates", "sample", "candidates.parquet", drawn, strategy)
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


@pytest.mark.parametrize("seed", range(8))
def test_of_spare_candidates_an_ordered_strategy_keeps_the_first(tmp_path, collection, seed):
    """The hardest stay the hardest: with --spare, the teacher's choice is not thinned at random."""
    hardest = _pairs([(0, 4, 7), (0, 5, 2), (0, 3, 1), (1, 7, 5), (1, 6, 4), (1, 3, 3)])
    out = _build(tmp_path, collection, GroupSpec(size=3, seed=seed), hardest, strategy="teacher")
    assert Groups.read(out / "groups.parquet").doc[:, 1:].tolist() == [[4, 5], [7, 6]]


def test_of_spare_candidates_a_random_draw_keeps_a_random_part(tmp_path, collection):
    kept = set()
    for seed in range(12):
        out = _build(tmp_path / str(seed), collection, GroupSpec(size=3, seed=seed))
        kept.add(tuple(Groups.read(out / "groups.parquet").doc[0, 1:].tolist()))
    assert kept == {(4, 3), (4, 5), (3, 5)}


def test_an_ordered_choice_leaves_nothing_to_chance(tmp_path, collection):
    drawn = Candidates(DRAWN.query, DRAWN.doc, DRAWN.score, np.ones(6, np.float32), np.zeros(6, np.uint8))
    for strategy, probability in (("teacher", 1), ("bm25", 2 / 3)):
        out = _build(tmp_path / strategy, collection, GroupSpec(size=3), drawn, strategy=strategy)
        np.testing.assert_allclose(Groups.read(out / "groups.parquet").probability[:, 1:], probability)


def test_candidates_of_an_unknown_strategy_can_be_grouped(tmp_path, collection):
    out = _build(tmp_path, collection, GroupSpec(size=4), strategy="my own")
    assert read_manifest(out)["counts"]["strategy"] == "my own"


def test_stand_ins_are_found_in_one_look(tmp_path, collection, monkeypatch):
    looked = []

    def counted(*args):
        looked.append(len(args[2]))
        return lookup(*args)

    monkeypatch.setattr(build, "lookup", counted)
    _build(tmp_path, collection, GroupSpec(size=3, split=""))
    # Once for the candidates of both queries, once for the groups.
    assert looked == [6, 6]


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
