"""`dense`: the documents whose vectors are nearest to the query's by cosine, found exactly; see `nearest`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankstill.candidates.nearest import nearest
from rankstill.candidates.strategy import Needs, Request, Strategy, draw_from_ranked
from rankstill.records import Candidates


@dataclass(frozen=True)
class Dense(Strategy):
    """Draws uniformly from the ranks `skip + 1` to `depth` of each query's nearest documents, positives left out first.

    Attributes:
        model: A bi-encoder: "minilm", a folder or a hub id.
        skip: Ranks to leave out at the top, where unlabelled positives are most frequent.
        depth: The last rank; 0 for the request's depth.
    """

    name: ClassVar[str] = "dense"
    short: ClassVar[str] = "model"
    ranked: ClassVar[bool] = True
    model: str = "minilm"
    skip: int = 0
    depth: int = 0

    def needs(self) -> Needs:
        """Ask for the vectors of all documents."""
        return Needs(model=self.model, whole=True)

    def sample(self, request: Request) -> Candidates:
        """Draw."""
        request = request.ranks(self.skip, self.depth)
        queries, documents = request.vectors(self.name)
        # So many more than asked that what must not be drawn can be left out.
        spare = max((len(request.forbidden(int(q))) for q in request.queries), default=0)
        rows, scores = nearest(queries.unit(request.queries), documents, request.depth + spare)
        found = []
        for query, docs, cosines in zip(map(int, request.queries), rows, scores, strict=True):
            own = docs, cosines
            found.append(draw_from_ranked(request, self.name, query, *own, skip=self.skip, depth=request.depth))
        return Candidates.concatenate(found)
