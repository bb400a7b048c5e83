"""Rules against false negatives: pure functions of scores and ranks, and their composition.

Every rule maps the teacher's scores of n candidates, the score of a positive, or the candidates' ranks, to a mask of
the candidates that may stay. A score that is not a number is never dropped here: what it means is for others to say.

- `below_margin`: the teacher scores it below the lowest positive less a margin (Parry et al., arXiv 2505.21058).
- `below_ratio`: the same with a share of the positive's score (Moreira et al., arXiv 2407.15831).
- `at_most`: the teacher scores it no higher than so much.
- `after_rank`: it does not stand among the first of the candidate list, where unlabelled positives are most frequent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import SpecError, unknown_name

Keep = NDArray[np.bool_]
Action = Literal["drop", "relabel", "drop-query"]
ACTIONS: tuple[Action, ...] = ("drop", "relabel", "drop-query")
Floats = NDArray[np.floating]


def below_margin(score: Floats, positive: Floats | float, margin: float) -> Keep:
    """Keep what scores below the positive less a margin: the same for scores that are all shifted.

    Args:
        score: (n,) the teacher's scores.
        positive: The (lowest) positive's score, one for all or (n,); NaN, where there is none, keeps everything.
        margin: 0 drops what scores as high as the positive; below 0 tolerates as much above it.

    Returns:
        (n,) bool.
    """
    return np.asarray(~(_float(score) >= _float(positive) - margin))


def below_ratio(score: Floats, positive: Floats | float, ratio: float) -> Keep:
    """Keep what scores below so much of the positive's score: the same for scores that are all multiplied.

    It means nothing where scores are below 0; see `FilterSpec.ratio`.

    Args:
        score: (n,) the teacher's scores, 0 or more.
        positive: The (lowest) positive's score, one for all or (n,); NaN keeps everything.
        ratio: Above 0; 0.95 drops what reaches 95% of the positive's score.

    Returns:
        (n,) bool.
    """
    return np.asarray(~(_float(score) >= _float(positive) * ratio))


def at_most(score: Floats, most: float) -> Keep:
    """Keep what scores no higher than `most`: (n,) scores in, (n,) bool out."""
    return np.asarray(~(_float(score) > most))


def after_rank(rank: NDArray[np.integer], skip: int) -> Keep:
    """Keep what stands after the first `skip` ranks: (n,) ranks from 1 in, (n,) bool out."""
    return np.asarray(rank > skip)


def _float(score: Floats | float) -> NDArray[np.float64]:
    # A margin taken in float32 would be rounded differently at 1 and at 1,000.
    return np.asarray(score, np.float64)


@dataclass(frozen=True)
class JudgeSpec:
    """Which candidates a judge is asked about, and what its word does.

    Attributes:
        threshold: The judge's score from which a document is relevant.
        action: What happens to a document that the judge calls relevant: it is dropped, it becomes a positive of its
            query (label 1), or its whole query goes (Thakur et al., arXiv 2505.16967, section 3).
        suspicious: A candidate is suspicious, and judged, if the other rules keep it and its teacher's score is at
            least the lowest positive's less this margin.
    """

    threshold: float = 0.5
    action: Action = "drop"
    suspicious: float = 0.0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise unknown_name("judge's action", self.action, ACTIONS)
        _refuse_infinite(judge_threshold=self.threshold, suspicious=self.suspicious)


def judge_spec(reference: str, threshold: float, action: str, suspicious: float) -> JudgeSpec | None:
    """Make the judge's rule of a command line; None where no judge is named.

    Raises:
        SpecError: The action is unknown, or a number is not finite.
    """
    return JudgeSpec(threshold, cast(Action, action), suspicious) if reference else None


@dataclass(frozen=True)
class FilterSpec:
    """The rules to apply, in this order: ranks, maximum, margin, ratio, judge. None of them by default.

    "The positive" is the lowest-scored of the query's judged positives. Where nobody judged, it is the teacher's best
    candidate, which stands in for it and is never dropped itself.

    Attributes:
        skip_ranks: Drop the first so many of each query's candidates, in the list's order.
        max_score: Drop what the teacher scores higher than this.
        margin: Drop what does not score below the positive less this margin.
        ratio: Drop what does not score below this share of the positive's score. Refused where the teacher gives scores
            below 0, which no ratio orders.
        judge: Ask a judge about what is left and suspicious.
    """

    skip_ranks: int = 0
    max_score: float | None = None
    margin: float | None = None
    ratio: float | None = None
    judge: JudgeSpec | None = None

    def __post_init__(self) -> None:
        _refuse_infinite(max_score=self.max_score, margin=self.margin, ratio=self.ratio)
        if self.skip_ranks < 0:
            raise SpecError(f"cannot skip {self.skip_ranks} ranks", hint="--skip-ranks takes 0 or more")
        if self.ratio is not None and self.ratio <= 0:
            raise SpecError(f"a ratio of {self.ratio:g} drops everything", hint="--ratio takes a share such as 0.95")
        if self.judge is not None and self.margin is not None and self.judge.suspicious <= self.margin:
            raise SpecError(
                f"the margin {self.margin:g} drops all that is suspicious (within {self.judge.suspicious:g} of the "
                "positive), so nothing would be judged",
                hint="raise --suspicious above --margin, or leave --margin out",
            )

    def __bool__(self) -> bool:
        return self != FilterSpec()


@dataclass(frozen=True)
class Candidate:
    """The candidates of one or many queries, as the rules see them; all (n,).

    Attributes:
        score: The teacher's scores.
        positive: The score of the (lowest) positive of each one's query; NaN where there is none.
        rank: Place in its query's candidate list, from 1.
    """

    score: Floats
    positive: Floats
    rank: NDArray[np.integer]


def rules(spec: FilterSpec, seen: Candidate) -> list[tuple[str, Keep]]:
    """Apply each rule of a spec to all candidates, by itself: its name and its mask, in their order."""
    found: list[tuple[str, Keep]] = []
    if spec.skip_ranks:
        found.append(("ranks", after_rank(seen.rank, spec.skip_ranks)))
    if spec.max_score is not None:
        found.append(("maximum", at_most(seen.score, spec.max_score)))
    if spec.margin is not None:
        found.append(("margin", below_margin(seen.score, seen.positive, spec.margin)))
    if spec.ratio is not None:
        found.append(("ratio", below_ratio(seen.score, seen.positive, spec.ratio)))
    return found


def first_to_drop(masks: Sequence[Keep], count: int) -> NDArray[np.int8]:
    """Tell which mask drops each of `count` candidates first: its place, or -1 where all keep it."""
    which = np.full(count, -1, np.int8)
    for place, keep in enumerate(masks):
        which[(which < 0) & ~keep] = place
    return which


def _refuse_infinite(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise SpecError(f"{name} is {value}; it must be a finite number")
