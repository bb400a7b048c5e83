"""Models as ONNX graphs, run by ONNX Runtime inside the containers of sentence-transformers.

sentence-transformers' own loader of graphs needs `optimum`, whose releases need transformers 4; this one needs ONNX
Runtime alone (`pip install "rankstill[onnx]"`). It takes the place of a model's body: tokenizer, prompts, pooling and
what else a container does stay as they are.

A graph is data: no operator outside ONNX Runtime's own is registered. Weights that stand in files beside it must lie in
its folder: a graph that names any other file is refused before it is opened.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from rankstill.errors import ModelError, some

_PLACES = ("onnx/model.onnx", "model.onnx")
# Which fields of which messages of onnx.proto lead to tensors, and where a tensor names a file.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def find_graph(folder: Path) -> Path:
    """Find a model folder's graph.

    Raises:
        ModelError: There is none, or it or its weights lie outside the folder.
    """
    for place in _PLACES:
        graph = folder / place
        if graph.is_file():
            if not graph.resolve().is_relative_to(folder.resolve()):
                raise ModelError(f"{graph} leads out of its folder", hint="copy the graph itself into the folder")
            weight_files(graph)
            return graph
    raise ModelError(
        f"{folder} holds no ONNX graph ({' or '.join(_PLACES)})", hint="export one, or leave out #backend=onnx"
    )


def weight_files(graph: Path) -> list[Path]:
    """List the files beside a graph that hold its weights, each once.

    Raises:
        ModelError: The file is no ONNX graph, or names a file that is missing or outside its folder.
    """
    with graph.open("rb") as file:
        try:
            # Not closed here: where parsing fails, the error still holds views of it.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            names = sorted(set(_locations(memoryview(data), "model")))
        except (ValueError, IndexError, RecursionError) as error:
            raise ModelError(f"{graph} is not an ONNX graph: {error}", hint="export it again") from None
    folder = graph.parent.resolve()
    outside = [n for n in names if _leaves(n) or not (folder / n).resolve().is_relative_to(folder)]
    if outside:
        raise ModelError(f"{graph} names weights outside its folder: {some(outside)}", hint="export it again")
    absent = [n for n in names if not (folder / n).is_file()]
    if absent:
        raise ModelError(f"weights of {graph} are missing: {some(absent)}", hint="fetch the model again")
    return [graph.parent / name for name in names]


def _leaves(name: str) -> bool:
    path = PurePosixPath(name)
    return not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name


def _locations(message: memoryview, kind: str) -> Iterator[str]:
    """Yield every file name that a message's tensors give as the place of their values."""
    for field, content in _contents(message):
        inner = _FIELDS[kind].get(field)
        if inner == "entry":
            pair = {number: bytes(value).decode("utf-8") for number, value in _contents(content)}
            if pair.get(1) == "location":
                yield pair.get(2, "")
        elif inner:
            yield from _locations(content, inner)


def _contents(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield (field, content) of a protobuf message's fields that have a length."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == _VARINT:
            _, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        elif wire == _BYTES:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise ValueError("it is cut off")
            yield key >> 3, message[at : at + size]
            at += size
        else:
            raise ValueError(f"it has a field of unknown form {wire}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("it holds a number that is too long")


@contextmanager
def graph_bodies(folder: Path) -> Iterator[None]:
    """Let containers that are loaded meanwhile with `backend="onnx"` get this folder's graph as their body.

    Raises:
        ModelError: ONNX Runtime is not installed, or there is no graph.
    """
    graph = find_graph(folder)
    try:
        import onnxruntime
    except ImportError:
        raise ModelError("ONNX Runtime is not installed", hint='pip install "rankstill[onnx]"') from None
    from sentence_transformers.base.modules import transformer

    from rankstill.onnx_body import OnnxBody

    def load(model_name_or_path: str, config: Any, task_name: str, **options: Any) -> OnnxBody:
        del model_name_or_path, task_name, options
        return OnnxBody(onnxruntime, graph, config)

    own = transformer.load_onnx_model
    transformer.load_onnx_model = load
    try:
        yield
    finally:
        transformer.load_onnx_model = own
