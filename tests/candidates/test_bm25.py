"""BM25's figures are bm25s's and can be worked by hand."""

import math

import bm25s
import numpy as np
import pytest
import Stemmer
from hypothesis import given
from hypothesis import strategies as st

from rankstill.candidates import open_strategy
from rankstill.candidates.analyser import Analyser
from rankstill.candidates.bm25 import Index, rescore, retrieve, top
from rankstill.errors import SpecError
from rankstill.records import Pairs
from tests.candidates.requests import check_probability, docs, request
from tests.tiny_collections import make_collection, word_collection

TEXTS = ["Wings lift the plane", "a wing, a wing and a wing", "heat flows", "the of and"]


def test_terms_are_those_of_bm25s():
    texts = [*TEXTS, "Ünïcode naïve café", "snake_case and CamelCase x y zz 42", "don't re-enter"]
    theirs = bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False)
    words = {number: word for word, number in theirs.vocab.items()}
    analyser = Analyser()
    ours = [analyser(text) for text in texts]
    names = {number: word for word, number in analyser.vocabulary.items()}
    assert [[names[t] for t in doc] for doc in ours] == [[words[t] for t in doc] for doc in theirs.ids]


def test_a_score_worked_by_hand(tmp_path):
    collection = make_collection(tmp_path / "c", dict(zip("abcd", TEXTS, strict=True)), {"q": "wings"})
    scores = Index(collection.documents, k1=0.9, b=0.4).scores("wings")
    # Terms: wing lift plane | wing wing wing | heat flow | none. Mean length 8/4 = 2, both lengths 3.
    norm = 0.9 * (1 - 0.4 + 0.4 * 3 / 2)
    idf = math.log(1 + (4 - 2 + 0.5) / (2 + 0.5))
    assert scores == pytest.approx([idf * 1 / (1 + norm), idf * 3 / (3 + norm), 0, 0], rel=1e-6)


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75)])
def test_scores_are_those_of_bm25s(tmp_path, k1, b):
    collection = word_collection(tmp_path / "c")
    stemmer = Stemmer.Stemmer("english")
    theirs = bm25s.BM25(k1=k1, b=b, method="lucene")
    theirs.index(
        bm25s.tokenize(list(collection.documents), stopwords="en", stemmer=stemmer, show_progress=False),
        show_progress=False,
    )
    ours = Index(collection.documents, k1=k1, b=b)
    for query in collection.queries:
        tokens = bm25s.tokenize(query, stopwords="en", stemmer=stemmer, show_progress=False, return_ids=False)[0]
        np.testing.assert_allclose(ours.scores(query), theirs.get_scores(tokens), rtol=1e-5)


def test_equal_scores_stand_in_row_order_also_at_the_cut():
    docs, scores = top(np.array([1, 2, 0, 1, 1, 3], np.float32), 4)
    assert docs.tolist() == [5, 1, 0, 3]
    assert scores.tolist() == [3, 2, 1, 1]


def test_documents_that_share_no_term_are_not_found():
    docs, _ = top(np.array([0, 0.5, 0], np.float32), 10)
    assert docs.tolist() == [1]


def test_retrieval_and_rescoring_agree(tmp_path):
    collection = word_collection(tmp_path / "c")
    rows = np.arange(5, dtype=np.uint32)
    found = retrieve(collection, rows, 7)
    shuffled = np.random.default_rng(0).permutation(len(found))
    shuffled = shuffled[np.argsort(found.query[shuffled], kind="stable")]
    pool = Pairs(found.query[shuffled], found.doc[shuffled], np.full(len(found), np.nan, np.float32))
    again = rescore(collection, pool)
    assert np.array_equal(again.doc, found.doc)
    assert np.array_equal(again.score, found.score)


