"""What every strategy is: its options, what it needs beforehand, and the documents it draws for a Request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.writing import check_value, write_reference
from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.halves import from_halves
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
        rows: (n,) uint32, rising, each once.
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
    found = to_float32(vectors)
    found /= lengths(found)[:, None]
    return found


def lengths(vectors: Scores32) -> Scores32:
    """Measure the lengths of vectors, each in an order of additions of its own; 1 where it is 0."""
    found: Scores32 = np.sqrt(np.multiply(vectors, vectors).sum(axis=1))
    return np.where(found > 0, found, np.float32(1))


def to_float32(vectors: NDArray[np.floating]) -> Scores32:
    """Copy vectors as float32."""
    if vectors.dtype != np.float16:
        return np.array(vectors, np.float32, order="C")
    return from_halves(np.array(vectors, order="C"))


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

    def __post_init__(self) -> None:
        if self.negatives < 1:
            raise DataError(f"a strategy must draw at least one document per query, asked for {self.negatives}")
        if self.depth < self.negatives:
            raise DataError(
                f"cannot draw {self.negatives} documents from the first {self.depth}",
                hint="raise the depth (--depth, or the strategy's own) to at least as many",
            )
        if twice := len(self.queries) - len(np.unique(self.queries)):
            raise DataError(f"{twice} of {len(self.queries)} queries to draw for come twice")

    def ranks(self, skip: int, depth: int) -> Request:
        """Look at another depth, 0 for this one's; see that the ranks `skip + 1` to `depth` can hold the draw.

        Raises:
            SpecError: They are fewer than the documents to draw.
        """
        last = depth or self.depth
        if last - skip < self.negatives:
            raise SpecError(
                f"cannot draw {self.negatives} documents from the ranks {skip + 1} to {last}",
                hint="raise the depth (--depth, or the strategy's own), or lower skip",
            )
        return self if last == self.depth else replace(self, depth=last)

    def without(self, more: Mapping[int, Rows]) -> Request:
        """Exclude more documents, by query."""
        joined = dict(self.excluded)
        for query, rows in more.items():
            joined[query] = np.concatenate([joined.get(query, np.empty(0, np.uint32)), rows])
        return replace(self, excluded=joined)

    def forbidden(self, query: int) -> NDArray[np.int64]:
        """List the documents that must not be drawn for a query, each once.

        They are its positives, what is excluded for it, and every document with the exact text of one of those.
        """
        known = [rows[query] for rows in (self.positives, self.excluded) if query in rows]
        return self.collection.documents.copies(np.concatenate(known)) if known else np.empty(0, np.int64)

    def allowed(self, query: int, docs: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Tell which documents may be drawn for a query: those that are not `forbidden`."""
        return ~np.isin(docs, self.forbidden(query))

    def rng(self, strategy: str, query: int) -> np.random.Generator:
        """Make the generator of one query's draw.

        Args:
            strategy: The strategy's name, without its options: neither where a file lies nor how a number is written
                then changes a draw.
            query: Its row.
        """
        return rng_for(self.seed, "candidates", strategy, self.collection.queries.id(query))

    def scored_list(self, strategy: str) -> Mapping[int, Pairs]:
        """Give each query's wider list, best first by the teacher's scores, without what must not be drawn.

        Raises:
            DataError: No scored list was given, or it lacks some of the queries, or scores, or has a document twice.
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
        if bad := int((~np.isfinite(ranked.score)).sum()):
            raise DataError(
                f"{bad} of {len(ranked)} pairs of the wider list have no finite score", hint="score the list again"
            )
        if len(np.unique(ranked.key())) < len(ranked):
            raise DataError("the wider list has a document twice for a query", hint="keep one of each")
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
class Strategy(ABC):
    """A strategy with its options, which are the fields of its class: words, or numbers that are not negative.

    Attributes:
        name: As `STRATEGIES` knows it.
        short: The option that may stand behind a colon, as in `run:FILE`; "" where none may.
        ranked: Whether it draws from one ranked list for each query, which an ensemble can unite.
        ordered: Whether its draw has an order such that who wants fewer documents takes the first.
        edits: Whether it writes documents that the collection does not have; such a strategy is no part of another.
    """

    name: ClassVar[str] = ""
    short: ClassVar[str] = ""
    ranked: ClassVar[bool] = False
    ordered: ClassVar[bool] = False
    edits: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for option in fields(self):
            check_value(self.name, option, getattr(self, option.name))

    def needs(self) -> Needs:
        """Say what must be made before."""
        return Needs()

    def ranks(self, depth: int) -> tuple[int, int]:
        """Tell how many ranks are left out at the top and which is the last, where the request's depth is `depth`."""
        return 0, depth

    def files(self) -> list[Path]:
        """List the files that the draw depends on."""
        return []

    @abstractmethod
    def sample(self, request: Request) -> Candidates:
        """Draw documents for every query of the request, in its order of the queries.

        A query with fewer documents to draw from than asked gets all of them.

        Raises:
            DataError: What it needs was not given.
        """

    def __str__(self) -> str:
        """Write the reference that `open_strategy` reads: the name, and the options that are not the defaults."""
        return write_reference(self)


def draw_from_ranked(
    request: Request,
    strategy: str,
    query: int,
    docs: Rows,
    scores: Scores32,
    *,
    skip: int = 0,
    depth: int | None = None,
    source: NDArray[np.uint8] | None = None,
) -> Candidates:
    """Draw uniformly, without replacement, from the ranks `skip + 1` to `depth` of a list's allowed documents.

    The drawn ones keep their rank order. A list with fewer allowed documents gives all it has.

    Args:
        request: How many, and what must not be drawn.
        strategy: The strategy's name, for the generator.
        query: The query's row.
        docs: (n,) its ranked documents, each once.
        scores: (n,) their scores.
        skip: Ranks to leave out at the top.
        depth: The last rank; None for the list's last.
        source: (n,) which part of a compound strategy each comes from; 0 for others.
    """
    keep = np.flatnonzero(request.allowed(query, docs))[skip:depth]
    share = min(1.0, request.negatives / max(len(keep), 1))
    if len(keep) > request.negatives:
        keep = np.sort(request.rng(strategy, query).choice(keep, request.negatives, replace=False))
    drawn = Candidates.of(query, docs[keep], scores[keep], share)
    return drawn if source is None else replace(drawn, source=source[keep])
