from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from rankstill.errors import ModelError, SpecError
from rankstill.teachers import open_scorer, open_teacher
from tests.tiny_collections import word_collection
from tests.tiny_models import tiny_sequence

QUERIES = ["wing slip", "jet", "flow shock heat", "wing slip", "", "gas wave"]
DOCS = ["stream jet flow", "wing " * 30, "jet", "stream jet flow", "plate lift drag", "cone"]


def own_scores(path, prompts, words=("true", "false")):
    """Score as the paper says, with transformers alone, one prompt at a time."""
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    model = AutoModelForSeq2SeqLM.from_pretrained(path, local_files_only=True).eval()
    ids = tokenizer.convert_tokens_to_ids(list(words))
    start = torch.tensor([[model.config.decoder_start_token_id]])
    with torch.inference_mode():
        rows = [model(**tokenizer(p, return_tensors="pt"), decoder_input_ids=start).logits[0, 0, ids] for p in prompts]
    return [float(torch.log_softmax(row, 0)[0]) for row in rows]


@pytest.mark.parametrize("kind", ["T5", "MT5"])
def test_scores_are_log_probabilities_of_true_at_the_first_step(tmp_path, kind):
    path = tiny_sequence(tmp_path / "model", kind)
    prompts = [f"Query: {q} Document: {d} Relevant:" for q, d in zip(QUERIES, DOCS, strict=True)]
    scores = open_scorer(str(path), precision="float32")(QUERIES, DOCS)
    assert scores.dtype == np.float32
    assert open_teacher(str(path)).kind == "sequence"
    np.testing.assert_allclose(scores, own_scores(path, prompts), rtol=1e-4, atol=1e-5)
    assert scores.max() <= 0
    assert np.ptp(scores) > 0.1


def test_a_long_documents_end_is_cut_and_the_prompts_stays(tmp_path):
    path = tiny_sequence(tmp_path / "model")
    score = open_teacher(str(path), precision="float32", max_length=10).score_texts
    # Of ten tokens Query: jet Document: Relevant: and the end mark take five.
    kept = own_scores(path, ["Query: jet Document: wing wing flow wing wing Relevant:"])
    assert score(["jet"], ["wing wing flow wing wing drag jet"])[0] == pytest.approx(kept[0], rel=1e-4)
    assert score(["jet"], ["wing wing flow wing wing cone"])[0] == score(["jet"], ["wing wing flow wing wing drag"])[0]


def test_a_length_that_has_no_room_for_a_pair_is_refused(tmp_path):
    path = tiny_sequence(tmp_path / "model")
    with pytest.raises(ModelError, match="takes more than 2 tokens, which end its prompt, not 2"):
        open_teacher(str(path), max_length=2).score_texts(["jet"], ["cone"])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_pair_has_the_same_bits_in_any_company(tmp_path, precision):
    score = open_scorer(str(tiny_sequence(tmp_path / "model")), precision=precision)
    together = score(QUERIES * 9, DOCS * 9).reshape(9, -1)
    assert (together == together[0]).all()
    for query, doc, value in zip(QUERIES, DOCS, together[0], strict=True):
        assert score([query], [doc])[0] == value


def test_the_words_are_stated_and_checked(tmp_path):
    path = tiny_sequence(tmp_path / "model")
    other = open_teacher(f"{path}#true=wing,false=jet", precision="float32")
    prompts = ["Query: jet Document: cone Relevant:"]
    expected = own_scores(path, prompts, ("wing", "jet"))
    np.testing.assert_allclose(other.score_texts(["jet"], ["cone"]), expected, rtol=1e-4)
    assert other.fingerprint != open_teacher(str(path), precision="float32").fingerprint
    with pytest.raises(ModelError, match="does not write 'wing2' as one token"):
        open_teacher(f"{path}#true=wing2").score_texts(["jet"], ["cone"])
    with pytest.raises(ModelError, match="does not write 'Zebra' as one token"):
        open_teacher(f"{path}#false=Zebra").score_texts(["jet"], ["cone"])
    with pytest.raises(SpecError, match="cannot tell 'a' from itself"):
        open_teacher(f"{path}#true=a,false=a")


def test_output_weights_of_their_own_are_used(tmp_path):
    """As in models of the kind T5 1.1, whose output weights are not those of their input."""
    path = tiny_sequence(tmp_path / "model")
    before = open_scorer(str(path), precision="float32")(["jet"], ["cone"])
    weights = load_file(path / "model.safetensors")
    weights["lm_head.weight"] = weights["shared.weight"][::-1].copy()
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    scores = open_scorer(str(path), precision="float32")(["jet"], ["cone"])
    np.testing.assert_allclose(scores, own_scores(path, ["Query: jet Document: cone Relevant:"]), rtol=1e-4)
    assert scores != before


def test_a_collections_pairs_are_scored_by_their_texts(tmp_path):
    collection = word_collection(tmp_path / "c", documents=12, queries=3)
    query, doc = np.array([2, 0, 0], np.uint32), np.array([11, 3, 4], np.uint32)
    teacher = open_teacher(str(tiny_sequence(tmp_path / "model")), precision="float32")
    texts = collection.queries.take(query), collection.documents.take(doc)
    assert (teacher.score(collection, query, doc) == teacher.score_texts(*texts)).all()
