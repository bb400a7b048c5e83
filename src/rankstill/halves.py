"""Halves to floats, ten times as fast as numpy converts them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 14
"""How many numbers torch is given at once. From 32,768 on it wakes its threads, and where others use the processors,
waiting for them takes ten times as long as the work."""


def from_halves(halves: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Convert contiguous float16 to float32, exactly."""
    import torch  # a second to import, which those who have no halves need not wait for

    found = np.empty(halves.shape, np.float32)
    source, target = torch.from_numpy(halves.reshape(-1)), torch.from_numpy(found.reshape(-1))
    for start in range(0, len(source), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        target[part].copy_(source[part])
    return found