def test_a_query_of_unknown_words_scores_nothing(tmp_path):
    collection = word_collection(tmp_path / "c", documents=20, queries=2)
    assert not Index(collection.documents).scores("zyzzyva the").any()


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.5]), min_size=1, max_size=40), st.integers(1, 50), st.data())
def test_a_floor_that_enough_documents_reach_changes_nothing(values, depth, data):
    scores = np.array(values, np.float32)
    reached = np.sort(scores)[::-1][depth - 1] if depth <= len(scores) else 0.0
    floor = data.draw(st.sampled_from(sorted({0.0, *[v for v in values if v <= reached]})))
    plain, floored = top(scores, depth), top(scores, depth, floor)
    assert plain[0].tolist() == floored[0].tolist()
    order = np.lexsort((np.arange(len(scores)), -scores))
    assert plain[0].tolist() == [row for row in order[:depth].tolist() if scores[row] > 0]


@pytest.mark.parametrize("depth", [1, 3, 10, 60, 150, 300])
def test_the_best_are_those_of_all_scores_also_without_some(tmp_path, depth):
    collection = word_collection(tmp_path / "c")
    index = Index(collection.documents)
    without = np.arange(0, 200, 3)
    for query in collection.queries:
        scores = index.scores(query)
        assert [part.tolist() for part in index.top(query, depth)] == [p.tolist() for p in top(scores, depth)]
        scores[without] = 0
        found = index.top(query, depth, without)
        assert [part.tolist() for part in found] == [part.tolist() for part in top(scores, depth)]


@pytest.fixture
def graded(tmp_path):
    """Document i has the query's word i + 1 times among ten: the higher the row, the better. d9 is the positive."""
    texts = {f"d{i}": " ".join(["wing"] * (i + 1) + [f"filler{i}x{j}" for j in range(9 - i)]) for i in range(10)}
    texts |= {"copy": texts["d9"], "none": "heat"}
    return make_collection(tmp_path / "c", texts, {"q": "wings", "dry": "zyzzyva"}, [("train", "q", "d9", 1)])


def draw(reference, asked):
    return open_strategy(reference).sample(asked)


def test_documents_come_by_rank_without_positives_and_strangers(graded):
    drawn = draw("bm25", request(graded, negatives=10))
    assert docs(drawn) == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert np.all(np.diff(drawn.score) < 0)


def test_the_rank_range(graded):
    assert docs(draw("bm25#skip=2,depth=5", request(graded, negatives=3))) == [6, 5, 4]
    with pytest.raises(SpecError, match="cannot draw 4 documents from the ranks 3 to 5"):
        draw("bm25#skip=2,depth=5", request(graded, negatives=4))


def test_the_stated_probability_is_the_frequency(graded):
    stated = check_probability("bm25#skip=1,depth=7", lambda seed: request(graded, negatives=2, seed=seed), 500)
    assert stated == {doc: pytest.approx(1 / 3) for doc in (7, 6, 5, 4, 3, 2)}


def test_a_query_of_unknown_words_gets_nothing(graded):
    drawn = draw("bm25", request(graded, queries=(1, 0)))
    assert docs(drawn, 1) == []
    assert len(docs(drawn, 0)) == 3


def test_the_parameters_are_used(tmp_path):
    collection = make_collection(
        tmp_path / "c", {"short": "wing", "long": "wing wing wing heat heat heat heat"}, {"q": "wing"}
    )
    # Without length normalisation the more frequent word wins; with all of it, the shorter document.
    assert docs(draw("bm25#b=0", request(collection, negatives=2))) == [1, 0]
    assert docs(draw("bm25#b=1", request(collection, negatives=2))) == [0, 1]
    # With k1 = 0 only the presence counts: the order of the rows.
    assert len(set(draw("bm25#k1=0", request(collection, negatives=2)).score.tolist())) == 1


def test_the_analyser_is_used(tmp_path):
    collection = make_collection(tmp_path / "c", {"a": "the wings", "b": "wing"}, {"q": "wing"})
    assert docs(draw("bm25", request(collection, negatives=2))) == [0, 1]
    assert docs(draw("bm25#analyser=plain", request(collection, negatives=2))) == [1]


def test_plain_words_are_neither_stemmed_nor_stopped():
    analyser = Analyser("plain")
    assert analyser("The wings and THE wing") == [0, 1, 2, 0, 3]
    assert list(analyser.vocabulary) == ["the", "wings", "and", "wing"]


def test_an_unknown_analyser_is_refused():
    with pytest.raises(SpecError, match="unknown analyser 'englisch'"):
        Analyser("englisch")
