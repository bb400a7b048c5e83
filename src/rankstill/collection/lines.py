"""Reading files line by line, plain or gzipped; every complaint names the file and the line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from rankstill.errors import DataError

_BOM = b"\xef\xbb\xbf"


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn the refusals of the operating system and of gzip into DataErrors that name the file."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"there is no file {path}", hint="check the path") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}", hint="fetch or compress it again") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint="check the path and its permissions") from error


def plain_suffix(path: Path) -> str:
    """Return a file's suffix without `.gz`, as in `.jsonl` for `corpus.jsonl.gz`."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, text without its end) of every line that is not blank.

    Raises:
        DataError: The file is missing, unreadable, not a whole gzip file, or not UTF-8.
    """
    offset = 0
    with reading_errors(path), _open(path) as file:
        for number, raw in enumerate(file, 1):
            start = len(_BOM) if number == 1 and raw.startswith(_BOM) else 0
            try:
                line = raw[start:].decode("utf-8")
            except UnicodeDecodeError as error:
                byte = offset + start + error.start
                raise DataError(
                    f"{path}, line {number}: not UTF-8 at byte {byte} of the file (0x{error.object[error.start]:02x})",
                    hint="convert the file to UTF-8",
                ) from None
            offset += len(raw)
            if line.strip():
                yield number, line.rstrip("\r\n")


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a JSONL file.

    Raises:
        DataError: A line is not a JSON object.
    """
    for number, line in lines(path):
        try:
            item = json.loads(line)
            # JSON can spell half of a surrogate pair, which is no text: it could not be written as UTF-8.
            if "\\ud" in line or "\\uD" in line:
                json.dumps(item, ensure_ascii=False).encode("utf-8")
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(
                f"{path}, line {number}: not valid JSON: {error}", hint="one JSON object per line"
            ) from None
        except UnicodeEncodeError:
            raise DataError(f"{path}, line {number}: holds half of a surrogate pair, which is no text") from None
        if not isinstance(item, dict):
            kind = type(item).__name__
            raise DataError(f"{path}, line {number}: a JSON {kind}, not an object", hint="one JSON object per line")
        yield number, item


def count_lines(path: Path) -> int | None:
    """Count the lines of a plain file, quickly, for a progress bar; None for a gzipped one."""
    if path.name.endswith(".gz"):
        return None
    with reading_errors(path), path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 22), b""))
