"""A sequence-to-sequence reranker as a teacher, of the monoT5 kind (arXiv 2003.06713).

The model reads `Query: q Document: d Relevant:` and writes "true" or "false". The score is the log-probability of
"true" among these two at the first decoded step: log softmax over their logits, 0 at most. Models of this kind differ
in the two words, which are stated with the reference (`MODEL#true=yes,false=no`) and checked: each must be one token
that the model knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rankstill.collection.store import Collection
from rankstill.errors import ModelError, SpecError
from rankstill.files import fingerprint
from rankstill.models import check_model_folder, loading, model_fingerprint
from rankstill.parallel import unloaded
from rankstill.progress import Bar, bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.batches import split
from rankstill.teachers.encode import short_name
from rankstill.teachers.precision import Precision, autocast, body_precision, device, name_of, run_in_float64

PROMPT = "Query: {query} Document: {document} Relevant:"
_ENDING = "Relevant:"
MAX_LENGTH = 512
"""Tokens that monoT5 was trained with."""
_LEAST = 16
"""Rows of the decoder's matrix products for each thread, at least; see `batches`."""


@dataclass(frozen=True)
class Words:
    """The two words that a model of this kind writes.

    Attributes:
        true: For a relevant document.
        false: For any other.
    """

    true: str = "true"
    false: str = "false"

    def __post_init__(self) -> None:
        if self.true == self.false:
            raise SpecError(
                f"a model cannot tell {self.true!r} from itself", hint="state two words: #true=yes,false=no"
            )


class SequenceTeacher:
    """Scores pairs by the words that a model would write; see `Teacher`. The model is loaded when the first pair comes.

    Where a pair is longer than `max_length`, the document's end is cut off, never the prompt's.

    Args:
        path: A checked model folder.
        reference: How the user named it.
        precision: Of the model's body; the two words' logits are computed in float64.
        max_length: Tokens of a prompt at most, the end mark included; 512 where None.
        words: What the model writes.
    """

    by_text = True
    chunk = 512
    kind = "sequence"

    def __init__(
        self, path: Path, reference: str, precision: Precision, max_length: int | None, words: Words = Words()
    ) -> None:
        self.path, self.words = path, words
        self.max_length = max_length or MAX_LENGTH
        self.name = short_name(reference)
        self.precision = body_precision(precision)
        self.fingerprint = fingerprint(
            {
                "model": model_fingerprint(path),
                "precision": name_of(self.precision),
                "max_length": self.max_length,
                "prompt": PROMPT,
                "words": words,
            }
        )

    def __getstate__(self) -> dict[str, Any]:
        return unloaded(self)

    @cached_property
    def _tokenizer(self) -> Any:
        # Seconds of imports, which other teachers do without.
        from transformers import AutoTokenizer

        with loading(self.path):
            return AutoTokenizer.from_pretrained(str(self.path), local_files_only=True, trust_remote_code=False)

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModelForSeq2SeqLM

        check_model_folder(self.path)
        with loading(self.path):
            model = AutoModelForSeq2SeqLM.from_pretrained(
                str(self.path),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
            )
        _keep_two_words(model, [self._token(self.words.true), self._token(self.words.false)])
        return model.eval().to(device())

    def _token(self, word: str) -> int:
        """Find the one token that a word is.

        Raises:
            ModelError: It is none, or several.
        """
        ids = self._tokenizer(word, add_special_tokens=False, verbose=False)["input_ids"]
        if len(ids) != 1 or ids[0] == self._tokenizer.unk_token_id:
            tokens = self._tokenizer.convert_ids_to_tokens(ids)
            raise ModelError(
                f"{self.name} does not write {word!r} as one token: {tokens}",
                hint="state the words that it was trained to write: #true=WORD,false=WORD",
            )
        return int(ids[0])

    def score_texts(self, queries: Sequence[str], docs: Sequence[str], shown: Bar | None = None) -> Scores32:
        """Score n pairs of texts: (n,) float32, 0 at most."""
        scores = np.empty(len(queries), np.float32)
        for start in range(0, len(scores), self.chunk):
            part = slice(start, start + self.chunk)
            prompts = [PROMPT.format(query=q, document=d) for q, d in zip(queries[part], docs[part], strict=True)]
            self._score(prompts, scores[part], shown)
        return scores

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Score pairs: (n,) float32."""
        if shown is None:
            with bar(f"scoring by {self.name}", len(query), "pairs") as shown:
                return self.score(collection, query, doc, shown)
        return self.score_texts(collection.queries.take(query), collection.documents.take(doc), shown)

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> SequenceTeacher:
        """Return itself: there is nothing to prepare."""
        del collection, query, doc, folder
        return self

    @torch.inference_mode()
    def _score(self, prompts: list[str], into: Scores32, shown: Bar | None) -> None:
        features, pad = self._features(prompts), self._tokenizer.pad_token_id
        with autocast(self.precision):
            for rows, batch in split(features, self.max_length, pad, device()):
                logits = self._model(**batch, decoder_input_ids=self._start(batch)).logits[: len(rows), 0].double()
                # log softmax over two: the logistic function of their difference.
                into[rows] = functional.logsigmoid(logits[:, 0] - logits[:, 1]).float().cpu().numpy()
                if shown is not None:
                    shown.advance(len(rows))

    def _start(self, batch: dict[str, Any]) -> Tensor:
        """Make the decoder's input: the mark that starts a text.

        A processor multiplies few rows in another order than many. So it is repeated, which changes nothing at the
        first step: no step looks at a later one.
        """
        steps = _LEAST * torch.get_num_threads() if device() == "cpu" else 1
        start = self._model.config.decoder_start_token_id
        return torch.full((len(batch["input_ids"]), steps), start, dtype=torch.long, device=device())

    def _features(self, prompts: list[str]) -> dict[str, Tensor]:
        """Tokenise, cutting what is too long before the prompt's ending."""
        ending = len(self._tokenizer(_ENDING)["input_ids"])
        if self.max_length <= ending:
            raise ModelError(
                f"{self.name} takes more than {ending} tokens, which end its prompt, not {self.max_length}",
                hint="choose another max_length",
            )
        rows = [
            ids if len(ids) <= self.max_length else ids[: self.max_length - ending] + ids[-ending:]
            for ids in self._tokenizer(prompts, verbose=False)["input_ids"]
        ]
        width, pad = max(map(len, rows)), self._tokenizer.pad_token_id
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
        lengths = torch.tensor([len(row) for row in rows])
        return {"input_ids": ids, "attention_mask": (torch.arange(width) < lengths[:, None]).long()}


def _keep_two_words(model: Any, tokens: list[int]) -> None:
    """Let a model compute the logits of two tokens only, in float64."""
    head = nn.Linear(model.lm_head.in_features, len(tokens), bias=False)
    head.weight = nn.Parameter(model.lm_head.weight.detach()[tokens].clone())
    run_in_float64(head)
    model.lm_head = head
