"""What the strategies share that draw uniformly from a range of ranks of one list for each query."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from rankstill.candidates.strategy import Request, Strategy, draw_from_ranked
from rankstill.records import Candidates, Rows, Scores32


@dataclass(frozen=True, kw_only=True)
class Ranked(Strategy):
    """Draws uniformly from the ranks `skip + 1` to `depth` of each query's list, positives left out first.

    Attributes:
        skip: Ranks to leave out at the top, where unlabelled positives are most frequent.
        depth: The last rank; 0 for the request's depth.
    """

    ranked: ClassVar[bool] = True
    skip: int = 0
    depth: int = 0

    def ranks(self, depth: int) -> tuple[int, int]:
        """Tell the range where the request's depth is `depth`."""
        return self.skip, self.depth or depth

    @abstractmethod
    def lists(self, request: Request) -> Iterator[tuple[int, Rows, Scores32]]:
        """Find each query's documents and scores, best first, the request's depth and more where some are forbidden."""

    def sample(self, request: Request) -> Candidates:
        """Draw; a list that is too short gives less."""
        request = request.ranks(self.skip, self.depth)
        found = [
            draw_from_ranked(request, self.name, query, docs, scores, skip=self.skip, depth=request.depth)
            for query, docs, scores in self.lists(request)
        ]
        return Candidates.concatenate(found)
