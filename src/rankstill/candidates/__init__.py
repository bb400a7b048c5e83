"""Which documents might be negatives: one short file a strategy, one signature.

`STRATEGIES` maps a strategy's name to its function, `(Request) -> Pairs`.
"""

from __future__ import annotations

from rankstill.candidates import bm25, random, teacher
from rankstill.candidates.strategy import Request, Strategy

STRATEGIES: dict[str, Strategy] = {
    "random": random.sample,
    "bm25": bm25.sample,
    "teacher": teacher.sample,
}

__all__ = ["STRATEGIES", "Request", "Strategy"]
