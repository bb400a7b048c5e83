"""What the pointwise and the listwise teachers share: a way to ask, a count of what went wrong, and the last words."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from rankstill.errors import ModelError, RankstillError
from rankstill.files import Json, fingerprint
from rankstill.progress import note, say
from rankstill.teachers.llm.asking import Asker, Halted
from rankstill.teachers.llm.pace import Clock
from rankstill.teachers.llm.prompts import TEXTS
from rankstill.teachers.llm.reference import LlmReference

_MANY = 10
_WORDS = {
    "bounded": "answers listed only one of Yes and No (the other counts as the least probable listed token)",
    "words": "answers had no log-probabilities (their word counts +1 or -1)",
    "unreadable": "answers held nothing that can be used",
    "cut": "answers were cut off at max_tokens",
    "missing": "passages were not named (they keep their earlier order, after those that were)",
    "doubled": "passages were named again (only the first counts)",
    "unknown": "names were none of a passage (passed over)",
}


class Access:
    """A model behind an endpoint, and where its answers are kept.

    Args:
        reference: Everything about both.
        settings: Those that shape what is asked, besides the model, the seed and the lengths.
        clock: What tells the time.

    Attributes:
        asked: What identifies the requests: equal where every request is equal, whatever endpoint answers.
    """

    def __init__(self, reference: LlmReference, settings: tuple[str, ...], clock: Clock | None = None) -> None:
        self.reference, self._clock = reference, clock
        self._root: Path | None = None
        told = asdict(reference)
        shared = ("model", "mode", "seed", "doc_chars", "query_chars", "max_tokens")
        prompt = {name: TEXTS[name] for name in ("system", reference.mode)}
        self.asked: Json = {"kind": "llm", "prompt": prompt, **{name: told[name] for name in (*shared, *settings)}}
        self.name = f"{reference.model} ({reference.mode})"

    def keep_in(self, root: Path) -> None:
        """Keep every answer from now on in a store's folder, unless the reference names a file."""
        if root != self._root and not self.reference.transcript:
            self._root = root
            vars(self).pop("asker", None)

    @cached_property
    def asker(self) -> Asker:
        """Open the way to ask, with the transcript at its place."""
        path = Path(self.reference.transcript).expanduser()
        if not self.reference.transcript:
            path = (self._root or Path()) / f"llm-{fingerprint(self.asked)[:16]}.jsonl"
            if self._root is None:
                say(f"the answers of {self.name} are kept in {path}")
        return Asker(self.reference, path, self._clock)

    def halted(self, why: Halted, left: int, pairs: int) -> RankstillError:
        """Make the error of a run that stopped early: how many pairs are left, and what was spent."""
        return why.kind(
            f"{self.name}: {why.message}; {left:,} of {pairs:,} pairs are left ({self.spent()})", hint=why.hint
        )

    def spent(self) -> str:
        """Say what the transcript holds."""
        budget = self.asker.budget
        money = f", {budget.money:.4f} spent" if budget.money else ""
        tokens = f"{budget.tokens[0]:,} tokens in, {budget.tokens[1]:,} out"
        return f"{budget.requests:,} requests{money}, {tokens}; answers in {self.asker.transcript.path}"


class Tally:
    """Counts what went wrong, for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.answers = 0
        self.example = ""

    def add(self, text: str, **found: int) -> None:
        """Count one answer and what was found in it.

        Raises:
            Halted: Most answers so far are of no use: no more are paid.
        """
        with self._lock:
            self.answers += 1
            self.counts.update(found)
            if found.get("unreadable") and not self.example:
                self.example = " ".join(text.split())[:80]
            bad = self.counts["unreadable"]
            hopeless = bad >= _MANY and 2 * bad > self.answers
        if hopeless:
            raise Halted(self.complaint(), _HINT)

    def complaint(self) -> str:
        """Say how many answers are of no use, and what the first one was."""
        bad = self.counts["unreadable"]
        return f"{bad:,} of {self.answers:,} answers hold nothing that can be used (first: {self.example!r})"

    def refuse_unreadable(self, name: str, *, some: bool) -> None:
        """Refuse when no answer can be used; with `some`, when any cannot.

        Raises:
            ModelError: So it is.
        """
        bad = self.counts["unreadable"]
        if bad and (some or bad == self.answers):
            raise ModelError(f"{name}: {self.complaint()}", hint=_HINT)

    def tell(self, name: str) -> None:
        """Tell the user what was put right, where anything was."""
        for key, words in _WORDS.items():
            if self.counts[key]:
                note(f"{name}: {self.counts[key]:,} {words}, in {self.answers:,} answers")


_HINT = "use a model that follows the prompt, or another mode; pointwise and graded also take unreadable=worst"
