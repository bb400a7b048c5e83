"""Progress: on stderr only, plain lines where there is no terminal, names as they are written."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from rankstill import progress
from rankstill.progress import Bar, bar, note, say, track


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    moved = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: moved.now))
    return moved


@pytest.fixture
def told(capsys):
    """Read the lines on stderr since the last time; nothing ever goes to stdout."""

    def read() -> list[str]:
        out, err = capsys.readouterr()
        assert out == ""
        return err.splitlines()

    return read


def test_short_work_says_nothing(clock, told):
    with bar("score", 10, "pairs") as shown:
        clock.now += 0.9
        shown.advance(10)
    assert told() == []


def test_long_work_gives_a_line_every_twenty_seconds_with_rate_and_time_left(clock, told):
    with bar("score", 2000, "pairs") as shown:
        clock.now += 19
        shown.advance(25)
        assert told() == []
        clock.now += 6
        shown.advance(25)
        # 50 in 25 s are 2 a second; the other 1,950 take 975 s.
        assert told() == ["score: 50 of 2,000 (2.00 pairs/s, 975 s left)"]
        clock.now += 19
        shown.advance()
        assert told() == [], "not yet twenty seconds since the last line"
        clock.now += 6
        shown.advance(949)
        assert told() == ["score: 1,000 of 2,000 (20 pairs/s, 50 s left)"]
    assert told() == ["score: 1,000 in 50 s (20 pairs/s)"]


def test_work_of_unknown_size_has_a_rate_and_no_end(clock, told):
    shown = Bar("load", None, "documents")
    clock.now += 40
    shown.advance(60_000)
    assert told() == ["load: 60,000 (1,500 documents/s)"]


def test_a_bar_ends_with_its_block_also_on_an_error(clock, told):
    def broken() -> None:
        with bar("score", 10, "pairs") as shown:
            clock.now += 4
            shown.advance(2)
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert told() == ["score: 2 in 4 s (0.50 pairs/s)"]


def test_tracked_items_pass_through_one_by_one(clock, told):
    taken = []

    def items():
        for i in range(3):
            taken.append(i)
            yield i

    passed = track(items(), "read", unit="lines")
    assert taken == [], "nothing is read before it is asked for"
    assert next(passed) == 0
    assert taken == [0]
    assert list(passed) == [1, 2]
    assert list(track([], "read")) == []
    clock.now += 60
    assert list(track("abc", "read")) == ["a", "b", "c"]
    assert told() == []


def test_tracking_counts_what_is_done(clock, told):
    for _ in track([10, 20, 30, 40], "read", unit="lines"):
        clock.now += 30
    lines = told()
    # The first item is done when the second is asked for: 1 of 4 in 30 s.
    assert lines[0] == "read: 1 of 4 (0.03 lines/s, 90 s left)"
    assert lines[-1] == "read: 4 in 120 s (0.03 lines/s)"


@pytest.mark.parametrize("text", ["query [7] of [red]x[/red]", "no [/closing", "class :key: or :cat:", "x" * 300])
def test_what_is_said_stands_there_as_it_is(told, text):
    say(text)
    assert told() == [text]
    note(text)
    assert told() == [f"note: {text}"]


def test_a_label_stands_there_as_it_is(clock, told):
    label = "load my[bold] :key: [/docs]"
    with bar(label, 3, "documents") as shown:
        clock.now += 30
        shown.advance(3)
    assert told() == [f"{label}: 3 of 3 (0.10 documents/s, 0 s left)", f"{label}: 3 in 30 s (0.10 documents/s)"]


def test_a_terminal_gets_a_bar(monkeypatch, told):
    screen = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=screen, force_terminal=True, width=150))
    with bar("load [/docs] :key:", 10, "documents") as shown:
        shown.advance(4)
    last = next(line for line in reversed(screen.getvalue().splitlines()) if "documents/s" in line)
    assert "load [/docs] :key:" in last
    assert "4/10" in last
    assert told() == []
