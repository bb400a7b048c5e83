"""`dense`: documents whose vectors are nearest to the query's by cosine; see `nearest`, and `cells` for nearly so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankstill.candidates.cells import build_cells, cells_for, nearest_in_cells
from rankstill.candidates.nearest import nearest
from rankstill.candidates.strategy import Needs, Request, Strategy, Vectors, draw_from_ranked
from rankstill.errors import SpecError
from rankstill.records import Candidates, Rows, Scores32


@dataclass(frozen=True)
class Dense(Strategy):
    """Draws uniformly from the ranks `skip + 1` to `depth` of each query's nearest documents, positives left out first.

    Attributes:
        model: A bi-encoder: "minilm", a folder or a hub id.
        skip: Ranks to leave out at the top, where unlabelled positives are most frequent.
        depth: The last rank; 0 for the request's depth.
        approximate: How many cells of an inverted file each query looks into; 0 to look at all documents.
        cells: How many there are; 0 for twice the square root of the documents.
    """

    name: ClassVar[str] = "dense"
    short: ClassVar[str] = "model"
    ranked: ClassVar[bool] = True
    model: str = "minilm"
    skip: int = 0
    depth: int = 0
    approximate: int = 0
    cells: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cells and not 0 < self.approximate <= self.cells:
            raise SpecError(
                f"cannot look into {self.approximate} of {self.cells} cells",
                hint="approximate is how many of the cells each query looks into: dense#approximate=32,cells=1000",
            )

    def needs(self) -> Needs:
        """Ask for the vectors of all documents."""
        return Needs(model=self.model, whole=True)

    def sample(self, request: Request) -> Candidates:
        """Draw."""
        request = request.ranks(self.skip, self.depth)
        queries, documents = request.vectors(self.name)
        # So many more than asked that what must not be drawn can be left out.
        spare = max((len(request.forbidden(int(q))) for q in request.queries), default=0)
        rows, scores = self._nearest(queries.unit(request.queries), documents, request.depth + spare)
        found = []
        for query, docs, cosines in zip(map(int, request.queries), rows, scores, strict=True):
            own = docs, cosines
            found.append(draw_from_ranked(request, self.name, query, *own, skip=self.skip, depth=request.depth))
        return Candidates.concatenate(found)

    def _nearest(self, queries: Scores32, documents: Vectors, depth: int) -> tuple[list[Rows], list[Scores32]]:
        if not self.approximate:
            return nearest(queries, documents, depth)
        cells = build_cells(documents, min(self.cells or cells_for(len(documents.rows)), len(documents.rows)))
        return nearest_in_cells(queries, documents, cells, self.approximate, depth)
