"""Graphs made by hand, so small that numpy can do what they do."""

from __future__ import annotations

import builtins
import json

import numpy as np
import pytest

from rankstill.errors import ModelError, SpecError
from rankstill.models import check_model_folder, model_fingerprint
from rankstill.onnx import find_graph, weight_files
from rankstill.teachers import open_scorer, open_teacher
from tests.tiny_models import VOCABULARY, tiny_bi_encoder, tiny_cross_encoder, tiny_sparse

# What the tests below make their graphs with; ONNX Runtime runs them.
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
QUERIES, DOCS = ["wing slip", "jet", "", "gas wave jet flow"], ["stream jet flow", "wing " * 70, "cone", "jet"]
TABLE = np.random.default_rng(1).normal(size=(len(VOCABULARY), 32)).astype(np.float32)
HEAD = np.random.default_rng(2).normal(size=(32, 1)).astype(np.float32)


def graph(classifies: bool, external: str = ""):
    """Make a model: the vectors of the tokens, or (a classifier) their sum over attended tokens, times a head."""
    helper, kinds = onnx.helper, onnx.TensorProto
    table = onnx.numpy_helper.from_array(TABLE, "table")
    if external:
        table.ClearField("raw_data")
        table.data_location = kinds.EXTERNAL
        for key, value in (("location", external), ("length", str(TABLE.nbytes))):
            table.external_data.add(key=key, value=value)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])]
    weights, output = [table], helper.make_tensor_value_info("last_hidden_state", kinds.FLOAT, ["n", "t", 32])
    if classifies:
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=kinds.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
            helper.make_node("Mul", ["last_hidden_state", "wide"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "middle"], ["sum"], keepdims=0),
            helper.make_node("MatMul", ["sum", "head"], ["logits"]),
        ]
        weights += [
            onnx.numpy_helper.from_array(HEAD, "head"),
            onnx.numpy_helper.from_array(np.array([2]), "last"),
            onnx.numpy_helper.from_array(np.array([1]), "middle"),
        ]
        output = helper.make_tensor_value_info("logits", kinds.FLOAT, ["n", 1])
    names = ("input_ids", "attention_mask") if classifies else ("input_ids",)
    inputs = [helper.make_tensor_value_info(n, kinds.INT64, ["n", "t"]) for n in names]
    made = helper.make_graph(nodes, "tiny", inputs, [output], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def with_graph(folder, classifies: bool, external: str = ""):
    """Put a graph into a model folder in place of its own weights."""
    (folder / "model.safetensors").unlink()
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(graph(classifies, external).SerializeToString())
    return folder


@pytest.fixture
def cross(tmp_path):
    return with_graph(tiny_cross_encoder(tmp_path / "cross"), classifies=True)


def tokens(folder, *texts):
    from transformers import AutoTokenizer

    read = AutoTokenizer.from_pretrained(folder)(*texts, truncation=True, max_length=64)
    return np.array(read["input_ids"])


def test_a_cross_encoder_is_what_its_graph_says(cross):
    scores = open_scorer(f"{cross}#backend=onnx")(QUERIES, DOCS)
    expected = [float(TABLE[tokens(cross, q, d)].sum(0) @ HEAD[:, 0]) for q, d in zip(QUERIES, DOCS, strict=True)]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_a_bi_encoders_pooling_follows_its_graph(tmp_path):
    folder = with_graph(tiny_bi_encoder(tmp_path / "bi", "dot"), classifies=False)
    from safetensors.numpy import load_file

    dense = load_file(next(folder.glob("*_Dense")) / "model.safetensors")

    def vector(text):
        pooled = TABLE[tokens(folder, text)].mean(0)
        return np.tanh(dense["linear.weight"] @ pooled + dense["linear.bias"])

    scores = open_scorer(f"{folder}#backend=onnx")(QUERIES, DOCS)
    expected = [vector(q) @ vector(d) for q, d in zip(QUERIES, DOCS, strict=True)]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_a_pair_has_the_same_bits_in_any_company(cross):
    score = open_scorer(f"{cross}#backend=onnx")
    together = score(QUERIES * 7, DOCS * 7).reshape(7, -1)
    assert (together == together[0]).all()
    for query, doc, value in zip(QUERIES, DOCS, together[0], strict=True):
        assert score([query], [doc])[0] == value


def test_weights_beside_the_graph_count(tmp_path):
    folder = with_graph(tiny_cross_encoder(tmp_path / "cross"), True, external="model.onnx_data")
    with pytest.raises(ModelError, match=r"are missing: model\.onnx_data"):
        check_model_folder(folder, "onnx")
    (folder / "onnx" / "model.onnx_data").write_bytes(TABLE.tobytes())
    assert weight_files(find_graph(folder)) == [folder / "onnx" / "model.onnx_data"]
    before, inside = model_fingerprint(folder, "onnx"), tiny_cross_encoder(tmp_path / "inside")
    scores = open_scorer(f"{folder}#backend=onnx")(QUERIES, DOCS)
    assert (scores == open_scorer(f"{with_graph(inside, True)}#backend=onnx")(QUERIES, DOCS)).all()
    (folder / "onnx" / "model.onnx_data").write_bytes((TABLE + 1).tobytes())
    assert model_fingerprint(folder, "onnx") != before


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "a/../../secret", "a\\b", "link"])
def test_a_graph_may_not_read_outside_its_folder(tmp_path, place):
    folder = with_graph(tiny_cross_encoder(tmp_path / "cross"), True, external=place)
    (folder / "secret").write_bytes(TABLE.tobytes())
    (folder / "onnx" / "link").symlink_to(folder / "secret")
    with pytest.raises(ModelError, match="names weights outside its folder"):
        open_teacher(f"{folder}#backend=onnx")


