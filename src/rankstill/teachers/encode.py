"""Texts to vectors: the encoder, and the stage `encode` that writes a collection's embeddings.

The work is split into chunks of 2,048 texts in row order; inside a chunk texts of about one length form batches. A
finished chunk is a file: a killed stage continues with the next, and ends with the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from rankstill.collection.store import Collection, Texts
from rankstill.errors import DataError, ModelError
from rankstill.files import fingerprint, run_stage, whole_or_absent
from rankstill.models import EMBEDDED, Backend, load_container, model_fingerprint, model_kind, resolve_model
from rankstill.parallel import spread, unloaded
from rankstill.progress import bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.batches import can_split, split
from rankstill.teachers.precision import Precision, autocast, body_precision, device, doubled, name_of
from rankstill.teachers.vectors import VectorStore, keys_of

CHUNK = 2048
"""Texts in one chunk, which is encoded, and written, at a time."""

_STATIC_BATCH = 512
"""A static model's time goes to its tokenizer, which shares out large batches among the cores."""

Side = Literal["query", "document"]
_PROMPTS: dict[Side, tuple[str, ...]] = {"query": ("query",), "document": ("document", "passage", "corpus")}


class Encoder:
    """A bi-encoder as a function from texts to vectors. The model is loaded when the first text comes.

    Args:
        reference: "minilm", a model folder, or a hub id.
        precision: Of the model's body; "auto" is bfloat16 where the hardware is fast in it. A static model always runs
            in float32.
        max_length: Tokens of a text at most; the model's own limit where None.
        backend: What runs the body: torch, or ONNX Runtime, in the precision of its graph.

    Attributes:
        name: The reference, or the folder's name.
        kind: "bi-encoder" or "static".
        fingerprint: Identifies weights, tokenizer, configuration, precision and length.

    Raises:
        ModelError: The model is refused, or is no bi-encoder.
    """

    def __init__(
        self,
        reference: str,
        precision: Precision = "auto",
        max_length: int | None = None,
        backend: Backend = "torch",
    ) -> None:
        self.path, self.backend = resolve_model(reference, backend), backend
        self.name = short_name(reference)
        self.kind = model_kind(self.path)
        if self.kind not in ("bi-encoder", "static"):
            raise ModelError(
                f"{self.name} is a {self.kind} model: it gives a single text no vector of fixed length",
                hint=f'use a SentenceTransformer, such as "{EMBEDDED}"',
            )
        given = self.kind == "static" or backend == "onnx"
        self.precision = torch.float32 if given else body_precision(precision)
        self.max_length = max_length
        self._root: Path | None = None
        self.fingerprint = model_identity(self.path, self.precision, max_length, backend)

    def __getstate__(self) -> dict[str, Any]:
        return unloaded(self)

    @cached_property
    def _model(self) -> Any:
        model = load_container(self.path, max_length=self.max_length, device=device(), backend=self.backend)
        if can_split(model.preprocess(["a text"])):
            for module in list(model)[1:]:
                module.double()
        return model

    @property
    def dimension(self) -> int:
        """The number of components of a vector."""
        return int(self._model.get_embedding_dimension())

    @property
    def similarity(self) -> str:
        """How the model compares vectors: cosine, dot, euclidean or manhattan (the last two are negated distances)."""
        return str(self._model.similarity_fn_name)

    def encode(self, texts: Sequence[str], side: Side | None = None) -> Scores32:
        """Encode texts.

        Args:
            texts: n texts.
            side: Which of the model's own prompts stands before each text, where it has some: its query or document
                prompt, or (None) its default one.

        Returns:
            (n, D) float32, as the model makes them, normalised or not.
        """
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), CHUNK):
            chunk = list(texts[start : start + CHUNK])
            self._encode_new(chunk, self._prompt(side), vectors[start : start + len(chunk)])
        return vectors

    def keep_in(self, root: Path) -> None:
        """Keep every vector from now on in a store's folder, and take from there what is known."""
        self._root = root
        self.__dict__.pop("_store", None)

    @cached_property
    def _store(self) -> VectorStore | None:
        return None if self._root is None else VectorStore(self._root, self.fingerprint, self.dimension)

    def _encode_new(self, texts: list[str], prompt: str, into: Scores32) -> None:
        """Encode what the store does not know, and let it know."""
        if self._store is None:
            self._encode(texts, prompt, into)
            return
        keys = keys_of(prompt, texts)
        into[:], found = self._store.lookup(keys)
        new = np.flatnonzero(~found)
        if len(new):
            vectors = np.empty((len(new), self.dimension), np.float32)
            self._encode([texts[i] for i in new], prompt, vectors)
            into[new] = vectors
            fine = np.isfinite(vectors).all(axis=1)
            self._store.append(keys[new][fine], vectors[fine])

    def _prompt(self, side: Side | None) -> str:
        if side is not None:
            return prompt_of(self._model, side) or ""
        prompts: dict[str, str] = self._model.prompts
        return prompts.get(self._model.default_prompt_name or "", "")

    @torch.inference_mode()
    def _encode(self, texts: list[str], prompt: str, into: Scores32) -> None:
        body, *rest = self._model
        features = self._model.preprocess(texts, prompt=prompt or None)
        if not can_split(features):
            # Static models and routers take their texts in another form; they batch for themselves.
            size = _STATIC_BATCH if self.kind == "static" else 32
            into[:] = self._model.encode(texts, prompt=prompt, batch_size=size, show_progress_bar=False)
            return
        with autocast(self.precision):
            for rows, batch in split(
                features, self._model.max_seq_length, self._model.tokenizer.pad_token_id, device()
            ):
                hidden = doubled(body(batch))
                with torch.autocast(device(), enabled=False):
                    for module in rest:
                        hidden = module(hidden)
                into[rows] = hidden["sentence_embedding"][: len(rows)].float().cpu().numpy()


