"""What the filters dropped: a table beside the groups, and counts for the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rankstill.records import Rows, Scores32, read_parquet, write_parquet

DROPPED = "dropped.parquet"
_COLUMNS = ("query", "doc", "score", "positive", "positive_score", "rank", "judge_score", "filter")


@dataclass(frozen=True)
class Dropped:
    """Candidates that a filter took out of the negatives; all (n,), in the order of the candidates.

    Attributes:
        query, doc: uint32 rows.
        score: float32, the teacher's.
        positive: uint32 row of the query's lowest-scored positive, or of the teacher's best that stands in for it.
        positive_score: float32, the teacher's.
        rank: uint32 place in the query's candidate list, from 1.
        judge_score: float32, the judge's; NaN where it was not asked.
        filter: The filter's name: known, ranks, maximum, margin, ratio, judge.
    """

    query: Rows
    doc: Rows
    score: Scores32
    positive: Rows
    positive_score: Scores32
    rank: Rows
    judge_score: Scores32
    filter: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.query)

    def take(self, where: NDArray[Any]) -> Dropped:
        """Pick some rows."""
        return Dropped(**{c: getattr(self, c)[where] for c in _COLUMNS})

    def write(self, path: Path) -> None:
        """Write as Parquet: the columns by their names."""
        columns: dict[str, Any] = {c: getattr(self, c) for c in _COLUMNS}
        write_parquet(path, columns | {"filter": pa.array(self.filter.tolist(), pa.string())})

    @classmethod
    def read(cls, path: Path) -> Dropped:
        """Read what `write` wrote."""
        columns = read_parquet(path, list(_COLUMNS))
        names = np.array(columns.pop("filter").to_pylist(), np.str_)
        return Dropped(**{c: columns[c].to_numpy() for c in _COLUMNS[:-1]}, filter=names)

    def examples(self, name: str, count: int = 10) -> Dropped:
        """Pick the examples to look at of one filter: the highest above their positive; ties by query, then document.

        Another query each while there are enough queries.
        """
        rows = np.flatnonzero(self.filter == name)
        above = self.score[rows].astype(np.float64) - self.positive_score[rows]
        rows = rows[np.lexsort((self.doc[rows], self.query[rows], -np.nan_to_num(above, nan=-np.inf)))]
        firsts = np.sort(np.unique(self.query[rows], return_index=True)[1])
        others = np.setdiff1d(np.arange(len(rows)), firsts)
        return self.take(rows[np.concatenate([firsts, others])[:count]])
