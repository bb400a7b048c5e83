"""`dense`: documents whose vectors are nearest to the query's by cosine; see `nearest`, and `cells` for nearly so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from rankstill.candidates.cells import build_cells, cells_for, nearest_in_cells
from rankstill.candidates.nearest import nearest
from rankstill.candidates.ranked import Ranked
from rankstill.candidates.strategy import Needs, Request, Vectors
from rankstill.errors import SpecError
from rankstill.records import Rows, Scores32


@dataclass(frozen=True)
class Dense(Ranked):
    """Draws from each query's nearest documents.

    Attributes:
        model: A bi-encoder: "minilm", a folder or a hub id.
        approximate: How many cells of an inverted file each query looks into; 0 to look at all documents.
        cells: How many there are; 0 for twice the square root of the documents.
    """

    name: ClassVar[str] = "dense"
    short: ClassVar[str] = "model"
    model: str = "minilm"
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

    def lists(self, request: Request) -> Iterator[tuple[int, Rows, Scores32]]:
        """Search."""
        queries, documents = request.vectors(self.name)
        # So many more than asked that what must not be drawn can be left out.
        spare = max((len(request.forbidden(int(q))) for q in request.queries), default=0)
        rows, scores = self._nearest(queries.unit(request.queries), documents, request.depth + spare)
        yield from zip(map(int, request.queries), rows, scores, strict=True)

    def _nearest(self, queries: Scores32, documents: Vectors, depth: int) -> tuple[list[Rows], list[Scores32]]:
        if not self.approximate:
            return nearest(queries, documents, depth)
        cells = build_cells(documents, min(self.cells or cells_for(len(documents.rows)), len(documents.rows)))
        return nearest_in_cells(queries, documents, cells, self.approximate, depth)
