"""Small things that the tests of students share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rankstill.students.architectures import Batch, Student, StudentSpec
from rankstill.students.passes import Passes, score_batch
from rankstill.students.train_spec import TrainSpec

ARCHITECTURES = ("cross-encoder", "bi-encoder", "static")


def batch_of(student: Student, pairs: Sequence[tuple[str, str]]) -> Batch:
    """Tokenise pairs of texts; each distinct text is held once."""
    queries, docs = (list(dict.fromkeys(texts)) for texts in zip(*pairs, strict=True))

    def ids(texts: list[str]) -> list[np.ndarray]:
        return [np.array(student.tokenizer.encode(t, add_special_tokens=False).ids, np.uint32) for t in texts]

    places = np.array([(queries.index(q), docs.index(d)) for q, d in pairs])
    return Batch(ids(queries), ids(docs), places[:, 0], places[:, 1])


def scores_of(student: Student, pairs: Sequence[tuple[str, str]], budget: int = 100_000) -> Tensor:
    """Score pairs of texts without dropout, in float32."""
    student.module.eval()
    return score_batch(student, batch_of(student, pairs), Passes(torch.float32, budget))


def tokens_of(student: Student, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """List the tokens that the texts of the pairs have."""
    batch = batch_of(student, pairs)
    return np.unique(np.concatenate([*batch.queries, *batch.docs])).astype(np.int64)


def train_spec(start: str, architecture: str, loss: str = "kl", **options) -> TrainSpec:
    """Make the settings of a short training, with dropout where the student has layers to drop from."""
    dropout = options.pop("dropout", 0.0 if architecture == "static" else 0.2)
    student = StudentSpec(architecture, start, layers=1, max_length=32, dropout=dropout)
    settings = {"epochs": 3, "batch_groups": 4, "precision": "float32", "learning_rate": 1e-3, **options}
    return TrainSpec(student, loss, **settings)


def files_of(folder: Path) -> dict[str, bytes]:
    """Read every file that two identical runs must write alike."""
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "cost.json")
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def weights_in(folder: Path) -> Path:
    """Find a model's weights; those of a static student lie in a folder of their own."""
    (found,) = folder.rglob("model.safetensors")
    return found
