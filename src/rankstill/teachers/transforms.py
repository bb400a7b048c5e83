"""From the ranks of a run to scores, for teachers that only order: a stated transform of a document's position.

The position p of a document in its query's list runs from 1 (best) to n. Two sources may give it:

- the run's rank column (`by="rank"`), numbered anew from 1: gaps and a start at 0 do no harm;
- its scores (`by="score"`): equal scores share the mean of their positions.

Where neither is asked for, the rank column counts if it tells the documents of every query apart, and the scores else.
A run whose scores rise down its ranks contradicts itself: one of the two columns is not the teacher's. That is what a
reranker leaves that reorders a list and keeps the first stage's score beside each document, and its "scores" would
teach the first stage. Such a run is refused until `by` says which column to believe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError, SpecError, unknown_name
from rankstill.records import Scores32

Transform = Literal["score", "reciprocal-rank", "neg-rank", "log-rank", "linear"]
By = Literal["rank", "score"]
Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_OF_POSITION: dict[str, Callable[[Floats, Floats], Floats]] = {
    # 1, 1/2, 1/3, ...
    "reciprocal-rank": lambda p, n: 1 / p,
    # -1, -2, -3, ...
    "neg-rank": lambda p, n: -p,
    # 0, -0.69, -1.10, ...: its softmax is the reciprocal rank, shared out.
    "log-rank": lambda p, n: -np.log(p),
    # From 1 at the top of a list to 0 at its end; 1 for a list of one.
    "linear": lambda p, n: 1 - (p - 1) / np.maximum(n - 1, 1),
}
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)


def check_transform(transform: str, by: str | None) -> tuple[Transform, By | None]:
    """Check the names of a transform and of the column that orders.

    Raises:
        SpecError: There is no such transform or column, or `by=rank` is to give the file's scores.
    """
    if transform not in TRANSFORMS:
        raise unknown_name("transform", transform, TRANSFORMS)
    if by is not None and by not in get_args(By):
        raise unknown_name("column to order by", by, get_args(By))
    if transform == "score" and by == "rank":
        raise SpecError(
            "by=rank orders by the rank column, and transform=score takes the scores as they are",
            hint="choose a transform of ranks: reciprocal-rank, neg-rank, log-rank or linear",
        )
    return transform, cast("By | None", by)


def transformed(
    value: Scores32, rank: Floats | None, query: Codes, transform: Transform, by: By | None, what: str
) -> Scores32:
    """Turn the lines of a run into scores.

    Args:
        value: (n,) the score column.
        rank: (n,) the rank column, lower is better; None for a file without one.
        query: (n,) a number for each line's query.
        transform: What to make of a position; "score" leaves the score column as it is.
        by: Which column tells the position; None for the rank column where it can.
        what: The file, for messages.

    Returns:
        (n,) float32.

    Raises:
        DataError: The two columns contradict each other and `by` is None, or the rank column cannot order and `by` is
            "rank".
    """
    unique = rank is not None and _tells_apart(rank, query)
    if rank is not None and by is None:
        _refuse_contradiction(value, rank, query, what)
    if by == "rank" and not unique:
        raise DataError(
            f"{what} has no rank column that tells the documents of a query apart", hint="leave out by=rank"
        )
    if transform == "score":
        return value
    ordering = rank if unique and rank is not None and by != "score" else -value.astype(np.float64)
    position, size = positions(ordering, query)
    return _OF_POSITION[transform](position, size).astype(np.float32)


def positions(ordering: Floats, query: Codes) -> tuple[Floats, Floats]:
    """Place each line in its query's list.

    Args:
        ordering: (n,) lower is better; equal values share the mean of their positions.
        query: (n,) a number for each line's query.

    Returns:
        (n,) positions from 1, and (n,) the length of each line's list.
    """
    order = np.lexsort((ordering, query))
    starts = _starts(query[order])
    ties = np.flatnonzero(_new(query[order]) | _new(ordering[order]))
    lengths = np.diff(np.r_[ties, len(order)])
    place = np.repeat(ties + (lengths - 1) / 2, lengths) - starts + 1
    position, size = np.empty(len(order)), np.empty(len(order))
    position[order] = place
    firsts, counts = np.unique(starts, return_counts=True)
    size[order] = np.repeat(counts, counts) if len(firsts) else 0
    return position, size


def _new(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    return np.asarray(np.r_[True, values[1:] != values[:-1]][: len(values)], bool)


def _starts(query: Codes) -> Codes:
    """Find for each line of a sorted table where its query begins."""
    new = np.flatnonzero(_new(query))
    return np.repeat(new, np.diff(np.r_[new, len(query)])).astype(np.int64)


def _tells_apart(rank: Floats, query: Codes) -> bool:
    order = np.lexsort((rank, query))
    return bool((_new(query[order]) | _new(rank[order])).all())


def _refuse_contradiction(value: Scores32, rank: Floats, query: Codes, what: str) -> None:
    order = np.lexsort((rank, query))
    later = ~_new(query[order]) & _new(rank[order])
    rising = np.flatnonzero(later & (np.r_[0, np.diff(value[order])] > 0))
    if len(rising):
        first = order[rising[0]]
        raise DataError(
            f"{what}: {len(rising)} of {len(value)} scores are higher than the one a rank before (first: entry "
            f"{first + 1}, rank {rank[first]:g}, score {value[first]:g}): its ranks or its scores are not the "
            "teacher's",
            hint="say which to believe: #transform=log-rank,by=rank for the ranks, or #by=score for the scores",
        )
