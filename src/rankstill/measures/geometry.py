"""The shape of the cloud of documents: dimension, density, coverage. Descriptive; no bound uses them (theory 6.5).

Distances are those of `locality`: Euclidean between unit vectors. Neighbours are found exactly, in memory that does not
grow with the documents, at the cost of comparing every chosen document with every other: choose a sample where there
are millions. They are found by cosines in float32, which cannot order documents that lie within 0.001 of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.nearest import nearest
from rankstill.candidates.strategy import Vectors
from rankstill.errors import DataError, SpecError
from rankstill.measures.row_blocks import row_blocks
from rankstill.measures.unit_groups import (
    FARTHEST,
    Docs,
    Floats,
    check_groups,
    pair_distances,
    refuse_directionless,
    to_unit,
    unit_groups,
)

SAME = 1e-6
"""Documents closer than this have the same text, as far as embeddings in float32 can tell."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """How many directions a cloud of documents extends in, locally.

    Attributes:
        value: The estimate.
        sd: Its standard deviation if the model holds: points even around each point, and independent. Groups share
            documents and have edges, which bias the estimate downwards [6.5].
        points: How many documents it rests on.
        duplicates: How many were left out since another one has the same place.
    """

    value: float
    sd: float
    points: int
    duplicates: int


def two_nn(embeddings: Floats, docs: Docs) -> Dimension:
    """Estimate the intrinsic dimension from the ratio of the distances to the first and second neighbour.

    d = (N - 1) / Σ log(r2/r1) (Facco et al. 2017, Scientific Reports 7:12140, in its unbiased maximum-likelihood form),
    with a relative standard deviation of 1/√(N - 2): 27% for 16 documents [6.5].

    Args:
        embeddings: (N, D) any float; normalised here.
        docs: Rows of `embeddings`: (m,) for one cloud, in which repeated rows count once; (n, k) for the neighbours
            within each group, pooled over groups.

    Raises:
        DataError: A row does not exist, a vector is zero or not finite, or too few documents differ.
        SpecError: The shape is wrong, or there are fewer than three documents.
    """
    if docs.ndim == 1:
        rows = np.unique(docs)
        check_groups(embeddings, rows[None], least=3)
        first, second = _neighbours(embeddings, rows, rows, 2).T
    else:
        check_groups(embeddings, docs, least=3)
        first, second = _neighbours_within(embeddings, docs).T
    apart = first > SAME
    points = int(apart.sum())
    total = float(np.log(second[apart] / first[apart]).sum())
    if points < 3 or not total > 0:
        raise DataError(
            f"{points} of {len(first)} documents have a nearest neighbour in another place, "
            "too few or too regular for a dimension",
            hint="a dimension needs three different documents or more; remove duplicates",
        )
    value = (points - 1) / total
    return Dimension(value, value / math.sqrt(points - 2), points, len(first) - points)


@dataclass(frozen=True, slots=True)
class Density:
    """How crowded the space is around documents.

    Attributes:
        neighbours: Which neighbour the radius reaches to.
        reference: How many documents the neighbours are looked for among.
        dimension: Of the balls whose volume the density divides by.
        radius: (m,) distance to that neighbour; 0 where as many documents have the same place.
        log_density: (m,) log of the share of documents per volume, in nats; infinite where the radius is 0. Compare
            within one collection and dimension only.
    """

    neighbours: int
    reference: int
    dimension: float
    radius: NDArray[np.float64]
    log_density: NDArray[np.float64]


def knn_density(
    embeddings: Floats, docs: Docs, *, dimension: float, neighbours: int = 10, reference: Docs | None = None
) -> Density:
    """Estimate the density of documents around some: f = j / (M V_d r_j^d) (Loftsgaarden and Quesenberry 1965).

    r_j is the distance to the j-th nearest of M others and V_d the volume of the unit ball. In hundreds of dimensions
    the ratios of such densities explode; take the intrinsic dimension (`two_nn`), or compare the radii.

    Args:
        embeddings: (N, D) any float; normalised here.
        docs: (m,) rows of `embeddings`.
        dimension: d, above 0.
        neighbours: j.
        reference: Rows that neighbours are looked for among; all by default. A document is no neighbour of its own.

    Raises:
        DataError: A row does not exist, or a vector is zero or not finite.
        SpecError: A shape is wrong, the dimension is not above 0, or there are too few documents.
    """
    rows = np.arange(len(embeddings)) if reference is None else np.unique(reference)
    if docs.ndim != 1:
        raise SpecError(f"expected rows of documents (m,), got {docs.shape}")
    if not 0 < dimension < math.inf:
        raise SpecError(f"the dimension is {dimension}; it must be above 0 and finite")
    if not 1 <= neighbours < len(rows):
        raise SpecError(
            f"there is no neighbour number {neighbours} among {len(rows)} documents, of which one may be the document",
            hint=f"take a number from 1 to {len(rows) - 1}, or more documents",
        )
    for some in (docs, rows):
        check_groups(embeddings, some[None], least=1)
    radius = _neighbours(embeddings, docs, rows, neighbours)[:, -1]
    others = len(rows) - np.isin(docs, rows)
    log_ball = dimension / 2 * math.log(math.pi) - math.lgamma(dimension / 2 + 1)
    with np.errstate(divide="ignore"):
        log_density = math.log(neighbours) - np.log(others) - log_ball - dimension * np.log(radius)
    return Density(neighbours, len(rows), dimension, radius, log_density)


def coverage(embeddings: Floats, drawn: Docs, target: Docs, radius: float) -> NDArray[np.float64]:
    """Share of each query's target documents within a radius of one that was drawn for training.

    Args:
        embeddings: (N, D) any float; normalised here.
        drawn: (n, k) rows of what a strategy drew, a query per row.
        target: (n, m) rows of what the student will have to rank for the same query.
        radius: The distance, from 0 to 2; such as the rms diameter of the drawn groups.

    Returns:
        (n,) from 0 to 1; its mean over queries has a Hoeffding interval.

    Raises:
        DataError, SpecError: As in `distance_to_drawn`; the radius is not a number from 0 to 2.
    """
    if not 0 <= radius <= 2:
        raise SpecError(f"the radius is {radius}; distances of unit vectors go from 0 to 2")
    # A document that was drawn is covered at radius 0, whatever its product with itself rounds to.
    within = distance_to_drawn(embeddings, drawn, target) <= max(radius, SAME)
    found: NDArray[np.float64] = within.mean(axis=1, dtype=np.float64)
    return found


def distance_to_drawn(embeddings: Floats, drawn: Docs, target: Docs) -> NDArray[np.float64]:
    """Measure how far each target document is from the nearest one that was drawn for its query.

    Args:
        embeddings: (N, D) any float; normalised here, compared in float64.
        drawn: (n, k) rows, a query per row.
        target: (n, m) rows, for the same queries.

    Returns:
        (n, m) from 0 to 2.

    Raises:
        DataError: A row does not exist, or a vector is zero or not finite.
        SpecError: A shape is wrong, or the two sides differ in their queries.
    """
    for docs in (drawn, target):
        check_groups(embeddings, docs, least=1)
    if len(drawn) != len(target):
        raise SpecError(
            f"documents were drawn for {len(drawn)} queries and targets given for {len(target)}",
            hint="give both for the same queries, in the same order",
        )
    size = drawn.shape[1]
    result = np.empty(target.shape)
    for rows, unit in unit_groups(embeddings, np.concatenate([drawn, target], axis=1), precision=np.float64):
        nearest_cosine = np.full((len(unit), target.shape[1]), -1.0)
        for i in range(size):
            np.maximum(nearest_cosine, np.vecdot(unit[:, i, None], unit[:, size:]), out=nearest_cosine)
        result[rows] = np.sqrt(np.clip(2 - 2 * nearest_cosine, 0, FARTHEST**2))
    return result


def _neighbours(embeddings: Floats, docs: Docs, reference: Docs, count: int) -> NDArray[np.float64]:
    """Find the distances to the nearest of the reference's documents, (m, count), nearest first, itself left out."""
    # `nearest` would put a vector without a direction at a right angle to all.
    refuse_directionless(embeddings, np.union1d(reference, docs))
    whole = len(reference) == len(embeddings)
    values = embeddings if whole else embeddings[reference]
    queries, _ = to_unit(embeddings[docs])
    places = Vectors(reference.astype(np.uint32), values)
    found, _ = nearest(queries.astype(np.float32), places, count + 1)
    result = np.empty((len(docs), count))
    others = np.stack(found).astype(np.int64)
    for at in row_blocks(len(docs), 8 * (count + 2) * embeddings.shape[1]):
        # `nearest` compares in float32; the distances of near duplicates need more digits.
        unit, _ = to_unit(embeddings[np.column_stack([docs[at], others[at]])], np.float64)
        distances = np.linalg.norm(unit[:, 1:] - unit[:, :1], axis=2)
        distances[others[at] == docs[at, None]] = np.inf
        result[at] = np.sort(distances, axis=1)[:, :count]
    return result


def _neighbours_within(embeddings: Floats, docs: Docs) -> NDArray[np.float64]:
    """Find the distances of each group's documents to their two nearest fellows, (n k, 2)."""
    result = np.empty((*docs.shape, 2))
    first, second = np.triu_indices(docs.shape[1], 1)
    for rows, unit in unit_groups(embeddings, docs, precision=np.float64):
        distances = np.full((len(unit), docs.shape[1], docs.shape[1]), np.inf)
        distances[:, first, second] = distances[:, second, first] = pair_distances(unit)
        result[rows] = np.sort(distances, axis=2)[:, :, :2]
    return result.reshape(-1, 2)
