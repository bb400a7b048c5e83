"""Progress bars with a rate and an ETA, on stderr, so that stdout carries data only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")

# No emoji, and no markup where a name is printed: ids and paths may hold colons and square brackets.
console = Console(stderr=True, highlight=False, emoji=False)
_LOG_EVERY = 20.0
"""Seconds between the lines that stand in for a bar when stderr is not a terminal."""


class Bar:
    """One bar: `advance(n)` by so many units of work."""

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self._began = self._logged = time.monotonic()
        self._progress: Progress | None = None
        if console.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description:<28}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]:>16}"),
                TimeElapsedColumn(),
                TextColumn("eta"),
                TimeRemainingColumn(),
                console=console,
            )
            self._task = self._progress.add_task(label, total=total, rate="")
            self._progress.start()

    def advance(self, units: int = 1) -> None:
        """Record finished work."""
        self.done += units
        now = time.monotonic()
        if self._progress is not None:
            self._progress.update(self._task, advance=units, rate=self._rate(now))
        elif now - self._logged > _LOG_EVERY:
            self._logged = now
            of = f" of {self.total:,}" if self.total else ""
            eta = ""
            if self.total and self.done:
                eta = f", {(self.total - self.done) * (now - self._began) / self.done:.0f} s left"
            console.print(f"{self.label}: {self.done:,}{of} ({self._rate(now)}{eta})", markup=False)

    def _rate(self, now: float) -> str:
        rate = self.done / max(now - self._began, 1e-9)
        return f"{rate:,.0f} {self.unit}/s" if rate >= 10 else f"{rate:.2f} {self.unit}/s"

    def close(self) -> None:
        """Stop drawing and, where something long was done, leave its rate on the screen."""
        now = time.monotonic()
        if self._progress is not None:
            self._progress.stop()
        elif now - self._began > 1.0:
            console.print(f"{self.label}: {self.done:,} in {now - self._began:.0f} s ({self._rate(now)})", markup=False)


@contextmanager
def bar(label: str, total: int | None, unit: str = "items") -> Iterator[Bar]:
    """Show a bar while the block runs."""
    shown = Bar(label, total, unit)
    try:
        yield shown
    finally:
        shown.close()


def track(items: Iterable[T], label: str, total: int | None = None, unit: str = "items") -> Iterator[T]:
    """Pass items through, showing how many went by."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(label, total, unit) as shown:
        for item in items:
            yield item
            shown.advance()


def say(message: str) -> None:
    """Tell the user something, on stderr."""
    console.print(message, soft_wrap=True, markup=False)
    sys.stderr.flush()


def note(message: str) -> None:
    """Tell the user something that changes how the result should be read, on stderr."""
    console.print("note: ", style="yellow", end="")
    say(message)