def sides_of(collection: Collection, query: Rows, doc: Rows) -> list[tuple[Texts, Rows, Side]]:
    """List the two sides of pairs: the texts, the rows asked for, and what they are to an encoder."""
    return [(collection.queries, query, "query"), (collection.documents, doc, "document")]


def prompt_of(model: Any, side: Side) -> str | None:
    """Find the prompt that a sentence-transformers model puts before a query or a document; None for none of its own.

    As in its `encode_query` and `encode_document`, but for the default prompt, which they fall back to.
    """
    prompts: dict[str, str | None] = model.prompts
    return next((prompts[name] for name in _PROMPTS[side] if name in prompts), None)


def short_name(reference: str) -> str:
    """Name a model for people: a hub id or "minilm" as it is, a folder by its own name."""
    path = Path(reference).expanduser()
    return path.resolve().name if path.exists() and reference != EMBEDDED else reference


def model_identity(path: Path, precision: torch.dtype, max_length: int | None, backend: Backend = "torch") -> str:
    """Identify what determines a model's scores: its files, the precision, the length, what runs it if not torch."""
    about = {"model": model_fingerprint(path, backend), "precision": name_of(precision), "max_length": max_length}
    return fingerprint(about if backend == "torch" else {**about, "backend": backend})


def encode_rows(
    texts: Texts, rows: Rows, encoder: Encoder, path: Path, side: Side, dtype: type[np.floating[Any]] = np.float32
) -> None:
    """Write the vectors of some texts as one .npy file, in chunks that outlive a kill.

    Args:
        texts: The documents or the queries of a collection.
        rows: (n,) the texts to encode.
        encoder: With what.
        path: The file, (n, D); whole or absent. Finished chunks stand in `NAME.parts` beside it until it is whole.
        side: Whose prompt is used.
        dtype: Of the file.

    Raises:
        DataError: A vector is not finite.
    """
    parts = path.with_name(path.name + ".parts")
    if path.exists():
        # A kill between joining the parts and removing them leaves them.
        shutil.rmtree(parts, ignore_errors=True)
        return
    parts.mkdir(exist_ok=True)
    chunks = [(start, parts / f"{start // CHUNK:06d}.npy") for start in range(0, len(rows), CHUNK)]
    waiting = [(start, part) for start, part in chunks if not part.exists()]
    total = sum(len(rows[start : start + CHUNK]) for start, _ in waiting)
    with bar(f"encoding {texts.what}", total, "texts") as shown:
        pieces = [rows[start : start + CHUNK] for start, _ in waiting]
        encoded = spread(_encode_chunk, (encoder, texts, side), pieces)
        for (_, part), chunk, whole in zip(waiting, pieces, encoded, strict=True):
            with np.errstate(over="ignore"):
                vectors = whole.astype(dtype)
            _refuse_not_finite(vectors, texts, chunk, encoder)
            with whole_or_absent(part) as file:
                np.save(file, vectors, allow_pickle=False)
            shown.advance(len(chunk))
    _join([part for _, part in chunks], path, (len(rows), encoder.dimension), dtype)
    shutil.rmtree(parts)


