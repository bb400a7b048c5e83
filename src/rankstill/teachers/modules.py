"""Running the modules of a sentence-transformers model one after the other, the first in its own precision.

Sparse and late-interaction models are run so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.modules import Router
from sentence_transformers.sparse_encoder.modules import SpladePooling
from torch import Tensor

from rankstill.errors import ModelError
from rankstill.models import load_container
from rankstill.parallel import unloaded
from rankstill.teachers.batches import Features, can_split
from rankstill.teachers.encode import Side, model_identity, prompt_of, short_name
from rankstill.teachers.precision import Precision, autocast, body_precision, device, doubled


class ModuleCoder:
    """What the coders of both kinds are made of; see `Coder`. The model is loaded when the first text comes.

    Args:
        path: A checked model folder.
        reference: How the user named it.
        precision: Of the model's body; what follows runs in float64, but what pools terms in float32.
        max_length: Tokens of a text at most; the model's own limit where None.
    """

    def __init__(self, path: Path, reference: str, precision: Precision, max_length: int | None) -> None:
        self.path, self.max_length = path, max_length
        self.name = short_name(reference)
        self.precision = body_precision(precision)
        self.fingerprint = model_identity(path, self.precision, max_length)

    def __getstate__(self) -> dict[str, Any]:
        return unloaded(self)

    @cached_property
    def _model(self) -> Any:
        model = load_container(self.path, max_length=self.max_length, device=device())
        self._refuse(model)
        for module in list(model)[1:]:
            if not isinstance(module, SpladePooling):
                module.double()
        return model

    def _refuse(self, model: Any) -> None:
        """Refuse a model that loads, and would give nonsense."""


@torch.inference_mode()
def run_modules(
    model: Any, features: dict[str, Any], precision: torch.dtype, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Run a model as its own `forward` does, but the modules behind its body in float64.

    What pools the terms of a sparse model works element by element, on as many numbers as there are tokens times terms:
    it runs in float32.

    Args:
        model: A SparseEncoder or MultiVectorEncoder; the modules behind its first are in float64 already.
        features: A batch of tokens.
        precision: Of the body.
        options: What modules may ask for, such as `task`; each gets what it names in its `forward_kwargs`.
    """
    body, *rest = model
    with autocast(precision):
        features = body(features, **_wanted(body, options))
    with torch.autocast(device(), enabled=False):
        for module in rest:
            if isinstance(module, SpladePooling):
                features = module({name: _floating(value) for name, value in features.items()})
                features.pop("token_embeddings")
            else:
                features = module(doubled(features), **_wanted(module, options))
    return features


def tokens_of(model: Any, texts: Sequence[str], side: Side, name: str) -> Features:
    """Tokenise texts behind the prompt that `encode_query` or `encode_document` puts before them.

    Raises:
        ModelError: The model reads a text as something else than one row of tokens.
    """
    own = prompt_of(model, side)
    prompt = model.prompts.get(model.default_prompt_name) if own is None else own
    features: Features = model.preprocess(list(texts), prompt=prompt, task=side)
    if not can_split(features):
        raise ModelError(f"{name} does not read a text as one row of tokens", hint="use another model")
    return features


def _wanted(module: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(module, Router):
        return dict(options)
    return {name: value for name, value in options.items() if name in getattr(module, "forward_kwargs", ())}


def _floating(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
