"""Near duplicates by exact Jaccard similarity of word shingles, without comparing all pairs.

Two texts at or above a similarity share at least one of their rarest shingles (the prefix filter of Chaudhuri, Ganti
and Kaushik, ICDE 2006): if |A ∩ B| >= t |A ∪ B|, then |A ∩ B| >= t |A|, so A and B meet among the first
|A| - ceil(t |A|) + 1 shingles of A and likewise of B, in any order that is common to all. With the rare ones first, few
texts meet there, and those are compared exactly. Nothing is sampled: no duplicate is missed and none is made up.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError

WIDTH = 3
"""Words in a shingle."""

WORD = re.compile(r"\w+")
_BITS = 63 // WIDTH
"""Bits of a word's number; a shingle's number is its words' numbers side by side, so that nothing collides."""

_BUCKETS = 20
"""Binary logarithm of the number of counters; shingles that share one look less rare than they are, no more."""

ROUNDING = 1e-9
"""So that 0.6 * 5 is 3, and not a little more."""

Codes = NDArray[np.uint64]


def first_of_alike(texts: Sequence[str], *, similarity: float) -> NDArray[np.int64]:
    """Find for every text the first kept one that it is nearly equal to.

    A text is kept unless an earlier kept one is alike, so texts added at the end change nothing before. Texts are
    compared as sets of runs of three words, whatever the case and punctuation; a text of fewer words is filled up.

    Args:
        texts: n texts.
        similarity: Jaccard similarity, in (0, 1], from which two texts are alike.

    Returns:
        (n,) int64: the row of the earliest kept text of at least that similarity; its own row where it is kept.

    Raises:
        DataError: The texts have more than two million different words.
    """
    shingles = _shingles(texts)
    frequency = np.bincount(_buckets(np.concatenate(shingles)) if shingles else [], minlength=1 << _BUCKETS)
    meeting = defaultdict[int, list[int]](list)
    first = np.arange(len(texts))
    for row, codes in enumerate(shingles):
        prefix = _prefix(codes, frequency, similarity)
        candidates = sorted({other for shingle in prefix for other in meeting.get(shingle, ())})
        first[row] = next((other for other in candidates if _jaccard(codes, shingles[other]) >= similarity), row)
        if first[row] == row:
            for shingle in prefix:
                meeting[shingle].append(row)
    return first


def _jaccard(a: Codes, b: Codes) -> float:
    """Compare two sets that are given as rising numbers."""
    shared = int(np.count_nonzero(a[np.minimum(np.searchsorted(a, b), len(a) - 1)] == b))
    return shared / (len(a) + len(b) - shared)


def _shingles(texts: Sequence[str]) -> list[Codes]:
    """Number the runs of three words of each text, each once, in rising order."""
    numbers: dict[str, int] = {}
    found = []
    for text in texts:
        words = [numbers.setdefault(word, len(numbers) + 1) for word in WORD.findall(text.lower())]
        words += [0] * (WIDTH - len(words))
        row = np.array(words, np.uint64)
        runs = len(row) - WIDTH + 1
        codes = row[:runs]
        for offset in range(1, WIDTH):
            codes = codes << np.uint64(_BITS) | row[offset : offset + runs]
        found.append(np.unique(codes))
    if len(numbers) >= 1 << _BITS:
        raise DataError(f"the texts have {len(numbers):,} different words; at most {1 << _BITS:,} can be compared")
    return found


def _buckets(codes: Codes) -> NDArray[np.int64]:
    """Spread the shingles over the counters (multiplicative hashing, Knuth, volume 3, section 6.4)."""
    return (codes * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(64 - _BUCKETS)).astype(np.int64)


def _prefix(codes: Codes, frequency: NDArray[np.int64], similarity: float) -> list[int]:
    """List the shingles in which this text would meet a text alike, leaving out those that no other text has."""
    counts = frequency[_buckets(codes)]
    length = len(codes) - math.ceil(similarity * len(codes) - ROUNDING) + 1
    order = np.lexsort((codes, counts))[:length]
    return list(codes[order[counts[order] > 1]].tolist())
