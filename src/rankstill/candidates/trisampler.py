"""`trisampler`: negatives that form a good triangle with the query and its positive (TriSampler, arXiv 2402.11855).

On unit vectors, of a wider list, with s the cosine: seen from the positive, a negative must lie within `angle` degrees
of the direction to the query. Among those it is drawn with one of the paper's two weights:
exp(-(s(q, d-) - s(q, d+))² / 4), which prefers documents about as near to the query as the positive is; or
max(0, s(d+, d-) - s(q, d-)), which prefers those that are nearer to the positive than to the query.

Reimplemented from descriptions of the paper, whose authors published no code that we know of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.compound import write_in_one_way
from rankstill.candidates.strategy import Needs, Request, Strategy, Vectors
from rankstill.candidates.writing import check_word
from rankstill.errors import DataError, SpecError
from rankstill.records import Candidates, Pairs, Scores32

_SOURCES = ("within the angle", "filled up")


@dataclass(frozen=True)
class TriSampler(Strategy):
    """Draws without replacement by the paper's weights; a query with several positives takes the first of their rows.

    Attributes:
        model: The bi-encoder whose vectors make the triangle.
        of: The strategy that makes the wider list.
        angle: Degrees at the positive between the query and a negative, at most.
        weight: "query" for the first weight, "positive" for the second.
    """

    name: ClassVar[str] = "trisampler"
    short: ClassVar[str] = "of"
    ordered: ClassVar[bool] = True
    model: str = "minilm"
    of: str = "bm25"
    angle: float = 60.0
    weight: str = "query"

    def __post_init__(self) -> None:
        super().__post_init__()
        write_in_one_way(self, compound=False)
        check_word(self.name, "weight", self.weight, ("query", "positive"))
        if not 0 < self.angle <= 180:
            raise SpecError(f"angle of the strategy trisampler lies above 0 and up to 180 degrees: got {self.angle}")

    def needs(self) -> Needs:
        """Ask for the wider list, and the vectors of its documents."""
        return Needs(wider=self.of, model=self.model)

    def sample(self, request: Request) -> Candidates:
        """Draw. Where too few lie within the angle with a weight above 0, the others fill up, by rising angle.

        The score is the logarithm of the weight; `source` tells the drawn ones from those that filled up.

        Raises:
            DataError: Queries have no positive.
        """
        lists = request.scored_list(self.name)
        vectors = request.vectors(self.name)
        without = [query for query in lists if not len(request.positives.get(query, ()))]
        if without:
            raise DataError(
                f"{len(without)} of {len(lists)} queries have no positive (first: "
                f"{request.collection.queries.id(without[0])}), and the strategy trisampler looks from it",
                hint="use another strategy for queries without judgements",
            )
        drawn = [self._draw(request, query, ranked, *vectors) for query, ranked in lists.items()]
        return Candidates.concatenate(drawn, _SOURCES)

    def _draw(self, request: Request, query: int, ranked: Pairs, queries: Vectors, documents: Vectors) -> Candidates:
        q = queries.unit(np.array([query]))[0]
        p = documents.unit(request.positives[query][:1])[0]
        negatives = documents.unit(ranked.doc)
        angle = angles(q, p, negatives)
        log_weight = log_weights(q, p, negatives, self.weight)
        out = (angle > np.deg2rad(self.angle)) | np.isneginf(log_weight)
        # Gumbel's trick: the largest log weights with this noise are a draw without replacement.
        noisy = log_weight + request.rng(self.name, query).gumbel(size=len(ranked))
        order = np.lexsort((np.where(out, angle, -noisy), out))[: request.negatives]
        drawn = Candidates.of(query, ranked.doc[order], log_weight[order].astype(np.float32), np.nan)
        return replace(drawn, source=out[order].astype(np.uint8))


def angles(query: Scores32, positive: Scores32, negatives: Scores32) -> NDArray[np.float64]:
    """Measure the angles at the positive between the directions to the query and to each negative.

    Args:
        query: (D,) of length 1.
        positive: (D,) of length 1.
        negatives: (n, D) of length 1.

    Returns:
        (n,) radians, from 0 to π; π / 2 where the positive coincides with one of the two, and there is no direction.
    """
    to_query = query.astype(np.float64) - positive
    to_negatives = negatives.astype(np.float64) - positive
    norms = np.linalg.norm(to_query) * np.linalg.norm(to_negatives, axis=1)
    cosine = (to_negatives @ to_query) / np.where(norms > 0, norms, 1)
    found: NDArray[np.float64] = np.arccos(np.clip(cosine, -1, 1))
    return found


def log_weights(query: Scores32, positive: Scores32, negatives: Scores32, weight: str) -> NDArray[np.float64]:
    """Weigh each negative.

    Args:
        query: (D,) of length 1.
        positive: (D,) of length 1.
        negatives: (n, D) of length 1.
        weight: "query": -(s(q, d-) - s(q, d+))² / 4; "positive": log max(0, s(d+, d-) - s(q, d-)).

    Returns:
        (n,) logarithms of the weights; -inf for a weight of 0.
    """
    documents = negatives.astype(np.float64)
    to_query = documents @ query
    if weight == "query":
        return -np.square(to_query - float(positive.astype(np.float64) @ query)) / 4
    with np.errstate(divide="ignore"):
        found: NDArray[np.float64] = np.log(np.maximum(documents @ positive - to_query, 0))
    return found
