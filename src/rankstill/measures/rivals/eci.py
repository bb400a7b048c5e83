"""ECI_sem, as far as its abstract describes it: a rival that ranks sources of negatives before training.

ECI_sem (arXiv 2603.20990, version 3, June 2026) is here REIMPLEMENTED FROM ITS ABSTRACT, which was all that could be
had of it. The abstract says: each example is a query, a labelled positive and a negative; embeddings are those of the
frozen target encoder; a weighted residual information matrix is built from target consistency, semantic locality and
lexical residuality, with a log-determinant diversity objective; there are a temperature, a tokeniser and IDFs. It gives
no formula. The formulas below are ours, each chosen as the plainest one that fits these words. Its figures are
therefore no evidence for or against the published measure. (Version 1 of the paper described another measure: a
logarithm of the set's size times a harmonic mean of hardness and safety. It is not implemented.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, SpecError
from rankstill.measures.checks import check_count, check_positive
from rankstill.measures.row_blocks import row_blocks
from rankstill.measures.unit_groups import checked_vectors

Floats = NDArray[np.floating[Any]]

ECI_NAME = "ECI_sem (reimplemented from the abstract)"


@dataclass(frozen=True, slots=True)
class EciSem:
    """What our reading of ECI_sem says of a source of negatives; higher is said to be better.

    Attributes:
        score: log det(I + (D/ridge) M), nats.
        consistency: Mean of the weights' first part, from 0 to 1.
        locality: Mean of the second, from 0 to 1.
        residuality: Mean of the third, from 0 to 1.
        diversity: Where `score` lies, at the same trace of M, between residuals all along one line (0) and alike in all
            directions that there can be (1).
        examples: How many triples of query, positive and negative.
        name: As tables must call it.
    """

    score: float
    consistency: float
    locality: float
    residuality: float
    diversity: float
    examples: int
    name: str = ECI_NAME


class EciSemStream:
    """Gathers ECI_sem over blocks of groups; holds one D x D matrix.

    With unit vectors q, p (positive), n (negative) and c the share of the query's words, weighted by IDF, that stand in
    the negative, an example has

    - target consistency s((q·p - q·n)/temperature), s the logistic function: the encoder agrees with the labels;
    - semantic locality max(0, q·n): the negative is near the query;
    - lexical residuality 1 - c: the nearness is not one of words;
    - residual n - p, along which the contrastive loss moves the query's vector;

    and M is the mean over examples of (product of the three) · residual residual'. The score log det(I + (D/ridge) M)
    grows with the weights, with the distances, and with the directions that the residuals spread over. A mean, not a
    sum: the score does not grow with the number of examples.

    Args:
        dimensions: D.
        temperature: Above 0; 0.05 is usual for contrastive losses on cosines.
        ridge: Above 0.

    Raises:
        SpecError: A number is out of range.
    """

    def __init__(self, dimensions: int, *, temperature: float = 0.05, ridge: float = 1.0) -> None:
        check_count(dimensions=dimensions)
        check_positive(temperature=temperature, ridge=ridge)
        self._temperature, self._ridge = temperature, ridge
        self._matrix = np.zeros((dimensions, dimensions))
        self._sums = np.zeros(3)
        self._examples = 0

    def add(self, queries: Floats, positives: Floats, negatives: Floats, overlaps: Floats) -> None:
        """Add examples; none of them where one is refused.

        Args:
            queries: (n, D) embeddings of the queries; normalised here.
            positives: (n, D) of their positives.
            negatives: (n, m, D) of their negatives.
            overlaps: (n, m) c of each negative (`lexical_overlaps`), from 0 to 1; NaN where a place holds no negative
                (a second positive, padding): it is left out.

        Raises:
            SpecError: The shapes do not belong together.
            DataError: A vector is zero or not finite, or an overlap is outside 0 to 1.
        """
        self._check(queries, positives, negatives, overlaps)
        part = EciSemStream(len(self._matrix), temperature=self._temperature, ridge=self._ridge)
        for rows in row_blocks(len(queries), 8 * negatives.shape[1] * negatives.shape[2]):
            part._add(rows.start, queries[rows], positives[rows], negatives[rows], overlaps[rows])
        self._matrix += part._matrix
        self._sums += part._sums
        self._examples += part._examples

    def _add(self, start: int, queries: Floats, positives: Floats, negatives: Floats, overlaps: Floats) -> None:
        there = ~np.isnan(overlaps)
        # What stands where no negative is must only be a vector.
        negatives = np.where(there[:, :, None], negatives, queries[:, None])
        vectors = (queries, positives, negatives)
        asked, right, wrong = (checked_vectors(v, start, precision=np.float64) for v in vectors)
        near = np.einsum("nd,nmd->nm", asked, wrong)
        lead = (np.einsum("nd,nd->n", asked, right)[:, None] - near) / self._temperature
        parts = np.stack([np.exp(-np.logaddexp(0, -lead)), np.maximum(near, 0), 1 - overlaps.astype(np.float64)])
        residuals = (wrong - right[:, None])[there]
        weights = parts.prod(axis=0)[there]
        self._matrix += residuals.T @ (residuals * weights[:, None])
        self._sums += parts[:, there].sum(axis=1)
        self._examples += len(weights)

    def result(self) -> EciSem:
        """Finish.

        Raises:
            DataError: No example was added.
        """
        if not self._examples:
            raise DataError("no negatives to judge: no examples were given")
        # By eigenvalues: the determinant itself underflows at hundreds of dimensions.
        moments = np.maximum(np.linalg.eigvalsh(self._matrix / self._examples), 0)
        dimensions = len(moments)
        scaled = dimensions / self._ridge * moments
        score = float(np.log1p(scaled).sum())
        # Alike in all directions there are; of fewer residuals than dimensions, in as many as there are.
        rank = min(dimensions, self._examples)
        most = rank * math.log1p(float(scaled.sum()) / rank)
        consistency, locality, residuality = (float(s) / self._examples for s in self._sums)
        return EciSem(score, consistency, locality, residuality, _spread(score, scaled, most), self._examples)

    def _check(self, queries: Floats, positives: Floats, negatives: Floats, overlaps: Floats) -> None:
        dimensions = len(self._matrix)
        fits = (
            negatives.ndim == 3
            and queries.shape == positives.shape == (len(negatives), dimensions)
            and negatives.shape == (*overlaps.shape, dimensions)
        )
        if not fits:
            raise SpecError(
                f"expected queries and positives (n, {dimensions}), negatives (n, m, {dimensions}) and overlaps (n, m),"
                f" got {queries.shape}, {positives.shape}, {negatives.shape} and {overlaps.shape}"
            )
        outside = overlaps[(overlaps < 0) | (overlaps > 1)]
        if len(outside):
            raise DataError(f"{len(outside)} overlaps are outside 0 to 1 (first: {outside[0]})")


def _spread(score: float, scaled: NDArray[np.float64], most: float) -> float:
    """Place a score between that of one direction and that of all, at the same trace."""
    least = math.log1p(float(scaled.sum()))
    return min(max((score - least) / (most - least), 0.0), 1.0) if most > least * (1 + 1e-12) else 0.0


def eci_sem(
    queries: Floats,
    positives: Floats,
    negatives: Floats,
    overlaps: Floats,
    *,
    temperature: float = 0.05,
    ridge: float = 1.0,
) -> EciSem:
    """Score a source of negatives by our reading of ECI_sem's abstract; the formulas stand in `EciSemStream`.

    Args:
        queries: (n, D), as in `EciSemStream.add`.
        positives: (n, D).
        negatives: (n, m, D).
        overlaps: (n, m).
        temperature: As in `EciSemStream`.
        ridge: As in `EciSemStream`.

    Raises:
        SpecError, DataError: As in `EciSemStream`.
    """
    stream = EciSemStream(queries.shape[-1], temperature=temperature, ridge=ridge)
    stream.add(queries, positives, negatives, overlaps)
    return stream.result()


def lexical_overlaps(
    queries: Sequence[NDArray[np.integer[Any]]],
    negatives: Sequence[Sequence[NDArray[np.integer[Any]]]],
    idf: Floats,
) -> NDArray[np.float64]:
    """Share of a query's distinct terms, weighted by IDF, that stand in each of its negatives.

    Args:
        queries: n arrays of term numbers, as `candidates.analyser.Analyser` gives them.
        negatives: n times m arrays of term numbers.
        idf: (terms,) 0 or above.

    Returns:
        (n, m) from 0 to 1; 0 where a query has no term of weight.

    Raises:
        SpecError: The numbers of queries and of lists of negatives differ, or these lists differ in length.
        DataError: An IDF is below 0 or not finite.
    """
    if len(queries) != len(negatives) or len({len(docs) for docs in negatives}) > 1:
        raise SpecError(f"expected as many negatives for each of {len(queries)} queries, got {len(negatives)} lists")
    if not ((idf >= 0) & (idf < math.inf)).all():
        raise DataError(f"{int((~((idf >= 0) & (idf < math.inf))).sum())} IDFs are below 0 or not finite")
    result = np.zeros((len(queries), len(negatives[0]) if negatives else 0))
    for row, (query, docs) in enumerate(zip(queries, negatives, strict=True)):
        terms = np.unique(query)
        weights = idf[terms].astype(np.float64)
        if total := weights.sum():
            result[row] = [min(weights[np.isin(terms, doc)].sum() / total, 1.0) for doc in docs]
    return result
