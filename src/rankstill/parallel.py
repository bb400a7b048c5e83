"""The same work here, or on the workers of a Ray cluster; the results come in order, with the same bytes.

A stage that can be shared out asks `spread` for the results of its pieces. By default they are computed one after the
other in this process. Inside `with on_ray(...)` they are computed by the cluster's workers, which see the same files (a
shared file system, if they are several machines) and use as many threads as this process: a score's last bits depend on
nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from rankstill.errors import RankstillError, SpecError
from rankstill.progress import say

Piece = TypeVar("Piece")
Result = TypeVar("Result")
LOCAL = "local"


def unloaded(thing: object) -> dict[str, Any]:
    """Give the state of an object without what its cached properties hold: what another process can load itself.

    Paths become absolute: another process may stand in another folder.
    """
    kind = type(thing)
    kept = {k: v for k, v in vars(thing).items() if not isinstance(getattr(kind, k, None), cached_property)}
    return {k: v.resolve() if isinstance(v, Path) else v for k, v in kept.items()}


class _Pool(Protocol):
    def results(self, work: Callable[..., Any], shared: tuple[Any, ...], pieces: Iterable[Any]) -> Iterator[Any]: ...


_POOL: ContextVar[_Pool | None] = ContextVar("pool", default=None)


def is_spread() -> bool:
    """Tell whether the pieces go to other processes."""
    return _POOL.get() is not None


def spread(work: Callable[[Any, Piece], Result], shared: tuple[Any, ...], pieces: Iterable[Piece]) -> Iterator[Result]:
    """Compute `work(shared, piece)` for every piece, and yield the results in the order of the pieces.

    Args:
        work: A function of a module, not a closure.
        shared: What all pieces need, such as a model and texts. Each is sent to each worker once, also where the next
            work has the same object at the same place: a model that a worker loaded stays there.
        pieces: Small.
    """
    pool = _POOL.get()
    if pool is None:
        return (work(shared, piece) for piece in pieces)
    return pool.results(work, shared, pieces)


@contextlib.contextmanager
def on_ray(address: str = "", workers: int = 0) -> Iterator[None]:
    """Send the pieces to a Ray cluster.

    Args:
        address: The cluster's, "auto" for the one that this machine belongs to, or "local" to start one here that ends
            with the block. Where empty, nothing is sent anywhere.
        workers: How many; 0 for as many as the cluster's processors allow at this process's number of threads.

    Raises:
        SpecError: Ray is not installed, or there is no cluster at the address, or it has too few processors.
    """
    if not address:
        yield
        return
    ray = _ray()
    if ray.is_initialized():
        raise SpecError("this process is connected to a Ray cluster already", hint="ray.shutdown() before")
    threads = torch.get_num_threads()
    # Also where connecting fails halfway: what it started would live on.
    try:
        _connect(ray, address, threads, workers)
        there = int(ray.cluster_resources().get("CPU", 0)) // threads
        if there < max(workers, 1):
            raise SpecError(
                f"the cluster has processors for {there} workers of {threads} threads, {max(workers, 1)} are wanted",
                hint="fewer --workers, or fewer threads (OMP_NUM_THREADS)",
            )
        say(f"Ray: {workers or there} workers of {threads} threads")
        token = _POOL.set(_RayPool(ray, workers or there, threads))
        try:
            yield
        finally:
            _POOL.reset(token)
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str, threads: int, workers: int) -> None:
    try:
        if address == LOCAL:
            ray.init(num_cpus=threads * max(workers, 1), include_dashboard=False, log_to_driver=False)
        else:
            ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SpecError(
            f"no Ray cluster at {address}: {reason}", hint="--ray auto, --ray ADDRESS, or --ray local"
        ) from error


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise SpecError("Ray is not installed", hint="pip install 'rankstill[ray]'") from None
    return ray


class _Worker:
    """What runs in a worker's process."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self._held: dict[int, Any] = {}

    def hold(self, place: int, thing: Any) -> None:
        self._held[place] = thing

    def compute(self, work: Callable[[Any, Any], Any], count: int, piece: Any) -> Any:
        return work(tuple(self._held[place] for place in range(count)), piece)


class _RayPool:
    """A cluster's workers; each has two pieces at a time, so that it never waits for this process."""

    def __init__(self, ray: Any, workers: int, threads: int) -> None:
        self._ray = ray
        self._shared: dict[int, Any] = {}
        remote = ray.remote(num_cpus=threads)(_Worker)
        self._workers = [remote.remote(threads) for _ in range(workers)]

    def results(self, work: Callable[..., Any], shared: tuple[Any, ...], pieces: Iterable[Any]) -> Iterator[Any]:
        waiting: list[Any] = []
        for number, piece in enumerate(pieces):
            if len(waiting) == 2 * len(self._workers):
                yield self._answer(waiting.pop(0))
            self._hold(shared)
            waiting.append(self._workers[number % len(self._workers)].compute.remote(work, len(shared), piece))
        while waiting:
            yield self._answer(waiting.pop(0))

    def _hold(self, shared: tuple[Any, ...]) -> None:
        for place, thing in enumerate(shared):
            if place not in self._shared or self._shared[place] is not thing:
                held = self._ray.put(thing)
                for worker in self._workers:
                    worker.hold.remote(place, held)
                self._shared[place] = thing

    def _answer(self, waiting: Any) -> Any:
        try:
            return self._ray.get(waiting)
        except self._ray.exceptions.RayTaskError as error:
            # What is deliberate there is so here.
            if isinstance(error.cause, RankstillError):
                raise error.cause from None
            raise
