from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sentence_transformers import SparseEncoder

from rankstill.errors import ModelError
from rankstill.teachers import open_scorer, open_teacher
from tests.tiny_models import tiny_sparse

QUERIES = ["wing slip", "jet", "flow shock heat", "wing slip", "", "gas wave " * 50]
DOCS = ["stream jet flow", "wing " * 70, "jet", "stream jet flow", "plate lift drag", "cone"]


def own_scores(path):
    model = SparseEncoder(str(path), device="cpu", local_files_only=True)
    return model.similarity_pairwise(
        model.encode_query(QUERIES, convert_to_sparse_tensor=False),
        model.encode_document(DOCS, convert_to_sparse_tensor=False),
    )


@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclidean", "manhattan"])
def test_scores_are_the_models_own_similarity(tmp_path, similarity):
    path = tiny_sparse(tmp_path / "model", similarity)
    scores = open_scorer(str(path), precision="float32")(QUERIES, DOCS)
    assert scores.dtype == np.float32
    assert open_teacher(str(path)).kind == "sparse"
    np.testing.assert_allclose(scores, own_scores(path), rtol=1e-5, atol=1e-5)
    assert np.ptp(scores) > 0.1


def test_the_models_limit_of_active_terms_is_kept(tmp_path):
    path = tiny_sparse(tmp_path / "model")
    config = path / "config_sentence_transformers.json"
    config.write_text(config.read_text().replace("{", '{"max_active_dims": 3,', 1))
    coder = open_teacher(str(path), precision="float32").coder
    assert max(len(code) for code in coder.encode(QUERIES, "query")) == 3
    np.testing.assert_allclose(open_scorer(str(path), precision="float32")(QUERIES, DOCS), own_scores(path), rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_pair_has_the_same_bits_in_any_company(tmp_path, precision):
    score = open_scorer(str(tiny_sparse(tmp_path / "model")), precision=precision)
    together = score(QUERIES * 7, DOCS * 7).reshape(7, -1)
    assert (together == together[0]).all()
    for query, doc, value in zip(QUERIES, DOCS, together[0], strict=True):
        assert score([query], [doc])[0] == value


def test_a_random_head_is_refused(tmp_path):
    path = tiny_sparse(tmp_path / "model")
    weights = load_file(path / "model.safetensors")
    kept = {name: w for name, w in weights.items() if "transform" not in name}
    save_file(kept, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="its terms would be random"):
        open_scorer(str(path))(QUERIES, DOCS)
