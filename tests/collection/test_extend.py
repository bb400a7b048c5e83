"""An extended collection: the other's rows, more behind them, and nothing copied."""

from pathlib import Path

import numpy as np
import pytest

from rankstill.collection import extend as module
from rankstill.collection.extend import EDITED, extend
from rankstill.collection.store import Collection, write_texts
from rankstill.errors import DataError
from rankstill.files import read_manifest, run_stage
from tests.tiny_collections import make_collection, word_collection

TEXTS = [("d1~masked~q0~0", "wing"), ("d2~strengthened~q0~1", "jet flow")]


@pytest.fixture
def base(tmp_path):
    return word_collection(tmp_path / "base", 30, 4)


def _candidates(place: Path, texts=TEXTS) -> Path:
    def build(work):
        write_texts(work / EDITED, texts, "texts")
        return {}

    return run_stage(place, stage="sample", spec={"texts": texts}, inputs={}, build=build)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "cost.json"}


def test_the_first_rows_are_the_others_and_the_last_ones_new(base, tmp_path):
    found = Collection(extend(base.path, _candidates(tmp_path / "c"), tmp_path / "x"))
    assert len(found.documents) == 32
    assert found.documents.ids() == [*base.documents.ids(), *(name for name, _ in TEXTS)]
    assert list(found.documents) == [*base.documents, "wing", "jet flow"]
    assert [found.documents[row] for row in (0, 29, 30, 31)] == [
        base.documents[0],
        base.documents[29],
        "wing",
        "jet flow",
    ]
    assert found.documents.find(["d2~strengthened~q0~1", "d0", "none"]).tolist() == [31, 0, -1]
    assert found.documents.keys[:30].tolist() == base.documents.keys.tolist()
    assert list(found.queries) == list(base.queries)
    assert found.splits == base.splits
    assert found.relevant_from == base.relevant_from
    np.testing.assert_array_equal(found.qrels("train").doc, base.qrels("train").doc)
    assert found.manifest["counts"]["documents"] == 32


def test_nothing_is_copied(base, tmp_path):
    out = extend(base.path, _candidates(tmp_path / "c"), tmp_path / "x")
    for name in ("documents.arrow", "queries.arrow", "qrels.parquet"):
        assert (out / name).samefile(base.path / name)
    assert (out / "documents.1.arrow").samefile(tmp_path / "c" / EDITED)


def test_without_hard_links_the_links_are_symbolic_and_the_output_the_same(base, tmp_path, monkeypatch):
    candidates = _candidates(tmp_path / "c")
    first = _bytes(extend(base.path, candidates, tmp_path / "x"))

    def refuse(self, target):
        raise OSError("another device")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    monkeypatch.chdir(tmp_path)
    out = extend(Path("base"), Path("c"), Path("y"))
    assert (out / "documents.arrow").is_symlink()
    assert _bytes(out) == first
    assert len(Collection(out).documents) == 32


def test_an_extended_collection_can_be_extended(base, tmp_path):
    once = extend(base.path, _candidates(tmp_path / "c"), tmp_path / "x")
    twice = Collection(extend(once, _candidates(tmp_path / "d", [("another", "text")]), tmp_path / "y"))
    assert len(twice.documents) == 33
    assert twice.documents.id(32) == "another"
    assert twice.documents[32] == "text"


def test_interrupted_it_continues_with_the_same_bytes(base, tmp_path, monkeypatch):
    candidates = _candidates(tmp_path / "c")
    first = _bytes(extend(base.path, candidates, tmp_path / "x"))

    def interrupted(known, more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_refuse_known_ids", interrupted)
        with pytest.raises(KeyboardInterrupt):
            extend(base.path, candidates, tmp_path / "y")
    assert not (tmp_path / "y").exists()
    assert (tmp_path / "y.part" / "documents.arrow").exists()
    assert _bytes(extend(base.path, candidates, tmp_path / "y")) == first


def test_an_id_that_is_there_already_is_refused(tmp_path):
    base = make_collection(tmp_path / "base", {"d0": "wing", "d1~masked~q0~0": "jet"}, {"q0": "wing"})
    with pytest.raises(DataError, match=r"1 of 2 edited texts have an id .* \(first: d1~masked~q0~0\)"):
        extend(base.path, _candidates(tmp_path / "c"), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_another_base_is_another_output(base, tmp_path):
    one = extend(base.path, _candidates(tmp_path / "c"), tmp_path / "x")
    other = word_collection(tmp_path / "other", 31, 4)
    two = extend(other.path, tmp_path / "c", tmp_path / "y")
    assert read_manifest(one)["fingerprint"] != read_manifest(two)["fingerprint"]
