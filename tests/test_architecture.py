"""The shape that docs/flow.md promises: folders in flow order, imports upstream only, a light start."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "rankstill"
FLOW = ["collection", "candidates", "teachers", "groups", "students", "runs", "measures", "studies"]


def _imported(path: Path) -> set[str]:
    """Names of rankstill's folders and modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rankstill"):
            found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
    return {name.split(".")[1] for name in found if name.startswith("rankstill.")}


def test_the_folders_are_the_flow():
    folders = sorted(p.name for p in SOURCE.iterdir() if p.is_dir() and p.name != "__pycache__")
    assert folders == sorted(FLOW)


@pytest.mark.parametrize("folder", FLOW)
def test_imports_point_upstream(folder):
    downstream = set(FLOW[FLOW.index(folder) + 1 :]) | {"cli"}
    for path in (SOURCE / folder).rglob("*.py"):
        assert not _imported(path) & downstream, path


def test_the_core_imports_no_folder():
    for path in SOURCE.glob("*.py"):
        if path.name not in ("cli.py", "__init__.py"):
            assert not _imported(path) & {*FLOW, "cli"}, path


def test_there_is_no_utils():
    assert not [p for p in ROOT.rglob("*util*.py") if ".venv" not in p.parts]


def test_help_starts_without_the_heavy_libraries():
    heavy = ("torch", "transformers", "pyarrow")
    script = f"import sys, rankstill, rankstill.cli; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_teachers_of_files_start_without_the_libraries_of_models():
    """A run, labels, or a stage that is finished needs none of the seconds that these take to import."""
    heavy = ("sentence_transformers", "transformers", "scipy")
    script = f"import sys, rankstill.teachers.scoring; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_nothing_is_pickled():
    for path in SOURCE.rglob("*.py"):
        names = {
            n.attr if isinstance(n, ast.Attribute) else getattr(n, "id", "")
            for n in ast.walk(ast.parse(path.read_text()))
        }
        assert not names & {"pickle", "cPickle", "dill", "joblib"}, path
        text = path.read_text().replace("safetensors.torch", "safetensors")
        assert "torch.load(" not in text, path
        assert "torch.save(" not in text, path
        assert "trust_remote_code=True" not in text, path


def test_every_exported_name_exists():
    import rankstill

    assert rankstill.__all__ == sorted(rankstill.__all__)
    for name in rankstill.__all__:
        assert getattr(rankstill, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        rankstill.nonsense  # noqa: B018


def test_every_dependency_earns_its_place():
    """Each declared dependency is imported in src and argued for in docs/dependencies.md."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    argued = (ROOT / "docs" / "dependencies.md").read_text()
    imports = {"sentence-transformers": "sentence_transformers", "PyStemmer": "Stemmer"}
    source = "\n".join(p.read_text() for p in SOURCE.rglob("*.py"))
    for requirement in declared:
        name = re.match(r"[\w-]+", requirement)[0]
        assert f"| {name} |" in argued, name
        assert re.search(rf"^\s*(import|from) {imports.get(name, name)}\b", source, re.M), name


def test_every_dependency_is_pinned():
    pins = {
        line.split("==")[0].lower().replace("-", "_") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in [
        *project["dependencies"],
        *(e for extra in project["optional-dependencies"].values() for e in extra),
    ]:
        name = re.match(r"[\w-]+", requirement)[0].lower().replace("-", "_")
        assert name == "rankstill" or name in pins, name


def test_looking_after_a_store_starts_without_the_libraries_of_models(tmp_path):
    """Each of the commands, on a store of one score and a collection of one text."""
    from rankstill.teachers.pair_keys import PairKeys
    from rankstill.teachers.store import ScoreStore
    from tests.tiny_collections import make_collection

    collection = make_collection(tmp_path / "c", {"d": "wing"}, {"q": "jet"})
    keys = PairKeys.of(collection, np.uint32([0]), np.uint32([0]))
    ScoreStore(tmp_path / "s", "ab" * 32, "a", "run").append(keys, np.float32([1]))
    script = """
import sys
import rankstill.cli
for command in ("ls s", "verify s", "compact s", "export s -o s.tsv --collection c", "gc s --keep-only c"):
    sys.argv = ["rankstill", "scores", *command.split()]
    try:
        rankstill.cli.main()
    except SystemExit as end:
        assert not end.code, command
    heavy = {"torch", "transformers", "sentence_transformers", "scipy"} & set(sys.modules)
    assert not heavy, (command, heavy)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
