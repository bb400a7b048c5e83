"""sentence-transformers at work on the bench: its trainers, CrossEncoder.predict, SentenceTransformer.encode.

By default everything stands as the library's documentation shows it. `{"best": true}` takes the fastest of its
documented settings on a CPU (tuning.md has what was tried); any of them can also be named in the request's options:
  training   mini_batch_size (ListNetLoss), separate (column_merging_disabled), workers (dataloader_num_workers),
             compile (torch_compile)
  inference  batch_size, backend (torch, onnx, openvino), quantised (int8 weights, of the onnx backend)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import worker
from datasets import Dataset
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.losses.merged_forward import column_merging_disabled
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import ListNetLoss
from sentence_transformers.sentence_transformer import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss
from sentence_transformers.util import pairwise_dot_score
from transformers import TrainerCallback
from worker import Data, Request

BEST: dict[str, dict[str, Any]] = {"cross-encoder": {}, "bi-encoder": {}, "static": {}, "score": {}, "encode": {}}


def options_of(request: Request, work: str) -> dict[str, Any]:
    chosen = dict(request.get("options") or {})
    return {**(BEST[work] if chosen.pop("best", False) else {}), **chosen}


class Ticks(TrainerCallback):
    """Notes the end of each optimiser step."""

    def __init__(self, clock: worker.Clock) -> None:
        self.clock = clock

    def on_step_end(self, args, state, control, **kwargs):
        self.clock.tick()


class Scaled(torch.nn.Module):
    """The activation of ListNetLoss for a student temperature."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, logits):
        return logits / self.temperature


