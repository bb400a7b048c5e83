"""How BM25 sees a text: lower case, words of two characters or more; by default without stop words, and stemmed."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import Stemmer
from bm25s import stopwords
from numpy.typing import NDArray

from rankstill.errors import unknown_name

_WORD = re.compile(r"(?u)\b\w\w+\b")
PLAIN = "plain"


class Analyser:
    """Turns texts into numbered terms; the vocabulary grows while documents are read.

    Each distinct word is stemmed once. The terms are those of `bm25s.tokenize(stopwords="en", stemmer=...)`.

    Args:
        language: A language that Snowball stems, with bm25s's stop words where it has some; or "plain", for words as
            they are.

    Raises:
        SpecError: Snowball does not know the language.
    """

    description = "lower case, \\w\\w+, English stop words, Snowball English"

    def __init__(self, language: str = "english") -> None:
        if language not in (known := [PLAIN, *Stemmer.algorithms()]):
            raise unknown_name("analyser", language, known)
        self._stem = str if language == PLAIN else Stemmer.Stemmer(language).stemWord
        self._stop = frozenset(
            getattr(stopwords, f"STOPWORDS_{'EN' if language == 'english' else language.upper()}", ())
        )
        self._term_of_word: dict[str, int] = {}
        self.vocabulary: dict[str, int] = {}

    def __call__(self, text: str) -> list[int]:
        """Number the terms of a document, giving new terms new numbers."""
        known = self._term_of_word
        terms = []
        for word in _WORD.findall(text.lower()):
            term = known.get(word)
            if term is None:
                term = self._learn(word)
            if term >= 0:
                terms.append(term)
        return terms

    def _learn(self, word: str) -> int:
        term = -1
        if word not in self._stop:
            term = self.vocabulary.setdefault(self._stem(word), len(self.vocabulary))
        self._term_of_word[word] = term
        return term

    def query(self, text: str) -> NDArray[np.int64]:
        """Number the terms of a query; terms that no document has are left out."""
        words = (w for w in _WORD.findall(text.lower()) if w not in self._stop)
        terms = (self.vocabulary.get(self._stem(w)) for w in words)
        return np.array([t for t in terms if t is not None], np.int64)

    def documents(self, texts: Iterable[str]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Analyse texts; return all their terms end to end, and each one's length in terms."""
        flat: list[int] = []
        lengths: list[int] = []
        for text in texts:
            terms = self(text)
            flat += terms
            lengths.append(len(terms))
        return np.array(flat, np.int32), np.array(lengths, np.int32)
