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

from rankstill.candidates.compound import joint, open_parts, write_in_one_way
from rankstill.candidates.run import Run
from rankstill.candidates.strategy import Needs, Request, Strategy, draw_from_ranked
from rankstill.candidates.writing import check_word
from rankstill.collection.trec_run import MISSING, Missing
from rankstill.errors import SpecError
from rankstill.records import Candidates, Rows, Scores32

_USUAL = 60.0
"""The constant of Cormack et al."""


@dataclass(frozen=True)
class Ensemble(Strategy):
    """Draws uniformly from the union of several systems' first documents, each list without positives.

    Attributes:
        of: Ranked strategies to unite, as in `of=bm25+(dense#depth=50)`. Of each, all documents of its ranks
            `skip + 1` to `depth` are taken.
        runs: TREC runs to unite instead, a pattern as in `runs/first_stage.*.trec`.
        depth: Documents of each system that states no depth of its own; 0 for the request's depth.
        fuse: Draw from the best `depth` documents of the union by reciprocal rank fusion, sum of 1 / (fuse + rank)
            (Cormack et al. 2009 use 60); 0 draws from the whole union.
        missing: What to do with documents of the runs that the collection does not have; see `Run`.
    """

    name: ClassVar[str] = "ensemble"
    short: ClassVar[str] = "runs"
    of: str = ""
    runs: str = ""
    depth: int = 0
    fuse: float = 0.0
    missing: Missing = "refuse"

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.of) == bool(self.runs):
            raise SpecError(
                "the strategy ensemble needs either systems or runs",
                hint="ensemble#of=bm25+dense, or ensemble:DIR/*.trec",
            )
        check_word(self.name, "missing", self.missing, MISSING)
        if self.of:
            self._check_systems()

    def _check_systems(self) -> None:
        if self.missing != "refuse":
            raise SpecError("missing belongs to runs", hint="ensemble#of=(run:FILE#missing=skip)+bm25")
        for part, weight in open_parts(self.of):
            if not part.ranked:
                raise SpecError(f"the strategy ensemble unites ranked lists, and {part} has none", hint="use mixture")
            if weight != 1:
                raise SpecError("the systems of an ensemble have no weights", hint="use mixture")
        write_in_one_way(self, compound=True)

    def systems(self) -> list[Strategy]:
        """List the systems.

        Raises:
            SpecError: Fewer than two runs match the pattern, or too many.
        """
        if self.of:
            return [part for part, _ in open_parts(self.of)]
        found = sorted(glob.glob(str(Path(self.runs).expanduser())))  # noqa: PTH207 - the pattern may be absolute
        if not 2 <= len(found) <= 255:
            raise SpecError(f"{len(found)} runs match {self.runs!r}; an ensemble has from 2 to 255")
        return [Run(file=path, missing=self.missing) for path in found]

    def needs(self) -> Needs:
        """Ask for what its systems need."""
        return joint(self.systems())

    def files(self) -> list[Path]:
        """List its systems' files."""
        return [path for system in self.systems() for path in system.files()]

    def sample(self, request: Request) -> Candidates:
        """Draw; `source` says which system has a document highest, the first of equal ones."""
        depth = self.depth or request.depth
        systems = self.systems()
        if (most := depth if self.fuse else self._union(systems, depth)) < request.negatives:
            raise SpecError(
                f"cannot draw {request.negatives} documents: the strategy ensemble finds {most} at most",
                hint="raise the depth (--depth, or the strategy's own)",
            )
        lists = [_all_of(system, request, depth) for system in systems]
        spans = [found.per_query() for found in lists]
        drawn = []
        for query in map(int, request.queries):
            own = [found.doc[span.get(query, slice(0))] for found, span in zip(lists, spans, strict=True)]
            drawn.append(self._draw(request, query, own, depth))
        return Candidates.concatenate(drawn, tuple(map(str, systems)))

    def _union(self, systems: list[Strategy], depth: int) -> int:
        return sum(last - skip for skip, last in (system.ranks(depth) for system in systems))

    def _draw(self, request: Request, query: int, lists: list[Rows], depth: int) -> Candidates:
        docs, score, source = reciprocal_rank_fusion(lists, self.fuse or _USUAL)
        last = depth if self.fuse else None
        return draw_from_ranked(request, self.name, query, docs, score, depth=last, source=source)


def _all_of(system: Strategy, request: Request, depth: int) -> Candidates:
    """List a ranked strategy's whole rank range, in its order."""
    skip, depth = system.ranks(depth)
    if skip >= depth:
        raise SpecError(f"{system} skips all of its first {depth} documents", hint="raise its depth, or lower skip")
    return system.sample(replace(request, negatives=depth - skip, depth=depth))


def reciprocal_rank_fusion(lists: list[Rows], constant: float) -> tuple[Rows, Scores32, NDArray[np.uint8]]:
    """Join ranked lists by reciprocal rank fusion (Cormack et al. 2009): sum of 1 / (constant + rank).

    Args:
        lists: Each system's documents, best first, each once.
        constant: 0 or more; the larger, the less a high rank counts.

    Returns:
        The distinct documents by falling score, equal ones by row; their scores; and which list has each highest, the
        first of equal ones.
    """
    doc = np.concatenate([*lists, np.empty(0, np.uint32)]).astype(np.uint32)
    rank = np.concatenate([*(np.arange(1, len(own) + 1) for own in lists), np.empty(0)])
    source = np.repeat(np.arange(len(lists), dtype=np.uint8), [len(own) for own in lists])
    # In the order of the ranks: the same ranks then have the same sum to the last bit, whichever systems gave them.
    order = np.lexsort((source, rank, doc))
    distinct, first, which = np.unique(doc[order], return_index=True, return_inverse=True)
    score = np.bincount(which, 1 / (constant + rank[order]), len(distinct))
    best = np.lexsort((distinct, -score))
    return distinct[best], score[best].astype(np.float32), source[order][first][best]
