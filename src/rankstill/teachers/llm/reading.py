"""From an answer to a score: log-odds, a grade, or an order. Nothing here trusts the answer's form."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from rankstill.teachers.llm.answer import Answer

_LOWEST = -50.0
"""Log-probabilities below are cut: some endpoints write -9999 for what is nearly impossible."""
_MARKS = " \t\r\n\"'`*.,:;!?()[]▁Ġ"
_NUMBER = re.compile(r"(?<![0-9.,-])[0-9]+(?![0-9]|[.,][0-9])")
_NAMED = re.compile(
    r"(?:grade|score|rating|relevance)[\s\"'`*_]*(?:is|[:=])?[\s\"'`*_]*([0-9]+)(?![0-9]|[.,][0-9])", re.IGNORECASE
)
_BRACKETED = re.compile(r"\[([^\[\]]*)\]")
_LONGEST_ID = 6


@dataclass(frozen=True)
class Judged:
    """A pointwise answer's score.

    Attributes:
        score: None where the answer holds none.
        bounded: Whether one of Yes and No was not listed, and the least probable listed token stood in for it.
    """

    score: float | None
    bounded: bool = False


def without_thoughts(text: str) -> str:
    """Drop what a reasoning model wrote before its answer; everything, where the answer was cut off before."""
    if "</think>" in text:
        return text.rpartition("</think>")[2]
    return "" if text.lstrip().startswith("<think>") else text


def log_odds(top: list[tuple[str, float]]) -> Judged:
    """Score by log P(Yes) - log P(No), each summed over its spellings among the listed first tokens.

    Where only one of the two is listed, the other's log-probability is at most the lowest listed one; that is taken.
    """
    listed = [(token.strip(_MARKS).lower(), min(max(value, _LOWEST), 0.0)) for token, value in top]
    yes, no = (_log_sum([v for token, v in listed if token == word]) for word in ("yes", "no"))
    bound = min(v for _, v in listed)
    if yes is None and no is None:
        return Judged(None)
    bounded = yes is None or no is None
    return Judged((bound if yes is None else yes) - (bound if no is None else no), bounded)


def worst_log_odds(top: list[tuple[str, float]] | None) -> float:
    """Score an answer that is neither as a No that is certain, with a Yes as probable as the least listed token."""
    return -1.0 if top is None else min(min(max(value, _LOWEST), 0.0) for _, value in top)


def _log_sum(values: list[float]) -> float | None:
    if not values:
        return None
    highest = max(values)
    return min(highest + math.log(sum(math.exp(v - highest) for v in values)), 0.0)


def answered_word(text: str) -> Judged:
    """Score an answer without log-probabilities: +1 where its first word is Yes, -1 where it is No."""
    words = without_thoughts(text).split(maxsplit=1)
    return Judged({"yes": 1.0, "no": -1.0}.get(words[0].strip(_MARKS).lower()) if words else None)


def grade(text: str, highest: int) -> Judged:
    """Find the grade: what follows "grade", "score", ...; else the number that begins the answer; else the only number.

    A number with decimals, a negative one, and one above `highest` are none; nor are two that differ.
    """
    text = without_thoughts(text).strip(" \t\r\n\"'`*")
    named, numbers = _NAMED.findall(text), _NUMBER.findall(text)
    begins = bool(numbers) and text.startswith(numbers[0])
    found = set(numbers[:1] if begins and not named else named or numbers)
    value = found.pop() if len(found) == 1 else ""
    return Judged(float(value) if 0 < len(value) <= _LONGEST_ID and int(value) <= highest else None)


@dataclass(frozen=True)
class Order:
    """The order that a listwise answer gives to n passages.

    Attributes:
        places: A permutation of 0 to n-1, the best first.
        missing: Identifiers that were not named; they follow in their earlier order.
        doubled: Names beyond an identifier's first; they are passed over.
        unknown: Names that are no identifier from 1 to n; they are passed over.
        readable: Whether any identifier was named.
    """

    places: list[int]
    missing: int
    doubled: int
    unknown: int
    readable: bool


def order(answer: Answer, count: int) -> Order:
    """Read an order of `count` passages: identifiers in brackets, or, where there are no brackets, all numbers."""
    text = without_thoughts(answer.text)
    names = _BRACKETED.findall(text) or re.findall(r"[0-9]+", text)
    found: dict[int, None] = {}
    unknown = 0
    for name in names:
        place = _place(name.strip(), count)
        if place is None:
            unknown += 1
        else:
            found[place] = None
    missing = [place for place in range(count) if place not in found]
    return Order([*found, *missing], len(missing), len(names) - unknown - len(found), unknown, bool(found))


def _place(name: str, count: int) -> int | None:
    # A length first: a number of a million digits takes Python minutes to read, or is refused.
    if not (name.isascii() and name.isdigit() and len(name) <= _LONGEST_ID):
        return None
    return int(name) - 1 if 1 <= int(name) <= count else None
