"""`run`: documents of any TREC run, random within a rank range."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rankstill.candidates.ranked import Ranked
from rankstill.candidates.strategy import Request
from rankstill.candidates.writing import check_word
from rankstill.collection.trec_run import MISSING, Missing, read_trec_run
from rankstill.errors import SpecError
from rankstill.records import Rows, Scores32


@dataclass(frozen=True)
class Run(Ranked):
    """Draws from each query's list; queries that the run lacks get nothing.

    Attributes:
        file: The run, plain or gzipped.
        missing: What to do with documents that the collection does not have: refuse the run, or skip them (the ranks
            close up) and say how many.
    """

    name: ClassVar[str] = "run"
    short: ClassVar[str] = "file"
    file: str = ""
    missing: Missing = "refuse"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.file:
            raise SpecError("the strategy run needs a file", hint="--strategy run:FILE")
        check_word(self.name, "missing", self.missing, MISSING)

    def files(self) -> list[Path]:
        """List the run."""
        return [Path(self.file).expanduser()]

    def lists(self, request: Request) -> Iterator[tuple[int, Rows, Scores32]]:
        """Read the run."""
        run = read_trec_run(self.files()[0], request.collection, missing=self.missing)
        spans = run.per_query()
        for query in map(int, request.queries):
            span = spans.get(query, slice(0))
            yield query, run.doc[span], run.score[span]
