"""Batches of texts of one length, so that nothing is padded.

Padding costs time, and a text's result would depend on what it is padded with. Texts of equal length need neither a
mask nor padding, so on a processor a text gets the same bits whatever stands beside it in the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Features = dict[str, Any]
Positions = NDArray[np.int64]

_BUDGET = {"cpu": 4096, "cuda": 65536}
"""Tokens in one batch. More is not faster on a processor: activations leave its caches."""
_LEAST = 16
"""Rows of a matrix product for each thread, at least: with fewer, some libraries add up in another order."""


def equal_lengths(lengths: NDArray[np.int64], budget: int) -> Iterator[Positions]:
    """Split texts into batches of one length, the longest first, each of at most `budget` tokens (or one text).

    Args:
        lengths: (n,) tokens of each text.
        budget: Tokens in a batch.

    Yields:
        Positions in `lengths`; all together each position once.
    """
    order = np.argsort(-lengths, kind="stable")
    starts = np.flatnonzero(np.diff(lengths[order])) + 1
    for same in np.split(order, starts):
        if len(same):
            rows = max(1, budget // max(1, int(lengths[same[0]])))
            yield from (same[i : i + rows] for i in range(0, len(same), rows))


def can_split(features: Features) -> bool:
    """Tell whether features are one row of tokens per text, as of a transformer, and nothing else."""
    ids = features.get("input_ids")
    if not isinstance(ids, Tensor) or ids.ndim != 2 or "attention_mask" not in features:
        return False
    return all(value.shape == ids.shape for value in features.values() if isinstance(value, Tensor))


def split(features: Features, device: str) -> Iterator[tuple[Positions, Features]]:
    """Split tokenised texts into batches without padding.

    Args:
        features: What a tokeniser returned for n texts; see `can_split`.
        device: Where the batches go.

    Yields:
        (rows of the n texts, the features of these rows, perhaps repeated: only the first `len(rows)` results count).
    """
    mask = features["attention_mask"]
    lengths = mask.sum(dim=1).numpy().astype(np.int64)
    width, left = mask.shape[1], bool((mask[:, 0] == 0).any())
    least = _LEAST * torch.get_num_threads() if device == "cpu" else 0
    for rows in equal_lengths(lengths, _BUDGET[device]):
        length = max(1, int(lengths[rows[0]]))
        span = slice(width - length, width) if left else slice(0, length)
        filled = torch.from_numpy(np.resize(rows, max(len(rows), -(-least // length))))
        yield (
            rows,
            {
                name: value[filled, span].to(device) if isinstance(value, Tensor) else value
                for name, value in features.items()
            },
        )
