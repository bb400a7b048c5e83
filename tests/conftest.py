from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """Find a real test collection by name, or skip the test."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"the test collection {name} is not at {path}")
        return path

    return find


class Done(NamedTuple):
    """What a command line left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def rankstill(monkeypatch, capfd, tmp_path) -> Callable[..., Done]:
    """Run command lines in this process, from an empty folder, without the embedded default."""
    import rankstill.cli
    import rankstill.studies.distill
    from rankstill.progress import console

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rankstill.studies.distill, "embedded_is_installed", lambda: False)
    monkeypatch.setattr(console, "width", 300)

    def run(*args: object, stdin: str = "") -> Done:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["rankstill", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            rankstill.cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return Done(code, *capfd.readouterr())

    return run
