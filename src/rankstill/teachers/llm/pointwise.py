"""A language model that judges one document at a time: by log-odds of Yes against No, or by a grade."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from rankstill.collection.store import Collection
from rankstill.files import fingerprint
from rankstill.progress import Bar, bar, say
from rankstill.records import Rows, Scores32
from rankstill.teachers.llm import prompts, reading
from rankstill.teachers.llm.access import Access, Tally
from rankstill.teachers.llm.answer import Answer
from rankstill.teachers.llm.asking import Ask, Halted
from rankstill.teachers.llm.pace import Clock
from rankstill.teachers.llm.reading import Judged
from rankstill.teachers.llm.reference import GRADED, LlmReference
from rankstill.teachers.llm.request import Request

Texts = tuple[str, str]


class PointwiseTeacher:
    """Scores pairs by a language model; see `Teacher`.

    A score is log P(Yes) - log P(No) of the answer's first token, or a grade from 0 to `grades`. It depends on the two
    texts alone (as sent: cut to their lengths), so it is kept in the score store.

    Args:
        reference: The model, the mode, and how to reach it.
        clock: What tells the time.
    """

    by_text = True
    # Answers outlive a kill one by one, in the transcript; a chunk's end waits for its slowest request.
    chunk = 4096
    kind = "llm"

    def __init__(self, reference: LlmReference, clock: Clock | None = None) -> None:
        self.reference = reference
        asked = ("grades",) if reference.mode == GRADED else ("top_logprobs",)
        self._access = Access(reference, asked, clock)
        read = {"unreadable": reference.unreadable}
        if reference.mode != GRADED:
            read["without_logprobs"] = reference.without_logprobs
        self.name = self._access.name
        self.fingerprint = fingerprint({**self._access.asked, **read})
        self._all: tuple[Collection, Rows, Rows] | None = None

    def keep_in(self, root: Path) -> None:
        """Keep the transcript in a store's folder from now on, unless the reference names a file."""
        self._access.keep_in(root)

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> PointwiseTeacher:
        """Remember all pairs, so that a run that stops early can say how many are left."""
        del folder
        teacher = copy.copy(self)
        teacher._all = collection, query, doc
        return teacher

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Score pairs: (n,) float32.

        Raises:
            MissingScores: The budget is spent; says how many pairs are left.
            ModelError: The endpoint refuses or fails, or answers hold no score.
        """
        texts = list(zip(collection.queries.take(query), collection.documents.take(doc), strict=True))
        try:
            return self._score(texts, shown)
        except Halted as why:
            raise self._error(why, *(self._all or (collection, query, doc))) from None

    def score_texts(self, queries: Sequence[str], docs: Sequence[str]) -> Scores32:
        """Score n pairs of texts: (n,) float32; see `score`."""
        texts = list(zip(queries, docs, strict=True))
        try:
            return self._score(texts, None)
        except Halted as why:
            raise self._access.halted(why, self._left(texts), len(texts)) from None

    def _score(self, texts: list[Texts], shown: Bar | None) -> Scores32:
        if shown is None:
            with bar(f"asking {self.name}", len(texts), "pairs") as shown:
                return self._score(texts, shown)
        tally, asker, counted = Tally(), self._access.asker, shown

        def work(pair: Texts, ask: Ask) -> float:
            answer = ask(self._request(pair))
            return self._judge(answer, tally)

        scores = asker.run(work, texts, lambda _: counted.advance())
        tally.refuse_unreadable(self.name, some=self.reference.unreadable == "refuse")
        tally.tell(self.name)
        say(f"{self.name}: {self._access.spent()}")
        return np.array(scores, np.float32)

    def _request(self, pair: Texts) -> Request:
        query, passage = (
            prompts.quoted(text, limit)
            for text, limit in zip(pair, (self.reference.query_chars, self.reference.doc_chars), strict=True)
        )
        if self.reference.mode == GRADED:
            return Request.of(self.reference, prompts.grade(query, passage, self.reference.grades))
        return Request.of(self.reference, prompts.yes_no(query, passage))

    def _judge(self, answer: Answer, tally: Tally) -> float:
        """Score an answer; NaN, and a count, where it holds no score."""
        graded, words = self.reference.mode == GRADED, answer.top is None
        if graded:
            judged, worst = reading.grade(answer.text, self.reference.grades), 0.0
        else:
            judged, worst = self._log_odds(answer), reading.worst_log_odds(answer.top)
        unreadable = judged.score is None
        tally.add(
            answer.text,
            unreadable=unreadable,
            bounded=judged.bounded,
            words=words and not graded,
            cut=unreadable and answer.finish == "length",
        )
        if judged.score is not None:
            return judged.score
        return worst if self.reference.unreadable == "worst" else np.nan

    def _log_odds(self, answer: Answer) -> Judged:
        if answer.top is not None:
            return reading.log_odds(answer.top)
        if self.reference.without_logprobs == "answer":
            return reading.answered_word(answer.text)
        raise Halted(
            "the endpoint gives no log-probabilities (top_logprobs)",
            "use mode=graded, or score the answered word +1 or -1 with without_logprobs=answer",
        )

    def _error(self, why: Halted, collection: Collection, query: Rows, doc: Rows) -> Exception:
        pairs = ((collection.queries[int(q)], collection.documents[int(d)]) for q, d in zip(query, doc, strict=True))
        return self._access.halted(why, self._left(pairs), len(query))

    def _left(self, pairs: Iterable[Texts]) -> int:
        """Count the pairs that the transcript has no answer to."""
        return sum(self._request(pair).key not in self._access.asker.transcript for pair in pairs)
