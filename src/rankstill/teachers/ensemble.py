"""Several teachers as one: their scores, made comparable within each query, are weighted and added up.

`ensemble:[TEACHER]+[TEACHER]#weights=0.7+0.3,normalise=z` names one on a command line. Whatever cannot stand between
brackets (a path with a single bracket) stands in a file, `ensemble:FILE.json`:

    {"teachers": ["minilm", "run:a.trec#transform=log-rank"], "weights": [0.7, 0.3], "normalise": "z"}

Each teacher scores by itself, through the score store where there is one, so each of its pairs is scored once whatever
ensembles it is part of. A normalised score depends on the list that it was asked in, so an ensemble's own scores are
kept by text only where nothing is normalised.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rankstill.collection.store import Collection
from rankstill.errors import DataError, MissingScores, SpecError, unknown_name
from rankstill.files import fingerprint
from rankstill.options import read_number
from rankstill.progress import Bar
from rankstill.records import Pairs, Rows, Scores32, row_keys, rows_of
from rankstill.teachers.normalise import NORMALISATIONS, Normalise, combine
from rankstill.teachers.reference import split_members, split_options
from rankstill.teachers.scored import Scored, lookup

if TYPE_CHECKING:
    from rankstill.teachers.teacher import Teacher

PREFIX = "ensemble:"


@dataclass(frozen=True)
class EnsembleSpec:
    """What an ensemble is made of.

    Attributes:
        teachers: Their references, two or more.
        weights: For each its factor, above 0; used as they are. Equal shares of 1 where empty.
        normalise: A name in `NORMALISATIONS`.
    """

    teachers: tuple[str, ...]
    weights: tuple[float, ...] = ()
    normalise: Normalise = "min-max"

    def __post_init__(self) -> None:
        if len(self.teachers) < 2:
            raise SpecError(f"an ensemble has two teachers at least, not {len(self.teachers)}", hint="name two")
        if self.normalise not in NORMALISATIONS:
            raise unknown_name("normalisation", self.normalise, NORMALISATIONS)
        if not self.weights:
            object.__setattr__(self, "weights", (1 / len(self.teachers),) * len(self.teachers))
        if len(self.weights) != len(self.teachers):
            raise SpecError(
                f"{len(self.teachers)} teachers have {len(self.weights)} weights", hint="state one weight for each"
            )
        bad = [w for w in self.weights if not 0 < w < math.inf]
        if bad:
            raise SpecError(f"a teacher's weight is above 0 and finite, not {bad[0]:g}", hint="or leave it out")

    @classmethod
    def parse(cls, text: str) -> EnsembleSpec:
        """Read what stands behind `ensemble:`.

        Raises:
            SpecError: It is no ensemble, or a weight is no number.
            DataError: The file is missing or is not one of an ensemble.
        """
        if not text.startswith("["):
            return _from_file(Path(text).expanduser())
        members, rest = split_members(text)
        _, options = split_options("ensemble" + rest, ("weights", "normalise"))
        written = options.get("weights", "")
        weights = [read_number(w, float, f"a weight in weights={written}") for w in written.split("+") if written]
        return cls(tuple(members), tuple(weights), options.get("normalise", "min-max"))  # type: ignore[arg-type]


def _from_file(path: Path) -> EnsembleSpec:
    form = 'write {"teachers": ["minilm", "run:FILE"], "weights": [0.7, 0.3], "normalise": "z"}'
    try:
        content = json.loads(path.read_text("utf-8"))
        teachers, weights = content["teachers"], content.get("weights", [])
        normalise = content.get("normalise", "min-max")
        fine = _all(teachers, str) and _all(weights, int | float) and isinstance(normalise, str)
        if not fine or content.keys() - {"teachers", "weights", "normalise"}:
            raise ValueError("it has other keys or values than an ensemble")
    except FileNotFoundError:
        raise DataError(
            f"there is no file {path}", hint="write ensemble:[TEACHER]+[TEACHER], or ensemble:FILE.json"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} does not describe an ensemble: {error}", hint=form) from None
    return EnsembleSpec(tuple(teachers), tuple(map(float, weights)), normalise)


def _all(values: object, kind: object) -> bool:
    return isinstance(values, list) and all(isinstance(v, kind) for v in values)  # type: ignore[arg-type]


class EnsembleTeacher:
    """Scores pairs by several teachers; see `Teacher`.

    Args:
        members: The teachers.
        weights: For each its factor.
        normalise: How their scores are made comparable within a query's asked list.
    """

    chunk = 1 << 20
    kind = "ensemble"

    def __init__(self, members: Sequence[Teacher], weights: Sequence[float], normalise: Normalise) -> None:
        self.members, self.weights, self.normalise = list(members), list(weights), normalise
        parts = (f"{w:g} x {m.name}" for w, m in zip(self.weights, self.members, strict=True))
        self.name = f"{' + '.join(parts)} ({normalise})"
        self.fingerprint = fingerprint(
            {
                "kind": self.kind,
                "members": [m.fingerprint for m in self.members],
                "weights": self.weights,
                "normalise": normalise,
            }
        )
        self.by_text = normalise == "none" and all(m.by_text for m in self.members)
        self._store: Path | None = None

    def keep_in(self, store: Path) -> None:
        """Let every teacher take from this store what it knows, and give it what it learns."""
        self._store = store

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Score pairs, in memory and past the store: (n,) float32. A pair that comes twice counts once in its list.

        Raises:
            MissingScores: A teacher has no score for some pairs; says which teacher.
        """
        return self._combined(query, doc, lambda number, q, d: self.members[number].score(collection, q, d), shown)

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> Teacher:
        """Let each teacher score all pairs, through the store, as a stage of its own that outlives a kill."""
        # The stage opens teachers, this one included.
        from rankstill.teachers.scoring import SCORES, score

        def stage(number: int, asked_query: Rows, asked_doc: Rows) -> Scores32:
            asked = Pairs(asked_query, asked_doc, np.full(len(asked_query), np.nan, np.float32))
            out = folder / f"member-{number}"
            scored = Pairs.read(score(collection.path, asked, self.members[number], out, self._store) / SCORES)
            return lookup(collection, scored, asked_query, asked_doc)

        return Scored(self, Pairs(query, doc, self._combined(query, doc, stage, None)))

    def _combined(
        self, query: Rows, doc: Rows, member: Callable[[int, Rows, Rows], Scores32], shown: Bar | None
    ) -> Scores32:
        keys, back = np.unique(row_keys(query, doc), return_inverse=True)
        asked_query, asked_doc = rows_of(keys)
        columns = []
        for number, teacher in enumerate(self.members):
            try:
                columns.append(member(number, asked_query, asked_doc))
            except MissingScores as error:
                raise MissingScores(
                    f"teacher {number + 1} of the ensemble, {teacher.name}: {error.message}", hint=error.hint
                ) from error
        if shown is not None:
            shown.advance(len(query))
        return combine(columns, asked_query, self.weights, self.normalise)[back]
