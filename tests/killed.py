"""Run `rankstill` again and again, killing it at given moments, until it finishes: the driver of test_kill.

Called as `python -m tests.killed SECONDS,SECONDS,... ARGS...`. The heavy libraries are imported once; every attempt is
a fork, so that a kill costs the seconds until it, not those of the imports.
"""

import os
import signal
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"


def main() -> None:
    import sentence_transformers.sentence_transformer.modules  # noqa: F401

    import rankstill.cli
    import rankstill.students.bi_encoder
    import rankstill.students.cross_encoder
    import rankstill.studies.distill

    moments = [float(m) for m in sys.argv[1].split(",") if m]
    sys.argv = ["rankstill", *sys.argv[2:]]
    for moment in [*moments, None]:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
            rankstill.cli.main()
            os._exit(0)
        while moment is not None and time.monotonic() - began < moment:
            time.sleep(0.005)
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
        else:
            if moment is not None:
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        unfinished = sorted(p for p in _parts("."))
        print(
            f"{'end' if moment is None else moment}: status {status}, unfinished: {', '.join(unfinished) or 'nothing'}"
        )
    sys.exit(status != 0)


def _parts(root: str) -> list[str]:
    return [str(path.relative_to(root)) for path in Path(root).rglob("*.part")]


if __name__ == "__main__":
    main()
