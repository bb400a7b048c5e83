"""Batches of texts of nearly one length, in which a text's result does not depend on the texts beside it.

Padding to the longest text of a batch costs time, and makes a text's last bits depend on its company. Here a text is
padded to the next multiple of eight tokens, which is its own affair, and stands beside texts of the same padded length.
On a processor it then gets the same bits in any batch. (Odd lengths would do for most models, but put the rows of
attention at odd places in memory, where some matrix libraries add up in another order.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Features = dict[str, Any]
Positions = NDArray[np.int64]

MULTIPLE = 8
"""Tokens to whose multiple a text is padded."""
_BUDGET = {"cpu": 2048, "cuda": 65536}
"""Tokens in one batch. More is not faster on a processor: activations leave its caches."""
_LEAST = 16
"""Rows of a matrix product for each thread, at least: with fewer, some libraries add up in another order."""


def batches(lengths: NDArray[np.int64], limit: int, budget: int) -> Iterator[tuple[Positions, int]]:
    """Split texts into batches of one padded length, the longest first, each of at most `budget` tokens (or one text).

    Texts that fill their padded length stand apart from those that do not: they need no attention mask.

    Args:
        lengths: (n,) tokens of each text.
        limit: Tokens that the model takes at most; no text is padded beyond.
        budget: Tokens in a batch.

    Yields:
        (positions in `lengths`, their padded length); all together each position once.
    """
    padded = np.minimum(-(-np.maximum(lengths, 1) // MULTIPLE) * MULTIPLE, np.maximum(lengths, limit))
    kind = 2 * padded + (lengths == padded)
    order = np.argsort(-kind, kind="stable")
    starts = np.flatnonzero(np.diff(kind[order])) + 1
    for same in np.split(order, starts):
        if len(same):
            width = int(padded[same[0]])
            rows = max(1, budget // width)
            yield from ((same[i : i + rows], width) for i in range(0, len(same), rows))


def can_split(features: Features) -> bool:
    """Tell whether features are one row of tokens per text, as of a transformer, and nothing else."""
    ids = features.get("input_ids")
    if not isinstance(ids, Tensor) or ids.ndim != 2 or "attention_mask" not in features:
        return False
    return all(value.shape == ids.shape for value in features.values() if isinstance(value, Tensor))


def split(
    features: Features, limit: int, pad: int, device: str, budget: int = 0
) -> Iterator[tuple[Positions, Features]]:
    """Split tokenised texts into batches.

    Args:
        features: What a tokeniser returned for n texts, padded in any way; see `can_split`.
        limit: Tokens that the model takes at most.
        pad: The token that pads.
        device: Where the batches go.
        budget: Tokens in a batch; 0 for what suits the device. Models with large outputs need less.

    Yields:
        (rows of the n texts, the features of these rows, perhaps repeated: only the first `len(rows)` results count).
    """
    mask = features["attention_mask"]
    lengths, left = mask.sum(dim=1).numpy().astype(np.int64), bool((mask[:, 0] == 0).any())
    features = _widened(features, -mask.shape[1] % MULTIPLE, pad, left)
    whole = features["attention_mask"].shape[1]
    least = _LEAST * torch.get_num_threads() if device == "cpu" else 0
    for rows, width in batches(lengths, limit, budget or _BUDGET[device]):
        span = slice(whole - width, whole) if left else slice(0, width)
        filled = torch.from_numpy(np.resize(rows, max(len(rows), -(-least // width))))
        yield (
            rows,
            {
                name: value[filled, span].to(device) if isinstance(value, Tensor) else value
                for name, value in features.items()
            },
        )


def _widened(features: Features, columns: int, pad: int, left: bool) -> Features:
    """Pad all texts by so many columns more."""
    sides = (columns, 0) if left else (0, columns)
    return {
        name: functional.pad(value, sides, value=pad if name == "input_ids" else 0)
        if isinstance(value, Tensor)
        else value
        for name, value in features.items()
    }
