"""`stratified`: negatives spread evenly over the quantiles of the teacher's scores (arXiv 2604.04734).

They keep the variance and the entropy that the teacher's scores have over the whole list, which the hardest ones lose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rankstill.candidates.compound import write_in_one_way
from rankstill.candidates.strategy import Needs, Request, Strategy
from rankstill.records import Candidates, Pairs


@dataclass(frozen=True)
class Stratified(Strategy):
    """Draws one document uniformly from each stratum of each query's wider list.

    The strata are as many as documents are wanted and follow the order of the teacher's scores. Their sizes are equal;
    where they cannot be, the upper ones have one document more.

    Attributes:
        of: The strategy that makes the wider list.
    """

    name: ClassVar[str] = "stratified"
    short: ClassVar[str] = "of"
    of: str = "bm25"

    def __post_init__(self) -> None:
        super().__post_init__()
        write_in_one_way(self, compound=False)

    def needs(self) -> Needs:
        """Ask for the teacher's scores of the wider list."""
        return Needs(wider=self.of)

    def sample(self, request: Request) -> Candidates:
        """Draw, best first; a list that is too short gives all it has."""
        lists = request.scored_list(self.name)
        return Candidates.concatenate([self._draw(request, query, ranked) for query, ranked in lists.items()])

    def _draw(self, request: Request, query: int, ranked: Pairs) -> Candidates:
        rng = request.rng(self.name, query)
        strata = [s for s in np.array_split(np.arange(len(ranked)), request.negatives) if len(s)]
        chosen = np.array([rng.choice(stratum) for stratum in strata], np.int64)
        share = np.array([1 / len(stratum) for stratum in strata], np.float32)
        return Candidates.of(query, ranked.doc[chosen], ranked.score[chosen], share)
