"""Edits of texts in the discrete space of words: strengthened negatives and masked positives.

The edits of a draw are kept as recipes of 24 bytes, and written when they are asked for: millions of texts never stand
in memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from rankstill.collection.store import Collection
from rankstill.randomness import rng_for

KINDS = ("plain", "strengthened", "masked")
"""What a drawn document is, by `source`."""
STRENGTHENED, MASKED = 1, 2


class Recipe(NamedTuple):
    """How one text is made.

    Attributes:
        query: The row of the query that it is made for.
        place: Its place among the query's documents.
        attempt: Which of several tries it is.
        kind: `STRENGTHENED` or `MASKED`.
        doc: The row of the document that is edited.
        positive: The row of the positive whose words are mixed in; `doc` itself where that is masked.
    """

    query: int
    place: int
    attempt: int
    kind: int
    doc: int
    positive: int


@dataclass
class Edits:
    """The texts that a draw wrote: (id, text) pairs, made anew on each pass, always the same.

    Attributes:
        collection: What they are made of.
        seed: The study's seed.
        mix, mask: See `strengthened` and `masked`.
    """

    collection: Collection
    seed: int
    mix: float
    mask: float
    _numbers: array[int] = field(default_factory=lambda: array("I"))

    def __len__(self) -> int:
        return len(self._numbers) // len(Recipe._fields)

    def __contains__(self, item: object) -> bool:
        return any(item == pair for pair in self)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        width = len(Recipe._fields)
        for start in range(0, len(self._numbers), width):
            recipe = Recipe(*self._numbers[start : start + width])
            yield self.id(recipe), self.text(recipe)

    def add(self, recipe: Recipe) -> None:
        """Keep a recipe."""
        self._numbers.extend(recipe)

    def id(self, recipe: Recipe) -> str:
        """Name a text by what it is: `DOCUMENT~KIND~QUERY~PLACE`."""
        doc, query = self.collection.documents.id(recipe.doc), self.collection.queries.id(recipe.query)
        return f"{doc}~{KINDS[recipe.kind]}~{query}~{recipe.place}"

    def text(self, recipe: Recipe) -> str:
        """Write a text; empty where its document is too short to be edited."""
        query = self.collection.queries.id(recipe.query)
        rng = rng_for(self.seed, "edit", query, recipe.place, recipe.attempt)
        words = self.collection.documents[recipe.doc].split()
        if recipe.kind == MASKED:
            return " ".join(masked(words, self.mask, rng))
        return " ".join(strengthened(words, self.collection.documents[recipe.positive].split(), self.mix, rng))


def masked(words: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    """Take a share of the words out, at random places; one at least, and never all.

    Returns:
        The others in their order; none where there are fewer than two words.
    """
    if len(words) < 2:
        return []
    out = min(max(round(share * len(words)), 1), len(words) - 1)
    kept = np.sort(rng.choice(len(words), len(words) - out, replace=False))
    return [words[i] for i in kept.tolist()]


def strengthened(words: Sequence[str], positive: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    """Put a stretch of the positive's words in the place of as many of a negative's.

    Args:
        words: The negative's.
        positive: The positive's.
        share: Of the words of the shorter text; one word at least.
        rng: Chooses the two places, uniformly.

    Returns:
        As many words as the negative has; none where one of the two texts has none.
    """
    if not words or not positive:
        return []
    length = max(round(share * min(len(words), len(positive))), 1)
    at = int(rng.integers(len(words) - length + 1))
    start = int(rng.integers(len(positive) - length + 1))
    return [*words[:at], *positive[start : start + length], *words[at + length :]]
