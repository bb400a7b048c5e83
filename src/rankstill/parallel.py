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
from typing import Any, Protocol, TypeVar

import torch

from rankstill.errors import SpecError
from rankstill.progress import say

Piece = TypeVar("Piece")
Result = TypeVar("Result")
LOCAL = "local"


def unloaded(thing: object) -> dict[str, Any]:
    """Give the state of an object without what its cached properties hold: what another process can load itself."""
    kind = type(thing)
    return {k: v for k, v in vars(thing).items() if not isinstance(getattr(kind, k, None), cached_property)}


class _Pool(Protocol):
    def results(self, work: Callable[..., Any], shared: Any, pieces: Iterable[Any]) -> Iterator[Any]: ...


_POOL: ContextVar[_Pool | None] = ContextVar("pool", default=None)


def is_spread() -> bool:
    """Tell whether the pieces go to other processes."""
    return _POOL.get() is not None


def spread(work: Callable[[Any, Piece], Result], shared: Any, pieces: Iterable[Piece]) -> Iterator[Result]:
    """Compute `work(shared, piece)` for every piece, and yield the results in the order of the pieces.

    Args:
        work: A function of a module, not a closure.
        shared: What all pieces need, a model for instance; sent to each worker once.
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
    threads = torch.get_num_threads()
    try:
        if address == LOCAL:
            ray.init(num_cpus=threads * max(workers, 1), include_dashboard=False, log_to_driver=False)
        else:
            ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise SpecError(
            f"no Ray cluster at {address}: {str(error).splitlines()[0]}",
            hint="--ray auto, --ray ADDRESS, or --ray local",
        ) from error
    try:
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
        self._held: tuple[int, Any] = (-1, None)

    def hold(self, number: int, shared: Any) -> None:
        self._held = number, shared

    def compute(self, work: Callable[[Any, Any], Any], piece: Any) -> Any:
        return work(self._held[1], piece)


class _RayPool:
    """A cluster's workers; each has two pieces at a time, so that it never waits for this process."""

    def __init__(self, ray: Any, workers: int, threads: int) -> None:
        self._ray, self._number = ray, 0
        remote = ray.remote(num_cpus=threads)(_Worker)
        self._workers = [remote.remote(threads) for _ in range(workers)]

    def results(self, work: Callable[..., Any], shared: Any, pieces: Iterable[Any]) -> Iterator[Any]:
        self._number += 1
        held = self._ray.put(shared)
        for worker in self._workers:
            worker.hold.remote(self._number, held)
        waiting: list[Any] = []
        for number, piece in enumerate(pieces):
            if len(waiting) == 2 * len(self._workers):
                yield self._ray.get(waiting.pop(0))
            waiting.append(self._workers[number % len(self._workers)].compute.remote(work, piece))
        while waiting:
            yield self._ray.get(waiting.pop(0))
