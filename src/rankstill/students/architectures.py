"""What a student can be: a cross-encoder, a bi-encoder, or a static bi-encoder (a bag of token embeddings).

All start from a model that exists (the embedded default, a folder, a hub id) and are saved in the containers of
sentence-transformers, which load them unchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from rankstill.errors import SpecError
from rankstill.models import resolve_model
from rankstill.randomness import seed_for
from rankstill.students.tokens import micro_batches, pad

Architecture = Literal["cross-encoder", "bi-encoder", "static"]
ARCHITECTURES: tuple[Architecture, ...] = ("cross-encoder", "bi-encoder", "static")
Precision = Literal["auto", "float32", "bfloat16"]
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
        if self.max_length < 8:
            raise SpecError(f"max_length {self.max_length} leaves no room for a query and a document")
        if not 0 <= self.dropout < 1:
            raise SpecError(f"dropout must lie in [0, 1), not {self.dropout}")

    @property
    def name(self) -> str:
        """Name it for tables: `cross-encoder, 3 layers`."""
        if self.architecture == "static" or not self.layers:
            return self.architecture
        return f"{self.architecture}, {self.layers} layers"


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


class Student(Protocol):
    """A model that scores pairs."""

    spec: StudentSpec
    module: nn.Module
    tokenizer: Tokenizer
    temperature: float
    """The student temperature that suits the range of its scores: 1 for logits, 0.05 for cosines."""

    def scores(self, batch: Batch, precision: torch.dtype, budget: int) -> Tensor:
        """Score pairs: (pairs,) float32. `budget` bounds the padded tokens of one forward pass."""
        ...

    def save(self, folder: Path) -> None:
        """Write the folder that sentence-transformers loads."""
        ...


def build_student(spec: StudentSpec, seed: int) -> Student:
    """Make an untrained student; new weights (a cross-encoder's head) are drawn by the seed."""
    torch.manual_seed(seed_for(seed, "student") % 2**63)
    start = str(resolve_model(spec.start))
    with _quiet():
        if spec.architecture == "static":
            return StaticStudent(spec, start)
        return (
            CrossEncoderStudent(spec, start) if spec.architecture == "cross-encoder" else BiEncoderStudent(spec, start)
        )


def resolve_precision(precision: Precision) -> torch.dtype:
    """Choose bfloat16 where the processor multiplies matrices in it, float32 elsewhere, unless told."""
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    capable = torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if capable else torch.float32


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing bars and reports of the layers that were left out on purpose."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()


def _load_options(spec: StudentSpec, start: str) -> dict[str, Any]:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(start, local_files_only=True, trust_remote_code=False)
    layers = getattr(config, "num_hidden_layers", 0)
    if spec.layers > layers:
        raise SpecError(f"the model {spec.start!r} has {layers} layers, {spec.layers} were asked for")
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
    if spec.layers:
        options["num_hidden_layers"] = spec.layers
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if hasattr(config, name):
            options[name] = spec.dropout
    return options


def _fast_tokenizer(start: str) -> tuple[Any, Tokenizer]:
    from transformers import AutoTokenizer

    slow_api = AutoTokenizer.from_pretrained(start, local_files_only=True, trust_remote_code=False)
    fast = Tokenizer.from_str(slow_api.backend_tokenizer.to_str())
    fast.no_padding()
    fast.no_truncation()
    return slow_api, fast


class CrossEncoderStudent:
    """Reads query and document together and gives one logit."""

    temperature = 1.0

    def __init__(self, spec: StudentSpec, start: str) -> None:
        from transformers import AutoModelForSequenceClassification

        self.spec = spec
        self._tokenizer, self.tokenizer = _fast_tokenizer(start)
        self.module = AutoModelForSequenceClassification.from_pretrained(
            start, num_labels=1, **_load_options(spec, start)
        )
        self._begin, self._end = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        self._types = getattr(self.module.config, "type_vocab_size", 0) > 1

    def _sequence(self, query: Tokens, doc: Tokens) -> tuple[NDArray[np.int64], int]:
        """Join [CLS] query [SEP] document [SEP]; return the tokens and where the document starts."""
        room = self.spec.max_length - 3
        query = query[: max(room - len(doc), room // 2)]
        doc = doc[: room - len(query)]
        return np.concatenate([[self._begin], query, [self._end], doc, [self._end]]).astype(np.int64), len(query) + 2

    def scores(self, batch: Batch, precision: torch.dtype, budget: int) -> Tensor:
        """Score pairs, in micro-batches of similar length; the same result as one padded batch, with less padding."""
        pairs = [
            self._sequence(batch.queries[q], batch.docs[d])
            for q, d in zip(batch.pair_query, batch.pair_doc, strict=True)
        ]
        parts = micro_batches(np.array([len(ids) for ids, _ in pairs]), budget)
        logits = torch.cat([self._logits([pairs[i] for i in part], precision) for part in parts])
        return logits[torch.from_numpy(np.argsort(np.concatenate(parts)))]

    def _logits(self, pairs: list[tuple[NDArray[np.int64], int]], precision: torch.dtype) -> Tensor:
        ids, mask = pad([ids for ids, _ in pairs], self._tokenizer.pad_token_id or 0)
        inputs = {"input_ids": torch.from_numpy(ids)}
        if not mask.all():
            inputs["attention_mask"] = torch.from_numpy(mask)
        if self._types:
            starts = np.array([start for _, start in pairs])[:, None]
            inputs["token_type_ids"] = torch.from_numpy(
                ((np.arange(ids.shape[1]) >= starts) & (mask > 0)).astype(np.int64)
            )
        with body_in(self.module.base_model, precision):
            return cast(Tensor, self.module(**inputs).logits[:, 0].float())

    def save(self, folder: Path) -> None:
        """Write the folder that `sentence_transformers.CrossEncoder` loads; its scores are raw logits."""
        from sentence_transformers import CrossEncoder

        plain = folder.with_name(folder.name + ".plain")
        with _quiet():
            self.module.save_pretrained(plain)
            self._tokenizer.save_pretrained(plain)
            container = CrossEncoder(
                str(plain),
                max_length=self.spec.max_length,
                activation_fn=nn.Identity(),
                local_files_only=True,
                device="cpu",
            )
            container.save_pretrained(str(folder), create_model_card=False)
        _remove(plain)


class BiEncoderStudent:
    """Reads query and document apart and compares their vectors by cosine."""

    temperature = 0.05

    def __init__(self, spec: StudentSpec, start: str) -> None:
        from transformers import AutoModel

        self.spec = spec
        self._tokenizer, self.tokenizer = _fast_tokenizer(start)
        self.module = AutoModel.from_pretrained(start, **_load_options(spec, start))
        self._begin, self._end = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id

    def scores(self, batch: Batch, precision: torch.dtype, budget: int) -> Tensor:
        """Encode each query and document once and take the cosine of each pair."""
        vectors = self.encode([*batch.queries, *batch.docs], precision, budget)
        queries, docs = vectors[: len(batch.queries)], vectors[len(batch.queries) :]
        return (queries[torch.from_numpy(batch.pair_query)] * docs[torch.from_numpy(batch.pair_doc)]).sum(dim=1)

    def encode(self, texts: list[Tokens], precision: torch.dtype, budget: int) -> Tensor:
        """Encode texts: (texts, D) float32, of length 1."""
        room = self.spec.max_length - 2
        sequences = [np.concatenate([[self._begin], t[:room], [self._end]]).astype(np.int64) for t in texts]
        parts = micro_batches(np.array([len(s) for s in sequences]), budget)
        vectors = torch.cat([self._encode([sequences[i] for i in part], precision) for part in parts])
        return vectors[torch.from_numpy(np.argsort(np.concatenate(parts)))]

    def _encode(self, sequences: list[NDArray[np.int64]], precision: torch.dtype) -> Tensor:
        ids, mask = (torch.from_numpy(a) for a in pad(sequences, self._tokenizer.pad_token_id or 0))
        padded = not bool(mask.all())
        with body_in(self.module, precision):
            hidden = self.module(input_ids=ids, attention_mask=mask if padded else None).last_hidden_state.float()
        weight = mask[:, :, None].float()
        return nn.functional.normalize((hidden * weight).sum(dim=1) / weight.sum(dim=1), dim=1)

    def save(self, folder: Path) -> None:
        """Write the folder that `SentenceTransformer` loads: transformer, mean pooling, normalisation."""
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Normalize, Transformer
        from sentence_transformers.sentence_transformer.modules import Pooling

        plain = folder.with_name(folder.name + ".plain")
        with _quiet():
            self.module.save_pretrained(plain)
            self._tokenizer.save_pretrained(plain)
            body = Transformer(str(plain), max_seq_length=self.spec.max_length)
            pooling = Pooling(self.module.config.hidden_size, pooling_mode="mean")
            container = SentenceTransformer(
                modules=[body, pooling, Normalize()], device="cpu", similarity_fn_name="cosine"
            )
            container.save_pretrained(str(folder), create_model_card=False)
        _remove(plain)


class StaticStudent:
    """A bi-encoder without a transformer: the mean of token embeddings, compared by cosine.

    It starts from what the model makes of each token of its vocabulary on its own, [CLS] token [SEP], mean-pooled (as
    model2vec does); frequent tokens are weighed down by their rank in the vocabulary, which lists them by frequency.
    """

    temperature = 0.05

    def __init__(self, spec: StudentSpec, start: str) -> None:
        self.spec = spec
        _, self.tokenizer = _fast_tokenizer(start)
        weights = _token_vectors(start, self.tokenizer.get_vocab_size())
        self.module: nn.EmbeddingBag = nn.EmbeddingBag.from_pretrained(weights, freeze=False, mode="mean")

    def scores(self, batch: Batch, precision: torch.dtype, budget: int) -> Tensor:
        """Average each text's token embeddings and take the cosine of each pair; always in float32."""
        vectors = self.encode([*batch.queries, *batch.docs], precision, budget)
        queries, docs = vectors[: len(batch.queries)], vectors[len(batch.queries) :]
        return (queries[torch.from_numpy(batch.pair_query)] * docs[torch.from_numpy(batch.pair_doc)]).sum(dim=1)

    def encode(self, texts: list[Tokens], precision: torch.dtype, budget: int) -> Tensor:
        """Encode texts: (texts, D) float32, of length 1 (a text without tokens: 0)."""
        del precision, budget
        cut = [t[: self.spec.max_length] for t in texts]
        offsets = np.concatenate([[0], np.cumsum([len(t) for t in cut])[:-1]])
        flat = np.concatenate(cut).astype(np.int64)
        return nn.functional.normalize(self.module(torch.from_numpy(flat), torch.from_numpy(offsets)), dim=1)

    def save(self, folder: Path) -> None:
        """Write the folder that `SentenceTransformer` loads: a StaticEmbedding and a normalisation."""
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Normalize
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding

        with _quiet():
            bag = StaticEmbedding(
                Tokenizer.from_str(self.tokenizer.to_str()), embedding_weights=self.module.weight.detach()
            )
            container = SentenceTransformer(modules=[bag, Normalize()], device="cpu", similarity_fn_name="cosine")
            container.save_pretrained(str(folder), create_model_card=False)


def _token_vectors(start: str, vocabulary: int) -> Tensor:
    """Encode every token of the vocabulary on its own: (vocabulary, D) float32."""
    from transformers import AutoModel

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
    model = AutoModel.from_pretrained(start, **options).eval()
    slow_api, _ = _fast_tokenizer(start)
    ids = torch.arange(vocabulary)
    begin, end = (torch.full_like(ids, t) for t in (slow_api.cls_token_id, slow_api.sep_token_id))
    sequences = torch.stack([begin, ids, end], dim=1)
    with (
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16, enabled=resolve_precision("auto") != torch.float32),
    ):
        parts = [model(input_ids=part).last_hidden_state.float().mean(dim=1) for part in sequences.split(1024)]
    vectors = torch.cat(parts)
    vectors = vectors - vectors.mean(dim=0)
    # Zipf's law in place of counts: a vocabulary made by merging lists frequent tokens first.
    weight = torch.log1p(torch.arange(vocabulary, dtype=torch.float32) + 1)
    return (nn.functional.normalize(vectors, dim=1) * weight[:, None] / weight.mean()).clone()


@contextlib.contextmanager
def body_in(body: nn.Module, precision: torch.dtype) -> Iterator[None]:
    """Run a model's body in a lower precision and everything after it (the score head) in float32.

    Scores of a head in bfloat16 come in few distinct values: ties that a float32 head does not have.
    """
    if precision == torch.float32:
        yield
        return
    context = torch.autocast("cpu", precision)

    def enter(_module: nn.Module, _args: Any) -> None:
        context.__enter__()

    def leave(_module: nn.Module, _args: Any, output: Any) -> Any:
        context.__exit__(None, None, None)
        for key, value in list(output.items()):
            if isinstance(value, Tensor) and value.dtype == precision:
                output[key] = value.float()
        return output

    hooks = [body.register_forward_pre_hook(enter), body.register_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder)
