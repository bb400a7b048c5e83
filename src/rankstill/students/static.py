"""The static student: a bi-encoder without a transformer, the mean of token embeddings compared by cosine."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel

from rankstill.models import quiet
from rankstill.students.architectures import TEMPERATURES, Batch, MicroBatch, StudentSpec
from rankstill.students.bi_encoder import cosines
from rankstill.students.transformer import LOCAL, Frame, body_in, fast_tokenizer, loading
from rankstill.students.vocabulary import UsedTokens


class StaticStudent:
    """See `Student`.

    It starts from what the model makes of each token of its vocabulary on its own, [CLS] token [SEP], mean-pooled and
    centred (as model2vec does, without its principal components). Frequent tokens are weighed down by their place in
    the vocabulary, which lists them by frequency: Zipf's law in place of counts.
    """

    temperature = TEMPERATURES["static"]

    def __init__(self, spec: StudentSpec, start: str, precision: torch.dtype = torch.float32) -> None:
        self.spec = spec
        _, self.tokenizer = fast_tokenizer(start)
        self._all = _token_vectors(start, self.tokenizer.get_vocab_size(), precision)
        self._used = UsedTokens(np.arange(len(self._all)), len(self._all))
        self.module: nn.Module = nn.EmbeddingBag.from_pretrained(self._all.clone(), freeze=False, mode="mean")

    def focus(self, used: NDArray[np.int64]) -> None:
        """Keep only the embeddings of these tokens until `save`; texts must have no others."""
        self._used = UsedTokens(used, len(self._all))
        self.module = nn.EmbeddingBag.from_pretrained(self._used.part(self._all), freeze=False, mode="mean")

    def micro_batches(self, batch: Batch, budget: int) -> list[MicroBatch]:
        """Take all texts at once: they keep no activations worth splitting for."""
        del budget
        cut = [t[: self.spec.max_length] for t in (*batch.queries, *batch.docs)]
        offsets = np.concatenate([[0], np.cumsum([len(t) for t in cut])[:-1]])
        flat = self._used.number[np.concatenate(cut)]
        inputs = {"input": torch.from_numpy(flat), "offsets": torch.from_numpy(offsets)}
        return [MicroBatch(np.arange(len(cut)), inputs, len(flat))]

    def outputs(self, micro: MicroBatch, precision: torch.dtype) -> Tensor:
        """Average each text's token embeddings (a text without tokens: 0); always in float32."""
        del precision
        return nn.functional.normalize(self.module(**micro.inputs), dim=1)

    def scores(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Take the cosine of each pair."""
        return cosines(outputs, batch)

    def save(self, folder: Path) -> None:
        """Write the folder that `SentenceTransformer` loads: a StaticEmbedding and a normalisation."""
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Normalize
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding

        weights = self._used.whole(self._all, cast(Tensor, self.module.weight))
        tokenizer = Tokenizer.from_str(self.tokenizer.to_str())
        # Its container has no limit of its own: the tokenizer keeps texts as long as in training.
        tokenizer.enable_truncation(self.spec.max_length)
        with quiet():
            bag = StaticEmbedding(tokenizer, embedding_weights=weights)
            container = SentenceTransformer(modules=[bag, Normalize()], device="cpu", similarity_fn_name="cosine")
            container.save_pretrained(str(folder), create_model_card=False)


@lru_cache(maxsize=2)
@torch.inference_mode()
def _token_vectors(start: str, vocabulary: int, precision: torch.dtype) -> Tensor:
    """Encode every token of the vocabulary on its own: (vocabulary, D) float32."""
    options: dict[str, Any] = {**LOCAL, "use_safetensors": True, "dtype": torch.float32}
    with quiet(), loading(start):
        model = AutoModel.from_pretrained(start, **options).eval()
    wrapped, _ = fast_tokenizer(start)
    ids = torch.arange(vocabulary)
    frame = Frame.of(wrapped, start)
    before, after = (torch.tensor(t, dtype=torch.long).expand(vocabulary, -1) for t in (frame.before, frame.after))
    sequences = torch.cat([before, ids[:, None], after], dim=1)
    with body_in(model, precision):
        parts = [model(input_ids=part).last_hidden_state.mean(dim=1) for part in torch.split(sequences, 1024)]
    vectors = torch.cat(parts)
    vectors = nn.functional.normalize(vectors - vectors.mean(dim=0), dim=1)
    weight = torch.log1p(torch.arange(1, vocabulary + 1, dtype=torch.float32))
    return (vectors * weight[:, None] / weight.mean()).clone()
