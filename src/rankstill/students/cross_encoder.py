"""The cross-encoder student: reads query and document together and gives one logit."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from rankstill.models import quiet
from rankstill.students.architectures import TEMPERATURES, Batch, MicroBatch, StudentSpec, Tokens
from rankstill.students.tokens import micro_batches
from rankstill.students.transformer import Transformer, body_in, remove_plain

Sequence = tuple[NDArray[np.int64], int]
"""Token ids of a pair, and where its document starts."""


class CrossEncoderStudent(Transformer):
    """See `Student`."""

    temperature = TEMPERATURES["cross-encoder"]

    def __init__(self, spec: StudentSpec, start: str) -> None:
        super().__init__(spec, start, AutoModelForSequenceClassification, num_labels=1)
        known = "token_type_ids" in self._tokenizer.model_input_names
        self._types = known and getattr(self.module.config, "type_vocab_size", 0) > 1

    def micro_batches(self, batch: Batch, budget: int) -> list[MicroBatch]:
        """Split the pairs."""
        places = zip(batch.pair_query, batch.pair_doc, strict=True)
        pairs = [self._sequence(batch.queries[q], batch.docs[d]) for q, d in places]
        parts = micro_batches(np.array([len(ids) for ids, _ in pairs]), budget)
        return [self._micro_batch(part, [pairs[i] for i in part], budget) for part in parts]

    def _sequence(self, query: Tokens, doc: Tokens) -> Sequence:
        """Join [CLS] query [SEP] document [SEP]; the longer of the two is cut first, as transformers does."""
        begin, between, end = self._frame.begin, self._frame.between, self._frame.end
        room = self.spec.max_length - len(begin) - len(between) - len(end)
        # Where both are long, each gets half; the odd token goes to the longer one.
        half = room // 2 + (room % 2 if len(query) > len(doc) else 0)
        query = query[: max(room - len(doc), half)]
        doc = doc[: room - len(query)]
        ids = np.concatenate([begin, query, between, doc, end]).astype(np.int64)
        return ids, len(begin) + len(query) + len(between)

    def _micro_batch(self, items: NDArray[np.int64], pairs: list[Sequence], budget: int) -> MicroBatch:
        ids, mask = self.padded([ids for ids, _ in pairs], budget)
        inputs = {"input_ids": torch.from_numpy(ids)}
        if not mask.all():
            inputs["attention_mask"] = torch.from_numpy(mask)
        if self._types:
            starts = np.array([start for _, start in pairs] + [ids.shape[1]] * (len(ids) - len(pairs)))[:, None]
            second = (np.arange(ids.shape[1]) >= starts) & (mask > 0)
            inputs["token_type_ids"] = torch.from_numpy(second.astype(np.int64))
        return MicroBatch(items, inputs, ids.size)

    def outputs(self, micro: MicroBatch, precision: torch.dtype) -> Tensor:
        """Compute the pairs' logits."""
        with body_in(self.module.base_model, precision):
            return cast(Tensor, self.module(**micro.inputs).logits[: len(micro.items)].float())

    def scores(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Take the logits as they are."""
        del batch
        return outputs[:, 0]

    def save(self, folder: Path) -> None:
        """Write the folder that `sentence_transformers.CrossEncoder` loads; its scores are raw logits."""
        from sentence_transformers import CrossEncoder

        with quiet():
            plain = self.write_plain(folder)
            container = CrossEncoder(
                str(plain),
                max_length=self.spec.max_length,
                activation_fn=nn.Identity(),
                local_files_only=True,
                device="cpu",
            )
            container.save_pretrained(str(folder), create_model_card=False)
        remove_plain(plain)
