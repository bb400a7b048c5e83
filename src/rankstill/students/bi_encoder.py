"""The bi-encoder student: reads query and document apart and compares their vectors by cosine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoModel

from rankstill.models import quiet
from rankstill.students.architectures import TEMPERATURES, Batch, MicroBatch, StudentSpec
from rankstill.students.tokens import micro_batches
from rankstill.students.transformer import Transformer, body_in, remove_plain


class BiEncoderStudent(Transformer):
    """See `Student`."""

    temperature = TEMPERATURES["bi-encoder"]

    def __init__(self, spec: StudentSpec, start: str) -> None:
        super().__init__(spec, start, AutoModel)

    def micro_batches(self, batch: Batch, budget: int) -> list[MicroBatch]:
        """Split the texts; each query and each document is encoded once."""
        before, after = self._frame.before, self._frame.after
        room = self.spec.max_length - len(before) - len(after)
        texts = [*batch.queries, *batch.docs]
        sequences = [np.concatenate([before, t[:room], after]).astype(np.int64) for t in texts]
        parts = micro_batches(np.array([len(s) for s in sequences]), budget)
        return [self._micro_batch(part, [sequences[i] for i in part], budget) for part in parts]

    def _micro_batch(self, items: NDArray[np.int64], sequences: list[NDArray[np.int64]], budget: int) -> MicroBatch:
        ids, mask = self.padded(sequences, budget)
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        return MicroBatch(items, inputs, ids.size)

    def outputs(self, micro: MicroBatch, precision: torch.dtype) -> Tensor:
        """Encode the texts."""
        ids, mask = micro.inputs["input_ids"], micro.inputs["attention_mask"]
        padded = not bool(mask.all())
        with body_in(self.module, precision):
            hidden = self.module(input_ids=ids, attention_mask=mask if padded else None).last_hidden_state.float()
        hidden, mask = hidden[: len(micro.items)], mask[: len(micro.items)]
        weight = mask[:, :, None].float()
        return nn.functional.normalize((hidden * weight).sum(dim=1) / weight.sum(dim=1), dim=1)

    def scores(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Take the cosine of each pair."""
        return cosines(outputs, batch)

    def save(self, folder: Path) -> None:
        """Write the folder that `SentenceTransformer` loads: transformer, mean pooling, normalisation."""
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Normalize
        from sentence_transformers.base.modules import Transformer as Body
        from sentence_transformers.sentence_transformer.modules import Pooling

        with quiet():
            plain = self.write_plain(folder)
            body = Body(str(plain), max_seq_length=self.spec.max_length)
            pooling = Pooling(self.module.config.hidden_size, pooling_mode="mean")
            container = SentenceTransformer(
                modules=[body, pooling, Normalize()], device="cpu", similarity_fn_name="cosine"
            )
            container.save_pretrained(str(folder), create_model_card=False)
        remove_plain(plain)


def cosines(vectors: Tensor, batch: Batch) -> Tensor:
    """Compare the vectors of a batch's queries, then documents, of length 1: (pairs,)."""
    queries, docs = vectors[: len(batch.queries)], vectors[len(batch.queries) :]
    return (queries[torch.from_numpy(batch.pair_query)] * docs[torch.from_numpy(batch.pair_doc)]).sum(dim=1)
