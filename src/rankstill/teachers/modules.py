"""Running the modules of a sentence-transformers model one after the other, the first in its own precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from sentence_transformers.base.modules import Router
from sentence_transformers.sparse_encoder.modules import SpladePooling
from torch import Tensor

from rankstill.errors import ModelError
from rankstill.teachers.batches import Features, can_split
from rankstill.teachers.encode import Side, prompt_of
from rankstill.teachers.precision import autocast, device, doubled


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
