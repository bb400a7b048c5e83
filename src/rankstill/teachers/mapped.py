"""Giving back the memory of mapped files that has been read, where the system can be told so."""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from typing import Any

from numpy.typing import NDArray

_DONT_NEED = 4


def forget(values: NDArray[Any]) -> None:
    """Let go of the pages of a mapped file that hold some values; reading them again fetches them again.

    Without it every page that was ever read counts as this process's memory, and the system takes it back late.

    Args:
        values: A contiguous array in a read-only mapping of a file. Never one in memory of its own: it would be lost.
    """
    advise = _advise()
    if advise is not None and values.nbytes:
        start = values.ctypes.data
        first = start - start % mmap.PAGESIZE
        advise(first, start + values.nbytes - first, _DONT_NEED)


@cache
def _advise() -> Any:
    if sys.platform != "linux":
        return None
    function = getattr(ctypes.CDLL(None), "madvise", None)
    if function is not None:
        function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function