def test_a_graph_behind_a_link_and_a_broken_one_are_refused(cross, tmp_path):
    graph_file = cross / "onnx" / "model.onnx"
    data = graph_file.read_bytes()
    graph_file.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="is not an ONNX graph: it is cut off"):
        open_teacher(f"{cross}#backend=onnx")
    graph_file.unlink()
    (tmp_path / "elsewhere.onnx").write_bytes(data)
    graph_file.symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(ModelError, match="leads out of its folder"):
        open_teacher(f"{cross}#backend=onnx")


# A model > graph > tensor > entry of which only a part is there; and attributes in nodes in graphs, without end.
CUT_OFF_INSIDE = b"\x3a\x07\x2a\x05\x6a\x20abc"


def varint(value: int) -> bytes:
    parts = b""
    while value > 127:
        parts, value = parts + bytes([value & 127 | 128]), value >> 7
    return parts + bytes([value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = field(1, field(5, field(6, inner)))
    return field(7, inner)


@pytest.mark.parametrize("data", [CUT_OFF_INSIDE, nested(1000), b"", b"\x0b", b"\x3a" + b"\xff" * 11])
def test_what_is_broken_anywhere_is_no_graph(cross, data):
    (cross / "onnx" / "model.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="is not an ONNX graph"):
        open_teacher(f"{cross}#backend=onnx")


# Where ONNX's onnx.proto lets a tensor stand, by the numbers of the fields that lead there.
TENSORS = [
    (7, 5),
    (7, 15, 1),
    (7, 15, 2),
    *((7, 1, 5, *way) for way in [(5,), (10,), (6, 5), (11, 5), (22, 1), (23, 2)]),
]
TENSORS += [(20, 1, 5), (20, 2, 5), (25, 7, 5, 5), (25, 11, 5)]


@pytest.mark.parametrize("way", TENSORS)
def test_a_place_outside_is_found_wherever_a_tensor_may_stand(cross, way):
    data = field(13, field(1, b"location") + field(2, b"../secret"))
    for number in reversed(way):
        data = field(number, data)
    (cross / "onnx" / "model.onnx").write_bytes(data)
    with pytest.raises(ModelError, match=r"names weights outside its folder: \.\./secret"):
        open_teacher(f"{cross}#backend=onnx")


def test_the_librarys_own_loader_is_put_back(cross):
    from sentence_transformers.base.modules import transformer

    own = transformer.load_onnx_model
    open_scorer(f"{cross}#backend=onnx")(QUERIES, DOCS)
    assert transformer.load_onnx_model is own


def test_a_graph_of_something_else_is_refused(cross):
    made = graph(classifies=True)
    made.graph.output[0].name = "kept"
    (cross / "onnx" / "model.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(ModelError, match="gives kept, none of"):
        open_scorer(f"{cross}#backend=onnx")(QUERIES, DOCS)


def test_a_graph_is_run_only_where_it_is_asked_for(cross, tmp_path):
    with pytest.raises(ModelError, match="holds no weights") as caught:
        open_teacher(str(cross))
    assert "#backend=onnx" in caught.value.hint
    plain = tiny_cross_encoder(tmp_path / "plain")
    with pytest.raises(ModelError, match="holds no ONNX graph"):
        open_teacher(f"{plain}#backend=onnx")
    with pytest.raises(SpecError, match="unknown backend 'tpu'"):
        open_teacher(f"{plain}#backend=tpu")
    with pytest.raises(SpecError, match="sparse model, which runs in torch only"):
        open_teacher(f"{with_graph(tiny_sparse(tmp_path / 'sparse'), False)}#backend=onnx")


def test_without_the_runtime_the_extra_is_named(cross, monkeypatch):
    original = builtins.__import__

    def refuse(name, *args):
        if name == "onnxruntime":
            raise ImportError(name)
        return original(name, *args)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ModelError, match="ONNX Runtime is not installed") as caught:
        open_scorer(f"{cross}#backend=onnx")(QUERIES, DOCS)
    assert "rankstill[onnx]" in caught.value.hint


def test_the_backend_is_part_of_the_fingerprint(tmp_path):
    folder = tiny_cross_encoder(tmp_path / "cross")
    weights = (folder / "model.safetensors").read_bytes()
    with_graph(folder, True)
    (folder / "model.safetensors").write_bytes(weights)
    torch_print = open_teacher(str(folder), precision="float32").fingerprint
    assert open_teacher(f"{folder}#backend=onnx").fingerprint != torch_print


def test_pickles_beside_a_graph_are_not_read(cross):
    (cross / "pytorch_model.bin").write_bytes(b"a pickle")
    assert np.isfinite(open_scorer(f"{cross}#backend=onnx")(QUERIES, DOCS)).all()
    config = json.loads((cross / "config.json").read_text())
    (cross / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(ModelError, match="remote code"):
        open_teacher(f"{cross}#backend=onnx")
