"""Where texts come from: the one form that every loader hands to `load`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def no_judgements() -> Iterator[tuple[str, str, str, int]]:
    """Give no judgement: what a source without qrels has."""
    return iter(())


def _unknown() -> int | None:
    return None


@dataclass(frozen=True)
class Source:
    """A collection that can be read, from whatever it is made of.

    Everything is given as a function that starts reading anew and yields item by item, so that a collection of millions
    of documents never stands in memory. The functions may be called more than once and yield the same each time.

    Attributes:
        name: A short name for tables and messages, such as `scifact`.
        documents: Yields (id, text). The order becomes the rows.
        queries: Yields (id, text). The order becomes the rows.
        judgements: Yields (split, query id, document id, grade).
        lists: Yields the candidate lists that came with the texts as (query id, document id, score), best first for
            each query; NaN where there is no score. None where there are no lists.
        files: The files that all this is read from; their bytes identify the source. The judgements of a split stand
            under `qrels.SPLIT`, lists under a name that begins with `lists`, for the messages.
        identity: What identifies a source that is not made of files: equal identities mean equal content.
        facts: Whatever else the manifest should say: kind, versions, choices, what was left out.
        counts: What reading showed, for the counts of the manifest; called after everything else has been read.
        expected: How many documents there will be, for the progress bar; None where nobody knows beforehand.
    """

    name: str
    documents: Callable[[], Iterator[tuple[str, str]]]
    queries: Callable[[], Iterator[tuple[str, str]]]
    judgements: Callable[[], Iterator[tuple[str, str, str, int]]] = no_judgements
    lists: Callable[[], Iterator[tuple[str, str, float]]] | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    identity: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    counts: Callable[[], Mapping[str, Any]] = dict
    expected: Callable[[], int | None] = _unknown
