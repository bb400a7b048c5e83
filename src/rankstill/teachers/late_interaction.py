"""A late-interaction model as a teacher: a vector for each token of a text, a pair's score is their MaxSim.

The class is sentence-transformers' own `MultiVectorEncoder` (ColBERT, arXiv 2004.12832, and its kin; it also reads what
PyLate and Stanford's code saved): its prompts, its lengths, its expansion of queries, its mask of the tokens that
count. MaxSim is the sum over query tokens of the best dot product with a document token; `meanmaxsim` divides by the
number of query tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.records import Scores32
from rankstill.teachers.batches import Features, Positions, split
from rankstill.teachers.encode import Side
from rankstill.teachers.modules import ModuleCoder, run_modules, tokens_of
from rankstill.teachers.precision import device

Code = NDArray[Any]
_EXPANSION = "query_expansion_positions"


class LateInteractionCoder(ModuleCoder):
    """A MultiVectorEncoder as a function from texts to vectors of tokens; see `ModuleCoder`.

    `max_length` limits documents; queries keep their own.
    """

    kind = "late-interaction"

    def encode(self, texts: Sequence[str], side: Side) -> list[Code]:
        """Encode texts: for each (tokens that count, D) float32."""
        features = tokens_of(self._model, texts, side, self.name)
        limit, pad = self._model.max_seq_length, self._model.tokenizer.pad_token_id
        codes: list[Code] = [np.empty(0, np.float32)] * len(texts)
        for rows, batch in _split(features, limit, pad):
            done = run_modules(self._model, batch, self.precision, {"task": side})
            vectors, counts = (
                done["token_embeddings"].float().cpu().numpy(),
                done["attention_mask"].bool().cpu().numpy(),
            )
            for row, vector, counted in zip(rows, vectors, counts, strict=False):
                codes[row] = vector[counted]
        return codes

    def compare(self, queries: Sequence[Code], docs: Sequence[Code]) -> Scores32:
        """Compare n pairs by MaxSim, each by itself: (n,) float32; 0 for a text without a token that counts."""
        mean = self._model.similarity_fn_name == "meanmaxsim"
        scores = np.zeros(len(queries), np.float32)
        for i, (query, doc) in enumerate(zip(queries, docs, strict=True)):
            if len(query) and len(doc):
                best = (query.astype(np.float64) @ doc.astype(np.float64).T).max(axis=1)
                scores[i] = best.mean() if mean else best.sum()
        return scores


def _split(features: Features, limit: int, pad: int) -> Iterator[tuple[Positions, Features]]:
    """Split texts into batches as `split` does, where tokens that expand a query count as its own.

    They may stand outside the attention mask, by which texts are measured and cut.
    """
    if _EXPANSION not in features:
        yield from split(features, limit, pad, device())
        return
    attended = features["attention_mask"]
    whole = attended | features[_EXPANSION].to(attended.dtype)
    for rows, batch in split({**features, "attention_mask": whole, "attended": attended}, limit, pad, device()):
        batch["attention_mask"] = batch.pop("attended")
        yield rows, batch
