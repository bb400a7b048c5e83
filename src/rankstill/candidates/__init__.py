"""Which documents might be negatives: one short file a strategy, one signature.

`STRATEGIES` maps a strategy's name to its class, whose fields are its options. `open_strategy("bm25#k1=0.9,skip=10")`
makes one; `strategy.sample(request)` draws.
"""

from __future__ import annotations

from rankstill.candidates.bm25 import BM25Strategy
from rankstill.candidates.dark import Dark
from rankstill.candidates.dense import Dense
from rankstill.candidates.ensemble import Ensemble
from rankstill.candidates.hard_negatives import HardNegatives
from rankstill.candidates.mixture import Mixture
from rankstill.candidates.random import Random
from rankstill.candidates.references import parse
from rankstill.candidates.run import Run
from rankstill.candidates.strategy import Needs, Request, Strategy, Vectors
from rankstill.candidates.stratified import Stratified
from rankstill.candidates.teacher import Hardest
from rankstill.candidates.trisampler import TriSampler

STRATEGIES: dict[str, type[Strategy]] = {
    "random": Random,
    "bm25": BM25Strategy,
    "dense": Dense,
    "teacher": Hardest,
    "run": Run,
    "hard-negatives": HardNegatives,
    "ensemble": Ensemble,
    "stratified": Stratified,
    "mixture": Mixture,
    "trisampler": TriSampler,
    "dark": Dark,
}


def open_strategy(reference: str) -> Strategy:
    """Make a strategy from `NAME`, `NAME:ARGUMENT` or `NAME#option=value,option=value`.

    >>> str(open_strategy("bm25#skip=10,k1=1.2"))
    'bm25#skip=10'

    Raises:
        SpecError: The strategy or an option is unknown, or a value is not of its option's kind.
    """
    return parse(reference, STRATEGIES)


__all__ = ["STRATEGIES", "Needs", "Request", "Strategy", "Vectors", "open_strategy"]
