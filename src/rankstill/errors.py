"""Every error that rankstill raises on purpose, in one tree.

RankstillError
├── SpecError            a setting is unknown, out of range, or contradicts another
├── DataError            the input is broken: names what, how many, and one instance
│   └── MissingScores    some pairs have no teacher score (a missing score is never 0)
├── ModelError           a model cannot be used: missing, pickled weights, foreign code, not a ranker
└── OutputError          the output cannot be written: another run's folder, no space, a second writer

A message says what is wrong, how often, and shows one instance; the hint says what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class RankstillError(Exception):
    """Base of all deliberate errors.

    Args:
        message: What is wrong, how many, and one instance.
        hint: What to do about it, as a command or an action; shown on its own line.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class SpecError(RankstillError):
    """A setting is unknown, out of range, or contradicts another."""


class DataError(RankstillError):
    """The input is broken."""


class MissingScores(DataError):  # noqa: N818  -- reads as what it is
    """Some pairs have no teacher score."""


class ModelError(RankstillError):
    """A model cannot be used."""


class OutputError(RankstillError):
    """The output cannot be written."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> SpecError:
    """Build the error for a name that is not among the known ones, with the nearest as a hint."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return SpecError(f"unknown {kind} {name!r}", hint=f"{hint}known: {', '.join(names)}")


def some(items: Sequence[object], limit: int = 3) -> str:
    """Name the first few of many: `a, b, c and 7 more`.

    >>> some(["q1", "q2", "q3", "q4"])
    'q1, q2, q3 and 1 more'
    """
    shown = ", ".join(str(item) for item in items[:limit])
    return f"{shown} and {len(items) - limit} more" if len(items) > limit else shown
