"""The bi-encoder student: reads query and document apart and compares their vectors by cosine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoModel

from rankstill.models import quiet
from rankstill.students.architectures import TEMPERATURES, Batch, StudentSpec, Tokens
from rankstill.students.tokens import micro_batches
from rankstill.students.transformer import Transformer, body_in, remove_plain


class BiEncoderStudent(Transformer):
    """See `Student`."""

    temperature = TEMPERATURES["bi-encoder"]

    def __init__(self, spec: StudentSpec, start: str) -> None:
        super().__init__(spec, start, AutoModel)

    def scores(self, batch: Batch, precision: torch.dtype, budget: int) -> Tensor:
        """Encode each query and document once and take the cosine of each pair."""
        return cosines(self.encode([*batch.queries, *batch.docs], precision, budget), batch)

    def encode(self, texts: list[Tokens], precision: torch.dtype, budget: int) -> Tensor:
        """Encode texts: (texts, D) float32, of length 1."""
        before, after = self._frame.before, self._frame.after
        room = self.spec.max_length - len(before) - len(after)
        sequences = [np.concatenate([before, t[:room], after]).astype(np.int64) for t in texts]
        parts = micro_batches(np.array([len(s) for s in sequences]), budget)
        vectors = torch.cat([self._encode([sequences[i] for i in part], precision, budget) for part in parts])
        return vectors[torch.from_numpy(np.argsort(np.concatenate(parts)))]

    def _encode(self, sequences: list[NDArray[np.int64]], precision: torch.dtype, budget: int) -> Tensor:
        ids, mask = (torch.from_numpy(a) for a in self.padded(sequences, budget))
        padded = not bool(mask.all())
        with body_in(self.module, precision):
            hidden = self.module(input_ids=ids, attention_mask=mask if padded else None).last_hidden_state.float()
        hidden, mask = hidden[: len(sequences)], mask[: len(sequences)]
        weight = mask[:, :, None].float()
        return nn.functional.normalize((hidden * weight).sum(dim=1) / weight.sum(dim=1), dim=1)

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
