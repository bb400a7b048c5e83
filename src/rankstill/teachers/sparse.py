"""A sparse model as a teacher: each text becomes weights of a few terms, a pair's score is their similarity.

The class is sentence-transformers' own `SparseEncoder` (SPLADE, arXiv 2107.05720, and its kin): its modules, its
prompts and routes for queries and documents, its limit of active terms, its similarity.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from sentence_transformers.util import select_max_active_dims
from torch import Tensor

from rankstill.errors import ModelError, some
from rankstill.records import Scores32
from rankstill.teachers.batches import split
from rankstill.teachers.cross_encoder import stored_weights
from rankstill.teachers.encode import Side
from rankstill.teachers.modules import ModuleCoder, run_modules, tokens_of
from rankstill.teachers.precision import device
from rankstill.teachers.similarity import SIMILARITIES

_TERM = np.dtype([("term", "<u4"), ("weight", "<f4")])
_BUDGET = {"cpu": 1024, "cuda": 16384}
"""Tokens in a batch; each has as many logits as there are terms."""

Code = NDArray[Any]


class SparseCoder(ModuleCoder):
    """A SparseEncoder as a function from texts to weighted terms; see `ModuleCoder`."""

    kind = "sparse"

    def _refuse(self, model: Any) -> None:
        _refuse_random_head(model.transformers_model, self.path)

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
        similar = SIMILARITIES[self._model.similarity_fn_name]
        return similar(_matrix(queries, terms), _matrix(docs, terms)).astype(np.float32)


def _terms(weights: Tensor) -> Code:
    place = torch.nonzero(weights).flatten()
    code = np.empty(len(place), _TERM)
    code["term"], code["weight"] = place.numpy(), weights[place].numpy()
    return code


def _matrix(codes: Sequence[Code], terms: int) -> sp.csr_array:
    flat = np.concatenate(codes) if codes else np.empty(0, _TERM)
    starts = np.r_[0, np.cumsum([len(code) for code in codes])]
    return sp.csr_array((flat["weight"].astype(np.float64), flat["term"], starts), shape=(len(codes), terms))


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
