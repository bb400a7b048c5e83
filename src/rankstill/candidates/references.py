"""How a command line names a strategy: `NAME#option=value,option=value`; parentheses keep a nested one together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from rankstill.candidates.strategy import Strategy
from rankstill.errors import SpecError, unknown_name

_KINDS = {"int": int, "float": float, "str": str}


def parse(reference: str, known: Mapping[str, type[Strategy]]) -> Strategy:
    """Make the strategy that a reference names; see `open_strategy`."""
    head, _, rest = reference.partition("#")
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
    for option in filter(None, split(rest, ",")):
        key, _, value = option.partition("=")
        if key not in options:
            raise unknown_name(f"option of the strategy {name}:", key, options)
        if key in values:
            raise SpecError(f"{key} comes twice in {reference!r}")
        values[key] = _value(options[key], value, reference)
    return made(**values)


def split(text: str, at: str) -> list[str]:
    """Split at a character outside parentheses.

    >>> split("(bm25#k1=0.9,b=0.4)*0.7+random*0.3", "+")
    ['(bm25#k1=0.9,b=0.4)*0.7', 'random*0.3']

    Raises:
        SpecError: A parenthesis is not closed, or not opened.
    """
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if character == at and not depth:
            parts.append("")
        else:
            parts[-1] += character
    if depth:
        raise SpecError(f"parentheses do not match in {text!r}")
    return parts


def parts_of(text: str) -> list[tuple[str, float]]:
    """Read the parts of a compound strategy with their weights; a part without one weighs 1.

    >>> parts_of("(bm25#k1=0.9,b=0.4)*0.7+random*0.3")
    [('bm25#k1=0.9,b=0.4', 0.7), ('random', 0.3)]

    Raises:
        SpecError: There are fewer than two parts, or a weight is not above 0.
    """
    found = []
    for part in split(text, "+"):
        body, star, weight = part.rpartition("*")
        body = body if star else part
        if body.startswith("(") and body.endswith(")"):
            body = body[1:-1]
        found.append((body, _weight(weight, text) if star else 1.0))
    if len(found) < 2 or not all(body for body, _ in found):
        raise SpecError(f"a compound strategy has two parts at least: {text!r}", hint="of=bm25*0.7+random*0.3")
    return found


def _weight(text: str, whole: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise SpecError(f"a weight in {whole!r} is not a number above 0: {text!r}")
    return value


def _value(field: Field[Any], text: str, reference: str) -> Any:
    kind = _KINDS[str(field.type)]
    if not text:
        raise SpecError(f"{field.name} in {reference!r} has no value", hint=f"write {field.name}=VALUE")
    if kind is str:
        return text[1:-1] if text.startswith("(") and text.endswith(")") and "+" not in text else text
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise SpecError(f"{field.name} in {reference!r} is not {what}: {text!r}") from None
