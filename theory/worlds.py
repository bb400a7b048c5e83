"""Finite metric-measure spaces: a few queries, a few documents each, every population quantity a finite mean.

The law nu_q of a sampled document, and mu_q of a target document, are uniform on lists of `LIST` rows with repetition.
So all groups of k independent documents are LIST^k equally likely rows, expectations are plain means over them, and the
optimal transport between nu_q and mu_q is an assignment: nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.randomness import rng_for

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

LIST = 6
FEW = 5


@dataclass(frozen=True)
class Groups:
    """Equally likely groups: `queries` (G,), `docs` (G, k) rows of that query's documents."""

    queries: Ints
    docs: Ints

    def of(self, values: Floats) -> Floats:
        """Look up values of documents, (Q, m, ...) -> (G, k, ...)."""
        return values[self.queries[:, None], self.docs]

    def margins(self, values: Floats) -> Floats:
        """Differences over the unordered pairs of each group, (Q, m, ...) -> (G, P, ...)."""
        first, second = np.triu_indices(self.docs.shape[1], 1)
        found = self.of(values)
        return found[:, first] - found[:, second]

    def __getitem__(self, rows: Any) -> Groups:
        return Groups(self.queries[rows], self.docs[rows])

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True, eq=False)
class World:
    """A world whose truth is known.

    Attributes:
        vectors: (Q, m, dim) phi.
        drawn: (Q, LIST) the list of nu_q.
        target: (Q, LIST) the list of mu_q.
        teacher: (Q, m) g.
        student: (Q, m) f of any kind.
        truth: (Q, m) scores of the true preference, p* = s of their differences.
        weights: (dim,) a linear head, |w| <= radius.
        radius: L.
        temperature: tau.
        size: k.
        law: How groups are drawn: independent, distinct (without replacement), positive (a fixed document and k-1
            independent ones).
        seed: Of what is drawn inside checks.
        groups_drawn: n, for samples that are enumerated.
        hard: Whether labels are 0 or 1, of the teacher's order, rather than probabilities.
        delta: The probability with which bounds may fail.
        few_rows: Which groups `few` are; drawn if None.
    """

    vectors: Floats
    drawn: Ints
    target: Ints
    teacher: Floats
    student: Floats
    truth: Floats
    weights: Floats
    radius: float = 1.0
    temperature: float = 1.0
    size: int = 3
    law: str = "independent"
    seed: int = 0
    groups_drawn: int = 3
    hard: bool = False
    delta: float = 0.05
    few_rows: tuple[int, ...] | None = None

    def rng(self, name: str) -> np.random.Generator:
        """A generator of this world's own, for one purpose."""
        return rng_for(self.seed, "world", name)

    @cached_property
    def linear(self) -> Floats:
        """(Q, m) scores of the linear head."""
        return self.vectors @ self.weights

    @cached_property
    def lipschitz(self) -> Floats:
        """(Q, m) scores of a student that is L-Lipschitz but not linear: the least of cones over anchors."""
        anchors = self.rng("anchors").normal(size=(self.vectors.shape[0], 3))
        distances = self.distances[:, :, :3]
        return (anchors[:, None, : distances.shape[2]] + self.radius * distances).min(axis=2)

    @cached_property
    def distances(self) -> Floats:
        """(Q, m, m) d_q."""
        return np.linalg.norm(self.vectors[:, :, None] - self.vectors[:, None, :], axis=-1)

    @cached_property
    def steepness(self) -> float:
        """L_g, the smallest Lipschitz constant of the teacher; infinite if it parts documents in one place."""
        steps = np.abs(self.teacher[:, :, None] - self.teacher[:, None, :])
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.where(steps > 0, steps / self.distances, 0).max())

    @cached_property
    def unit(self) -> bool:
        """Whether all vectors have norm 1, as rankstill's embeddings do."""
        return bool(np.allclose(np.linalg.norm(self.vectors, axis=-1), 1, atol=1e-12))

    @cached_property
    def groups(self) -> Groups:
        """All groups of the sampling law."""
        return enumerate_groups(self.drawn, self.size, self.law)

    @cached_property
    def few(self) -> Groups:
        """At most FEW groups, for enumerating samples of groups: their law may be anything."""
        if self.few_rows is not None:
            return self.groups[list(self.few_rows)]
        return self.groups[self.rng("few").integers(len(self.groups), size=FEW)]

    @cached_property
    def drawn_pairs(self) -> Groups:
        """All pairs of independent documents of nu_q."""
        return enumerate_groups(self.drawn, 2)

    @cached_property
    def target_pairs(self) -> Groups:
        """All pairs of independent documents of mu_q."""
        return enumerate_groups(self.target, 2)


