"""What a compound strategy's parts gave stands with each group."""

import numpy as np
import pytest

from rankstill.errors import DataError
from rankstill.files import read_manifest
from rankstill.groups.build import sources_of
from rankstill.records import UNDRAWN, Candidates, Groups
from tests.tiny_folders import beir_folder
from tests.tiny_models import tiny_bi_encoder


def groups(source=None):
    doc = np.array([[3, 5, 7], [9, 5, 4]], np.uint32)
    zero = np.zeros((2, 3), np.float32)
    return Groups(np.array([0, 1], np.uint32), doc, zero, zero, source=source)


def test_each_document_has_its_part_and_a_judged_positive_none():
    none = np.full(2, np.nan, np.float32)
    first = Candidates.of(0, np.array([7, 5], np.uint32), none, 0.5, 1)
    drawn = Candidates.concatenate([first, Candidates.of(1, np.array([5, 9], np.uint32), none, 0.5, 0)])
    # The second group's first document was drawn: it stands in for the positive that nobody judged.
    assert sources_of(groups(), drawn).tolist() == [[UNDRAWN, 1, 1], [0, 0, UNDRAWN]]


def test_groups_keep_their_sources_on_disk_and_when_some_are_picked(tmp_path):
    source = np.array([[255, 0, 1], [255, 1, 1]], np.uint8)
    groups(source).write(tmp_path / "with.parquet")
    groups().write(tmp_path / "without.parquet")
    read = Groups.read(tmp_path / "with.parquet")
    assert read.source.dtype == np.uint8
    np.testing.assert_array_equal(read.source, source)
    np.testing.assert_array_equal(read.take(np.array([1])).source, source[1:])
    assert Groups.read(tmp_path / "without.parquet").source is None
    assert groups().take(np.array([1])).doc.tolist() == [[9, 5, 4]]
    with pytest.raises(DataError, match="differ in size"):
        groups(source[:, :2])


def test_a_mixture_records_the_share_of_each_part_per_group(rankstill, tmp_path):
    beir_folder(tmp_path / "data", 70, train=range(12))
    tiny_bi_encoder(tmp_path / "teacher")
    mixed = "mixture:bm25*0.6+random*0.4"
    for command in (
        ("load", "data", "--out", "c"),
        ("sample", "c", "--strategy", mixed, "--negatives", 5, "--depth", 20, "--out", "s"),
        ("score", "c", "s", "--teacher", tmp_path / "teacher", "--out", "scores"),
        ("group", "c", "s", "scores", "--size", 6, "--out", "g"),
    ):
        done = rankstill(*command)
        assert done.code == 0, done.err
    made = Groups.read(tmp_path / "g" / "groups.parquet")
    assert (made.source[:, 0] == UNDRAWN).all()
    # 0.6 and 0.4 of five.
    assert ((made.source == 0).sum(axis=1) == 3).all()
    assert ((made.source == 1).sum(axis=1) == 2).all()
    sampled, grouped = (read_manifest(tmp_path / folder)["counts"]["sources"] for folder in ("s", "g"))
    assert grouped == sampled == {"bm25": 3 * len(made), "random": 2 * len(made)}
