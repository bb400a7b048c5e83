"""How a command line names a strategy: `NAME:ARGUMENT#option=value,option=value`; see `writing` for parentheses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from rankstill.candidates.strategy import Strategy
from rankstill.candidates.writing import depths, unwrap
from rankstill.errors import SpecError, unknown_name
from rankstill.options import read_number, read_options

_MOST = 255
"""Parts of a compound strategy: their numbers are stored in one byte."""


def parse(reference: str, known: Mapping[str, type[Strategy]]) -> Strategy:
    """Make the strategy that a reference names; see `open_strategy`."""
    head, *rest = split(reference, "#", 1)
    name, colon, argument = head.partition(":")
    if name not in known:
        raise unknown_name("strategy", name, known)
    made = known[name]
    options = {field.name: field for field in fields(made)}
    values: dict[str, Any] = {}
    if colon:
        if not made.short:
            raise SpecError(f"the strategy {name} takes no argument behind a colon: {reference!r}")
        values[made.short] = _value(options[made.short], argument, reference)
    for key, value in read_options(split("".join(rest), ","), options, f"of the strategy {name}").items():
        if key in values:
            raise SpecError(f"{key} comes twice in {reference!r}", hint="state it once")
        values[key] = _value(options[key], value, reference)
    return made(**values)


def split(text: str, at: str, most: int = -1) -> list[str]:
    """Split at a character outside parentheses, at the first `most` of them.

    >>> split("(bm25#k1=0.9,b=0.4)*0.7+random*0.3", "+")
    ['(bm25#k1=0.9,b=0.4)*0.7', 'random*0.3']

    Raises:
        SpecError: A parenthesis is not closed, or not opened.
    """
    cuts = [i for i, (c, depth) in enumerate(zip(text, depths(text), strict=True)) if c == at and not depth]
    cuts = cuts if most < 0 else cuts[:most]
    return [text[a + 1 : b] for a, b in zip([-1, *cuts], [*cuts, len(text)], strict=True)]


def parts_of(text: str) -> list[tuple[str, float]]:
    """Read the parts of a compound strategy with their weights; a part without one weighs 1.

    >>> parts_of("(bm25#k1=0.9,b=0.4)*0.7+random*0.3")
    [('bm25#k1=0.9,b=0.4', 0.7), ('random', 0.3)]

    Raises:
        SpecError: There are fewer than two parts, or too many, or a weight is not above 0.
    """
    found = []
    for part in split(text, "+"):
        *body, last = split(part, "*")
        found.append((unwrap("*".join(body)), _weight(last, text)) if body else (unwrap(last), 1.0))
    if not 2 <= len(found) <= _MOST or not all(body for body, _ in found):
        raise SpecError(
            f"a compound strategy has from two to {_MOST} parts, joined by +: {text!r}",
            hint="of=bm25*0.7+random*0.3; parentheses protect a + in a file's name: (run:a+b.trec)+random",
        )
    return found


def _weight(text: str, whole: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise SpecError(
            f"a weight in {whole!r} is not a number above 0: {text!r}",
            hint="parentheses protect a * in a file's name: (ensemble:runs/*.trec)*0.7+random*0.3",
        )
    return value


def _value(field: Field[Any], text: str, reference: str) -> Any:
    text = unwrap(text)
    if not text:
        raise SpecError(f"{field.name} in {reference!r} has no value", hint=f"write {field.name}=VALUE")
    numbers: dict[str, type[int] | type[float]] = {"int": int, "float": float}
    kind = numbers.get(str(field.type))
    return text if kind is None else read_number(text, kind, f"{field.name} in {reference!r}")
