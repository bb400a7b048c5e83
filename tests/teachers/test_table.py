from __future__ import annotations

import gzip

import numpy as np
import pytest

from rankstill.errors import DataError, MissingScores, ModelError
from rankstill.teachers import open_scorer, open_teacher
from tests.tiny_collections import make_collection


@pytest.fixture
def collection(tmp_path):
    return make_collection(tmp_path / "c", {"d1": "a", "d2": "b", "d3": "c"}, {"q1": "x", "q2": "y"})


def rows(*numbers):
    return np.array(numbers, np.uint32)


RUN = "q2 Q0 d3 1 9.5 tag\nq1\tQ0\td1 1 4 tag\nq1 Q0 d2 2 -1e-3 tag\nq9 Q0 d1 1 7 tag\nq1 Q0 d77 3 -8 tag\n"


@pytest.mark.parametrize("reference", ["run:scores.txt", "scores.trec", "scores.run", "scores.trec.gz", "run:odd.gz"])
def test_a_run_is_a_teacher_of_its_own_scores(tmp_path, monkeypatch, collection, reference):
    monkeypatch.chdir(tmp_path)
    name = reference.removeprefix("run:")
    data = RUN.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    teacher = open_teacher(reference)
    assert (teacher.kind, teacher.by_text, teacher.name) == ("run", False, name)
    # Queries and documents of the run that the collection does not have do no harm.
    assert teacher.score(collection, rows(0, 1, 0), rows(1, 2, 0)).tolist() == [np.float32(-1e-3), 9.5, 4]


@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t0.5\n",
        "q1\td1\t2\nq2\td2\t0.5\n",
        "q1 d1 2\n\nq2 d2 0.5\n",
        "q1 0 d1 2\nq2 0 d2 0.5\n",
    ],
)
def test_labels_in_every_usual_form(tmp_path, collection, text):
    (tmp_path / "labels.tsv").write_text(text)
    for reference in (f"labels:{tmp_path}/labels.tsv", f"{tmp_path}/labels.tsv"):
        teacher = open_teacher(reference)
        assert teacher.kind == "labels"
        assert teacher.score(collection, rows(1, 0), rows(1, 0)).tolist() == [0.5, 2]


def test_a_pair_that_is_not_in_the_file_is_missing_and_never_zero(tmp_path, collection):
    (tmp_path / "r.trec").write_text(RUN)
    teacher = open_teacher(str(tmp_path / "r.trec"))
    with pytest.raises(MissingScores, match=r"2 of 3 pairs have no score in r\.trec \(first: query q2, document d1\)"):
        teacher.score(collection, rows(0, 1, 1), rows(0, 0, 1))
    other = make_collection(tmp_path / "other", {"x": "a"}, {"y": "b"})
    with pytest.raises(MissingScores, match="1 of 1 pairs"):
        teacher.score(other, rows(0), rows(0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 Q0 d1 1 4 tag\nq1 Q0 d2 2\n", "line 2: 4 columns, not 6"),
        ("q1 Q0 d1 1 high tag\n", "line 1: the score is not a finite number"),
        ("q1 Q0 d1 1 nan tag\n", "line 1: the score is not a finite number"),
        ("q1 Q0 d1 1 4 tag\nq1 Q0 d1 2 3 tag\n", "line 2: query q1, document d1 has the score 3, and 4 before"),
        ("\n", "holds no scores"),
    ],
)
def test_a_broken_run_is_refused_by_its_line(tmp_path, text, message):
    (tmp_path / "r.trec").write_text(text)
    with pytest.raises(DataError, match=message):
        open_teacher(f"run:{tmp_path}/r.trec")


def test_broken_labels_are_refused_by_their_line(tmp_path):
    (tmp_path / "l.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\tgood\n")
    with pytest.raises(DataError, match="line 2: the score is not a finite number"):
        open_teacher(f"labels:{tmp_path}/l.tsv")
    (tmp_path / "l.tsv").write_text("q1\td1\t1\nq1\td1\n")
    with pytest.raises(DataError, match="line 2: 2 columns, not 3 columns"):
        open_teacher(f"labels:{tmp_path}/l.tsv")
    with pytest.raises(DataError, match="there is no file"):
        open_teacher(f"run:{tmp_path}/nothing")


def test_a_pair_may_come_twice_with_one_score(tmp_path, collection):
    (tmp_path / "l.tsv").write_text("q1\td1\t1\nq1\td1\t1.0\n")
    assert open_teacher(str(tmp_path / "l.tsv")).score(collection, rows(0, 0), rows(0, 0)).tolist() == [1, 1]


def test_the_fingerprint_is_the_files(tmp_path):
    for name, text in (("a.trec", RUN), ("b.trec", RUN), ("c.trec", RUN + "q2 Q0 d1 2 1 tag\n")):
        (tmp_path / name).write_text(text)
    a, b, c = (open_teacher(str(tmp_path / name)).fingerprint for name in ("a.trec", "b.trec", "c.trec"))
    assert a == b != c


def test_a_run_scores_no_texts(tmp_path):
    (tmp_path / "r.trec").write_text(RUN)
    with pytest.raises(ModelError, match="scores ids, not texts"):
        open_scorer(str(tmp_path / "r.trec"))


@pytest.mark.shared
def test_real_runs_and_labels_open(shared_data):
    folder = shared_data("dl19-passage")
    run = open_teacher(str(folder / "runs" / "llm.BM25.rankvicuna-7b-aug.top20.v1.trec"))
    assert len(run.value) == 4300
    labels = open_teacher(str(folder / "teacher_labels" / "exam-graded-mean-gpt4.tsv"))
    assert (
        len(labels.value) == len((folder / "teacher_labels" / "exam-graded-mean-gpt4.tsv").read_text().split("\n")) - 2
    )
