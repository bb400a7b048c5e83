"""`teacher`: the hardest documents by the teacher's own scores, chosen from a wider list that it rescored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankstill.candidates.compound import write_in_one_way
from rankstill.candidates.strategy import Needs, Request, Strategy
from rankstill.records import Candidates


@dataclass(frozen=True)
class Hardest(Strategy):
    """Takes the highest-scored allowed documents of each query's wider list; ties by document row.

    Attributes:
        of: The strategy that makes the wider list.
    """

    name: ClassVar[str] = "teacher"
    short: ClassVar[str] = "of"
    ranked: ClassVar[bool] = True
    ordered: ClassVar[bool] = True
    of: str = "bm25"

    def __post_init__(self) -> None:
        super().__post_init__()
        write_in_one_way(self, compound=False)

    def needs(self) -> Needs:
        """Ask for the teacher's scores of the wider list."""
        return Needs(wider=self.of)

    def sample(self, request: Request) -> Candidates:
        """Take the first ones; given the list, nothing is left to chance."""
        found = []
        for query, ranked in request.scored_list(self.name).items():
            first = slice(request.negatives)
            found.append(Candidates.of(query, ranked.doc[first], ranked.score[first], 1.0))
        return Candidates.concatenate(found)
