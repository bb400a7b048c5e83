"""What holds for every strategy: no positives, no copies of them, no duplicates, the right number, stable draws."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankstill.candidates import STRATEGIES, Request, Vectors, open_strategy
from rankstill.candidates.sample import SampleSpec, sample
from rankstill.errors import DataError, SpecError
from rankstill.files import read_manifest
from rankstill.records import Pairs
from tests.tiny_collections import make_collection, word_collection

WITH_OPTIONS = {
    "bm25 range": "bm25#skip=5,depth=40,k1=0.9,b=0.4,analyser=plain",
    "dense range": "dense#skip=3,depth=30",
    "dense approximate": "dense#approximate=3,cells=5",
    "run range": "run:DIR/1.run#skip=4,depth=30,missing=skip",
    "hard negatives of one system": "hard-negatives:DIR/hard.jsonl#systems=two",
    "fused ensemble": "ensemble:DIR/*.run#fuse=60,depth=30",
    "ensemble of strategies": "ensemble#of=(bm25#skip=2)+(run:DIR/1.run)+dense+teacher",
    "mixture of three": "mixture:bm25*3+(run:DIR/1.run)+stratified",
    "mixture in a mixture": "mixture:(mixture:bm25+random)+dense",
    "trisampler by the positive": "trisampler#weight=positive,angle=90",
    "dark of the teacher's": "dark:teacher#strengthened=0.7,masked=0.3,mix=0.5,mask=0.5",
    "dark of a mixture": "dark#of=(mixture:bm25*0.5+random*0.5),masked=0",
}
"""More references, by what they are; DIR stands for the folder of the files."""
EVERY = [*STRATEGIES, *WITH_OPTIONS]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return word_collection(tmp_path_factory.mktemp("words") / "c")


@pytest.fixture(scope="module")
def references(collection, tmp_path_factory):
    """One reference for each strategy, with the files that some need."""
    folder = tmp_path_factory.mktemp("files")
    everything = np.arange(len(collection.queries), dtype=np.uint32)
    lists = open_strategy("bm25").sample(Request(collection, everything, {}, 60, 60, seed=0))
    for number, step in enumerate((1, -1)):
        write_trec_run(folder / f"{number}.run", collection, lists, step)
    write_hard_negatives(folder / "hard.jsonl", collection, lists)
    found = {name: name for name in STRATEGIES}
    found["run"] = f"run:{folder}/0.run"
    found["ensemble"] = f"ensemble:{folder}/*.run"
    found["hard-negatives"] = f"hard-negatives:{folder}/hard.jsonl"
    found |= {name: reference.replace("DIR", str(folder)) for name, reference in WITH_OPTIONS.items()}
    return found


def write_trec_run(path, collection, lists, step=1):
    with path.open("w") as file:
        for query, span in lists.per_query().items():
            docs = collection.documents.ids(lists.doc[span])
            for rank, doc in enumerate(docs[::step], 1):
                file.write(f"{collection.queries.id(query)} Q0 {doc} {rank} {100 - rank} tag\n")


def write_hard_negatives(path, collection, lists):
    with path.open("w") as file:
        for query, span in lists.per_query().items():
            docs = collection.documents.ids(lists.doc[span])
            systems = {"one": docs[:40], "two": [{"pid": doc, "score": 1.0} for doc in docs[20:]]}
            file.write(json.dumps({"qid": collection.queries.id(query), "pos": [], "neg": systems}) + "\n")


def _vectors(texts, seed):
    values = np.random.default_rng(seed).normal(size=(len(texts), 8)).astype(np.float32)
    return Vectors(np.arange(len(texts), dtype=np.uint32), values)


def _request(collection, queries, seed=1, negatives=5, depth=20):
    queries = np.array(queries, np.uint32)
    positives = {q: d for split in collection.splits for q, d in collection.qrels(split).positives().items()}
    # The wider list that a teacher scored: BM25's, with scores that stand for a teacher's.
    wider = open_strategy("bm25").sample(Request(collection, queries, positives, 40, 40, seed=0))
    rated = Pairs(wider.query, wider.doc, np.sin(wider.doc.astype(np.float32)))
    vectors = _vectors(collection.queries, 1), _vectors(collection.documents, 2)
    return Request(collection, queries, positives, negatives, depth, seed, rated, *vectors)


def draw(reference, request):
    return open_strategy(reference).sample(request)


def _drawn(collection, strategy, queries, **options):
    """Draw; list each query's documents by their ids: those of edited texts are the same in every request."""
    found = draw(strategy, _request(collection, queries, **options))
    ids = [*collection.documents.ids(), *(name for name, _ in found.edited)]
    return {q: [ids[d] for d in found.doc[s]] for q, s in found.per_query().items()}


