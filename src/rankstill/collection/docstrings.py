"""Docstrings of functions and classes, read from source files with `ast`: nothing is imported or executed.

Not read are the files of tests, of vendored copies of other packages, and those that say in their first lines that a
program wrote them from another file (transformers' `modeling_x.py` from `modular_x.py`, which is read).
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_TESTS = frozenset({"test", "tests", "testing", "idle_test", "benchmarks"})
_VENDORED = frozenset(
    {
        *("vendor", "vendored", "_vendor", "_vendored", "third_party", "thirdparty", "extern", "_extern", "external"),
        *(
            "_external",
            "externals",
            "_externals",
            "array_api_compat",
            "array_api_extra",
            "_antlr",
            "_bundled",
            "lib2to3",
        ),
        *("site-packages", "dist-packages", "__pycache__"),
    }
)
_TEST_FILE = re.compile(r"(test_.*|.*_tests?|conftest)\.py")
_GENERATED = re.compile(
    rb"^#\s*(?:This is an |This file (?:is|was) )?auto(?:matically)?[- ]generated\b", re.IGNORECASE | re.MULTILINE
)
_HEAD = 1200
"""Bytes at the beginning of a file where a generated file says so."""

_TRIPLE = re.compile(rb'"""(.*?)"""|\'\'\'(.*?)\'\'\'', re.DOTALL)
_BLANK_LINE = re.compile(rb"\n[ \t]*\r?\n")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
_SHORTEST = 80
"""Bytes of the shortest docstring that can become a query and a document."""


@dataclass(frozen=True, slots=True)
class Docstring:
    """One docstring.

    Attributes:
        name: The qualified name, as in `torch.nn.functional.cross_entropy`.
        text: The docstring without its indentation.
    """

    name: str
    text: str


def source_files(root: Path) -> list[PurePosixPath]:
    """List a package's importable Python files, relative to `root` and sorted, without tests and vendored packages."""
    files = (PurePosixPath(path.relative_to(root).as_posix()) for path in root.rglob("*.py"))
    return sorted(file for file in files if _is_own_code(file))


def _is_own_code(file: PurePosixPath) -> bool:
    *folders, stem = file.with_suffix("").parts
    return (
        all(name.isidentifier() for name in (*folders, stem))
        and _TESTS.isdisjoint(folders)
        and _VENDORED.isdisjoint(folders)
        and not _TEST_FILE.fullmatch(file.name)
    )


def module_name(relative: PurePosixPath, package: str) -> str:
    """Turn a path inside a package into the module's name.

    >>> module_name(PurePosixPath("nn/functional.py"), "torch")
    'torch.nn.functional'
    >>> module_name(PurePosixPath("nn/__init__.py"), "torch")
    'torch.nn'
    """
    parts = [*([package] if package else []), *relative.with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def read_docstrings(path: Path, module: str) -> list[Docstring] | str:
    """Read the docstrings of at least two paragraphs of one file, in the order of its lines.

    Args:
        path: A Python file.
        module: Its name, the beginning of all qualified names.

    Returns:
        The docstrings; or, where the file gives none, why: it is generated, unreadable, or not in this Python's syntax
        (a package may ship templates, or code for another version).
    """
    try:
        source = path.read_bytes()
    except OSError:
        return "files unreadable"
    if _GENERATED.search(source, 0, _HEAD):
        return "files generated"
    if not _may_hold_two_paragraphs(source):
        return []
    try:
        with warnings.catch_warnings():
            # About other people's escapes in strings.
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "files unparsable"
    return list(_inside(tree, module))


def _may_hold_two_paragraphs(source: bytes) -> bool:
    """Tell, without parsing, whether any triple-quoted text is long enough and has a blank line."""
    texts = (match[1] or match[2] or b"" for match in _TRIPLE.finditer(source))
    return any(len(text) >= _SHORTEST and _BLANK_LINE.search(text) for text in texts)


def _inside(node: ast.AST, prefix: str) -> Iterator[Docstring]:
    """Walk the statements, not the expressions: definitions, also those under `if` and `try`."""
    for child in getattr(node, "body", []):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}.{child.name}"
            text = ast.get_docstring(child)
            if text and _PARAGRAPHS.search(text):
                yield Docstring(name, text)
            yield from _inside(child, name)
        elif isinstance(child, ast.If | ast.Try | ast.With):
            yield from _inside(child, prefix)