def enumerate_groups(lists: Ints, size: int, law: str = "independent") -> Groups:
    """List all groups of a law, each as often as it is likely."""
    lengths = lists.shape[1]
    if law == "distinct":
        rows = np.array(list(permutations(range(lengths), size)))
    elif law in ("positive", "positive_and_others"):
        others = range(law == "positive_and_others", lengths)
        rows = np.array([(0, *rest) for rest in product(others, repeat=size - 1)])
    else:
        rows = np.array(list(product(range(lengths), repeat=size)))
    queries = np.repeat(np.arange(len(lists)), len(rows))
    return Groups(queries, lists[:, rows].reshape(-1, size))


def random_world(seed: int, index: int) -> World:
    """Make the world of a number."""
    rng = rng_for(seed, "world", index)
    queries, documents, dim = int(rng.integers(2, 4)), int(rng.integers(4, 7)), int(rng.integers(1, 4))
    vectors = rng.normal(size=(queries, documents, dim)) * np.exp(rng.uniform(-2, 0.5))
    if dim > 1 and rng.random() < 0.8:
        # A common direction of varying weight: from crowded to spread out.
        vectors += rng.uniform(0, 3) * np.eye(dim)[0]
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    radius = float(np.exp(rng.uniform(-1.2, 1.2)))
    direction = rng.normal(size=dim)
    weights = direction / np.linalg.norm(direction) * radius * rng.random()
    teacher = _teacher(rng, vectors) * np.exp(rng.uniform(-2, 1))
    world = World(
        vectors,
        rng.integers(documents, size=(queries, LIST)),
        rng.integers(documents, size=(queries, LIST)),
        teacher,
        _student(rng, teacher),
        teacher + rng.normal(size=teacher.shape) * rng.choice([0.05, 1]),
        weights,
        radius,
        float(np.exp(rng.uniform(-1.6, 1.6))),
        size=int(rng.choice([2, 3, 3])),
        law=str(rng.choice(["independent", "distinct", "positive"])),
        seed=int(rng.integers(1 << 40)),
        groups_drawn=int(rng.integers(1, 6)),
        hard=bool(rng.random() < 0.3),
    )
    # In a third of the worlds the target is among what is drawn, so that its density kappa is finite.
    return replace(world, target=_within(rng, world.drawn)) if rng.random() < 0.4 else world


def line(places: list[float], drawn: list[list[int]], target: list[list[int]] | None = None, **more: Any) -> World:
    """A world on a line, the same places for every query; the teacher is the place itself unless given."""
    queries = len(drawn)
    spots = np.tile(np.array(places, float), (queries, 1))
    given: dict[str, Any] = {"teacher": spots, "student": np.zeros_like(spots), "weights": np.zeros(1)}
    given["truth"] = np.asarray(more.get("teacher", spots), float)
    lists = np.array(drawn)
    return World(spots[:, :, None], lists, lists if target is None else np.array(target), **{**given, **more})


def _teacher(rng: np.random.Generator, vectors: Floats) -> Floats:
    makers: list[Callable[[], Floats]] = [
        lambda: vectors @ rng.normal(size=vectors.shape[-1]),
        lambda: np.sin(3 * vectors.sum(-1)) + vectors[..., 0],
        lambda: rng.normal(size=vectors.shape[:2]),
    ]
    return makers[rng.integers(3)]() * 2


def _student(rng: np.random.Generator, teacher: Floats) -> Floats:
    makers: list[Callable[[], Floats]] = [
        lambda: rng.normal(size=teacher.shape),
        lambda: 0.8 * teacher + 0.1 * rng.normal(size=teacher.shape),
        lambda: -0.05 * teacher,
    ]
    return makers[rng.integers(3)]()


def _within(rng: np.random.Generator, lists: Ints) -> Ints:
    picks = rng.integers(lists.shape[1], size=lists.shape)
    return np.take_along_axis(lists, picks, axis=1)
