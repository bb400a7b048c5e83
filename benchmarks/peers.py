"""Other libraries for the benchmarks, in a virtual environment of their own; steps, their memory, rows of a table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
ENVIRONMENTS = Path("/tmp/rankstill-bench")


def python_with(name: str, packages: Sequence[str]) -> str:
    """Make a virtual environment with some packages, once; return its Python."""
    folder = ENVIRONMENTS / name
    python = str(folder / "bin" / "python")
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "done").touch()
    return python


def measured(python: str, module: str, *arguments: object, threads: int = 0) -> dict[str, Any]:
    """Run a step of a benchmark in a process of its own, whose peak memory is its own; return what it told.

    All libraries get as many threads, where a number is given.
    """
    line = [python, "-m", module, *map(str, arguments)]
    limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **(dict.fromkeys(limits, str(threads)) if threads else {})}
    done = subprocess.run(line, check=False, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(line)} ended with {done.returncode}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def tell(**figures: Any) -> None:
    """End a step: its figures and its peak memory, for `measured`."""
    print(json.dumps({**figures, "peak_mb": own_peak_mb()}), flush=True)


def own_peak_mb() -> float:
    """Highest resident memory of this process in MB; not that of its parent, with which getrusage begins."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def free_memory() -> int:
    """Bytes that a process can take without the system swapping."""
    return int(Path("/proc/meminfo").read_text(encoding="ascii").split("MemAvailable:")[1].split()[0]) * 1024


def most_that_fits(needs: Callable[[int], float], most: int, memory: float) -> int:
    """Find the largest size, up to `most`, whose need in bytes is not above some memory; 0 for none.

    Args:
        needs: Rises with the size.
        most: The size that is wanted.
        memory: Bytes.
    """
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if needs(middle) <= memory else (low, middle - 1)
    return low


def seconds(work: Callable[[], T]) -> tuple[dict[str, float], T]:
    """Time some work: on the clock, and on the processor, which tells more where others use the machine too."""
    clock, processor = time.monotonic(), time.process_time()
    result = work()
    return {"clock": time.monotonic() - clock, "cpu": time.process_time() - processor}, result


def row(*cells: object) -> None:
    """Print a row of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