def _texts(collection, drawn):
    every = [*collection.documents, *(text for _, text in drawn.edited)]
    return {q: [every[d] for d in drawn.doc[s]] for q, s in drawn.per_query().items()}


@pytest.mark.parametrize("strategy", EVERY)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    queries=st.lists(st.integers(0, 19), min_size=1, max_size=6, unique=True), seed=st.integers(0, 9), data=st.data()
)
def test_draws_are_right(collection, references, strategy, queries, seed, data):
    strategy = references[strategy]
    negatives = data.draw(st.integers(4, 12))
    request = _request(collection, queries, seed, negatives, max(negatives, 20))
    drawn = _drawn(collection, strategy, queries, seed=seed, negatives=negatives)
    assert list(drawn) == queries
    for query, docs in drawn.items():
        assert len(docs) == negatives
        assert len(set(docs)) == len(docs)
        assert not set(docs) & set(collection.documents.ids(request.positives[query]))
    for query, texts in _texts(collection, draw(strategy, request)).items():
        assert len({" ".join(text.split()) for text in texts}) == negatives
        assert not set(texts) & set(collection.documents.take(request.positives[query]))
    shuffled = data.draw(st.permutations(queries))
    assert _drawn(collection, strategy, shuffled, seed=seed, negatives=negatives) == drawn


@pytest.mark.parametrize("strategy", EVERY)
def test_a_draw_does_not_depend_on_the_other_queries(collection, references, strategy):
    strategy = references[strategy]
    together = _drawn(collection, strategy, [3, 5, 8])
    assert together == {q: _drawn(collection, strategy, [q])[q] for q in (3, 5, 8)}
    assert _drawn(collection, strategy, [8, 3, 5]) == together


@pytest.mark.parametrize("strategy", sorted(set(EVERY) - {"teacher"}))
def test_another_seed_is_another_draw(collection, references, strategy):
    strategy = references[strategy]
    assert _drawn(collection, strategy, [3, 5, 8], seed=1) == _drawn(collection, strategy, [3, 5, 8], seed=1)
    assert _drawn(collection, strategy, [3, 5, 8], seed=1) != _drawn(collection, strategy, [3, 5, 8], seed=2)


@pytest.mark.parametrize("strategy", EVERY)
def test_what_is_drawn_is_told_in_full(collection, references, strategy):
    found = draw(references[strategy], _request(collection, [3, 5], negatives=6))
    known = np.isfinite(found.probability)
    assert (found.probability[known] > 0).all()
    assert (found.probability[known] <= 1).all()
    assert found.source.max() < max(len(found.sources), 1)
    assert found.sources == () or len(found.sources) >= 2 or "one system" in strategy


@pytest.mark.parametrize("strategy", EVERY)
def test_two_references_of_one_strategy_draw_the_same(collection, references, strategy):
    first, again = references[strategy], str(open_strategy(references[strategy]))
    assert _drawn(collection, first, [3, 5]) == _drawn(collection, again, [3, 5])


@pytest.mark.parametrize("strategy", EVERY)
def test_more_than_there_is_gives_all_or_is_refused(collection, references, strategy):
    request = _request(collection, [3], negatives=250, depth=250)
    refused = {"random", "mixture", "bm25 range", "dense range", "run range", "fused ensemble", "dark of a mixture"}
    if strategy in refused:
        with pytest.raises((DataError, SpecError), match=r"cannot draw|are needed"):
            draw(references[strategy], request)
        return
    drawn = draw(references[strategy], request).doc.tolist()
    assert 0 < len(set(drawn)) == len(drawn) < 250


def test_a_request_is_checked(collection):
    with pytest.raises(DataError, match="at least one document per query, asked for 0"):
        _request(collection, [1], negatives=0)
    with pytest.raises(DataError, match="cannot draw 9 documents from the first 8"):
        _request(collection, [1], negatives=9, depth=8)
    with pytest.raises(DataError, match="1 of 3 queries to draw for come twice"):
        Request(collection, np.array([1, 2, 1], np.uint32), {}, 1, 1, 1)


