"""Where the source files of installed packages lie, found without importing any."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from rankstill.collection.docstrings import module_name, source_files
from rankstill.collection.extraction import SourceFile
from rankstill.errors import DataError, some

STANDARD_LIBRARY = "python"
"""Stands for the standard library among the packages' names."""

_DISTRIBUTIONS = {"sklearn": "scikit-learn"}
"""Packages whose name on the index is neither their importable name nor a spelling of it."""


def package_roots(names: Iterable[str]) -> dict[str, Path]:
    """Find the folders of packages, by importable name.

    Raises:
        DataError: Some are not installed as source.
    """
    roots = {name: _root(name) for name in names}
    missing = [name for name, root in roots.items() if root is None]
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(roots)} packages whose documentation is pydocs are not installed: "
            f"{some(missing)}",
            hint='pip install "rankstill[demo]"',
        )
    return {name: root for name, root in roots.items() if root is not None}


def package_files(name: str, root: Path) -> list[SourceFile]:
    """List a package's own source files, sorted by path; see `source_files`."""
    prefix = "" if name == STANDARD_LIBRARY else name
    return [
        SourceFile(str(root / file), module_name(file, prefix), (root / file).stat().st_size)
        for file in source_files(root)
    ]


def version(name: str) -> str:
    """Look up the version of a package by its importable name; of Python for the standard library."""
    if name == STANDARD_LIBRARY:
        return platform.python_version()
    try:
        return importlib.metadata.version(_DISTRIBUTIONS.get(name, name))
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _root(name: str) -> Path | None:
    if name == STANDARD_LIBRARY:
        root = Path(sysconfig.get_path("stdlib"))
        return root if (root / "os.py").is_file() else None
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])