def tempered_dot(temperature: float) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return the similarity for DistillKLDivLoss.

    Its own `student_temperature` multiplies the loss by the temperature squared as well, which is another loss once
    gradients are clipped; a similarity that is divided already is exactly KL.
    """

    def tempered_dot_score(a, b):
        return pairwise_dot_score(a, b) / temperature

    return tempered_dot_score


class Listed:
    """A batch sampler, in the form that `batch_sampler` documents, of steps that are given."""

    def __init__(self, sizes: list[int]) -> None:
        ends = np.cumsum(sizes)
        self.batches = [list(range(end - size, end)) for size, end in zip(sizes, ends, strict=True)]
        self.batch_size = max(sizes)
        self.drop_last = False

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


def arguments(request: Request, options: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return the arguments of both trainers: the library's defaults, with all that is not training switched off."""
    workers = options.get("workers", 0)
    return {
        "output_dir": folder,
        "per_device_train_batch_size": max(map(len, request["steps"])),
        "num_train_epochs": 1,
        # The scheduler gives the rates themselves.
        "learning_rate": 1.0,
        "bf16": request["precision"] == "bfloat16",
        "use_cpu": True,
        "torch_compile": options.get("compile", False),
        "dataloader_num_workers": workers,
        "dataloader_persistent_workers": workers > 0,
        "batch_sampler": lambda dataset, **_: Listed([len(rows) for rows in request["steps"]]),
        "save_strategy": "no",
        "eval_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def train(data: Data, request: Request) -> dict[str, Any]:
    """Train with the library's trainer; its default optimiser is the AdamW that the bench asks for (fused)."""
    options = options_of(request, request["architecture"])
    cross = request["architecture"] == "cross-encoder"
    make = cross_encoder if cross else encoder
    with tempfile.TemporaryDirectory() as folder:
        model, trainer = make(data, request, options, folder)
        losses: list[torch.Tensor] = []
        trainer.loss.register_forward_hook(lambda module, inputs, loss: losses.append(loss.detach()))
        trainer.create_optimizer()
        trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(trainer.optimizer, worker.rate_of(request))
        clock = worker.Clock()
        trainer.add_callback(Ticks(clock))
        with column_merging_disabled() if options.get("separate") else nullcontext():
            trainer.train()
    values = np.array([float(loss) for loss in losses])
    if cross:
        values -= worker.teacher_entropy(data, request["steps"])
    scores = check(data, model, request.get("check", []), cross)
    return {"seconds": clock.seconds, "losses": values.tolist(), "scores": scores}


def cross_encoder(data: Data, request: Request, options: dict[str, Any], folder: str) -> tuple[Any, Any]:
    model = CrossEncoder(data.model("cross"), device="cpu")
    groups = [data.groups[row] for rows in request["steps"] for row in rows]
    dataset = Dataset.from_dict(
        {
            "query": [group["query"] for group in groups],
            "docs": [group["docs"] for group in groups],
            "labels": [group["scores"] for group in groups],
        }
    )
    temperature = worker.student_temperature(request)
    loss = ListNetLoss(
        model,
        activation_fn=torch.nn.Identity() if temperature == 1 else Scaled(temperature),
        mini_batch_size=options.get("mini_batch_size"),
    )
    settings = CrossEncoderTrainingArguments(**arguments(request, options, folder))
    return model, CrossEncoderTrainer(model=model, args=settings, train_dataset=dataset, loss=loss)


def encoder(data: Data, request: Request, options: dict[str, Any], folder: str) -> tuple[Any, Any]:
    model = SentenceTransformer(data.model("bi" if request["architecture"] == "bi-encoder" else "static"), device="cpu")
    groups = [data.groups[row] for rows in request["steps"] for row in rows]
    columns: dict[str, Any] = {"query": [group["query"] for group in groups]}
    for place in range(len(groups[0]["docs"])):
        columns[f"doc{place}"] = [group["docs"][place] for group in groups]
    columns["label"] = [group["scores"] for group in groups]
    loss = DistillKLDivLoss(model, similarity_fct=tempered_dot(worker.student_temperature(request)))
    settings = SentenceTransformerTrainingArguments(**arguments(request, options, folder))
    dataset = Dataset.from_dict(columns)
    return model, SentenceTransformerTrainer(model=model, args=settings, train_dataset=dataset, loss=loss)


def check(data: Data, model: Any, rows: list[int], cross: bool) -> list[float]:
    """Return the raw scores (logits, cosines) of some groups by the trained model."""
    if not rows:
        return []
    if cross:
        return model.predict(data.group_pairs(rows), show_progress_bar=False).tolist()
    scores = []
    for row in rows:
        group = data.groups[row]
        vectors = model.encode([group["query"], *group["docs"]], show_progress_bar=False)
        scores += (vectors[1:] @ vectors[0]).tolist()
    return scores


loaded: dict[tuple[Any, ...], Any] = {}


def loaded_model(data: Data, name: str, request: Request, options: dict[str, Any]) -> Any:
    """Return a model for inference, made once for each setting; exports are written beside a copy of the folder."""
    kind = CrossEncoder if name == "cross" else SentenceTransformer
    backend, quantised = options.get("backend", "torch"), bool(options.get("quantised"))
    key = (name, request["precision"], backend, quantised)
    if key not in loaded:
        if backend == "torch":
            precision = {"dtype": torch.bfloat16} if request["precision"] == "bfloat16" else {}
            loaded[key] = kind(data.model(name), device="cpu", model_kwargs=precision)
        else:
            loaded[key] = exported(kind, data.model(name), backend, quantised)
    return loaded[key]


def exported(kind: Any, folder: str, backend: str, quantised: bool) -> Any:
    """Load through ONNX Runtime or OpenVINO; the graph is exported on the way, into a temporary folder if quantised."""
    if not quantised:
        return kind(folder, device="cpu", backend=backend, model_kwargs={"export": True})
    from sentence_transformers.backend import export_dynamic_quantized_onnx_model

    copy = tempfile.mkdtemp()
    model = kind(folder, device="cpu", backend="onnx", model_kwargs={"export": True})
    model.save_pretrained(copy)
    instructions = "avx512_vnni" if "avx512_vnni" in Path("/proc/cpuinfo").read_text(encoding="ascii") else "avx2"
    export_dynamic_quantized_onnx_model(model, instructions, copy)
    return kind(copy, device="cpu", backend="onnx", model_kwargs={"file_name": f"model_qint8_{instructions}.onnx"})


def score(data: Data, request: Request) -> dict[str, Any]:
    options = options_of(request, "score")
    model = loaded_model(data, "cross", request, options)
    batch = {"batch_size": options["batch_size"]} if "batch_size" in options else {}
    seconds, scores = worker.timed(lambda pairs: model.predict(pairs, show_progress_bar=False, **batch), data.pairs)
    return {"seconds": seconds, "scores": scores.tolist()}


def rerank(data: Data, request: Request) -> dict[str, Any]:
    """Score test set after test set, as an evaluation after training does."""
    options = options_of(request, "score")
    model = loaded_model(data, "cross", request, options)
    batch = {"batch_size": options["batch_size"]} if "batch_size" in options else {}

    def predict(sets: list[list[list[str]]]) -> list[list[float]]:
        return [model.predict(pairs, show_progress_bar=False, **batch).tolist() for pairs in sets]

    seconds, scores = worker.timed(predict, data.sets, warm=[data.sets[0][: worker.WARM_UP]])
    return {"seconds": seconds, "scores": scores}


def encode(data: Data, request: Request) -> dict[str, Any]:
    options = options_of(request, "encode")
    model = loaded_model(data, "bi", request, options)
    batch = {"batch_size": options["batch_size"]} if "batch_size" in options else {}
    seconds, vectors = worker.timed(lambda texts: model.encode(texts, show_progress_bar=False, **batch), data.texts)
    handle, path = tempfile.mkstemp(suffix=".npy")
    with os.fdopen(handle, "wb") as file:
        np.save(file, vectors)
    return {"seconds": seconds, "vectors": path}


if __name__ == "__main__":
    worker.serve(
        {
            "train": train,
            "score": score,
            "rerank": rerank,
            "encode": encode,
            "about": lambda data, request: worker.about("sentence-transformers"),
        }
    )
