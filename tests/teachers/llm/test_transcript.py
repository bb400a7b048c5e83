from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from rankstill.errors import DataError, OutputError
from rankstill.teachers.llm.answer import Answer
from rankstill.teachers.llm.budget import Budget
from rankstill.teachers.llm.reference import LlmReference
from rankstill.teachers.llm.transcript import Transcript


def opened(path):
    return Transcript(path, Budget(LlmReference("http://h/v1", "m")))


def entry(text, problem=None, counted=(7, 2)):
    told = {"answer": text, "top": [["Yes", -0.5]], "finish": "stop", "usage": [7, 2]}
    return {"prompt": [], "counted": counted, "problem": problem, **({} if problem else told)}


def test_what_was_answered_is_found_by_the_next_run(tmp_path):
    first, second = opened(tmp_path / "t.jsonl"), opened(tmp_path / "t.jsonl")
    with first.held():
        first.append("a", entry("Yes\u2028\U0001f600 \ud800"))
        first.append("b", entry("No"))
        assert first.find("b").text == "No"
    with second.held():
        assert second.find("a") == Answer("Yes\u2028\U0001f600 \ud800", [("Yes", -0.5)], "stop", (7, 2))
        assert second.find("c") is None
        assert ("b" in second, "c" in second) == (True, False)
    assert second._budget.requests == 2
    assert second._budget.tokens == (14, 4)


def test_a_failed_request_counts_in_the_budget_and_is_no_answer(tmp_path):
    transcript = opened(tmp_path / "t.jsonl")
    with transcript.held():
        transcript.append("a", entry("", problem="the answer is not JSON"))
    again = opened(tmp_path / "t.jsonl")
    with again.held():
        assert again.find("a") is None
    assert again._budget.requests == 1


@pytest.mark.parametrize("cut", [1, 2, 10, 50])
def test_a_torn_last_line_is_cut_off(tmp_path, cut):
    path = tmp_path / "t.jsonl"
    transcript = opened(path)
    with transcript.held():
        transcript.append("a", entry("Yes"))
        transcript.append("b", entry("No"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    again = opened(path)
    with again.held():
        assert again.find("a").text == "Yes"
        assert again.find("b") is None
        again.append("b", entry("No"))
    assert path.read_bytes() == whole


def test_the_same_transcript_goes_on_where_another_one_wrote(tmp_path):
    one, other = opened(tmp_path / "t.jsonl"), opened(tmp_path / "t.jsonl")
    for number, transcript in enumerate([one, other, one, other]):
        with transcript.held():
            transcript.append(str(number), entry(str(number)))
    with one.held():
        assert [one.find(str(n)).text for n in range(4)] == ["0", "1", "2", "3"]
    assert one._budget.requests == 4


def test_a_transcript_that_was_removed_begins_anew(tmp_path):
    transcript = opened(tmp_path / "t.jsonl")
    with transcript.held():
        transcript.append("a", entry("Yes"))
    (tmp_path / "t.jsonl").unlink()
    with transcript.held():
        assert transcript.find("a") is None
    assert transcript._budget.requests == 0


@pytest.mark.parametrize(
    "line", ["{broken", "[]", '{"request": "a"}', '{"request": "a", "counted": 3, "problem": null}']
)
def test_a_broken_line_inside_is_refused(tmp_path, line):
    path = tmp_path / "t.jsonl"
    path.write_text(line + "\n" + json.dumps({"request": "a", **entry("Yes")}) + "\n")
    with pytest.raises(DataError, match="is no transcript of rankstill at byte 0"), opened(path).held():
        pass


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    transcript = opened(tmp_path / "t.jsonl")
    write = os.write

    def full(file, data):
        if len(data) > 20:
            return write(file, data[:20])
        raise OSError(28, "No space left on device")

    def fill():
        with transcript.held():
            transcript.append("a", entry("Yes"))
            monkeypatch.setattr(os, "write", full)
            transcript.append("b", entry("No"))

    with pytest.raises(OutputError, match="no space left"):
        fill()
    monkeypatch.undo()
    assert (tmp_path / "t.jsonl").read_bytes().count(b"\n") == 1
    assert (tmp_path / "t.jsonl").read_bytes().endswith(b"}\n")


def test_a_second_process_waits_and_then_knows(tmp_path):
    path = tmp_path / "t.jsonl"
    script = (
        "import sys; from pathlib import Path; from tests.teachers.llm.test_transcript import opened\n"
        "t = opened(Path(sys.argv[1]))\n"
        "with t.held(): print(t.find('late').text)\n"
    )
    transcript = opened(path)
    with transcript.held():
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 30
        line = child.stderr.readline()
        assert "waiting for another process" in line, line
        assert time.monotonic() < deadline
        transcript.append("late", entry("Yes"))
    out, _ = child.communicate(timeout=30)
    assert out.strip() == "Yes"


def test_threads_write_whole_lines(tmp_path):
    transcript = opened(tmp_path / "t.jsonl")
    with transcript.held():
        threads = [threading.Thread(target=transcript.append, args=(str(n), entry(str(n) * n))) for n in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(transcript.find(str(n)).text == str(n) * n for n in range(40))
    again = opened(tmp_path / "t.jsonl")
    with again.held():
        assert all(again.find(str(n)).text == str(n) * n for n in range(40))
