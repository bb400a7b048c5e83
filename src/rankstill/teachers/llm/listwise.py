"""A language model that orders lists: its final order of a query's documents becomes scores by a stated transform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rankstill.collection.store import Collection
from rankstill.files import fingerprint
from rankstill.progress import Bar, bar, say
from rankstill.records import Pairs, Rows, Scores32
from rankstill.teachers.llm import prompts, reading
from rankstill.teachers.llm.access import Access, Tally
from rankstill.teachers.llm.asking import Ask, Halted
from rankstill.teachers.llm.pace import Clock
from rankstill.teachers.llm.reference import LlmReference
from rankstill.teachers.llm.request import Request
from rankstill.teachers.llm.windows import slide
from rankstill.teachers.scored import Scored, lookup
from rankstill.teachers.transforms import transformed

BM25, GIVEN = "bm25", "given"
FirstScores = Callable[[Collection, Rows, Rows], Scores32]


class _List(NamedTuple):
    """A query and its documents in their first order, as texts."""

    query: str
    docs: Sequence[str]


class ListwiseTeacher:
    """Scores pairs by their place in a language model's order; see `Teacher`.

    A score depends on the list that the document stood in, so it is not kept in the score store; the answers are, in
    the transcript.

    Args:
        reference: The model, and how to reach it.
        first: Scores that order the lists at first, and what identifies them, where `reference.first` names a teacher.
        clock: What tells the time.
    """

    by_text = False
    chunk = 1 << 20
    kind = "llm"

    def __init__(
        self, reference: LlmReference, first: tuple[FirstScores, str] | None = None, clock: Clock | None = None
    ) -> None:
        self.reference, self._first = reference, first
        self._access = Access(reference, ("window", "stride"), clock)
        self.name = self._access.name
        order = {"first": first[1] if first else reference.first, "transform": reference.transform}
        self.fingerprint = fingerprint({**self._access.asked, **order})

    def keep_in(self, root: Path) -> None:
        """Keep the transcript in a store's folder from now on, unless the reference names a file."""
        self._access.keep_in(root)

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> Scored:
        """Rank all lists at once: a chunk could cut one in two. What a kill interrupts, the transcript knows."""
        del folder
        return Scored(self, Pairs(query, doc, self.score(collection, query, doc)))

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Score pairs, taking all documents that come with a query for its list: (n,) float32.

        Raises:
            MissingScores: The budget is spent; says how many pairs are left.
            ModelError: The endpoint refuses or fails, or no answer names a document.
        """
        first = self._first_order(collection, query, doc)
        spans = first.per_query()
        lists = [_List(collection.queries[q], _Lazy(collection, first.doc[span])) for q, span in spans.items()]
        return lookup(collection, Pairs(first.query, first.doc, self._rank(lists, shown)), query, doc)

    def score_texts(self, queries: Sequence[str], docs: Sequence[str]) -> Scores32:
        """Score n pairs of texts, those of equal queries being a list in its first order: (n,) float32."""
        places: dict[str, list[int]] = {}
        for place, query in enumerate(queries):
            places.setdefault(query, []).append(place)
        value = self._rank([_List(query, [docs[i] for i in found]) for query, found in places.items()], None)
        scores = np.empty(len(queries), np.float32)
        scores[[place for found in places.values() for place in found]] = value
        return scores

    def _first_order(self, collection: Collection, query: Rows, doc: Rows) -> Pairs:
        """Put each query's distinct documents together, in the order that the first window sees."""
        pairs = Pairs(query, doc, np.zeros(len(query), np.float32))
        kept = np.sort(np.unique(pairs.key(), return_index=True)[1])
        kept = kept[np.argsort(query[kept], kind="stable")]
        pairs = Pairs(query[kept], doc[kept], pairs.score[kept])
        if self._first is not None:
            return Pairs(pairs.query, pairs.doc, self._first[0](collection, pairs.query, pairs.doc)).ranked()
        if self.reference.first != BM25:
            return pairs
        # Here, because it brings all strategies along, which no other teacher needs.
        from rankstill.candidates.bm25 import rescore

        return rescore(collection, pairs)

    def _rank(self, lists: list[_List], shown: Bar | None) -> Scores32:
        """Rank lists: (n,) the scores of all their documents, list after list, each in its first order."""
        if shown is None:
            with bar(f"asking {self.name}", sum(len(item.docs) for item in lists), "pairs") as shown:
                return self._rank(lists, shown)
        tally, finished, counted = Tally(), [0], shown

        def done(item: _List) -> None:
            finished[0] += len(item.docs)
            counted.advance(len(item.docs))

        try:
            ranked = self._access.asker.run(lambda item, ask: self._slide(item, ask, tally), lists, done)
        except Halted as why:
            pairs = sum(len(item.docs) for item in lists)
            raise self._access.halted(why, pairs - finished[0], pairs) from None
        tally.refuse_unreadable(self.name, some=False)
        tally.tell(self.name)
        say(f"{self.name}: {self._access.spent()}")
        return self._scores(ranked)

    def _scores(self, ranked: list[list[int]]) -> Scores32:
        """Turn each list's order (places, the best first) into the scores of its places."""
        number = np.repeat(np.arange(len(ranked)), [len(places) for places in ranked])
        ranks = np.concatenate([np.argsort(places) + 1.0 for places in ranked] or [np.empty(0)])
        # The scores have no say where ranks do: by="rank".
        return transformed(-ranks.astype(np.float32), ranks, number, self.reference.transform, "rank", self.name)  # type: ignore[arg-type]

    def _slide(self, item: _List, ask: Ask, tally: Tally) -> list[int]:
        limits = self.reference
        query = prompts.quoted(item.query, limits.query_chars)
        passages = [prompts.quoted(text, limits.doc_chars) for text in item.docs]

        def order(places: list[int]) -> list[int]:
            messages = prompts.order(query, [passages[place] for place in places])
            answer = ask(Request.of(limits, messages, len(places)))
            found = reading.order(answer, len(places))
            tally.add(
                answer.text,
                unreadable=not found.readable,
                missing=found.missing,
                doubled=found.doubled,
                unknown=found.unknown,
                cut=answer.finish == "length",
            )
            return [places[i] for i in found.places]

        return slide(len(passages), limits.window, limits.stride, order)


class _Lazy(Sequence[str]):
    """The texts of documents, fetched when they are asked for."""

    def __init__(self, collection: Collection, rows: Rows) -> None:
        self._collection, self._rows = collection, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> str:  # type: ignore[override]
        return self._collection.documents[int(self._rows[place])]
