"""What every strategy is: a function from a Request to the documents it drew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.randomness import rng_for
from rankstill.records import Pairs, Rows


@dataclass(frozen=True)
class Request:
    """What a strategy is asked for.

    Attributes:
        collection: Where the texts are.
        queries: (n,) rows of the queries to draw for, each once.
        positives: Documents known to be relevant, by query; never drawn, nor any document with the same text.
        negatives: How many documents to draw for each query.
        depth: How deep a ranked strategy looks before it draws; `negatives` or more.
        seed: The study's seed. Each query's draw depends on the seed, the strategy's name and the query's id only.
        wider: A wider list with the teacher's scores, for strategies that choose by them.
    """

    collection: Collection
    queries: Rows
    positives: Mapping[int, Rows]
    negatives: int
    depth: int
    seed: int
    wider: Pairs | None = None
    _text: NDArray[np.int64] = field(init=False, repr=False)
    _by_text: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.negatives < 1:
            raise DataError(f"a strategy must draw at least one document per query, asked for {self.negatives}")
        if self.depth < self.negatives:
            raise DataError(
                f"cannot draw {self.negatives} documents from the first {self.depth}",
                hint="raise --depth to at least as many",
            )
        text = self.collection.documents.same_text
        object.__setattr__(self, "_text", text)
        object.__setattr__(self, "_by_text", np.argsort(text, kind="stable"))

    def forbidden(self, query: int) -> NDArray[np.int64]:
        """List the documents that must not be drawn for a query: its positives and all with a positive's exact text."""
        positives = self.positives.get(int(query))
        if positives is None:
            return np.empty(0, np.int64)
        texts = np.unique(self._text[positives])
        first, last = (np.searchsorted(self._text, texts, side, sorter=self._by_text) for side in ("left", "right"))
        return np.concatenate([self._by_text[a:b] for a, b in zip(first, last, strict=True)])

    def allowed(self, query: int, docs: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Tell which documents may be negatives of a query: no positive, and none with a positive's exact text."""
        return ~np.isin(docs, self.forbidden(query))

    def rng(self, strategy: str, query: int) -> np.random.Generator:
        """Make the generator of one query's draw."""
        return rng_for(self.seed, "candidates", strategy, self.collection.queries.id(query))


Strategy = Callable[[Request], Pairs]


def draw_from_ranked(request: Request, strategy: str, query: int, docs: Rows, scores: NDArray[np.float32]) -> Pairs:
    """Draw uniformly, without replacement, from the first `depth` allowed documents of a ranked list.

    The drawn ones keep their rank order. A list with fewer allowed documents gives all it has.
    """
    keep = np.flatnonzero(request.allowed(query, docs))[: request.depth]
    if len(keep) > request.negatives:
        keep = np.sort(request.rng(strategy, query).choice(keep, request.negatives, replace=False))
    return Pairs(np.full(len(keep), query, np.uint32), docs[keep], scores[keep])
