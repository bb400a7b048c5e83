"""Run `rankstill` as a child that is killed as planned, again and again until it finishes: for `test_kill`.

Called as `python -m tests.killed PLAN.json`. The heavy libraries are imported once; every attempt is a fork, so that a
kill costs the time until it and not that of the imports. Moments are places in the flow, not on the clock: the child
tells through a pipe which step it begins, and the parent kills it so many seconds later. So a plan hits the same steps
on a slow machine and on a quick one. Or the child kills itself, just before so many changes of files.

The plan holds `args` (of `rankstill`), `embedder` (a model's folder that stands in for the embedded default), and
`runs`, each a `folder` to work in and `kills`, each one of
- `{"moment": share}` of the seconds that the first run took, which is not killed;
- `{"step": number, "share": share}` of the seconds that this step of the flow took in the first run;
- `{"changes": number}` of files or folders since the attempt began.

Printed is one line of JSON for each run: `steps`, their `seconds` in the first run, and `attempts`, each with `status`
(-9: killed), `began` (the last step) and `unfinished` (what the death left).
"""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
_MOST = 120.0
"""Seconds after which a child that hangs is given up."""
_CHANGING = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}


class Flow:
    """The steps of the first run, and their seconds."""

    def __init__(self, steps: list[tuple[str, float]], end: float) -> None:
        self.steps = [name for name, _ in steps]
        began = [at for _, at in steps] + [end]
        self.seconds = [b - a for a, b in itertools.pairwise(began)]
        self.number = {name: number for number, name in enumerate(self.steps)}

    def place(self, moment: float) -> tuple[int, float]:
        """Find the step that a moment, a share of all seconds, falls into, and the seconds until then."""
        left = moment * sum(self.seconds)
        for number, seconds in enumerate(self.seconds):
            if left < seconds:
                return number, left
            left -= seconds
        return len(self.seconds) - 1, self.seconds[-1]


class Death:
    """When a child will be killed."""

    def __init__(self, at: float) -> None:
        self.at = at

    def left(self) -> float:
        """Count the seconds until then."""
        return max(self.at - time.monotonic(), 0)


def main() -> None:
    import sentence_transformers.sentence_transformer.modules  # noqa: F401

    import rankstill.cli
    import rankstill.students.bi_encoder
    import rankstill.students.cross_encoder
    import rankstill.studies.distill

    plan = json.loads(Path(sys.argv[1]).read_text())
    rankstill.studies.distill.EMBEDDED = plan["embedder"]
    rankstill.studies.distill.embedded_is_installed = lambda: True
    sys.argv = ["rankstill", *plan["args"]]
    flow = Flow([], 0.0)
    for run in plan["runs"]:
        Path(run["folder"]).mkdir(parents=True)
        os.chdir(run["folder"])
        attempts = [_attempt(flow, **kill) for kill in _kills(flow, run["kills"])]
        attempts.append(_attempt(flow))
        if not flow.steps:
            flow = Flow(attempts[0]["begun"], attempts[0]["seconds"])
        print(json.dumps({"steps": flow.steps, "seconds": flow.seconds, "attempts": attempts}), flush=True)


def _kills(flow: Flow, planned: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Turn what is planned into a step of the flow and seconds, or a number of changes."""
    last, done = -1, 0.0
    for kill in planned:
        if "moment" in kill:
            step, after = flow.place(kill["moment"])
            # A step that the last kill stopped goes on from there.
            yield {"step": step, "after": max(after - done, 0) if step == last else after}
            last, done = step, after
        elif "step" in kill:
            yield {"step": kill["step"], "after": kill["share"] * flow.seconds[kill["step"]]}
        else:
            yield {"changes": kill["changes"]}


def _attempt(flow: Flow, step: int | None = None, after: float = 0.0, changes: int = 0) -> dict[str, Any]:
    """Fork a child; kill it `after` seconds into the given step of the flow, or into the first later one it reaches."""
    began = time.monotonic()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _be_rankstill(write, changes)
    os.close(write)
    begun: list[tuple[str, float]] = []
    death = Death(began + _MOST)
    for name in _told(read, death):
        begun.append((name, time.monotonic() - began))
        if step is not None and flow.number.get(name, -1) >= step:
            step, death.at = None, time.monotonic() + after
    if death.left() == 0:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return {
        "status": -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status),
        "seconds": time.monotonic() - began,
        "begun": begun,
        "began": begun[-1][0] if begun else "",
        "unfinished": sorted(str(p) for p in Path().rglob("*.part")),
    }


def _told(pipe: int, death: Death) -> Iterator[str]:
    """Yield the lines that come through a pipe until it is closed, or until death."""
    rest = b""
    with os.fdopen(pipe, "rb", buffering=0) as lines:
        while select.select([lines], [], [], death.left())[0]:
            chunk = lines.read(4096)
            if not chunk:
                return
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode() for line in whole)


def _be_rankstill(pipe: int, changes: int) -> None:
    """Run the command line in this process, which tells of each step, and end it."""
    import rankstill.cli

    # One core, and so one thread: rankstill uses those that it may, and none has begun before the fork.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    _tell_of_steps(pipe)
    if changes:
        _die_before_change(changes)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code: Any = 0
    try:
        rankstill.cli.main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _tell_of_steps(pipe: int) -> None:
    import rankstill.files
    import rankstill.studies.distill

    def tell(owner: Any, name: str, step: Any) -> None:
        inner = getattr(owner, name)

        def told(*args: Any, **kwargs: Any) -> Any:
            os.write(pipe, step(*args).encode() + b"\n")
            return inner(*args, **kwargs)

        setattr(owner, name, told)

    tell(rankstill.files, "_build", lambda folder, *_: str(folder.relative_to("out")))
    tell(rankstill.studies.distill, "write_json", lambda *_: "summary and report")


def _die_before_change(number: int) -> None:
    """Kill this process just before its n-th opening for writing, renaming or removing of something in `out`."""
    inside, left = str(Path("out").absolute()), [number]

    def watch(event: str, args: tuple[Any, ...]) -> None:
        opened = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if not opened and event not in _CHANGING:
            return
        if isinstance(args[0], str | Path) and os.path.abspath(args[0]).startswith(inside):  # noqa: PTH100
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


if __name__ == "__main__":
    main()