def _encode_chunk(shared: tuple[Encoder, Texts, Side], chunk: Rows) -> Scores32:
    encoder, texts, side = shared
    return encoder.encode(texts.take(chunk), side)


def _refuse_not_finite(vectors: NDArray[Any], texts: Texts, rows: Rows, encoder: Encoder) -> None:
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise DataError(
            f"{encoder.name} gives {len(bad)} of {len(rows)} {texts.what} a vector that is not finite "
            f"(first: {texts.id(int(rows[bad[0]]))})",
            hint="try --precision float32; if that fails too, the model is broken",
        )


def _join(parts: list[Path], path: Path, shape: tuple[int, int], dtype: type[np.floating[Any]]) -> None:
    """Join chunks into one file without holding it in memory."""
    unfinished = path.with_name(path.name + ".part")
    if shape[0]:
        whole = np.lib.format.open_memmap(unfinished, mode="w+", dtype=dtype, shape=shape)
        for i, part in enumerate(parts):
            whole[i * CHUNK : (i + 1) * CHUNK] = np.load(part, allow_pickle=False)
        whole.flush()
        del whole
    else:
        with unfinished.open("wb") as file:
            np.save(file, np.empty(shape, dtype), allow_pickle=False)
    unfinished.replace(path)


def encode_collection(
    collection: Path,
    which: Literal["documents", "queries"],
    model: str | Encoder,
    out: Path,
    *,
    rows: Rows | None = None,
    precision: Precision = "auto",
    dtype: Literal["float16", "float32"] = "float16",
) -> Path:
    """Encode a collection's documents or queries: the stage `encode`.

    Args:
        collection: The collection's folder.
        which: "documents" or "queries".
        model: An encoder, or a reference to one ("minilm", a folder, a hub id).
        out: The folder to write: `embeddings.npy` (n, D) as the model makes them, `rows.npy` (n,) uint32.
        rows: The texts to encode; all where None.
        precision: Of the model's body, where `model` is a reference.
        dtype: Of the file. float16 changes a cosine by less than 0.0001, a tenth of what bfloat16 does.

    Raises:
        DataError: A row is not in the collection, or a vector is not finite.
        ModelError: The model is refused.
    """
    encoder = model if isinstance(model, Encoder) else Encoder(model, precision)
    chosen = "all" if rows is None else hashlib.sha256(np.asarray(rows, "<u4").tobytes()).hexdigest()

    def build(work: Path) -> Mapping[str, Any]:
        opened = Collection(collection)
        texts = opened.documents if which == "documents" else opened.queries
        side: Side = "document" if which == "documents" else "query"
        picked = np.arange(len(texts), dtype=np.uint32) if rows is None else np.asarray(rows, np.uint32)
        if len(picked) and picked.max() >= len(texts):
            raise DataError(f"there is no row {picked.max()} among {len(texts)} {which}")
        encode_rows(texts, picked, encoder, work / "embeddings.npy", side, getattr(np, dtype))
        with whole_or_absent(work / "rows.npy") as file:
            np.save(file, picked, allow_pickle=False)
        return {"texts": len(picked), "dimension": encoder.dimension}

    spec = {"which": which, "dtype": dtype, "precision": name_of(encoder.precision), "max_length": encoder.max_length}
    inputs: dict[str, Path | str] = {"collection": collection, "model": encoder.fingerprint, "rows": chosen}
    return run_stage(out, stage="encode", spec=spec, inputs=inputs, build=build)