@pytest.mark.parametrize("strategy", ["random", "bm25", "dense", "teacher", "stratified", "mixture", "trisampler"])
def test_a_copy_of_a_positive_is_never_drawn(tmp_path, strategy):
    documents = {f"d{i}": f"wing number{i} lift" for i in range(12)}
    documents |= {"positive": "wing lift exactly", "copy one": "wing lift exactly", "copy two": "wing lift exactly"}
    documents = {key.replace(" ", "-"): text for key, text in documents.items()}
    collection = make_collection(tmp_path / "c", documents, {"q": "wing lift exactly"}, [("train", "q", "positive", 1)])
    positives = collection.qrels("train").positives()
    everything = np.arange(15, dtype=np.uint32)
    wider = Pairs(np.zeros(15, np.uint32), everything, np.arange(15, dtype=np.float32))
    for seed in range(20):
        vectors = _vectors(collection.queries, 1), _vectors(collection.documents, 2)
        found = draw(strategy, Request(collection, np.array([0], np.uint32), positives, 12, 15, seed, wider, *vectors))
        assert sorted(found.doc.tolist()) == list(range(12))


def test_bm25_draws_from_the_first_documents_only(collection):
    first = _drawn(collection, "bm25", [4], negatives=20, depth=20)[4]
    assert len(first) == 20
    for seed in range(10):
        assert set(_drawn(collection, "bm25", [4], seed=seed, negatives=5, depth=20)[4]) <= set(first)


def test_random_refuses_when_too_few_are_left(tmp_path):
    collection = make_collection(tmp_path / "c", {"a": "x", "b": "y", "c": "x"}, {"q": "z"}, [("train", "q", "a", 1)])
    positives = collection.qrels("train").positives()
    with pytest.raises(DataError, match="query q: only 1 of 3 documents may be negatives, 2 are needed"):
        draw("random", Request(collection, np.array([0], np.uint32), positives, 2, 2, 1))


def test_the_teacher_takes_the_hardest(collection):
    request = _request(collection, [6], negatives=5)
    drawn = _drawn(collection, "teacher", [6], negatives=5)[6]
    best = [d for d in request.wider.ranked().doc.tolist() if d not in request.positives[6].tolist()]
    assert drawn == collection.documents.ids(best[:5])


def test_the_teacher_needs_a_scored_list(collection):
    with pytest.raises(DataError, match="wider list that the teacher has scored"):
        draw("teacher", Request(collection, np.array([0], np.uint32), {}, 5, 5, 1))


def test_the_stage_refuses_a_query_without_candidates(tmp_path):
    documents = {f"d{i}": f"wing number{i}" for i in range(5)}
    collection = make_collection(tmp_path / "c", documents, {"q1": "wing", "q2": "zyzzyva"}, [("train", "q1", "d0", 1)])
    with pytest.raises(DataError, match=r"1 of 2 queries have no candidate \(first: q2: 'zyzzyva'\)"):
        sample(collection.path, tmp_path / "out", SampleSpec("bm25", 2), queries=np.array([0, 1], np.uint32))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("on_short", ["refuse", "drop"])
def test_the_stage_drops_queries_without_candidates_where_told_but_never_all(tmp_path, on_short):
    documents = {f"d{i}": f"wing number{i}" for i in range(5)}
    collection = make_collection(tmp_path / "c", documents, {"q1": "wing", "q2": "zyzzyva"}, [("train", "q1", "d0", 1)])
    spec = SampleSpec("bm25", 2, on_short=on_short)
    with pytest.raises(DataError, match="1 of 1 queries have no candidate"):
        sample(collection.path, tmp_path / "none", spec, queries=np.array([1], np.uint32))
    if on_short == "drop":
        out = sample(collection.path, tmp_path / "out", spec, queries=np.array([0, 1], np.uint32))
        assert np.unique(Pairs.read(out / "candidates.parquet").query).tolist() == [0]
        assert read_manifest(out)["counts"] == {"queries": 2, "candidates": 2, "dropped": 1}


def test_an_unknown_strategy_gets_the_nearest_name(collection, tmp_path):
    with pytest.raises(SpecError, match="did you mean 'bm25'"):
        sample(collection.path, tmp_path / "out", SampleSpec("bm52"), queries=np.array([1], np.uint32))
