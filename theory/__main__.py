"""Check every statement of docs/theory.md, print the tables, exit with 1 if anything failed."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from theory import tightness, tightness_other
from theory.laboratory import run
from theory.report import fill_page, statements_table, tightness_table, verdict


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m theory", description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000, help="random worlds for identities and inequalities")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", default="", help="only statements whose label starts so, such as 3.; no tightness")
    parser.add_argument("--page", type=Path, help="docs/theory.md, to put the figures into")
    options = parser.parse_args()
    started = time.monotonic()
    results = run(options.worlds, options.seed, options.only)
    print(statements_table(results))
    if not options.only:
        tables = tightness_tables(options.seed)
        print(f"\n{tables}")
        if options.page:
            fill_page(options.page, results, tables)
    print("\n" + verdict(results))
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0 if all(r.passed for r in results) else 1


def tightness_tables(seed: int) -> str:
    rows = [
        *tightness.uniform_rows(24, 200, seed),
        tightness.worst_mean(2000, seed),
        *tightness.four_term_rows(24, seed),
        *tightness_other.sgd_rows(seed),
        *tightness_other.held_out_rows(seed),
    ]
    realistic = "\n".join(tightness_other.realistic_lines(seed))
    head = "Locality term [3.2k], generated embeddings of 768 dimensions, delta 0.05; vacuous from 0.693 on"
    return f"{tightness_table(rows)}\n\n{head}\n{realistic}"


if __name__ == "__main__":
    sys.exit(main())
