"""Whole-or-absent outputs, manifests and fingerprints: what every stage does with the disk.

A stage's output is a folder. It is built beside its final name, in `NAME.part`, and renamed when it is complete; its
`manifest.json` is the last file written before that. So a folder with its final name is finished, and nothing else is.
A killed stage leaves `NAME.part`; the next run with the same spec and inputs continues there, any other clears it.

`manifest.json` holds only what the same spec and inputs determine (spec, inputs' fingerprints, versions, counts, the
files' hashes). What differs from run to run (seconds, memory, dates) stands in `cost.json` beside it, the one file that
two identical runs may write differently.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import errno
import hashlib
import json
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import filelock

from rankstill.errors import DataError, OutputError

MANIFEST = "manifest.json"
COST = "cost.json"
FORMAT = 1
_SPEC = "stage.json"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Json = dict[str, Any]


def to_json(value: object) -> Any:
    """Turn dataclasses, paths, tuples and numpy numbers into what JSON knows, keeping the order of keys."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    return value


def fingerprint(value: object) -> str:
    """Hash a JSON-able value; the order of keys does not matter."""
    text = json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_fingerprint(path: Path) -> str:
    """Hash a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_fingerprint(path: Path) -> str:
    """Identify a stage's folder by its manifest, any other folder or file by its bytes.

    Raises:
        DataError: There is nothing at `path`.
    """
    if (path / MANIFEST).is_file():
        return str(read_manifest(path)["fingerprint"])
    if path.is_file():
        return file_fingerprint(path)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        return fingerprint({str(p.relative_to(path)): file_fingerprint(p) for p in files})
    raise DataError(f"there is nothing at {path}", hint="check the path, or run the stage that writes it")


@contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into an OutputError that says what was left behind: nothing."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise OutputError(
                f"no space left to write {path} ({error.strerror})",
                hint="free some space and run the same command again: finished stages are kept, nothing half-written",
            ) from error
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise OutputError(f"not allowed to write {path}", hint="choose another --out") from error
        raise


@contextmanager
def whole_or_absent(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open `path` for writing so that it appears complete or not at all, also after a crash or a full disk.

    Args:
        path: The final name; its folder must exist.
        mode: "wb", or "w" for UTF-8 text.
    """
    part = path.with_name(path.name + ".part")
    with writing_errors(path):
        try:
            with part.open(mode, encoding=None if "b" in mode else "utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, whole or absent."""
    with whole_or_absent(path, "w") as file:
        json.dump(to_json(value), file, indent=2, ensure_ascii=False)
        file.write("\n")


def read_manifest(folder: Path, stage: str = "") -> Json:
    """Read the manifest of a finished stage.

    Args:
        folder: The stage's.
        stage: Which stage it must be; any where empty.

    Raises:
        DataError: The folder is not a finished stage, or of another one, or its manifest is not ours.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder} is not a finished stage: it has no {MANIFEST}", hint="run its stage again") from None
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON: {error}", hint=f"remove {folder} and run its stage again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{path} is not a manifest of format {FORMAT}", hint="it was written by another version")
    if stage and manifest.get("stage") != stage:
        raise DataError(f"{folder} is a folder of the stage {manifest.get('stage')}, not {stage}", hint="give another")
    return manifest


@cache
def versions() -> dict[str, str]:
    """List the versions that can change a result's bytes."""
    names = ("rankstill", "torch", "transformers", "sentence-transformers", "tokenizers", "numpy", "pyarrow", "bm25s")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache
def hardware() -> str:
    """Describe the processor and the number of cores this process may use."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text("utf-8").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {cores()} cores"


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory_mb() -> float:
    """Return this process's highest resident memory so far, in MB."""
    # What getrusage says begins, on Linux, with the memory of the process that started this one.
    with contextlib.suppress(OSError), Path("/proc/self/status").open(encoding="ascii") as lines:
        for line in lines:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def run_stage(
    out: Path,
    *,
    stage: str,
    spec: object,
    inputs: Mapping[str, Path | str],
    build: Callable[[Path], Mapping[str, Any]],
) -> Path:
    """Run one stage unless its finished output is there already.

    Args:
        out: The output folder. It exists afterwards, complete, or not at all.
        stage: The stage's name, as on the command line.
        spec: Everything that determines the output besides the inputs; a dataclass or a mapping.
        inputs: Upstream folders or files by name (or a ready fingerprint, for what is not a file).
        build: Writes the output into the folder it is given and returns the counts worth recording. After a kill it is
            called again with the same folder and whatever it had finished there; it must end with the same bytes.

    Returns:
        `out`.

    Raises:
        OutputError: `out` holds the output of another spec or other inputs, or something that is no stage at all; or
            another process is writing it; or the disk is full.
    """
    identity = {
        "stage": stage,
        "spec": to_json(spec),
        "inputs": {k: v if isinstance(v, str) else path_fingerprint(v) for k, v in inputs.items()},
    }
    if _finished(out, identity):
        # A kill right after the renaming leaves it behind.
        (out / _SPEC).unlink(missing_ok=True)
        return out
    with writing_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with _only_writer(out):
            if not _finished(out, identity):
                _build(out, identity, build)
    return out


def _finished(out: Path, identity: Json) -> bool:
    """Tell whether `out` is this very stage's finished output; refuse to touch anything else."""
    if not out.exists():
        return False
    if not (out / MANIFEST).is_file():
        if out.is_dir() and not any(out.iterdir()):
            return False
        raise OutputError(f"{out} exists and is not an output of rankstill", hint="choose another output folder")
    manifest = read_manifest(out)
    for key in ("stage", "spec", "inputs"):
        if manifest[key] != identity[key]:
            was, now = _difference(manifest[key], identity[key])
            raise OutputError(
                f"{out} is the output of another run: its {key} differ{'s' if key != 'inputs' else ''} "
                f"(there: {was}; asked: {now})",
                hint="choose another output folder, or remove this one to run anew",
            )
    damaged = [n for n, f in manifest["files"].items() if not _has_size(out / n, f["bytes"])]
    if damaged:
        raise OutputError(
            f"{out} is damaged: {len(damaged)} of {len(manifest['files'])} files are missing or changed "
            f"(first: {damaged[0]})",
            hint=f"remove {out} and run its stage again",
        )
    return True


def _difference(was: Any, now: Any) -> tuple[Any, Any]:
    """Find the first setting in which two identities differ, for the message."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*now, *was]:
            if was.get(key) != now.get(key):
                return f"{key} = {was.get(key)}", f"{key} = {now.get(key)}"
    return was, now


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


@contextmanager
def _only_writer(out: Path) -> Iterator[None]:
    """Hold the lock of an output; the operating system releases it when the process dies, however it dies."""
    lock = filelock.FileLock(out.with_name(f".{out.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            yield
    except filelock.Timeout:
        raise OutputError(
            f"another process is writing {out}", hint="wait for it, or choose another output folder"
        ) from None


def _build(out: Path, identity: Json, build: Callable[[Path], Mapping[str, Any]]) -> None:
    work = out.with_name(out.name + ".part")
    began, resumed = time.monotonic(), _resume_or_clear(work, identity)
    counts = build(work)
    # Leftovers of a write that was cut short: a stage finishes without them.
    for leftover in work.rglob("*.part"):
        leftover.unlink()
    files = {
        str(p.relative_to(work)): {"bytes": p.stat().st_size, "sha256": file_fingerprint(p)}
        for p in sorted(work.rglob("*"))
        if p.is_file() and str(p.relative_to(work)) not in (COST, MANIFEST, _SPEC)
    }
    spent = json.loads((work / COST).read_text("utf-8")) if (work / COST).is_file() else {}
    write_json(
        work / COST,
        {
            **spent,
            "seconds": round(time.monotonic() - began, 3),
            "resumed": resumed,
            "peak_memory_mb": round(peak_memory_mb()),
            "finished": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "hardware": hardware(),
        },
    )
    content = {**identity, "counts": to_json(counts), "files": files}
    write_json(
        work / MANIFEST,
        {"format": FORMAT, **content, "versions": versions(), "fingerprint": fingerprint(content)},
    )
    if out.exists():
        out.rmdir()
    work.replace(out)
    # Last of all: until here a killed run continues from its work.
    (out / _SPEC).unlink()


def _resume_or_clear(work: Path, identity: Json) -> bool:
    """Keep a killed run's work if it was for this very identity, clear it otherwise."""
    spec = work / _SPEC
    try:
        same = json.loads(spec.read_text("utf-8")) == json.loads(json.dumps(identity))
    except (OSError, ValueError):
        same = False
    if same:
        return True
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)
    write_json(spec, identity)
    return False
