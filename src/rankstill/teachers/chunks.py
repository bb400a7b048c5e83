"""Scoring a chunk of pairs after the other, here or on a cluster's workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rankstill.collection.store import Collection
from rankstill.parallel import is_spread, spread
from rankstill.progress import Bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.cross_encoder import CrossEncoderTeacher
from rankstill.teachers.sequence import SequenceTeacher
from rankstill.teachers.teacher import Teacher


def chunk_scores(
    teacher: Teacher, collection: Collection, chunks: Iterable[tuple[Rows, Rows]], shown: Bar
) -> Iterator[Scores32]:
    """Yield the scores of chunks of pairs, in their order, each when it is asked for.

    Models that read both texts at once go to the workers whole. Those that encode texts send out their encoding, and
    comparing where it takes long (see `spread`), themselves; an ensemble's members do. Tables have little to do. A
    language model behind an endpoint is asked from here: its budget, its rate and its transcript are one.

    Args:
        teacher: Prepared.
        collection: Where the texts and ids are.
        chunks: (query, doc): (n,) rows each, at most `teacher.chunk`.
        shown: The bar to advance.
    """
    if is_spread() and isinstance(teacher, CrossEncoderTeacher | SequenceTeacher):
        for scores in spread(_score, (teacher, collection), chunks):
            yield scores
            shown.advance(len(scores))
    else:
        for query, doc in chunks:
            yield teacher.score(collection, query, doc, shown)


def _score(shared: tuple[Teacher, Collection], chunk: tuple[Rows, Rows]) -> Scores32:
    teacher, collection = shared
    return teacher.score(collection, *chunk)
