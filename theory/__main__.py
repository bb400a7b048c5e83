"""`python -m theory`: check every statement, print the tables, exit with 1 if anything failed."""

from __future__ import annotations

import argparse
import sys

from theory.laboratory import run
from theory.report import statements_table, verdict


def main() -> int:
    """Run the laboratory."""
    parser = argparse.ArgumentParser(prog="python -m theory", description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000, help="random worlds for identities and inequalities")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", default="", help="only statements whose label starts so, such as 3.")
    options = parser.parse_args()
    results = run(options.worlds, options.seed, options.only)
    print(statements_table(results))
    print(verdict(results))
    return 0 if all(r.passed for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
