from __future__ import annotations

import platform
import sys

import numpy as np
import pytest

from rankstill.collection.packages import STANDARD_LIBRARY, package_files, package_roots, version
from rankstill.errors import DataError


def test_packages_are_found_and_not_imported():
    before = set(sys.modules)
    roots = package_roots([STANDARD_LIBRARY, "numpy", "matplotlib"])
    assert not {name for name in set(sys.modules) - before if name.startswith("matplotlib")}
    assert (roots["numpy"] / "__init__.py").is_file()
    assert (roots[STANDARD_LIBRARY] / "json" / "decoder.py").is_file()


def test_files_have_their_modules_names():
    files = package_files(STANDARD_LIBRARY, package_roots([STANDARD_LIBRARY])[STANDARD_LIBRARY])
    modules = {file.module for file in files}
    assert {"json", "json.decoder", "abc"} <= modules
    assert not any(module.startswith(("site", "test.")) and "packages" in module for module in modules)


def test_versions():
    assert version("numpy") == np.__version__
    assert version(STANDARD_LIBRARY) == platform.python_version()
    assert version("no_such_package") == "unknown"
    assert version("sklearn") == version("scikit-learn")


def test_missing_packages():
    message = (
        r"2 of the 3 packages whose .* not installed: no_such_a, no_such_b\nhint: pip install \"rankstill\[demo\]\""
    )
    with pytest.raises(DataError, match=message):
        package_roots(["numpy", "no_such_a", "no_such_b"])
