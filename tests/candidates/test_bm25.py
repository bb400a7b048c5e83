"""BM25's figures are bm25s's and can be worked by hand."""

import math

import bm25s
import numpy as np
import pytest
import Stemmer

from rankstill.candidates.analyser import Analyser
from rankstill.candidates.bm25 import Index, rescore, retrieve, top
from rankstill.records import Pairs
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
