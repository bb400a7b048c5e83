"""How a strategy's reference is written, so that reading it gives the same strategy; `references` reads.

Commas, `#`, `+` and `*` part references. Parentheses protect them, in nested strategies and in files' names:
`run:(a,b.trec)`, `mixture:(run:a+b.trec)*0.5+random*0.5`. Parentheses inside a value must match.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from typing import Any

from rankstill.errors import SpecError


def depths(text: str) -> list[int]:
    """Count for each character the parentheses that are open after it.

    Raises:
        SpecError: A parenthesis is not closed, or not opened.
    """
    found, depth = [], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        found.append(depth)
    if depth or min(found, default=0) < 0:
        raise SpecError(
            f"parentheses do not match in {text!r}", hint="rename a file whose name has a parenthesis of its own"
        )
    return found


def is_wrapped(text: str) -> bool:
    """Tell whether one pair of parentheses holds the whole text."""
    return text.startswith("(") and 0 not in depths(text)[:-1] and text.endswith(")")


def unwrap(text: str) -> str:
    """Take off one pair of parentheses, if one holds the whole text."""
    return text[1:-1] if is_wrapped(text) else text


def wrap(text: str, parting: str) -> str:
    """Put parentheses around a text in which a parting character stands outside parentheses.

    >>> wrap("a+b.trec", "+*"), wrap("(a+b)*0.5", "+"), wrap("(a)", "+")
    ('(a+b.trec)', '(a+b)*0.5', '((a))')
    """
    outside = any(depth == 0 and c in parting for c, depth in zip(text, depths(text), strict=True))
    return f"({text})" if outside or is_wrapped(text) else text


def write_number(value: float) -> str:
    """Write a number so that it reads back the same, in one way only.

    >>> write_number(0.50), write_number(2.0), write_number(1e+20), write_number(7)
    ('0.5', '2', '1e20', '7')
    """
    return repr(value + 0).removesuffix(".0").replace("e+", "e")


def write_reference(strategy: Any) -> str:
    """Write a strategy as `NAME:ARGUMENT#option=value,option=value`, without the options that have their defaults."""
    head, options = strategy.name, []
    for field in fields(strategy):
        value = getattr(strategy, field.name)
        if value == field.default:
            continue
        text = wrap(value, ",#") if isinstance(value, str) else write_number(value)
        if field.name == strategy.short:
            head += f":{text}"
        else:
            options.append(f"{field.name}={text}")
    return f"{head}#{','.join(options)}" if options else head


def write_parts(parts: Iterable[tuple[str, float]]) -> str:
    """Write the parts of a compound strategy with their weights, none for a weight of 1.

    >>> write_parts([("bm25#k1=0.9,b=0.4", 0.7), ("random", 1.0)])
    '(bm25#k1=0.9,b=0.4)*0.7+random'
    """
    return "+".join(wrap(part, "+*,#") + ("" if weight == 1 else f"*{write_number(weight)}") for part, weight in parts)


def check_word(name: str, option: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a word that an option does not know.

    Raises:
        SpecError: It does not.
    """
    if value not in known:
        raise SpecError(f"{option} of the strategy {name} is {' or '.join(known)}: got {value!r}")


def check_value(name: str, field: Field[Any], value: Any) -> None:
    """Refuse a value that no reference can say, or that is negative.

    Raises:
        SpecError: It is of another kind, empty, negative or not finite, or its parentheses do not match.
    """
    if isinstance(value, str):
        depths(value)
        if not value and field.default not in ("", MISSING):
            raise SpecError(f"{field.name} of the strategy {name} is empty")
    elif not math.isfinite(value) or value < 0:
        raise SpecError(f"{field.name} of the strategy {name} is a number from 0 up: got {value}")
