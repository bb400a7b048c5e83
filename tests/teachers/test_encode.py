from __future__ import annotations

import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from rankstill.errors import DataError, ModelError, SpecError
from rankstill.files import read_manifest
from rankstill.teachers import encode
from rankstill.teachers.encode import Encoder, encode_collection
from tests.tiny_collections import make_collection, word_collection
from tests.tiny_models import tiny_bi_encoder, tiny_cross_encoder, tiny_static, tiny_transformer

TEXTS = [
    "wing slip stream", "jet", "", "flow shock heat plate lift drag cone", "wing slip stream", "unknown word 77",
    " ".join(["boundary layer"] * 60), "nose tail flap gas wave model tunnel " * 3, "a", "jet flow",
]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_bi_encoder(tmp_path_factory.mktemp("models") / "bi")


@pytest.fixture
def collection(tmp_path):
    return word_collection(tmp_path / "collection", documents=50, queries=6)


def reference(path, texts, **options):
    model = SentenceTransformer(str(path), device="cpu", local_files_only=True)
    return model.encode(texts, batch_size=3, **options)


@pytest.mark.parametrize("make", [tiny_bi_encoder, tiny_static, tiny_transformer])
def test_vectors_are_those_of_sentence_transformers(tmp_path, make):
    path = make(tmp_path / "model")
    ours = Encoder(str(path), "float32").encode(TEXTS)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, reference(path, TEXTS), atol=1e-5)


def test_each_side_gets_the_models_own_prompt(tmp_path):
    path = tiny_bi_encoder(tmp_path / "model")
    config = path / "config_sentence_transformers.json"
    prompts = {"query": "jet flow ", "document": "wing ", "other": "gas "}
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "prompts": prompts, "default_prompt_name": "other"})
    )
    encoder = Encoder(str(path), "float32")
    for side, prompt in (("query", "jet flow "), ("document", "wing "), (None, "gas ")):
        expected = reference(path, [prompt + t for t in TEXTS], prompt="")
        np.testing.assert_allclose(encoder.encode(TEXTS, side), expected, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_text_has_the_same_bits_in_any_company(model, precision):
    encoder = Encoder(str(model), precision)
    together = encoder.encode(TEXTS * 7)
    assert (together[: len(TEXTS)] == together[-len(TEXTS) :]).all()
    for text, vector in zip(TEXTS, together, strict=False):
        assert (encoder.encode([text])[0] == vector).all(), text
    backwards = encoder.encode(TEXTS[::-1])[::-1]
    assert (backwards == together[: len(TEXTS)]).all()


def test_bfloat16_is_close_and_another_encoder(model):
    exact, rough = Encoder(str(model), "float32"), Encoder(str(model), "bfloat16")
    a, b = exact.encode(TEXTS), rough.encode(TEXTS)
    assert 0.9995 < (a * b).sum(axis=1).min() < 1
    assert exact.fingerprint != rough.fingerprint
    assert (
        exact.fingerprint == Encoder(str(model), "float32").fingerprint != Encoder(str(model), "float32", 9).fingerprint
    )


def test_a_static_model_runs_in_float32_whatever_is_asked(tmp_path):
    path = str(tiny_static(tmp_path / "static"))
    assert Encoder(path, "bfloat16").fingerprint == Encoder(path, "float32").fingerprint


def test_a_text_is_cut_at_the_length(model):
    short = Encoder(str(model), "float32", max_length=5).encode(["wing slip stream jet flow shock", "wing slip stream"])
    np.testing.assert_allclose(short[0], short[1], atol=1e-6)


def test_no_text_gives_no_vector(model):
    encoder = Encoder(str(model), "float32")
    assert encoder.encode([]).shape == (0, 24) == (0, encoder.dimension)


def test_a_cross_encoder_is_no_encoder(tmp_path):
    with pytest.raises(ModelError, match="cross-encoder model: it gives a single text no vector"):
        Encoder(str(tiny_cross_encoder(tmp_path / "cross")))


def test_there_are_three_precisions(model):
    with pytest.raises(SpecError, match="unknown precision 'float8'"):
        Encoder(str(model), "float8")


def test_the_stage_writes_every_texts_vector(tmp_path, model, collection):
    encoder = Encoder(str(model), "float32")
    out = encode_collection(collection.path, "documents", encoder, tmp_path / "out")
    vectors = np.load(out / "embeddings.npy")
    assert vectors.dtype == np.float16
    assert (vectors == encoder.encode(list(collection.documents), "document").astype(np.float16)).all()
    assert (np.load(out / "rows.npy") == np.arange(50)).all()
    assert sorted(p.name for p in out.iterdir()) == ["cost.json", "embeddings.npy", "manifest.json", "rows.npy"]
    assert read_manifest(out)["counts"] == {"texts": 50, "dimension": 24}


def test_the_stage_takes_queries_and_some_rows(tmp_path, model, collection):
    rows = np.array([4, 0, 4], np.uint32)
    out = encode_collection(
        collection.path, "queries", str(model), tmp_path / "out", rows=rows, precision="float32", dtype="float32"
    )
    expected = Encoder(str(model), "float32").encode(collection.queries.take(rows), "query")
    assert (np.load(out / "embeddings.npy") == expected).all()
    assert np.load(out / "rows.npy").tolist() == [4, 0, 4]
    empty = encode_collection(collection.path, "queries", str(model), tmp_path / "none", rows=rows[:0])
    assert np.load(empty / "embeddings.npy").shape == (0, 24)


def test_a_row_outside_the_collection_is_refused(tmp_path, model, collection):
    with pytest.raises(DataError, match="no row 6 among 6 queries"):
        encode_collection(collection.path, "queries", str(model), tmp_path / "out", rows=np.array([6], np.uint32))


class Dying(Encoder):
    """An encoder whose process is killed after so many chunks; counts the texts that it encoded."""

    left, encoded = 1, 0

    def encode(self, texts, side=None):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.encoded += len(texts)
        return super().encode(texts, side)


def test_a_killed_stage_continues_and_ends_with_the_same_bytes(tmp_path, model, collection, monkeypatch):
    monkeypatch.setattr(encode, "CHUNK", 16)
    whole = encode_collection(collection.path, "documents", Encoder(str(model)), tmp_path / "whole")
    encoded = 0
    for run in range(4):
        encoder = Dying(str(model))
        if run < 3:
            with pytest.raises(KeyboardInterrupt):
                encode_collection(collection.path, "documents", encoder, tmp_path / "out")
        else:
            encode_collection(collection.path, "documents", encoder, tmp_path / "out")
        encoded += encoder.encoded
    assert encoded == 50
    for name in ("embeddings.npy", "rows.npy", "manifest.json"):
        assert (tmp_path / "out" / name).read_bytes() == (whole / name).read_bytes()


def test_a_vector_that_is_not_finite_is_refused(tmp_path, model):
    class Broken(Encoder):
        def encode(self, texts, side=None):
            vectors = super().encode(texts, side)
            vectors[[t == "jet" for t in texts], 3] = np.inf
            return vectors

    collection = make_collection(tmp_path / "c", {"d1": "wing", "d2": "jet"}, {"q": "jet"})
    with pytest.raises(DataError, match=r"1 of 2 documents a vector that is not finite \(first: d2\)"):
        encode_collection(collection.path, "documents", Broken(str(model)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
