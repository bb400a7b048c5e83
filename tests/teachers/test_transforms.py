from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankstill.errors import DataError, SpecError
from rankstill.teachers import open_teacher
from rankstill.teachers.transforms import TRANSFORMS, positions
from tests.tiny_collections import make_collection

# Two queries, in no order. The ranks of q2 start at 0 and have a gap.
RUN = "q1 Q0 c 3 0.5 t\nq2 Q0 a 0 9 t\nq1 Q0 a 1 7 t\nq1 Q0 b 2 7 t\nq2 Q0 b 5 2 t\n"


@pytest.fixture
def collection(tmp_path):
    return make_collection(tmp_path / "c", {"a": "x", "b": "y", "c": "z"}, {"q1": "v", "q2": "w"})


def scores(tmp_path, collection, text, options=""):
    (tmp_path / "r.trec").write_text(text)
    teacher = open_teacher(f"run:{tmp_path}/r.trec{options}")
    query, doc = np.array([0, 0, 0, 1, 1], np.uint32), np.array([0, 1, 2, 0, 1], np.uint32)
    return teacher.score(collection, query, doc).tolist()


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ("score", [7, 7, 0.5, 9, 2]),
        ("reciprocal-rank", [1, 1 / 2, 1 / 3, 1, 1 / 2]),
        ("neg-rank", [-1, -2, -3, -1, -2]),
        ("log-rank", [0, -math.log(2), -math.log(3), 0, -math.log(2)]),
        ("linear", [1, 0.5, 0, 1, 0]),
    ],
)
def test_each_transform_by_hand(tmp_path, collection, transform, expected):
    assert scores(tmp_path, collection, RUN, f"#transform={transform}") == pytest.approx(expected)


def test_by_score_equal_scores_share_their_positions(tmp_path, collection):
    # a and b of q1 are first and second: both stand at 1.5.
    assert scores(tmp_path, collection, RUN, "#transform=neg-rank,by=score") == [-1.5, -1.5, -3, -1, -2]


def test_ranks_that_are_all_one_number_are_no_ranks(tmp_path, collection):
    same = "".join(f"{' '.join([*line.split()[:3], '0', *line.split()[4:]])}\n" for line in RUN.splitlines())
    assert scores(tmp_path, collection, same, "#transform=neg-rank") == [-1.5, -1.5, -3, -1, -2]
    with pytest.raises(DataError, match="no rank column that tells"):
        scores(tmp_path, collection, same, "#transform=neg-rank,by=rank")


REORDERED = "q1 Q0 c 1 0.5 t\nq1 Q0 a 2 7 t\nq1 Q0 b 3 7 t\nq2 Q0 a 1 9 t\nq2 Q0 b 2 2 t\n"


@pytest.mark.parametrize("options", ["", "#transform=log-rank"])
def test_a_run_whose_scores_contradict_its_ranks_is_refused(tmp_path, collection, options):
    """A reranker that reorders a list and leaves the first stage's scores: a teacher of the first stage."""
    with pytest.raises(DataError, match=r"1 of 5 scores are higher .* \(first: entry 2, rank 2, score 7\)") as caught:
        scores(tmp_path, collection, REORDERED, options)
    assert "by=rank for the ranks" in caught.value.hint


def test_the_user_may_say_which_column_to_believe(tmp_path, collection):
    assert scores(tmp_path, collection, REORDERED, "#by=score") == [7, 7, 0.5, 9, 2]
    assert scores(tmp_path, collection, REORDERED, "#transform=neg-rank,by=rank") == [-2, -3, -1, -1, -2]


def test_labels_are_ordered_by_their_values(tmp_path, collection):
    (tmp_path / "l.tsv").write_text("q1\ta\t2\nq1\tb\t0\nq1\tc\t2\n")
    teacher = open_teacher(f"{tmp_path}/l.tsv#transform=linear")
    query, doc = np.zeros(3, np.uint32), np.arange(3, dtype=np.uint32)
    assert teacher.score(collection, query, doc).tolist() == [0.75, 0, 0.75]


def test_the_fingerprint_knows_the_transform(tmp_path):
    (tmp_path / "r.trec").write_text(RUN)
    options = ["", *(f"#transform={t}" for t in TRANSFORMS), "#transform=linear,by=score"]
    prints = [open_teacher(f"{tmp_path}/r.trec{o}").fingerprint for o in options]
    assert prints[0] == prints[1]
    assert len(set(prints)) == len(prints) - 1


@pytest.mark.parametrize("options", ["transform=rank", "by=order", "by=rank", "rank=1"])
def test_unknown_names_and_contradictory_options_are_refused(tmp_path, options):
    (tmp_path / "r.trec").write_text(RUN)
    with pytest.raises(SpecError):
        open_teacher(f"{tmp_path}/r.trec#{options}")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30))
def test_positions_are_those_of_an_independent_count(pairs):
    query, value = (np.array(c) for c in zip(*pairs, strict=True))
    found, size = positions(value.astype(np.float64), query)
    for i, (q, v) in enumerate(pairs):
        same = value[query == q]
        assert found[i] == (same < v).sum() + ((same == v).sum() + 1) / 2
        assert size[i] == len(same)


@pytest.mark.shared
def test_real_runs_and_labels_open_with_every_transform(shared_data):
    """Real files hold ties (the first stage's scores, set beside an LLM's order), ranks from 0, falling scores."""
    paths = [p for name in ("dl19-passage", "dl22-passage") for p in sorted((shared_data(name) / "runs").iterdir())]
    runs = [p for p in paths if p.name.startswith("llm.BM25.gpt-3.5-turbo.top100.v1") or "duot5" in p.name]
    labels = sorted((shared_data("dl19-passage") / "teacher_labels").iterdir())
    assert len(runs) == 3
    assert len(labels) >= 10
    for path in [*runs, *labels]:
        for transform in TRANSFORMS:
            teacher = open_teacher(f"{path}#transform={transform}")
            assert np.isfinite(teacher.value).all()
            if transform == "neg-rank" and path in runs:
                # The best document of each query, and no other, has position 1: the rank column breaks ties.
                assert (teacher.value == -1).sum() == len(set(teacher.query.to_pylist()))


@pytest.mark.shared
def test_every_llm_run_of_dl19_opens(shared_data):
    runs = sorted((shared_data("dl19-passage") / "runs").glob("llm.*.trec"))
    assert len(runs) > 30
    for path in runs:
        assert len(open_teacher(f"run:{path}#transform=reciprocal-rank").value) == 4300
