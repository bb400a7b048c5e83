"""Texts as the audit compares them: lower-case words, hashed, whatever the case, punctuation and white space."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.near_duplicates import WORD
from rankstill.collection.store import Texts
from rankstill.records import Rows

Codes = NDArray[np.uint64]

CHUNK = 4096
"""Texts in memory at a time."""
NO_WORDS = np.uint64(0)
"""The key of a text without words."""
_FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))


def normalised(text: str) -> str:
    """Write a text as its lower-case words, one space between them; "" where it has none."""
    return " ".join(WORD.findall(text.lower()))


def chunks(texts: Texts, rows: Rows) -> Iterator[tuple[Rows, list[str]]]:
    """Fetch the texts of rows, some thousands at a time."""
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        yield part, texts.take(part)


class Keys:
    """64-bit keys of normalised texts, computed once for each table of texts; 8 bytes of memory a text.

    Different texts share a key about once in 10^19 / n^2 tables of n texts.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Texts, Codes]] = {}

    def of(self, texts: Texts) -> Codes:
        """Give the key of every text: (n,) uint64; 0 for a text without words."""
        if id(texts) not in self._known:
            keys = b"".join(map(_key, texts))
            # The texts are held on to, so that no other table gets their number.
            self._known[id(texts)] = texts, np.frombuffer(keys, "<u8")
        return self._known[id(texts)][1]


def _key(text: str) -> bytes:
    words = normalised(text)
    return hashlib.blake2b(words.encode(), digest_size=8).digest() if words else bytes(8)


@dataclass(frozen=True)
class Sets:
    """n sets of codes, end to end.

    Attributes:
        codes: (m,) uint64; rising, and each once, within a set.
        starts: (n + 1,) int64: where each set starts, and the last ends.
    """

    codes: Codes
    starts: NDArray[np.int64]

    def __getitem__(self, place: int) -> Codes:
        return self.codes[self.starts[place] : self.starts[place + 1]]

    def owners(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tell which sets the codes at some places are in."""
        return np.searchsorted(self.starts, places, "right") - 1


def shingles(texts: Sequence[str], width: int) -> Sets:
    """Turn texts into sets of hashed runs of `width` words; a text of fewer words is filled up.

    Codes are the same in every process, and different runs share one about once in 10^19 / m^2 tables of m runs.
    """
    numbers: dict[str, int] = {}
    flat: list[int] = []
    ends = np.empty(len(texts), np.int64)
    for i, text in enumerate(texts):
        found = WORD.findall(text.lower())
        found += [""] * (width - len(found))
        flat.extend([numbers.setdefault(word, len(numbers)) for word in found])
        ends[i] = len(flat)
    digests = b"".join(hashlib.blake2b(word.encode(), digest_size=8).digest() for word in numbers)
    hashes = np.frombuffer(digests, "<u8")[np.array(flat, np.int64)] if flat else np.empty(0, np.uint64)
    lengths = np.diff(ends, prepend=0) - width + 1
    owner = np.repeat(np.arange(len(texts)), lengths)
    place = np.arange(len(owner)) + owner * (width - 1)
    codes = np.zeros(len(owner), np.uint64)
    for offset in range(width):
        codes = _mixed(codes) + hashes[place + offset]
    order = np.lexsort((codes, owner))
    codes, owner = _mixed(codes[order]), owner[order]
    new = np.ones(len(codes), bool)
    new[1:] = (codes[1:] != codes[:-1]) | (owner[1:] != owner[:-1])
    codes, owner = codes[new], owner[new]
    order = np.lexsort((codes, owner))
    return Sets(codes[order], np.searchsorted(owner, np.arange(len(texts) + 1)).astype(np.int64))


def _mixed(codes: Codes) -> Codes:
    """Scatter 64-bit numbers, one to one (the finaliser of splitmix64, Steele et al. 2014)."""
    codes = codes ^ (codes >> np.uint64(30))
    codes = codes * _FACTORS[1]
    codes = codes ^ (codes >> np.uint64(27))
    return codes * _FACTORS[0] ^ (codes >> np.uint64(31))
