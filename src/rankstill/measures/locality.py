"""Locality: how far apart the documents of a group lie in an embedding space.

Distances are Euclidean between unit-normalised vectors, d² = 2 · cosine distance, from 0 to 2. (Cosine distance itself
breaks the triangle inequality; d does not.) Three diameters, theory.md sections 1 and 6:

- rms diameter, D_rms² = E d² over the pairs of a group: unbiased for every group size, what the bounds use [6.1];
- robust diameter Q_ε, the (1-ε)-quantile of d pooled over queries and pairs, with an upper confidence bound [6.3];
- the largest distance seen, which only ever underestimates the essential diameter.

Embeddings are one row per document of the collection, (N, D), usually a memory-mapped float16 file; groups are rows of
it. Only a few megabytes of them are in memory at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, SpecError
from rankstill.measures.intervals import Interval, mean_interval

Embeddings = NDArray[np.floating[Any]]
Docs = NDArray[np.integer[Any]]

FARTHEST = 2.0
"""The largest distance between unit vectors."""
_BINS = 1 << 16
_NUMBERS_AT_ONCE = 1 << 19


@dataclass(frozen=True, slots=True)
class RobustDiameter:
    """The distance that all but a share of the pairs stay within.

    Attributes:
        share: ε, the share of pairs that may be farther apart.
        value: Q_ε, inf{t: P(d <= t) >= 1-ε} in the sample; rounded up by at most 2/65536.
        upper: Its upper confidence bound; 2, the largest distance there is, where there are too few groups to say more.
        level: The confidence of `upper`.
        maximum: The largest distance seen.
    """

    share: float
    value: float
    upper: float
    level: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Locality:
    """Diameters of groups: small = hard to tell apart, 1.41 = unrelated directions.

    Attributes:
        size: k, documents in a group.
        rms: The rms diameter, root of the mean over groups of the mean squared distance, with its bootstrap interval.
        robust: The pooled quantile.
    """

    size: int
    rms: Interval
    robust: RobustDiameter


def locality(embeddings: Embeddings, docs: Docs, *, seed: int, share: float = 0.05, level: float = 0.95) -> Locality:
    """Measure the locality of groups.

    Args:
        embeddings: (N, D) any float; normalised here.
        docs: (n, k) rows of `embeddings`, one group per query.
        seed: For the bootstrap over groups.
        share: ε of the robust diameter.
        level: Coverage of the interval, and confidence of the robust diameter's bound.

    Raises:
        DataError: A vector that a group names is zero or not finite, or a row does not exist.
        SpecError: A shape is wrong, groups have one document, or `share` or `level` is not between 0 and 1.
    """
    squared = mean_interval(squared_diameters(embeddings, docs), seed=seed, level=level)
    # The root of the bounds bounds the root; a bound below 0 can only come from the normal approximation.
    low, high = (None if b is None else math.sqrt(max(b, 0.0)) for b in (squared.low, squared.high))
    rms = Interval(math.sqrt(squared.mean), low, high, squared.n)
    return Locality(docs.shape[1], rms, robust_diameter(embeddings, docs, share=share, level=level))


def squared_diameters(embeddings: Embeddings, docs: Docs) -> NDArray[np.float64]:
    """Mean squared distance between the documents of each group, by the centroid: O(kD) a group, not O(k²D).

    mean_p d² = (2/(k-1)) Σ|φ_i - φ̄|²  [6.1], which for unit vectors is (2k/(k-1))(1 - |φ̄|²); the first form is
    computed, since the second cancels where documents nearly coincide.

    Args:
        embeddings: (N, D) any float; normalised here. float64 is computed in float64, all else in float32.
        docs: (n, k) rows of `embeddings`.

    Returns:
        (n,) from 0 (all alike) to 2k/(k-1) (centroid at the origin).

    Raises:
        DataError, SpecError: As in `locality`.
    """
    _check(embeddings, docs)
    result = np.empty(len(docs))
    for rows, vectors in _unit_groups(embeddings, docs):
        vectors -= vectors.mean(axis=1, keepdims=True)
        result[rows] = np.einsum("nkd,nkd->n", vectors, vectors)
    return result * (2 / (int(docs.shape[1]) - 1))


def robust_diameter(embeddings: Embeddings, docs: Docs, *, share: float = 0.05, level: float = 0.95) -> RobustDiameter:
    """Find the pooled quantile of distances, and the largest distance.

    The upper bound is the quantile at 1 - ε + sqrt(log(1/δ)/2n), δ = 1 - level: by Hoeffding it is below Q_ε with
    probability at most δ, whatever the dependence within groups [6.3]. Distances are counted in 65,536 bins, so memory
    does not grow with the number of pairs. The bound says something from n > log(1/δ)/2ε² groups on: 600 at ε = 0.05,
    15,000 at ε = 0.01.

    Args:
        embeddings: (N, D) any float; normalised here.
        docs: (n, k) rows of `embeddings`, one group per query.
        share: ε, the share of pairs left out, between 0 and 1.
        level: The confidence of the bound.

    Raises:
        DataError, SpecError: As in `locality`.
    """
    for name, value in (("share", share), ("level", level)):
        if not 0 < value < 1:
            raise SpecError(f"{name} is {value}; it must be between 0 and 1")
    _check(embeddings, docs)
    counts = np.zeros(_BINS, np.int64)
    maximum = 0.0
    for distances in _pair_distances(embeddings, docs):
        maximum = max(maximum, float(distances.max()))
        bins = np.minimum((distances * (_BINS / FARTHEST)).astype(np.int64), _BINS - 1)
        counts += np.bincount(bins, minlength=_BINS)
    cumulated = np.cumsum(counts) / counts.sum()
    slack = math.sqrt(math.log(1 / (1 - level)) / (2 * len(docs)))

    def quantile(at: float) -> float:
        # A hair less than `at`, lest rounding in the sum push the quantile one pair too far.
        bin_ = int(np.searchsorted(cumulated, at - 1e-12))
        return min((bin_ + 1) * FARTHEST / _BINS, maximum)

    upper = quantile(1 - share + slack) if slack < share else FARTHEST
    return RobustDiameter(share, quantile(1 - share), upper, level, maximum)


def _pair_distances(embeddings: Embeddings, docs: Docs) -> Iterator[NDArray[np.floating[Any]]]:
    """Yield the distances of all unordered pairs, block by block, in no useful shape."""
    first, second = np.triu_indices(docs.shape[1], 1)
    for _, vectors in _unit_groups(embeddings, docs):
        cosines = (vectors @ vectors.transpose(0, 2, 1))[:, first, second]
        yield np.sqrt(np.maximum(2 - 2 * cosines, 0)).ravel()


def _unit_groups(embeddings: Embeddings, docs: Docs) -> Iterator[tuple[slice, NDArray[np.floating[Any]]]]:
    """Yield blocks of groups as (m, k, D) unit vectors, free to be overwritten, with the rows they belong to."""
    precision = np.promote_types(embeddings.dtype, np.float32)
    groups, size = docs.shape
    step = max(1, _NUMBERS_AT_ONCE // (size * embeddings.shape[1]))
    for start in range(0, groups, step):
        rows = slice(start, start + step)
        vectors = embeddings[docs[rows]].astype(precision)
        norms = np.sqrt(np.einsum("nkd,nkd->nk", vectors, vectors))
        _check_norms(norms, docs[rows])
        vectors /= norms[:, :, None]
        yield rows, vectors


def _check(embeddings: Embeddings, docs: Docs) -> None:
    if embeddings.ndim != 2 or docs.ndim != 2:
        raise SpecError(f"expected embeddings (N, D) and groups (n, k), got {embeddings.shape} and {docs.shape}")
    if not len(docs) or docs.shape[1] < 2:
        raise SpecError(f"expected one group or more of two documents or more, got {docs.shape}")
    outside = docs[(docs < 0) | (docs >= len(embeddings))]
    if len(outside):
        raise DataError(
            f"{len(outside)} entries of the groups name documents without an embedding "
            f"(first: row {outside[0]} of {len(embeddings)})",
            hint="embed the collection that the groups were made of",
        )


def _check_norms(norms: NDArray[np.floating[Any]], docs: Docs) -> None:
    bad = docs[~((norms > 0) & np.isfinite(norms))]
    if len(bad):
        raise DataError(
            f"{len(np.unique(bad))} documents have an embedding that is zero or not finite (first: row {bad[0]})",
            hint="check those documents' texts, and the encoder; an empty text has no place",
        )
