"""A sparse model as a teacher: each text becomes weights of a few terms, a pair's score is their similarity.

The class is sentence-transformers' own `SparseEncoder` (SPLADE, arXiv 2107.05720, and its kin): its modules, its
prompts and routes for queries and documents, its limit of active terms, its similarity.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from sentence_transformers.sparse_encoder.modules import SpladePooling
from sentence_transformers.util import select_max_active_dims
from torch import Tensor

from rankstill.errors import ModelError, some
from rankstill.models import load_container
from rankstill.records import Scores32
from rankstill.teachers.batches import split
from rankstill.teachers.cross_encoder import stored_weights
from rankstill.teachers.encode import Side, model_identity, short_name
from rankstill.teachers.modules import run_modules, tokens_of
from rankstill.teachers.precision import Precision, body_precision, device

_TERM = np.dtype([("term", "<u4"), ("weight", "<f4")])
_BUDGET = {"cpu": 1024, "cuda": 16384}
"""Tokens in a batch; each has as many logits as there are terms."""

Code = NDArray[Any]


class SparseCoder:
    """A SparseEncoder as a function from texts to weighted terms; see `Coder`. Loaded when the first text comes.

    Args:
        path: A checked model folder.
        reference: How the user named it.
        precision: Of the model's body; what pools terms runs in float32 or better.
        max_length: Tokens of a text at most; the model's own limit where None.
    """

    kind = "sparse"

    def __init__(self, path: Path, reference: str, precision: Precision, max_length: int | None) -> None:
        self.path, self.max_length = path, max_length
        self.name = short_name(reference)
        self.precision = body_precision(precision)
        self.fingerprint = model_identity(path, self.precision, max_length)

    @cached_property
    def _model(self) -> Any:
        model = load_container(self.path, max_length=self.max_length, device=device())
        _refuse_random_head(model.transformers_model, self.path)
        for module in list(model)[1:]:
            if not isinstance(module, SpladePooling):
                module.double()
        return model

    def encode(self, texts: Sequence[str], side: Side) -> list[Code]:
        """Encode texts: for each (m,) of `term` uint32, rising, and `weight` float32, not 0."""
        features = tokens_of(self._model, texts, side, self.name)
        options: dict[str, Any] = {"task": side}
        if self._model.max_active_dims is not None:
            options["max_active_dims"] = self._model.max_active_dims
        codes: list[Code] = [np.empty(0, _TERM)] * len(texts)
        pad = self._model.tokenizer.pad_token_id
        for rows, batch in split(features, self._model.max_seq_length, pad, device(), _BUDGET[device()]):
            dense = run_modules(self._model, batch, self.precision, options)["sentence_embedding"]
            dense = select_max_active_dims(dense, self._model.max_active_dims)[: len(rows)]
            for row, weights in zip(rows, dense.float().cpu(), strict=True):
                codes[row] = _terms(weights)
        return codes

    def compare(self, queries: Sequence[Code], docs: Sequence[Code]) -> Scores32:
        """Compare n pairs by the model's similarity: (n,) float32."""
        terms = 1 + max((int(code["term"].max(initial=0)) for code in [*queries, *docs]), default=0)
        return _SIMILARITIES[self._model.similarity_fn_name](_matrix(queries, terms), _matrix(docs, terms))


def _terms(weights: Tensor) -> Code:
    place = torch.nonzero(weights).flatten()
    code = np.empty(len(place), _TERM)
    code["term"], code["weight"] = place.numpy(), weights[place].numpy()
    return code


def _matrix(codes: Sequence[Code], terms: int) -> sp.csr_matrix:
    flat = np.concatenate(codes) if codes else np.empty(0, _TERM)
    starts = np.r_[0, np.cumsum([len(code) for code in codes])]
    return sp.csr_matrix((flat["weight"].astype(np.float64), flat["term"], starts), shape=(len(codes), terms))


def _sums(values: sp.csr_matrix) -> NDArray[np.float64]:
    return np.asarray(values.sum(axis=1), np.float64).reshape(-1)


def _dot(a: sp.csr_matrix, b: sp.csr_matrix) -> NDArray[np.float64]:
    return _sums(a.multiply(b).tocsr())


_SIMILARITIES = {
    "dot": lambda a, b: _dot(a, b).astype(np.float32),
    "cosine": lambda a, b: (_dot(a, b) / np.maximum(np.sqrt(_dot(a, a) * _dot(b, b)), 1e-12)).astype(np.float32),
    "euclidean": lambda a, b: (-np.sqrt(_dot(a - b, a - b))).astype(np.float32),
    "manhattan": lambda a, b: (-_sums(abs(a - b))).astype(np.float32),
}


def _refuse_random_head(model: Any, path: Path) -> None:
    """Refuse a masked language model whose head, which makes the terms, is not in the folder."""
    if model is None or not type(model).__name__.endswith("ForMaskedLM"):
        return
    stored = stored_weights(path)
    body = f"{model.base_model_prefix}."
    absent = sorted(name for name, _ in model.named_parameters() if not name.startswith(body) and name not in stored)
    if absent:
        raise ModelError(
            f"{path} lacks {len(absent)} weights of its head ({some(absent)}): its terms would be random",
            hint="use a sparse model that was trained to rank",
        )
