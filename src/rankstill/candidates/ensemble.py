"""`ensemble`: the union of the lists of several systems, as the expensive recipes mine it.

The paper's recipe (Parry et al., arXiv 2505.21058, section 4) takes so many documents of each of twelve systems, drops
duplicates, and draws from the union. Its rule against false negatives (teacher's score < lowest positive's - margin) is
a filter of its own, which serves every strategy: see `rankstill.groups`.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.references import parts_of
from rankstill.candidates.strategy import Needs, Request, Strategy, draw_from_ranked
from rankstill.errors import SpecError
from rankstill.records import Candidates, Rows, Scores32


@dataclass(frozen=True)
class Ensemble(Strategy):
    """Draws uniformly from the union of several systems' first documents.

    Attributes:
        of: Strategies to unite, as in `of=bm25+run:a.trec`; their own draws are not used, only their first documents.
        runs: TREC runs to unite, a pattern as in `runs/first_stage.*.trec`.
        depth: Documents of each system; 0 for the request's depth.
        fuse: Draw from the best `depth` documents of the union by reciprocal rank fusion, sum of 1 / (fuse + rank)
            (Cormack et al. 2009 use 60); 0 draws from the whole union.
    """

    name: ClassVar[str] = "ensemble"
    short: ClassVar[str] = "runs"
    of: str = ""
    runs: str = ""
    depth: int = 0
    fuse: float = 0.0

    def __post_init__(self) -> None:
        if bool(self.of) == bool(self.runs):
            raise SpecError(
                "the strategy `ensemble` needs either systems or runs",
                hint="ensemble#of=bm25+dense, or ensemble#runs=DIR/*.trec",
            )
        if self.depth < 0 or self.fuse < 0:
            raise SpecError("the strategy `ensemble` takes a depth and a fuse of 0 or more")
        if self.of:
            self.systems()

    def systems(self) -> list[Strategy]:
        """List the systems.

        Raises:
            SpecError: Fewer than two runs match the pattern, or a system needs the teacher's scores.
        """
        from rankstill.candidates import open_strategy
        from rankstill.candidates.run import Run

        if self.of:
            return [open_strategy(part) for part, _ in parts_of(self.of)]
        found = sorted(glob.glob(str(Path(self.runs).expanduser())))  # noqa: PTH207 - the pattern may be absolute
        if len(found) < 2:
            raise SpecError(f"{len(found)} runs match {self.runs!r}; an ensemble has two at least")
        return [Run(file=path) for path in found]

    def needs(self) -> Needs:
        """Ask for what its systems need."""
        return joint(self.systems())

    def files(self) -> list[Path]:
        """List its systems' files."""
        return [path for system in self.systems() for path in system.files()]

    def sample(self, request: Request) -> Candidates:
        """Draw; `source` says which system has a document highest, the first of equal ones."""
        request = request.to_depth(self.depth)
        whole = replace(request, negatives=request.depth)
        lists = [system.sample(whole) for system in self.systems()]
        spans = [found.per_query() for found in lists]
        names = tuple(map(str, self.systems()))
        drawn = []
        for query in map(int, request.queries):
            own = [found.doc[span.get(query, slice(0))] for found, span in zip(lists, spans, strict=True)]
            drawn.append(self._draw(request, query, own))
        return Candidates.concatenate(drawn, names)

    def _draw(self, request: Request, query: int, lists: list[Rows]) -> Candidates:
        docs, score, source = fuse(lists, self.fuse or 60.0)
        wide = request if self.fuse else request.to_depth(max(len(docs), request.negatives))
        drawn = draw_from_ranked(wide, str(self), query, docs, score)
        place = {int(doc): i for i, doc in enumerate(docs)}
        which = source[[place[int(doc)] for doc in drawn.doc]]
        return replace(drawn, source=which)


def fuse(lists: list[Rows], constant: float) -> tuple[Rows, Scores32, NDArray[np.uint8]]:
    """Join ranked lists by reciprocal rank fusion (Cormack et al. 2009): sum of 1 / (constant + rank).

    Returns:
        The distinct documents by falling score, equal ones by row; their scores; and which list has each highest.
    """
    doc = np.concatenate([*lists, np.empty(0, np.uint32)]).astype(np.uint32)
    rank = np.concatenate([*(np.arange(1, len(own) + 1) for own in lists), np.empty(0)])
    source = np.repeat(np.arange(len(lists), dtype=np.uint8), [len(own) for own in lists])
    distinct, which = np.unique(doc, return_inverse=True)
    score = np.bincount(which, 1 / (constant + rank), len(distinct))
    best = np.lexsort((source, rank, which))
    first = best[np.unique(which[best], return_index=True)[1]]
    order = np.lexsort((distinct, -score))
    return distinct[order], score[order].astype(np.float32), source[first][order]


def joint(parts: list[Strategy]) -> Needs:
    """Join the needs of several strategies.

    Raises:
        SpecError: They need different wider lists or models.
    """
    needs = [part.needs() for part in parts]
    wider, models = ({getattr(n, what) for n in needs} - {""} for what in ("wider", "model"))
    for what, found in (("wider lists", wider), ("models", models)):
        if len(found) > 1:
            raise SpecError(f"the parts of one strategy need different {what}: {', '.join(sorted(found))}")
    return Needs("".join(wider), max(n.depth for n in needs), "".join(models), any(n.whole for n in needs))
