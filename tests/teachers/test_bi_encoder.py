from __future__ import annotations

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from rankstill.teachers import open_scorer, open_teacher
from rankstill.teachers.bi_encoder import BiEncoderTeacher
from rankstill.teachers.encode import Encoder
from tests.tiny_collections import make_collection
from tests.tiny_models import tiny_bi_encoder, tiny_static

DOCUMENTS = {"d1": "wing slip", "d2": "jet flow gas", "d3": "wing slip", "d4": "cone plate", "d5": "jet"}
ASKED = {"q1": "wing", "q2": "jet flow", "q3": "wing"}


@pytest.fixture
def collection(tmp_path):
    return make_collection(tmp_path / "collection", DOCUMENTS, ASKED)


def rows(*numbers):
    return np.array(numbers, np.uint32)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean", "manhattan"])
def test_scores_are_the_models_own_similarity(tmp_path, similarity):
    path = tiny_bi_encoder(tmp_path / "model", similarity)
    model = SentenceTransformer(str(path), device="cpu", local_files_only=True)
    queries, docs = ["wing", "jet flow", "wing"], ["wing slip", "jet flow gas", "jet flow"]
    expected = model.similarity_pairwise(model.encode(queries), model.encode(docs))
    scores = open_scorer(str(path), precision="float32")(queries, docs)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_cosine_does_not_need_vectors_of_length_one(tmp_path):
    path = tiny_bi_encoder(tmp_path / "model", "dot")
    config = path / "config_sentence_transformers.json"
    config.write_text(config.read_text().replace('"dot"', '"cosine"'))
    score = open_scorer(str(path), precision="float32")
    assert score(["jet flow"], ["jet flow"])[0] == pytest.approx(1, abs=1e-6)


class Counting(Encoder):
    """An encoder that writes down what it encoded."""

    def __init__(self, *args):
        super().__init__(*args)
        self.encoded = []

    def encode(self, texts, side=None):
        self.encoded += [(side, t) for t in texts]
        return super().encode(texts, side)


@pytest.mark.parametrize("make", [tiny_bi_encoder, tiny_static])
def test_each_distinct_text_is_encoded_once(tmp_path, collection, make):
    encoder = Counting(str(make(tmp_path / "model")), "float32")
    query, doc = rows(0, 0, 2, 1, 1, 2), rows(0, 2, 2, 1, 4, 4)
    once = [("query", "wing"), ("query", "jet flow"), ("document", "wing slip"), ("document", "jet flow gas")]
    scores = BiEncoderTeacher(encoder).score(collection, query, doc)
    assert encoder.encoded == [*once, ("document", "jet")]
    # Equal texts under other ids: q1 is q3, d1 is d3.
    assert scores[0] == scores[1] == scores[2]
    encoder.encoded.clear()
    (tmp_path / "work").mkdir()
    prepared = BiEncoderTeacher(encoder).prepared(collection, query, doc, tmp_path / "work")
    assert encoder.encoded == [*once, ("document", "jet")]
    assert (prepared.score(collection, query, doc) == scores).all()
    assert (prepared.score(collection, query[::-2], doc[::-2]) == scores[::-2]).all()
    assert len(encoder.encoded) == 5


def test_a_pair_has_the_same_bits_in_any_company(tmp_path, collection):
    teacher = open_teacher(str(tiny_bi_encoder(tmp_path / "model")), precision="bfloat16")
    query, doc = np.repeat(rows(0, 1, 2), 5), np.tile(rows(0, 1, 2, 3, 4), 3)
    together = teacher.score(collection, query, doc)
    for i in range(15):
        assert teacher.score(collection, query[i : i + 1], doc[i : i + 1])[0] == together[i]
