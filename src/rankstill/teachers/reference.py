"""How a command line names a teacher: `LOCATION#key=value,key=value`, and several teachers side by side.

The same form names collections (see `collection.reference`). A location that exists with its `#` and all is that file.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from rankstill.errors import SpecError
from rankstill.options import read_options

Options = dict[str, str]


def split_options(text: str, known: Collection[str]) -> tuple[str, Options]:
    """Split a reference into its location and its options.

    >>> split_options("runs/llm.trec#transform=log-rank,by=rank", ("transform", "by"))
    ('runs/llm.trec', {'transform': 'log-rank', 'by': 'rank'})

    Args:
        text: The reference, without a prefix such as `run:`.
        known: The keys that it may have.

    Raises:
        SpecError: A key is unknown, comes twice, or has no value; or there is no location.
    """
    location, hash_sign, rest = text.rpartition("#")
    if not hash_sign or Path(text).expanduser().exists():
        return text, {}
    if not location:
        raise SpecError(f"{text!r} names no teacher", hint="write TEACHER, or TEACHER#key=value,key=value")
    return location, read_options(rest, known, f"in {text!r}")


def split_members(text: str) -> tuple[list[str], str]:
    """Split `[TEACHER]+[TEACHER]#options` into its teachers and the rest, `#options`.

    Brackets may nest, so a teacher may be an ensemble itself, and its path may hold a pair of them.

    >>> split_members("[minilm]+[run:a.trec#transform=linear]#normalise=z")
    (['minilm', 'run:a.trec#transform=linear'], '#normalise=z')

    Raises:
        SpecError: The brackets do not match, or something else than a plus stands between them.
    """
    members: list[str] = []
    start = 0
    while text[start : start + 1] == "[":
        end = _closing(text, start)
        members.append(text[start + 1 : end])
        if text[end + 1 : end + 2] != "+":
            start = end + 1
            break
        start = end + 2
    rest = text[start:]
    if (rest and not rest.startswith("#")) or not all(members):
        raise SpecError(
            f"{text!r} is no list of teachers (at {rest[:20]!r})",
            hint="write ensemble:[TEACHER]+[TEACHER]#weights=0.7+0.3,normalise=z, or ensemble:FILE.json",
        )
    return members, rest


def _closing(text: str, start: int) -> int:
    depth = 0
    for place in range(start, len(text)):
        depth += {"[": 1, "]": -1}.get(text[place], 0)
        if not depth:
            return place
    raise SpecError(f"a bracket in {text!r} is not closed", hint="name such a teacher in ensemble:FILE.json")
