"""Outputs are whole or absent, finished stages are skipped, other runs' folders are refused."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rankstill.errors import DataError, OutputError
from rankstill.files import (
    MANIFEST,
    fingerprint,
    path_fingerprint,
    peak_memory_mb,
    read_manifest,
    run_stage,
    whole_or_absent,
    write_json,
)


def _write(text: str):
    def build(work: Path):
        (work / "data.txt").write_text(text)
        return {"characters": len(text)}

    return build


def _stage(out: Path, text: str = "abc", spec: object = None, build=None) -> Path:
    return run_stage(out, stage="test", spec=spec or {"text": text}, inputs={}, build=build or _write(text))


def _refuse(_work: Path):
    raise AssertionError("a finished stage was run again")


def test_a_finished_stage_is_skipped(tmp_path):
    out = _stage(tmp_path / "out")
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    assert _stage(tmp_path / "out", build=_refuse) == out
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    assert not (tmp_path / "out.part").exists()


def test_the_manifest_tells_spec_counts_and_hashes(tmp_path):
    manifest = read_manifest(_stage(tmp_path / "out"))
    assert manifest["spec"] == {"text": "abc"}
    assert manifest["counts"] == {"characters": 3}
    # echo -n abc | sha256sum
    assert manifest["files"]["data.txt"] == {
        "bytes": 3,
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }


def test_two_runs_write_the_same_bytes_but_for_the_cost(tmp_path):
    one, two = _stage(tmp_path / "one"), _stage(tmp_path / "two")
    for path in one.iterdir():
        if path.name != "cost.json":
            assert path.read_bytes() == (two / path.name).read_bytes(), path.name


def test_another_specs_output_is_refused_and_kept(tmp_path):
    out = _stage(tmp_path / "out")
    with pytest.raises(
        OutputError, match=r"output of another run: its spec differs \(there: text = abc; asked: text = x"
    ):
        _stage(tmp_path / "out", "x")
    assert (out / "data.txt").read_text() == "abc"


def test_a_strangers_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="not an output of rankstill"):
        _stage(tmp_path / "out")
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


def test_an_empty_folder_is_as_good_as_none(tmp_path):
    (tmp_path / "out").mkdir()
    assert (_stage(tmp_path / "out") / MANIFEST).is_file()


def test_a_damaged_output_is_refused(tmp_path):
    (_stage(tmp_path / "out") / "data.txt").unlink()
    with pytest.raises(OutputError, match=r"damaged: 1 of 1 files are missing or changed \(first: data.txt\)"):
        _stage(tmp_path / "out")


def test_a_failed_stage_leaves_no_output_and_continues(tmp_path):
    def fail_late(work: Path):
        (work / "first-half").write_text("kept")
        raise DataError("broken input")

    def go_on(work: Path):
        assert (work / "first-half").read_text() == "kept"
        return {}

    with pytest.raises(DataError):
        _stage(tmp_path / "out", build=fail_late)
    assert not (tmp_path / "out").exists()
    assert (_stage(tmp_path / "out", build=go_on) / "first-half").is_file()


def test_work_of_another_spec_is_cleared(tmp_path):
    def fail_late(work: Path):
        (work / "first-half").write_text("old")
        raise DataError("broken input")

    with pytest.raises(DataError):
        _stage(tmp_path / "out", "a", build=fail_late)
    out = _stage(tmp_path / "out", "b")
    assert sorted(p.name for p in out.iterdir()) == ["cost.json", "data.txt", "manifest.json"]


def test_two_writers_of_one_output_are_refused(tmp_path):
    def nested(_work: Path):
        script = (
            "from pathlib import Path; from rankstill.files import run_stage\n"
            f"run_stage(Path({str(tmp_path / 'out')!r}), "
            "stage='test', spec={'text': 'abc'}, inputs={}, build=lambda w: {})"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert "another process is writing" in done.stderr
        return {}

    _stage(tmp_path / "out", build=nested)


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    """A limit on the size of files makes the operating system refuse a write, as a full disk does."""
    script = f"""
import resource
from pathlib import Path
from rankstill.files import run_stage, whole_or_absent
def build(work):
    with whole_or_absent(work / "big.bin") as file:
        file.write(b"x" * 1_000_000)
    return {{}}
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
run_stage(Path({str(tmp_path / "out")!r}), stage="test", spec={{}}, inputs={{}}, build=build)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "OutputError: no space left to write" in done.stderr
    assert "free some space" in done.stderr
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "out.part").glob("big*"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch, number):
    """Simulated, since root may write anywhere."""

    def refuse(*_args, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match=r"not allowed to write .*out"):
        _stage(tmp_path / "sub" / "out")


def test_whole_or_absent_keeps_the_old_file_when_the_new_one_fails(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail_halfway():
        with whole_or_absent(path, "w") as file:
            file.write("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_fingerprints_see_values_not_the_order_of_keys():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 1.5})
    assert fingerprint({"a": Path("x")}) == fingerprint({"a": "x"})


def test_a_missing_input_is_named(tmp_path):
    with pytest.raises(DataError, match="there is nothing at"):
        path_fingerprint(tmp_path / "gone")


def test_an_unfinished_stage_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="not a finished stage"):
        read_manifest(tmp_path)
    write_json(tmp_path / MANIFEST, {"format": 99})
    with pytest.raises(DataError, match="not a manifest of format 1"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        read_manifest(tmp_path)


def test_the_manifest_is_json_for_everybody(tmp_path):
    text = (_stage(tmp_path / "out") / MANIFEST).read_text()
    assert json.loads(text)["stage"] == "test"


def test_the_peak_is_this_process_s_own():
    """A process's figures begin, as getrusage gives them, with its parent's."""
    held = np.ones(300 << 17)
    script = """
from rankstill.files import peak_memory_mb
before = peak_memory_mb()
bytes(bytearray(b"x") * (100 << 20))
print(before, peak_memory_mb())
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    child, peak = map(float, done.stdout.split())
    assert 5 < child < 200
    assert peak > child + 90, "what is freed counts"
    assert peak_memory_mb() > held.nbytes / 2**20 > child


def test_a_folder_of_another_stage_is_told(tmp_path):
    folder = _stage(tmp_path / "out")
    assert read_manifest(folder, "test") == read_manifest(folder)
    with pytest.raises(DataError, match="is a folder of the stage test, not sample"):
        read_manifest(folder, "sample")
