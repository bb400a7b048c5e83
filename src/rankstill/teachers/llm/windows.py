"""Ranking a long list by a model that can order a short one: RankGPT's sliding window, from back to front."""

from __future__ import annotations

from collections.abc import Callable, Iterator


def windows(count: int, size: int, stride: int) -> Iterator[tuple[int, int]]:
    """List the windows over `count` places, from the back to the front; the last one begins at place 0.

    Source: https://arxiv.org/abs/2304.09542, section 3.2. Unlike its code, which leaves out the first places where the
    stride does not divide their number, this reaches every place.

    >>> list(windows(25, 20, 10))
    [(5, 25), (0, 15)]
    """
    stop = count
    while count > 1:
        start = max(stop - size, 0)
        yield start, stop
        if start == 0:
            return
        stop -= stride


def slide(count: int, size: int, stride: int, order: Callable[[list[int]], list[int]]) -> list[int]:
    """Rank `count` documents, given in their first order.

    Args:
        count: How many there are.
        size: Documents of a window at most.
        stride: Places from one window's end to the next one's.
        order: Ranks the documents of one window, given as places in the first order: a permutation of them.

    Returns:
        The places in the first order, the best document's first.
    """
    ranked = list(range(count))
    for start, stop in windows(count, size, stride):
        ranked[start:stop] = order(ranked[start:stop])
    return ranked
