from __future__ import annotations

import gzip

import pytest

from rankstill.collection.qrels_files import judgements, qrels_files
from rankstill.errors import DataError

from .conftest import write_lines

EXPECTED = [("test", "q1", "d1", 2), ("test", "q1", "d2", 0), ("test", "q2", "d1", -1)]


@pytest.mark.parametrize(
    "lines",
    [
        ["query-id\tcorpus-id\tscore", "q1\td1\t2", "q1\td2\t0", "q2\td1\t-1"],
        ["q1\td1\t2", "q1\td2\t0", "q2\td1\t-1"],
        ["q1 0 d1 2", "q1 0 d2 0", "q2 Q0 d1 -1"],
        ["q1\t0\td1\t2", "", "q1\t0\td2\t0", "q2\t0\td1\t-1"],
    ],
    ids=["beir", "beir-without-header", "trec", "trec-with-tabs"],
)
def test_both_forms_give_the_same(tmp_path, lines):
    assert list(judgements(write_lines(tmp_path / "a", *lines), "test")) == EXPECTED


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["q1 d1"], r"line 1: 2 columns, not 3 \(query, document, grade\) or 4"),
        (["q1\td1\t1", "q1 0 d2 1"], r"line 2: 4 columns, the lines before have 3"),
        (["q1\td1\thigh"], r"line 1: the grade 'high' is not a whole number"),
        (["query-id\tcorpus-id\tscore", "q1\td1\t1.5"], r"line 2: the grade '1.5' is not a whole number"),
        (["q1\td1\t12345678901"], r"line 1: the grade '12345678901' is not a whole number"),
    ],
)
def test_broken_lines(tmp_path, lines, message):
    path = write_lines(tmp_path / "qrels.tsv", *lines)
    with pytest.raises(DataError, match=message):
        list(judgements(path, "test"))


def test_splits_by_the_names_of_the_files(tmp_path):
    names = {
        "qrels/train.tsv": "train",
        "qrels/dl.2019.trec": "dl.2019",
        "qrels.dev.txt": "dev",
        "qrels.dl19-passage.txt": "dl19-passage",
        "qrels.trec": "test",
    }
    for name in [*names, "qrels/README.md", "qrels/.hidden.tsv", "my.qrels.tsv"]:
        write_lines(tmp_path / name, "q 0 d 1")
    assert qrels_files(tmp_path) == {split: tmp_path / name for name, split in names.items()}


def test_gzipped_qrels(tmp_path):
    (tmp_path / "qrels.dev.tsv.gz").write_bytes(gzip.compress(b"q 0 d 1\n"))
    files = qrels_files(tmp_path)
    assert list(judgements(files["dev"], "dev")) == [("dev", "q", "d", 1)]


def test_two_files_of_one_split(tmp_path):
    write_lines(tmp_path / "qrels" / "test.tsv", "q 0 d 1")
    write_lines(tmp_path / "qrels.txt", "q 0 d 1")
    with pytest.raises(DataError, match=r"two files hold the judgements of split 'test': .*qrels\.txt"):
        qrels_files(tmp_path)


def test_a_qrels_folder_without_judgements(tmp_path):
    write_lines(tmp_path / "qrels" / "README.md", "none")
    with pytest.raises(DataError, match=r"qrels holds no judgements\nhint: name them SPLIT\.tsv"):
        qrels_files(tmp_path)
