"""How much memory this process may still take, and keeping what it has taken."""

from __future__ import annotations

import ctypes
import resource
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Numbers of glibc's mallopt(3)."""
_LARGEST = 32 << 20
"""The largest threshold that glibc takes."""
_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Count the bytes that this process can still take: what the system has, its control groups and its limits allow.

    Returns:
        The least of what the system calls available, what its control groups have left with
        their file pages, and what its limit of address space leaves; None where the system says none of these.
    """
    found = [n for n in (_system(), *_groups(), _address_space()) if n is not None]
    return max(min(found), 0) if found else None


def _system() -> int | None:
    return _field(Path("/proc/meminfo"), "MemAvailable:", 1024)


def _groups() -> Iterator[int]:
    """Yield what each control group above this process leaves, where it has a limit."""
    try:
        lines = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if controllers == "":
            yield from _left(_CGROUP, own, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            files = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
            yield from _left(_CGROUP / "memory", own, *files)


def _left(root: Path, own: str, limits: str, uses: str, inactive: str) -> Iterator[int]:
    folder = root / own.lstrip("/")
    for group in (folder, *folder.parents):
        if not group.is_relative_to(root):
            return
        limit, used = _number(group / limits), _number(group / uses)
        if limit is not None and used is not None:
            # Pages of files count as used, and are given back when memory is wanted.
            yield limit - used + (_field(group / "memory.stat", inactive, 1) or 0)


def _address_space() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _field(Path("/proc/self/status"), "VmSize:", 1024)
    return None if limit == resource.RLIM_INFINITY or used is None else limit - used


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text("ascii"))
    except (OSError, ValueError):
        # "max" is no limit.
        return None


def _field(file: Path, name: str, unit: int) -> int | None:
    try:
        lines = file.read_text("ascii").splitlines()
    except OSError:
        return None
    values = [line.split()[1] for line in lines if line.split()[:1] == [name]]
    return int(values[0]) * unit if values else None


@cache
def keep_freed_memory() -> bool:
    """Let the allocator keep freed memory for the next tensor, in place of returning it to the system at once.

    glibc returns large free blocks to the system: each pass of a model then waits for the system to clear the same
    gigabytes of pages, up to a fifth of a training step on a processor. The peak stays what it is; what is free below
    it stays with the process. Blocks above 32 MB are beyond what glibc can be told.

    Returns:
        Whether this allocator could be told.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        mallopt(name, value) for name, value in ((_MMAP_THRESHOLD, _LARGEST), (_TRIM_THRESHOLD, -1))
    )
