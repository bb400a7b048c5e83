"""How a command line names a collection: `PATH_OR_ID#key=value,key=value`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rankstill.errors import SpecError
from rankstill.options import read_options

_KEYS = ("split", "dev", "relevant_from", "part", "size", "lists")


@dataclass(frozen=True)
class Reference:
    """A collection and how to use it.

    >>> Reference.parse("../shared/data/dl19-passage#relevant_from=2,split=test").relevant_from
    2

    Attributes:
        location: A folder, a file of candidate lists, `pydocs`, or an ir_datasets id.
        split: The judged split to use. All splits are loaded, whatever stands here.
        dev: The judged split that chooses settings. All splits are loaded, whatever stands here.
        relevant_from: The lowest grade that counts as relevant; 1 unless given.
        part: Which part of a collection that has parts, such as `ood` of pydocs.
        size: How much of a collection that can be sampled: `full`, `demo` or a number of documents, for pydocs.
        lists: Which candidate lists to take, where there are several; `none` for none.
    """

    location: str
    split: str | None = None
    dev: str | None = None
    relevant_from: int | None = None
    part: str | None = None
    size: str | None = None
    lists: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference.

        Raises:
            SpecError: A key is unknown, comes twice, or has no value; or a value is out of range.
        """
        location, _, rest = text.partition("#")
        if not location:
            raise SpecError(f"{text!r} names no collection", hint="write PATH_OR_ID, or PATH_OR_ID#key=value,key=value")
        options = read_options(rest, _KEYS, f"in {text!r}")
        level = options.pop("relevant_from", None)
        return cls(location, **options, relevant_from=None if level is None else _grade(level, text))

    def __str__(self) -> str:
        options = [f"{key}={value}" for key in _KEYS if (value := getattr(self, key)) is not None]
        return f"{self.location}#{','.join(options)}" if options else self.location


def _grade(value: str, text: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise SpecError(f"relevant_from in {text!r} must be a whole number of at least 1: got {value!r}")
    return int(value)
