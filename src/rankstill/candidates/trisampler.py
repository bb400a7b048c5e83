"""`trisampler`: negatives that form a good triangle with the query and its positive (TriSampler, arXiv 2402.11855).

On unit vectors, of a wider list: a negative must be seen from the positive within `angle` degrees of the direction to
the query; among those it is drawn with weight exp(-(s- - s+)²/4), which prefers documents about as near to the query as
the positive is.

Reimplemented from the paper's definitions; its authors published no code that we know of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.strategy import Needs, Request, Strategy, Vectors
from rankstill.errors import DataError, SpecError
from rankstill.records import Candidates, Pairs, Rows, Scores32


@dataclass(frozen=True)
class TriSampler(Strategy):
    """Draws without replacement by the paper's weights; a query with several positives takes the first.

    Attributes:
        model: The bi-encoder whose vectors make the triangle.
        of: The strategy that makes the wider list.
        angle: Degrees at the positive between the query and a negative, at most.
    """

    name: ClassVar[str] = "trisampler"
    short: ClassVar[str] = "of"
    model: str = "minilm"
    of: str = "bm25"
    angle: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.angle <= 180:
            raise SpecError(f"an angle lies above 0 and up to 180 degrees: got {self.angle}")

    def needs(self) -> Needs:
        """Ask for the wider list, and the vectors of its documents."""
        return Needs(wider=self.of, model=self.model)

    def sample(self, request: Request) -> Candidates:
        """Draw, by falling weight; documents outside the angle fill up, nearest to it first, where too few are inside.

        Raises:
            DataError: A query has no positive.
        """
        queries, documents = request.vectors(self.name)
        lists = request.scored_list(self.name)
        return Candidates.concatenate(
            [self._draw(request, query, ranked, queries, documents) for query, ranked in lists.items()]
        )

    def _draw(self, request: Request, query: int, ranked: Pairs, queries: Vectors, documents: Vectors) -> Candidates:
        positive = request.positives.get(query)
        if positive is None:
            raise DataError(
                f"query {request.collection.queries.id(query)} has no positive, and `trisampler` looks from it",
                hint="use another strategy for queries without judgements",
            )
        q, p = queries.unit(np.array([query]))[0], documents.unit(positive[:1])[0]
        negatives = documents.unit(ranked.doc)
        angle, log_weight = triangle(q, p, negatives)
        # Gumbel's trick: the largest log weights with this noise are a draw without replacement.
        noise = request.rng(str(self), query).gumbel(size=len(ranked))
        outside = angle > np.deg2rad(self.angle)
        order = np.lexsort((np.where(outside, angle, -(log_weight + noise)), outside))[: request.negatives]
        return Candidates.of(query, _at(ranked.doc, order), log_weight[order].astype(np.float32), np.nan)


def _at(rows: Rows, order: NDArray[np.int64]) -> Rows:
    return rows[order]


def triangle(
    query: Scores32, positive: Scores32, negatives: Scores32
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure the triangles of a query, its positive, and each negative.

    Args:
        query: (D,) of length 1.
        positive: (D,) of length 1.
        negatives: (n, D) of length 1.

    Returns:
        (n,) angles at the positive, in radians, and (n,) log weights -(s- - s+)²/4 with cosines s (equation 7).
    """
    to_query = (query - positive).astype(np.float64)
    to_negatives = (negatives - positive).astype(np.float64)
    norms = np.linalg.norm(to_query) * np.linalg.norm(to_negatives, axis=1)
    cosine = np.clip((to_negatives @ to_query) / np.maximum(norms, 1e-12), -1, 1)
    near = negatives.astype(np.float64) @ query - float(positive @ query)
    return np.arccos(cosine), -(near**2) / 4
