"""Names of strategies as people read them: without the folders of the files that they name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rankstill.files import Json

_FOLDERS = re.compile(r"[^\s:+*(=,]*/")
_AS_GIVEN = ("spec", "command")


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Leave folders out of names, or nothing where two would become one.

    >>> short_names(["run:data/runs/bm25.trec#skip=3", "random"])
    {'run:data/runs/bm25.trec#skip=3': 'run:bm25.trec#skip=3', 'random': 'random'}
    """
    short = [_FOLDERS.sub("", name) for name in names]
    return dict(zip(names, short if len(set(short)) == len(set(names)) else names, strict=True))


def shortened(found: Json) -> Json:
    """Copy a diagnosis with short names everywhere but in what made it."""
    names = short_names([s["name"] for s in found["strategies"]])
    # The longest first: one name may be the start of another.
    ordered = sorted(names, key=len, reverse=True)

    def said(value: Any) -> Any:
        if isinstance(value, str):
            for name in ordered:
                value = value.replace(name, names[name])
            return value
        if isinstance(value, list):
            return [said(item) for item in value]
        if isinstance(value, dict):
            return {key: said(item) for key, item in value.items()}
        return value

    return {key: value if key in _AS_GIVEN else said(value) for key, value in found.items()}
