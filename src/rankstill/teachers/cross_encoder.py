"""A cross-encoder as a teacher: the raw logit of each pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from rankstill.collection.store import Collection
from rankstill.errors import ModelError, some
from rankstill.models import Backend, load_container
from rankstill.parallel import unloaded
from rankstill.progress import Bar, bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.batches import can_split, split
from rankstill.teachers.encode import model_identity, short_name
from rankstill.teachers.precision import Precision, autocast, body_precision, device, run_in_float64


class CrossEncoderTeacher:
    """Scores pairs by a transformer that reads both texts at once; see `Teacher`.

    The score is the logit before any activation. A model with two outputs (not relevant, relevant) is scored by their
    difference, the log-odds. The model is loaded when the first pair comes.

    Args:
        path: A checked model folder.
        reference: How the user named it.
        precision: Of the model's body; the score head runs in float64.
        max_length: Tokens of a pair at most; the model's own limit where None.
        backend: What runs the model: torch, or ONNX Runtime, in the precision of its graph, its head included.
    """

    by_text = True
    chunk = 1024
    kind = "cross-encoder"

    def __init__(
        self,
        path: Path,
        reference: str,
        precision: Precision,
        max_length: int | None,
        backend: Backend = "torch",
    ) -> None:
        self.path, self.max_length, self.backend = path, max_length, backend
        self.name = short_name(reference)
        self.precision = torch.float32 if backend == "onnx" else body_precision(precision)
        self.fingerprint = model_identity(path, self.precision, max_length, backend)

    def __getstate__(self) -> dict[str, Any]:
        return unloaded(self)

    @cached_property
    def _model(self) -> Any:
        model = load_container(self.path, max_length=self.max_length, device=device(), backend=self.backend)
        if model.num_labels > 2:
            raise ModelError(
                f"{self.name} gives {model.num_labels} outputs for a pair; a ranker gives one (or two: no and yes)",
                hint="use a model that was trained to rank",
            )
        for head in _heads(model.transformers_model, self.path):
            run_in_float64(head)
        return model

    def score_texts(self, queries: Sequence[str], docs: Sequence[str], shown: Bar | None = None) -> Scores32:
        """Score n pairs of texts: (n,) float32."""
        scores = np.empty(len(queries), np.float32)
        for start in range(0, len(scores), self.chunk):
            pairs = list(zip(queries[start : start + self.chunk], docs[start : start + self.chunk], strict=True))
            self._score(pairs, scores[start : start + len(pairs)], shown)
        return scores

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Score pairs: (n,) float32."""
        if shown is None:
            with bar(f"scoring by {self.name}", len(query), "pairs") as shown:
                return self.score(collection, query, doc, shown)
        scores = np.empty(len(query), np.float32)
        for start in range(0, len(scores), self.chunk):
            part = slice(start, start + self.chunk)
            texts = collection.queries.take(query[part]), collection.documents.take(doc[part])
            scores[part] = self.score_texts(*texts, shown=shown)
        return scores

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> CrossEncoderTeacher:
        """Return itself: there is nothing to prepare."""
        del collection, query, doc, folder
        return self

    @torch.inference_mode()
    def _score(self, pairs: list[tuple[str, str]], into: Scores32, shown: Bar | None) -> None:
        features = self._model.preprocess(pairs, prompt=self._prompt())
        if not can_split(features):
            raise ModelError(f"{self.name} does not read pairs of texts as one row of tokens", hint="use another model")
        with autocast(self.precision):
            for rows, batch in split(
                features, self._model.max_seq_length, self._model.tokenizer.pad_token_id, device()
            ):
                logits = cast(Tensor, self._model(batch)["scores"])[: len(rows)].double().reshape(len(rows), -1)
                scores = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
                into[rows] = scores.float().cpu().numpy()
                if shown is not None:
                    shown.advance(len(rows))

    def _prompt(self) -> str | None:
        name = self._model.default_prompt_name
        return self._model.prompts.get(name) if name is not None else None


def _heads(model: nn.Module | None, path: Path) -> list[nn.Module]:
    """List the modules that turn a classifier's last hidden states into scores.

    Raises:
        ModelError: Their weights are not in the folder: they would be random.
    """
    if model is None or not type(model).__name__.endswith("ForSequenceClassification"):
        return []
    body = str(getattr(model, "base_model_prefix", ""))
    heads = {name: module for name, module in model.named_children() if name != body}
    stored = stored_weights(path)
    wanted = {f"{name}.{weight}" for name, module in heads.items() for weight, _ in module.named_parameters()}
    if absent := sorted(wanted - stored):
        raise ModelError(
            f"{path} lacks {len(absent)} weights of its score head ({some(absent)}): its scores would be random",
            hint="use a cross-encoder that was trained to rank, not a language model",
        )
    pooler = getattr(getattr(model, body, None), "pooler", None)
    return [*heads.values(), *([pooler] if isinstance(pooler, nn.Module) else [])]


def stored_weights(path: Path) -> set[str]:
    """List the names of all weights in a model folder, as transformers names them."""
    names: set[str] = set()
    for file in path.rglob("*.safetensors"):
        with safe_open(file, framework="np") as tensors:
            names.update(tensors.keys())
    # What norms called their weights in old checkpoints.
    renamed = (("gamma", "weight"), ("beta", "bias"))
    return names | {n.removesuffix(old) + new for old, new in renamed for n in names if n.endswith(f".{old}")}
