"""What a student can be: a cross-encoder, a bi-encoder, or a static bi-encoder (a bag of token embeddings).

All start from a model that exists (the embedded default, a folder, a hub id) and are saved in the containers of
sentence-transformers, which load them unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from rankstill.errors import SpecError
from rankstill.models import resolve_model
from rankstill.randomness import seed_for

Architecture = Literal["cross-encoder", "bi-encoder", "static"]
ARCHITECTURES: tuple[Architecture, ...] = ("cross-encoder", "bi-encoder", "static")
TEMPERATURES: dict[str, float] = {"cross-encoder": 1.0, "bi-encoder": 0.05, "static": 0.05}
"""The student temperature that suits the range of each one's scores: logits, cosines."""
Tokens = NDArray[np.uint32]


@dataclass(frozen=True)
class StudentSpec:
    """What a student is made of.

    Attributes:
        architecture: One of `ARCHITECTURES`.
        start: The model it starts from: "minilm" (the embedded default), a folder, or a hub id.
        layers: Keep the first so many transformer layers of it; 0 keeps all. A static student has none.
        max_length: Tokens of a pair (cross-encoder) or of a text (the others) at most, special tokens included.
        dropout: Probability of dropout while training.
    """

    architecture: Architecture = "cross-encoder"
    start: str = "minilm"
    layers: int = 3
    max_length: int = 256
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise SpecError(f"unknown student {self.architecture!r}", hint=f"known: {', '.join(ARCHITECTURES)}")
        if self.layers < 0:
            raise SpecError(f"a student has 0 layers (all of the start model's) or more, not {self.layers}")
        if self.max_length < 8:
            raise SpecError(f"max_length {self.max_length} leaves no room for a query and a document")
        if not 0 <= self.dropout < 1:
            raise SpecError(f"dropout must lie in [0, 1), not {self.dropout}")

    @property
    def name(self) -> str:
        """Name it for tables: `cross-encoder, 3 layers`."""
        if self.architecture == "static" or not self.layers:
            return self.architecture
        return f"{self.architecture}, {self.layers} layer{'s' if self.layers > 1 else ''}"


@dataclass(frozen=True)
class Batch:
    """Pairs to score: texts as tokens, each text once, and which pairs to make of them.

    Attributes:
        queries, docs: Token ids without special tokens.
        pair_query, pair_doc: (pairs,) places in those lists.
    """

    queries: list[Tokens]
    docs: list[Tokens]
    pair_query: NDArray[np.int64]
    pair_doc: NDArray[np.int64]


@dataclass(frozen=True)
class MicroBatch:
    """Some items of a batch, ready to run: pairs for a cross-encoder; queries, then documents, for the others.

    Attributes:
        items: (n,) places of the items.
        inputs: What the model takes, by name; the items come first, then perhaps rows that only fill a shape.
        tokens: With their padding.
    """

    items: NDArray[np.int64]
    inputs: dict[str, Tensor]
    tokens: int


class Student(Protocol):
    """A model that scores pairs, and can be trained."""

    spec: StudentSpec
    module: nn.Module
    tokenizer: Tokenizer
    temperature: float
    """Its entry in `TEMPERATURES`."""

    def micro_batches(self, batch: Batch, budget: int) -> list[MicroBatch]:
        """Split a batch's items into micro-batches of similar length, of at most `budget` padded tokens (or one)."""
        ...

    def outputs(self, micro: MicroBatch, precision: torch.dtype) -> Tensor:
        """Run the model: (n, D) float32; a cross-encoder's logits, D = 1, or vectors of length 1."""
        ...

    def scores(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Turn the outputs of all items of a batch, in their order, into the scores of its pairs: (pairs,) float32."""
        ...

    def focus(self, used: NDArray[np.int64]) -> None:
        """Keep only the embeddings of these tokens until `save`; texts must have no others."""
        ...

    def save(self, folder: Path) -> None:
        """Write the folder that sentence-transformers loads."""
        ...


def refuse_unfit(spec: StudentSpec) -> None:
    """Look at a student's start model before anything is paid for.

    Raises:
        ModelError: It is refused, or no student can start from it.
        SpecError: It has fewer layers, or takes fewer tokens, than asked.
    """
    start = str(resolve_model(spec.start))
    if spec.architecture != "static":
        from rankstill.students.transformer import load_options

        load_options(spec, start)


def build_student(spec: StudentSpec, seed: int, precision: torch.dtype = torch.float32) -> Student:
    """Make an untrained student.

    Args:
        spec: What it is made of.
        seed: Draws new weights (a cross-encoder's head).
        precision: Of the model that a static student's token vectors are computed by.
    """
    from rankstill.students.bi_encoder import BiEncoderStudent
    from rankstill.students.cross_encoder import CrossEncoderStudent
    from rankstill.students.static import StaticStudent

    torch.manual_seed(seed_for(seed, "student") % 2**63)
    start = str(resolve_model(spec.start))
    if spec.architecture == "static":
        return StaticStudent(spec, start, precision)
    return CrossEncoderStudent(spec, start) if spec.architecture == "cross-encoder" else BiEncoderStudent(spec, start)
