"""The options behind a reference of the command line: `key=value,key=value`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

from rankstill.errors import SpecError, unknown_name

Number = TypeVar("Number", int, float)


def read_options(text: str | Iterable[str], known: Collection[str], where: str) -> dict[str, str]:
    """Read options.

    >>> read_options("transform=log-rank,by=rank", ("transform", "by"), "in a run")
    {'transform': 'log-rank', 'by': 'rank'}

    Args:
        text: What stands behind the `#`; may be empty. Or each option by itself, where commas have other meanings too.
        known: The keys that there are.
        where: Of or in what they stand, for messages.

    Raises:
        SpecError: A key is unknown, comes twice, or has no value.
    """
    options: dict[str, str] = {}
    for option in filter(None, text.split(",") if isinstance(text, str) else text):
        key, _, value = option.partition("=")
        if key not in known:
            raise unknown_name(f"key {where}:", key, known or ["(none)"])
        if not value:
            raise SpecError(f"{key} {where} has no value", hint=f"write {key}=VALUE")
        if key in options:
            raise SpecError(f"{key} {where} comes twice", hint="state it once")
        options[key] = value
    return options


def read_number(text: str, kind: type[Number], what: str) -> Number:
    """Read an option's value as an `int` or a `float`.

    Raises:
        SpecError: It is none; says what it is the value of.
    """
    try:
        return kind(text)
    except ValueError:
        form = "a whole number" if kind is int else "a number"
        raise SpecError(f"{what} must be {form}: got {text!r}") from None
