from __future__ import annotations

from typing import NamedTuple

import ir_datasets
import pytest
from ir_datasets.datasets.base import Dataset
from ir_datasets.formats import (
    BaseDocs,
    BaseQrels,
    BaseQueries,
    BaseScoredDocs,
    GenericQuery,
    GenericScoredDoc,
    TrecQrel,
)

from rankstill.collection import irds
from rankstill.collection.load import load
from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError


class TitledDoc(NamedTuple):
    doc_id: str
    title: str
    text: str

    def default_text(self):
        return f"{self.title} {self.text}"


class Docs(BaseDocs):
    def docs_iter(self):
        yield TitledDoc("d1", "Flea", "lives")
        yield TitledDoc("d2", "", "cats")

    def docs_cls(self):
        return TitledDoc

    def docs_count(self):
        return 2


class Queries(BaseQueries):
    def __init__(self, *queries):
        self.queries = queries

    def queries_iter(self):
        yield from self.queries

    def queries_cls(self):
        return GenericQuery


class Judged(BaseQrels):
    def __init__(self, *qrels):
        self.qrels = qrels

    def qrels_iter(self):
        yield from self.qrels

    def qrels_cls(self):
        return TrecQrel

    def qrels_defs(self):
        return {0: "not", 1: "relevant"}


class Listed(BaseScoredDocs):
    def scoreddocs_iter(self):
        for query, doc, score in (("q1", "d2", 2.0), ("q2", "d2", 1.5), ("q1", "d1", 1.0)):
            yield GenericScoredDoc(query, doc, score)

    def scoreddocs_cls(self):
        return GenericScoredDoc


class Broken(BaseDocs):
    def docs_iter(self):
        yield TitledDoc("d1", "", "x")
        raise RuntimeError("cannot download")

    def docs_cls(self):
        return TitledDoc

    def docs_count(self):
        return None


Q1, Q2 = GenericQuery("q1", "flea"), GenericQuery("q2", "cat ")
HIT, MISS, CAT = TrecQrel("q1", "d1", 1, "0"), TrecQrel("q1", "d2", 0, "0"), TrecQrel("q2", "d2", 1, "0")


@pytest.fixture(scope="module", autouse=True)
def _registered():
    """A collection as ir_datasets lays out large ones: texts above, queries and judgements below."""
    register = ir_datasets.registry.register
    register("rankstill-tiny", Dataset(Docs()))
    register("rankstill-tiny/train", Dataset(Docs(), Queries(Q1), Judged(HIT, MISS), Listed()))
    register("rankstill-tiny/valid", Dataset(Docs(), Queries(Q1, Q2), Judged(CAT)))
    register("rankstill-tiny/trec-2019", Dataset(Docs(), Queries(Q1, Q2), Judged(HIT, CAT), Listed()))
    register("rankstill-broken", Dataset(Broken(), Queries(Q1)))
    register("rankstill-empty", Dataset(Queries(Q1)))


def test_an_id_with_judgements(tmp_path):
    collection = Collection(load("rankstill-tiny/trec-2019", tmp_path / "out"))
    assert list(collection.documents) == ["Flea lives", "cats"]
    assert list(collection.queries) == ["flea", "cat"]
    assert collection.splits == ["test"]
    qrels = collection.qrels("test")
    assert (qrels.query.tolist(), qrels.doc.tolist(), qrels.grade.tolist()) == ([0, 1], [0, 1], [1, 1])
    assert collection.manifest["inputs"] == {
        "source": f"ir_datasets {ir_datasets.__version__} rankstill-tiny/trec-2019"
    }
    # ir_datasets gave the pairs of q1 apart; here they stand together.
    lists = collection.lists()
    assert (lists.query.tolist(), lists.doc.tolist(), lists.score.tolist()) == ([0, 0, 1], [1, 0, 1], [2.0, 1.0, 1.5])


def test_an_id_without_judgements_takes_those_of_its_parts():
    source = irds.source("rankstill-tiny")
    assert list(source.queries()) == [("q1", "flea"), ("q2", "cat")]
    assert list(source.judgements()) == [("train", "q1", "d1", 1), ("train", "q1", "d2", 0), ("dev", "q2", "d2", 1)]


def test_lists_of_a_train_split_only_when_asked():
    assert irds.source("rankstill-tiny/train").lists is None
    assert len(list(irds.source("rankstill-tiny/train", "all").lists())) == 3
    assert irds.source("rankstill-tiny/trec-2019", "none").lists is None


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("cranfield", "test"),
        ("beir/scifact/train", "train"),
        ("msmarco-passage/train/judged", "train"),
        ("antique/train/split200-valid", "dev"),
        ("msmarco-passage/trec-dl-2019/judged", "test"),
    ],
)
def test_split_of(name, split):
    assert irds.split_of(name) == split


def test_unknown_id(tmp_path):
    with pytest.raises(DataError, match=r"no file, folder or ir_datasets id 'cranfeld'\nhint: did you mean cranfield"):
        load("cranfeld", tmp_path / "out")


def test_an_id_without_documents():
    with pytest.raises(DataError, match="ir_datasets id 'rankstill-empty' has no documents"):
        irds.source("rankstill-empty")


def test_an_id_without_queries():
    message = r"ir_datasets id 'clueweb09' has no queries\nhint: take a part of it: clueweb09/ar"
    with pytest.raises(DataError, match=message):
        irds.source("clueweb09")


def test_lists_is_all_or_none():
    with pytest.raises(SpecError, match="takes lists=all or lists=none"):
        irds.source("rankstill-tiny", "bm25")


def test_what_ir_datasets_cannot_read(tmp_path):
    with pytest.raises(DataError, match="could not read rankstill-broken: RuntimeError: cannot download"):
        load("rankstill-broken", tmp_path / "out")
    assert not (tmp_path / "out").exists()
