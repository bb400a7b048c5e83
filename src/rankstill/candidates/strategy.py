"""What every strategy is: its options, what it needs beforehand, and the documents it draws for a Request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.randomness import rng_for
from rankstill.records import Candidates, Pairs, Rows, Scores32


@dataclass(frozen=True)
class Needs:
    """What must be made before a strategy can draw; whoever runs it makes that and passes it in with the Request.

    Attributes:
        wider: The strategy whose list the teacher scores first; "" where no scores are needed.
        depth: How many documents of it for each query; 0 for the request's depth.
        model: The bi-encoder whose vectors are compared; "" where none are.
        whole: Whether all documents are encoded, or only those of the wider list and the positives.
    """

    wider: str = ""
    depth: int = 0
    model: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Vectors:
    """Vectors of some texts, by their rows.

    Attributes:
        rows: (n,) uint32, rising.
        values: (n, D) floats, perhaps memory-mapped.
    """

    rows: Rows
    values: NDArray[np.floating]

    @classmethod
    def open(cls, folder: Path) -> Vectors:
        """Open what the stage `encode` wrote."""
        return cls(
            np.load(folder / "rows.npy", allow_pickle=False),
            np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False),
        )

    def unit(self, rows: NDArray[np.integer]) -> Scores32:
        """Look up vectors and bring them to length 1: (n, D) float32.

        Raises:
            DataError: Some rows were not encoded.
        """
        at = np.minimum(np.searchsorted(self.rows, rows), max(len(self.rows) - 1, 0))
        absent = np.flatnonzero(self.rows[at] != rows) if len(self.rows) else np.arange(len(rows))
        if len(absent):
            raise DataError(
                f"{len(absent)} of {len(rows)} texts have no vector (first: row {rows[absent[0]]})",
                hint="encode the same collection, all of it",
            )
        return unit_length(self.values[at])


def unit_length(vectors: NDArray[np.floating]) -> Scores32:
    """Bring vectors to length 1 in float32; a vector of length 0 stays."""
    found = np.asarray(vectors, np.float32)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    unit: Scores32 = (found / np.maximum(norms, 1e-12)).astype(np.float32)
    return unit


@dataclass(frozen=True)
class Request:
    """What a strategy is asked for.

    Attributes:
        collection: Where the texts are.
        queries: (n,) rows of the queries to draw for, each once.
        positives: Documents known to be relevant, by query; never drawn, nor any document with the same text.
        negatives: How many documents to draw for each query.
        depth: How deep a ranked strategy looks before it draws; `negatives` or more.
        seed: The study's seed. Each query's draw depends on the seed, the strategy and the query's id only.
        wider: A wider list with the teacher's scores, for strategies that choose by them.
        query_vectors, document_vectors: For strategies that compare them.
        excluded: Further documents that must not be drawn, by query.
    """

    collection: Collection
    queries: Rows
    positives: Mapping[int, Rows]
    negatives: int
    depth: int
    seed: int
    wider: Pairs | None = None
    query_vectors: Vectors | None = None
    document_vectors: Vectors | None = None
    excluded: Mapping[int, Rows] = field(default_factory=dict)
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

    def to_depth(self, depth: int) -> Request:
        """Look at another depth; 0 keeps this one."""
        return replace(self, depth=depth) if depth else self

    def forbidden(self, query: int) -> NDArray[np.int64]:
        """List the documents that must not be drawn for a query: its positives and all with a positive's exact text."""
        query = int(query)
        known = [rows for rows in (self.positives.get(query), self.excluded.get(query)) if rows is not None]
        if not known:
            return np.empty(0, np.int64)
        texts = np.unique(self._text[np.concatenate(known)])
        first, last = (np.searchsorted(self._text, texts, side, sorter=self._by_text) for side in ("left", "right"))
        return np.concatenate([self._by_text[a:b] for a, b in zip(first, last, strict=True)])

    def allowed(self, query: int, docs: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Tell which documents may be negatives of a query: no positive, and none with a positive's exact text."""
        return ~np.isin(docs, self.forbidden(query))

    def rng(self, strategy: str, query: int) -> np.random.Generator:
        """Make the generator of one query's draw."""
        return rng_for(self.seed, "candidates", strategy, self.collection.queries.id(query))

    def scored_list(self, strategy: str) -> Mapping[int, Pairs]:
        """Give each query's wider list, best first by the teacher's scores, without what must not be drawn.

        Raises:
            DataError: No scored list was given, or it lacks some of the queries.
        """
        if self.wider is None:
            raise DataError(
                f"the strategy `{strategy}` chooses from a wider list that the teacher has scored, and none was given",
                hint="sample that list first (`--strategy bm25 --negatives 100`), score it, and pass it as --wider",
            )
        ranked = self.wider.ranked()
        spans = ranked.per_query()
        absent = [int(q) for q in self.queries if int(q) not in spans]
        if absent:
            raise DataError(
                f"the wider list lacks {len(absent)} of {len(self.queries)} queries "
                f"(first: {self.collection.queries.id(absent[0])})",
                hint="sample and score the wider list for the same queries",
            )
        found = {}
        for query in map(int, self.queries):
            docs, scores = ranked.doc[spans[query]], ranked.score[spans[query]]
            keep = self.allowed(query, docs)
            found[query] = Pairs(np.full(int(keep.sum()), query, np.uint32), docs[keep], scores[keep])
        return found

    def vectors(self, strategy: str) -> tuple[Vectors, Vectors]:
        """Give the vectors of the queries and of the documents.

        Raises:
            DataError: None were given.
        """
        if self.query_vectors is None or self.document_vectors is None:
            raise DataError(
                f"the strategy `{strategy}` compares vectors, and none were given",
                hint="`rankstill sample` encodes the collection by itself; from Python, pass both kinds of vectors",
            )
        return self.query_vectors, self.document_vectors


@dataclass(frozen=True)
class Strategy:
    """A strategy with its options, which are the fields of its class.

    Attributes:
        name: As `STRATEGIES` knows it.
        short: The option that may stand behind a colon, as in `run:FILE`; "" where none may.
    """

    name: ClassVar[str] = ""
    short: ClassVar[str] = ""

    def needs(self) -> Needs:
        """Say what must be made before."""
        return Needs()

    def files(self) -> list[Path]:
        """List the files that the draw depends on."""
        return []

    def sample(self, request: Request) -> Candidates:
        """Draw documents for every query of the request, in its order of the queries.

        Raises:
            DataError: What it needs was not given, or a query has too few documents to draw from.
        """
        raise NotImplementedError

    def __str__(self) -> str:
        """Write the reference that `open_strategy` reads: the name, and the options that are not the defaults."""
        options = [f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{self.name}#{','.join(options)}" if options else self.name


def draw_from_ranked(
    request: Request, strategy: str, query: int, docs: Rows, scores: Scores32, *, skip: int = 0
) -> Candidates:
    """Draw uniformly, without replacement, from the ranks `skip + 1` to `depth` of a list's allowed documents.

    The drawn ones keep their rank order. A list with fewer allowed documents gives all it has.
    """
    keep = np.flatnonzero(request.allowed(query, docs))[skip : request.depth]
    share = min(1.0, request.negatives / max(len(keep), 1))
    if len(keep) > request.negatives:
        keep = np.sort(request.rng(strategy, query).choice(keep, request.negatives, replace=False))
    return Candidates.of(query, docs[keep], scores[keep], share)


def refuse_bad_skip(skip: int) -> None:
    """Refuse a rank range that starts before the first rank."""
    if skip < 0:
        raise SpecError(f"skip counts ranks from the top and is not negative: got {skip}")
