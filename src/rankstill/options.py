"""The options behind a reference of the command line: `key=value,key=value`."""

from __future__ import annotations

from collections.abc import Iterable

from rankstill.errors import SpecError, unknown_name


def read_options(text: str, known: Iterable[str], where: str) -> dict[str, str]:
    """Read options.

    >>> read_options("transform=log-rank,by=rank", ("transform", "by"), "in a run")
    {'transform': 'log-rank', 'by': 'rank'}

    Args:
        text: What stands behind the `#`; may be empty.
        known: The keys that there are.
        where: Of or in what they stand, for messages.

    Raises:
        SpecError: A key is unknown, comes twice, or has no value.
    """
    options: dict[str, str] = {}
    for option in filter(None, text.split(",")):
        key, _, value = option.partition("=")
        if key not in known:
            raise unknown_name(f"key {where}:", key, known)
        if not value:
            raise SpecError(f"{key} {where} has no value", hint=f"write {key}=VALUE")
        if key in options:
            raise SpecError(f"{key} {where} comes twice", hint="state it once")
        options[key] = value
    return options
