"""Randomness is an argument, derived by name, so that adding a query or a worker changes nobody else's draw."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_for(seed: int, *names: object) -> int:
    """Derive a 128-bit seed from a study's seed and a path of names.

    The same seed and names give the same number on every machine and in every process; any other name gives an
    unrelated one, also where a name holds the slash that parts names.
    """
    path = "/".join([str(seed), *(str(name).replace("\\", "\\\\").replace("/", "\\/") for name in names)])
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:16], "little")


def rng_for(seed: int, *names: object) -> np.random.Generator:
    """Make an independent generator for one named purpose, as in `rng_for(7, "candidates", query_id)`."""
    return np.random.Generator(np.random.Philox(key=seed_for(seed, *names)))
