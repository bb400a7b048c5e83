"""`dark`: dark examples, texts of middling relevance that are written for the purpose (ADAM, arXiv 2212.10192).

Mined negatives are often so easy that the teacher's distribution is nearly one-hot, with little to distil. Two kinds of
edits raise its entropy: strengthened negatives, which have a stretch of the positive's words mixed in, and masked
positives, which have lost words. What the teacher thinks of them it says by its scores; they suit losses that learn
from these, and not those that learn from labels.

Reimplemented from the paper's description, whose authors published no code that we know of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from rankstill.candidates.compound import opened, write_in_one_way
from rankstill.candidates.edits import KINDS, MASKED, STRENGTHENED, Edits, Recipe
from rankstill.candidates.strategy import Needs, Request, Strategy
from rankstill.errors import DataError, SpecError
from rankstill.progress import track
from rankstill.records import Candidates

_ATTEMPTS = 8
"""How often an edit is tried that gives a positive's text, or one that is there already."""


@dataclass(frozen=True)
class Dark(Strategy):
    """Edits a share of what another strategy draws; each edited text takes the place of one drawn document.

    Where a text cannot be edited, because it is too short or only repeats another, the drawn document stays.

    Attributes:
        of: The strategy that draws.
        strengthened: Share of its documents that get words of a positive.
        masked: Share of its documents that make room for a positive with words taken out.
        mix: Share of the words of the shorter text that is mixed in, one stretch of them.
        mask: Share of the positive's words that is taken out.
    """

    name: ClassVar[str] = "dark"
    short: ClassVar[str] = "of"
    edits: ClassVar[bool] = True
    of: str = "bm25"
    strengthened: float = 0.5
    masked: float = 0.25
    mix: float = 0.5
    mask: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        write_in_one_way(self, compound=False)
        if not 0 < self.strengthened + self.masked <= 1:
            raise SpecError(
                f"strengthened and masked of the strategy dark are shares whose sum is above 0 and at most 1: got "
                f"{self.strengthened:g} and {self.masked:g}"
            )
        for option in ("mix", "mask"):
            if not 0 < getattr(self, option) < 1:
                raise SpecError(f"{option} of the strategy dark lies between 0 and 1: got {getattr(self, option):g}")

    def needs(self) -> Needs:
        """Ask for what the strategy that draws needs."""
        return opened(self.of).needs()

    def files(self) -> list[Path]:
        """List the files of the strategy that draws."""
        return opened(self.of).files()

    def sample(self, request: Request) -> Candidates:
        """Draw and edit; `source` tells plain, strengthened and masked, and edited texts have no score.

        Raises:
            DataError: Queries have no positive.
        """
        without = [query for query in map(int, request.queries) if not len(request.positives.get(query, ()))]
        if without:
            raise DataError(
                f"{len(without)} of {len(request.queries)} queries have no positive (first: "
                f"{request.collection.queries.id(without[0])}), and the strategy dark mixes and masks its words",
                hint="use another strategy for queries without judgements",
            )
        drawn = opened(self.of).sample(request)
        edits = Edits(request.collection, request.seed, self.mix, self.mask)
        spans = drawn.per_query()
        found = [
            self._edit(request, query, drawn.take(spans[query]), edits)
            for query in track(list(spans), "edited texts", unit="queries")
        ]
        return replace(Candidates.concatenate(found, KINDS), edited=edits)

    def _edit(self, request: Request, query: int, drawn: Candidates, edits: Edits) -> Candidates:
        rng = request.rng(self.name, query)
        kinds = rng.permutation(self._kinds(len(drawn)))
        positives = rng.choice(request.positives[query], len(drawn))
        documents = request.collection.documents
        seen = {_plain(text) for text in documents.take([*request.positives[query], *drawn.doc])}
        doc, source = drawn.doc.copy(), np.zeros(len(drawn), np.uint8)
        for place in np.flatnonzero(kinds).tolist():
            kind, positive = int(kinds[place]), int(positives[place])
            edited = positive if kind == MASKED else int(drawn.doc[place])
            recipe = self._recipe(edits, seen, query, place, kind, edited, positive)
            if recipe is not None:
                doc[place], source[place] = len(documents) + len(edits), kind
                edits.add(recipe)
        share = drawn.probability * np.float32((kinds == 0).mean())
        # Where an edit failed, a document stayed that would have gone: how likely that was is not known.
        known = (source == 0) & bool((source == kinds).all())
        return Candidates(
            drawn.query,
            doc,
            np.where(source == 0, drawn.score, np.float32(np.nan)),
            np.where(known, share, np.float32(np.nan)),
            source,
        )

    def _kinds(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Share out so many documents among the kinds."""
        masked = round(self.masked * count)
        strengthened = min(round(self.strengthened * count), count - masked)
        return np.repeat([0, STRENGTHENED, MASKED], [count - strengthened - masked, strengthened, masked])

    def _recipe(
        self, edits: Edits, seen: set[str], query: int, place: int, kind: int, doc: int, positive: int
    ) -> Recipe | None:
        """Find an edit whose text is new, and remember that text; None where none is found."""
        for attempt in range(_ATTEMPTS):
            recipe = Recipe(query, place, attempt, kind, doc, positive)
            text = edits.text(recipe)
            if text and text not in seen:
                seen.add(text)
                return recipe
        return None


def _plain(text: str) -> str:
    return " ".join(text.split())
