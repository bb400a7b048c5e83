from __future__ import annotations

import json

import numpy as np
import pytest
from sentence_transformers import MultiVectorEncoder

from rankstill.errors import ModelError
from rankstill.teachers import open_scorer, open_teacher
from tests.tiny_models import tiny_late_interaction

QUERIES = ["wing slip", "jet", "flow shock heat", "wing slip", "", "gas wave jet"]
DOCS = ["stream jet flow", "wing " * 70, "jet gas", "stream jet flow", "plate lift drag", "cone"]


@pytest.mark.parametrize("similarity", ["maxsim", "meanmaxsim"])
@pytest.mark.parametrize("attend", [None, False, True])
def test_scores_are_the_models_own_maxsim(tmp_path, attend, similarity):
    path = tiny_late_interaction(tmp_path / "model", attend, similarity)
    model = MultiVectorEncoder(str(path), device="cpu", local_files_only=True)
    expected = model.similarity_pairwise(model.encode_query(QUERIES), model.encode_document(DOCS))
    scores = open_scorer(str(path), precision="float32")(QUERIES, DOCS)
    assert scores.dtype == np.float32
    assert open_teacher(str(path)).kind == "late-interaction"
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(scores) > 0.1


def test_maxsim_by_hand(tmp_path):
    coder = open_teacher(str(tiny_late_interaction(tmp_path / "model")), precision="float32").coder
    query = np.array([[1, 0], [0, 2]], np.float32)
    doc = np.array([[3, 0], [1, 1], [0, -5]], np.float32)
    # Best matches: 3 for the first token, 2 for the second.
    assert coder.compare([query, query[:0]], [doc, doc]).tolist() == [5, 0]


def test_tokens_that_do_not_count_are_left_out(tmp_path):
    coder = open_teacher(str(tiny_late_interaction(tmp_path / "model", False)), precision="float32").coder
    # Of a document [CLS] b jet gas [SEP] the word on the skip list; of a query all 8 places, filled or not.
    assert [len(c) for c in coder.encode(["jet gas"], "document")] == [4]
    assert [len(c) for c in coder.encode(["jet gas", "jet"], "query")] == [8, 8]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("attend", [None, False])
def test_a_pair_has_the_same_bits_in_any_company(tmp_path, precision, attend):
    score = open_scorer(str(tiny_late_interaction(tmp_path / "model", attend)), precision=precision)
    together = score(QUERIES * 7, DOCS * 7).reshape(7, -1)
    assert (together == together[0]).all()
    for query, doc, value in zip(QUERIES, DOCS, together[0], strict=True):
        assert score([query], [doc])[0] == value


def test_a_length_limits_documents_and_is_part_of_the_fingerprint(tmp_path):
    path = str(tiny_late_interaction(tmp_path / "model", False))
    short, long = (open_teacher(path, precision="float32", max_length=n) for n in (12, None))
    assert short.fingerprint != long.fingerprint
    assert [len(c) for c in short.coder.encode(["wing " * 70], "document")] == [12]
    assert [len(c) for c in long.coder.encode(["wing " * 70], "document")] == [32]
    # A length beyond the model's own for documents does not stretch it.
    wide = open_teacher(path, precision="float32", max_length=48)
    assert [len(c) for c in wide.coder.encode(["wing " * 70], "document")] == [32]


def test_a_projection_that_would_be_random_is_refused(tmp_path):
    path = tiny_late_interaction(tmp_path / "model")
    (path / "modules.json").unlink()
    config = json.loads((path / "config_sentence_transformers.json").read_text())
    assert config["model_type"] == "MultiVectorEncoder"
    with pytest.raises(ModelError, match="projection would be random"):
        open_teacher(str(path))
