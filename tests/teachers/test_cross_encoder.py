from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from sentence_transformers import CrossEncoder

from rankstill.errors import ModelError
from rankstill.teachers import open_teacher
from tests.tiny_collections import WORDS, word_collection
from tests.tiny_models import tiny_cross_encoder, tiny_transformer

QUERIES = ["wing slip", "jet", "flow shock heat", "wing slip", "", "gas wave " * 50]
DOCS = ["stream jet flow", "wing " * 70, "jet", "stream jet flow", "plate lift drag", "cone"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_cross_encoder(tmp_path_factory.mktemp("models") / "cross")


def predicted(path, queries, docs):
    model = CrossEncoder(str(path), device="cpu", local_files_only=True)
    pairs = list(zip(queries, docs, strict=True))
    return model.predict(pairs, batch_size=4, activation_fn=torch.nn.Identity())


def test_scores_are_the_raw_logits_of_sentence_transformers(model):
    scores = open_teacher(str(model), precision="float32").score_texts(QUERIES, DOCS)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, predicted(model, QUERIES, DOCS), atol=1e-5)
    assert scores[0] == scores[3]
    assert np.ptp(scores) > 0.1


def test_two_outputs_are_scored_by_their_difference(tmp_path):
    path = tiny_cross_encoder(tmp_path / "two", labels=2)
    scores = open_teacher(str(path), precision="float32").score_texts(QUERIES, DOCS)
    no, yes = predicted(path, QUERIES, DOCS).T
    np.testing.assert_allclose(scores, yes - no, atol=1e-5)


def test_three_outputs_are_no_ranking(tmp_path):
    path = tiny_cross_encoder(tmp_path / "three", labels=3)
    with pytest.raises(ModelError, match="gives 3 outputs"):
        open_teacher(str(path)).score_texts(QUERIES, DOCS)


def test_a_random_score_head_is_refused(tmp_path):
    path = tiny_cross_encoder(tmp_path / "headless")
    weights = load_file(path / "model.safetensors")
    kept = {name: w for name, w in weights.items() if not name.startswith("classifier")}
    save_file(kept, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 2 weights of its score head \(classifier\.bias, classifier\.weight\)"):
        open_teacher(str(path)).score_texts(QUERIES, DOCS)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_pair_has_the_same_bits_in_any_company(model, precision):
    teacher = open_teacher(str(model), precision=precision)
    together = teacher.score_texts(QUERIES * 9, DOCS * 9).reshape(9, -1)
    assert (together == together[0]).all()
    for query, doc, score in zip(QUERIES, DOCS, together[0], strict=True):
        assert teacher.score_texts([query], [doc])[0] == score


def test_bfloat16_is_close_and_makes_no_ties(model):
    words = WORDS[:16]
    queries, docs = zip(*[(a, f"{b} {a}") for a in words for b in words], strict=True)
    exact = open_teacher(str(model), precision="float32").score_texts(queries, docs)
    rough = open_teacher(str(model), precision="bfloat16").score_texts(queries, docs)
    assert 0 < np.abs(exact - rough).max() < 0.05 * np.ptp(exact)
    assert len(np.unique(rough)) == len(np.unique(exact)) == len(queries)


def test_a_collections_pairs_are_scored_by_their_texts(tmp_path, model):
    collection = word_collection(tmp_path / "c", documents=12, queries=3)
    query, doc = np.array([2, 0, 0], np.uint32), np.array([11, 3, 4], np.uint32)
    teacher = open_teacher(str(model), precision="float32", max_length=12)
    texts = [collection.queries[2], *collection.queries.take([0, 0])], collection.documents.take(doc)
    assert (teacher.score(collection, query, doc) == teacher.score_texts(*texts)).all()
    longer = open_teacher(str(model), precision="float32")
    assert teacher.fingerprint != longer.fingerprint
    assert (teacher.score(collection, query, doc) != longer.score(collection, query, doc)).all()


def test_a_plain_transformer_is_no_cross_encoder(tmp_path):
    assert open_teacher(str(tiny_transformer(tmp_path / "plain"))).kind == "bi-encoder"
