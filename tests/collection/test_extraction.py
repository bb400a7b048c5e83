from __future__ import annotations

import pytest

from rankstill.collection import extraction
from rankstill.collection.extraction import Extract, SourceFile, extract, extract_all
from rankstill.collection.prose import Pair
from rankstill.errors import DataError

REST = "The document goes on for at least ten words of plain prose, as is asked for."


@pytest.fixture
def files(tmp_path):
    made = []
    for n in range(7):
        path = tmp_path / f"m{n}.py"
        path.write_text(f'def f():\n    """Sort a list of {n} numbers – Größe.\n\n    {REST}"""\n', "utf-8")
        made.append(SourceFile(str(path), f"pkg.m{n}", path.stat().st_size))
    (tmp_path / "m3.py").write_text(f'def f(:\n    """Sort a list of numbers.\n\n    {REST}"""\n', "utf-8")
    return made


def test_one_file(files):
    assert extract(files[2]) == Extract(1, [Pair("pkg.m2.f", "Sort a list of 2 numbers – Größe.", REST)], [])
    assert extract(files[3]) == Extract(None, [], ["files unparsable"])


@pytest.mark.parametrize("portion", [1, 300, 1 << 20])
def test_workers_give_the_same_in_the_same_order(monkeypatch, files, portion):
    monkeypatch.setattr(extraction, "_PORTION", portion)
    assert list(extract_all(files)) == [extract(file) for file in files]


def test_no_files():
    assert list(extract_all([])) == []


def test_a_worker_that_dies(monkeypatch, tmp_path, files):
    monkeypatch.setattr(extraction.sys, "executable", "/bin/false")
    with pytest.raises(DataError, match=r"ended with code 1 \(files from .*m0.py\)"):
        list(extract_all(files))
