"""The README's commands and code are those of this version."""

import re
import shlex
from pathlib import Path

import click
import typer

README = (Path(__file__).parents[1] / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_python_example_runs_up_to_the_distillation(monkeypatch):
    """The code is executed with the distillation itself and the model's loading replaced."""
    import sentence_transformers

    import rankstill

    asked = []
    done = rankstill.Distilled(Path("out/model"), Path("out/report.html"), {})
    monkeypatch.setattr(rankstill, "distill", lambda spec, out: (asked.append((spec, out)), done)[1], raising=False)
    monkeypatch.setattr(sentence_transformers, "SentenceTransformer", str)
    for block in _blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    assert isinstance(asked[0][0], rankstill.DistillSpec)
    assert asked[0][1] == "out"


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
