"""What is checked: a statement, the claim it makes about one world, and a broken variant that must be caught."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.worlds import World

TOLERANCE = 1e-10
"""Relative to max(1, |value|): what rounding may do to an identity or an inequality."""
CAUGHT = 1e-6
"""How far a broken variant must be from the truth to count as caught: rounding alone never does."""

Kind = Literal["=", "<=", "P"]


@dataclass(frozen=True)
class Claim:
    """`left` = `right`, or `left` <= `right`, in one world; entry by entry where they are arrays.

    Attributes:
        left: What is bounded, or one side of the identity.
        right: The other.
        broken: The right side of the broken variant; `broken_left`, where given, its left side.
    """

    left: ArrayLike
    right: ArrayLike
    broken: ArrayLike | None = None
    broken_left: ArrayLike | None = None


@dataclass(frozen=True)
class Frequency:
    """How often a stated event of probability at most `delta` happened: a Monte-Carlo, or an exact probability."""

    failures: float
    trials: int
    broken_failures: float
    delta: float
    exact: bool = False

    def too_often(self, failures: float) -> bool:
        """Whether so many failures contradict the stated probability: beyond 4 standard errors, or at all if exact."""
        slack = 0 if self.exact else 4 * math.sqrt(self.delta * (1 - self.delta) * self.trials)
        return failures > self.delta * self.trials + slack + 1e-12


@dataclass(frozen=True)
class Statement:
    """One checked statement.

    Attributes:
        label: As in docs/theory.md, such as "3.2k".
        title: What it says, in one line.
        kind: "=" identity, "<=" inequality, "P" probability.
        broken: How the broken variant is wrong.
        check: Makes the claim about a world, or the frequency from a generator and a number of trials.
        uses: The functions of rankstill that it runs.
        sharp: Worlds beside the random ones, where the statement is nearly an equality.
        every: Only each so-many-th random world: for what is slow.
    """

    label: str
    title: str
    kind: Kind
    broken: str
    check: Callable[..., Any]
    uses: tuple[str, ...] = ()
    sharp: tuple[Callable[[], World], ...] = ()
    every: int = 1


@dataclass
class Result:
    """What became of a statement.

    Attributes:
        worlds: Worlds, or trials, in which it was checked.
        violations: In how many of them it failed.
        worst: Largest relative error of an identity; largest left/right of an inequality; frequency of failure.
        caught: In how many worlds the broken variant was caught.
        unseen: Places, among the claims of a statement, of broken variants that no world has caught.
        probability: The stated probability, for a frequency.
        broken_frequency: The largest frequency of failure of the broken variant.
    """

    statement: Statement
    worlds: int = 0
    violations: int = 0
    worst: float = -math.inf
    caught: int = 0
    unseen: frozenset[int] = frozenset()
    probability: float | None = None
    broken_frequency: float = 0.0

    @property
    def passed(self) -> bool:
        """The statement held everywhere, and each of its broken variants was caught."""
        return self.worlds > 0 and self.violations == 0 and self.caught > 0 and not self.unseen


REGISTRY: list[Statement] = []


def identity(label: str, title: str, *, broken: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function World -> Claim (or several) as an identity."""
    return _register(label, title, "=", broken, more)


def inequality(
    label: str, title: str, *, broken: str, **more: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function World -> Claim (or several) as an inequality."""
    return _register(label, title, "<=", broken, more)


def probability(
    label: str, title: str, *, broken: str, **more: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function (generator, trials) -> Frequency (or several, of which all must hold)."""
    return _register(label, title, "P", broken, more)


def _register(
    label: str, title: str, kind: Kind, broken: str, more: dict[str, Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def note(check: Callable[..., Any]) -> Callable[..., Any]:
        REGISTRY.append(Statement(label, title, kind, broken, check, **more))
        return check

    return note


def check_worlds(statement: Statement, worlds: Iterable[World]) -> Result:
    """Check an identity or an inequality in every world, and its broken variant too."""
    result, broken, seen = Result(statement), set[int](), set[int]()
    for world in (*worlds, *(make() for make in statement.sharp)):
        claims = list(_listed(statement.check(world)))
        if not claims:
            continue  # says nothing about this world, such as one with a teacher that has no slope
        result.worlds += 1
        errors = [_error(statement.kind, c.left, c.right) for c in claims]
        result.violations += any(not e.size or not (e <= TOLERANCE).all() for e in errors)
        result.worst = max(result.worst, *(_worst(statement.kind, c) for c in claims))
        caught = {place for place, c in enumerate(claims) if _is_caught(statement.kind, c)}
        result.caught += bool(caught)
        seen |= caught
        broken |= {place for place, c in enumerate(claims) if c.broken is not None}
    result.unseen = frozenset(broken - seen)
    return result


def check_frequency(statement: Statement, rng: np.random.Generator, trials: int) -> Result:
    """Check a stated probability by simulation or exactly."""
    result = Result(statement)
    for frequency in _listed(statement.check(rng, trials)):
        result.worlds += frequency.trials
        result.violations += frequency.too_often(frequency.failures)
        share = frequency.failures / frequency.trials
        if share / frequency.delta >= result.worst / (result.probability or 1):
            result.worst, result.probability = share, frequency.delta
        result.broken_frequency = max(result.broken_frequency, frequency.broken_failures / frequency.trials)
        result.caught += frequency.too_often(frequency.broken_failures)
    return result


def _listed(claims: Any) -> Iterator[Any]:
    if claims is None:
        return iter(())
    return iter(claims) if isinstance(claims, Sequence) or hasattr(claims, "__next__") else iter([claims])


def _error(kind: Kind, left: ArrayLike, right: ArrayLike) -> NDArray[np.float64]:
    left, right = np.broadcast_arrays(np.asarray(left, float), np.asarray(right, float))
    if kind == "<=" and np.isinf(right).any():  # an infinite bound holds, and says nothing
        left, right = np.where(np.isinf(right), 0, left), np.where(np.isinf(right), 0, right)
    scale = np.maximum(1, np.maximum(np.abs(left), np.abs(right)))
    difference = (left - right) / scale
    return np.abs(difference) if kind == "=" else difference


def _worst(kind: Kind, claim: Claim) -> float:
    if kind == "=":
        return float(_error(kind, claim.left, claim.right).max())
    left, right = np.broadcast_arrays(np.asarray(claim.left, float), np.asarray(claim.right, float))
    fine = (right > TOLERANCE) & np.isfinite(right)
    return float((left[fine] / right[fine]).max()) if fine.any() else -math.inf


def _is_caught(kind: Kind, claim: Claim) -> bool:
    if claim.broken is None:
        return False
    left = claim.left if claim.broken_left is None else claim.broken_left
    return bool((_error(kind, left, claim.broken) > CAUGHT).any())
