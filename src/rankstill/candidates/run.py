"""`run`: documents of any TREC run, random within a rank range."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rankstill.candidates.strategy import Request, Strategy, draw_from_ranked
from rankstill.candidates.writing import check_word
from rankstill.collection.trec_run import MISSING, Missing, read_trec_run
from rankstill.errors import SpecError
from rankstill.records import Candidates


@dataclass(frozen=True)
class Run(Strategy):
    """Draws uniformly from the ranks `skip + 1` to `depth` of each query's list, positives left out first.

    Attributes:
        file: The run, plain or gzipped.
        skip: Ranks to leave out at the top, where unlabelled positives are most frequent.
        depth: The last rank; 0 for the request's depth.
        missing: What to do with documents that the collection does not have: refuse the run, or skip them (the ranks
            close up) and say how many.
    """

    name: ClassVar[str] = "run"
    short: ClassVar[str] = "file"
    ranked: ClassVar[bool] = True
    file: str = ""
    skip: int = 0
    depth: int = 0
    missing: Missing = "refuse"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.file:
            raise SpecError("the strategy run needs a file", hint="--strategy run:FILE")
        check_word(self.name, "missing", self.missing, MISSING)

    def files(self) -> list[Path]:
        """List the run."""
        return [Path(self.file).expanduser()]

    def sample(self, request: Request) -> Candidates:
        """Draw; queries that the run lacks get nothing."""
        request = request.ranks(self.skip, self.depth)
        run = read_trec_run(self.files()[0], request.collection, missing=self.missing)
        spans = run.per_query()
        found = []
        for query in map(int, request.queries):
            span = spans.get(query, slice(0))
            own = run.doc[span], run.score[span]
            found.append(draw_from_ranked(request, self.name, query, *own, skip=self.skip, depth=request.depth))
        return Candidates.concatenate(found)
