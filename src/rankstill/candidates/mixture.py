"""`mixture`: any strategies with weights, nu_alpha of Parry et al.: a share of every group from each.

With a share alpha of the target distribution the importance ratio is at most 1 / alpha, where mining alone leaves it
without bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.compound import Parts, joint, open_parts, write_in_one_way
from rankstill.candidates.strategy import Needs, Request, Strategy
from rankstill.errors import SpecError
from rankstill.randomness import seed_for
from rankstill.records import Candidates


@dataclass(frozen=True)
class Mixture(Strategy):
    """Draws a fixed number of documents from each part; a later part does not draw what an earlier one drew.

    A part that has too few gives fewer; no other makes up for it, so that the shares stay what they were.

    Attributes:
        of: The parts with their weights, as in `of=bm25*0.7+random*0.3`; only their ratios count.
    """

    name: ClassVar[str] = "mixture"
    short: ClassVar[str] = "of"
    of: str = "bm25*0.5+random*0.5"

    def __post_init__(self) -> None:
        super().__post_init__()
        write_in_one_way(self, compound=True)

    def parts(self) -> Parts:
        """List the parts with their weights, which sum to 1."""
        found = open_parts(self.of)
        total = sum(weight for _, weight in found)
        return [(part, weight / total) for part, weight in found]

    def needs(self) -> Needs:
        """Ask for what its parts need."""
        return joint([part for part, _ in self.parts()])

    def files(self) -> list[Path]:
        """List its parts' files."""
        return [path for part, _ in self.parts() for path in part.files()]

    def sample(self, request: Request) -> Candidates:
        """Draw; `source` says which part drew a document. How likely that was is not known: the parts overlap.

        Raises:
            SpecError: There are fewer documents to draw than parts.
        """
        parts = self.parts()
        if request.negatives < len(parts):
            raise SpecError(f"{request.negatives} negatives cannot come from {len(parts)} parts", hint="raise --size")
        counts = shares(request.negatives, np.array([weight for _, weight in parts]))
        left, drawn = request, []
        for source, ((part, _), count) in enumerate(zip(parts, counts.tolist(), strict=True)):
            # A seed of its own for each, lest two parts of one kind draw the same ranks.
            found = part.sample(replace(left, negatives=count, seed=seed_for(request.seed, "mixture", source)))
            drawn.append(replace(found, source=np.full(len(found), source, np.uint8)))
            left = left.without({query: found.doc[span] for query, span in found.per_query().items()})
        joined = Candidates.concatenate(drawn, tuple(str(part) for part, _ in parts))
        place = {int(q): i for i, q in enumerate(request.queries)}
        order = np.argsort([place[int(q)] for q in joined.query], kind="stable")
        return replace(joined.take(order), probability=np.full(len(joined), np.nan, np.float32))


def shares(total: int, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Split a number by weights that sum to 1, by largest remainders, each at least 1.

    >>> shares(15, np.array([0.7, 0.3])).tolist()
    [11, 4]
    """
    counts = np.maximum(np.floor(total * weights).astype(np.int64), 1)
    while counts.sum() != total:
        step = 1 if counts.sum() < total else -1
        # The part that is furthest from its due, the first of equal ones; none falls below 1.
        lack = step * (total * weights - counts)
        lack[(counts + step) < 1] = -np.inf
        counts[int(np.argmax(lack))] += step
    return counts
