"""Other libraries for the benchmarks, in a virtual environment of their own; and rows of a table."""

from __future__ import annotations

import json
import resource
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


def measured(python: str, module: str, *arguments: object) -> dict[str, Any]:
    """Run a step of a benchmark in a process of its own, whose peak memory is its own; return what it told."""
    line = [python, "-m", module, *map(str, arguments)]
    done = subprocess.run(line, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(line)} ended with {done.returncode}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def tell(**figures: Any) -> None:
    """End a step: its figures and its peak memory, for `measured`."""
    print(json.dumps({**figures, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)


def seconds(work: Callable[[], T]) -> tuple[dict[str, float], T]:
    """Time some work: on the clock, and on the processor, which tells more where others use the machine too."""
    clock, processor = time.monotonic(), time.process_time()
    result = work()
    return {"clock": time.monotonic() - clock, "cpu": time.process_time() - processor}, result


def row(*cells: object) -> None:
    """Print a row of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
