"""`run`: documents of any TREC run, random within a rank range."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rankstill.candidates.strategy import Request, Strategy, draw_from_ranked, refuse_bad_skip
from rankstill.collection.trec_run import read_trec_run
from rankstill.errors import SpecError
from rankstill.records import Candidates


@dataclass(frozen=True)
class Run(Strategy):
    """Draws uniformly from the ranks `skip + 1` to `depth` of each query's list.

    Attributes:
        file: The run, plain or gzipped.
        skip: Ranks to leave out at the top, where unlabelled positives are most frequent.
        depth: The last rank; 0 for the request's depth.
    """

    name: ClassVar[str] = "run"
    short: ClassVar[str] = "file"
    file: str = ""
    skip: int = 0
    depth: int = 0

    def __post_init__(self) -> None:
        if not self.file:
            raise SpecError("the strategy `run` needs a file", hint="--strategy run:FILE")
        refuse_bad_skip(self.skip)

    def files(self) -> list[Path]:
        """List the run."""
        return [Path(self.file).expanduser()]

    def sample(self, request: Request) -> Candidates:
        """Draw; queries that the run lacks get nothing."""
        run = read_trec_run(self.files()[0], request.collection)
        spans = run.per_query()
        request = request.to_depth(self.depth)
        found = []
        for query in map(int, request.queries):
            span = spans.get(query, slice(0))
            found.append(draw_from_ranked(request, str(self), query, run.doc[span], run.score[span], skip=self.skip))
        return Candidates.concatenate(found)
