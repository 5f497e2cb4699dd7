"""Try forged indexes, in a process that has not started the threads of FAISS, which no fork keeps.

    cd tests; python -m stress.forged FOLDER [--sample N] [NAME]

Prints a line for each failure, then the counts.
"""

import argparse
import random
import sys
import time
from pathlib import Path

from stress.forged import all_cases
from stress.forged.runner import attempt, make_world, operations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="an empty folder to work in")
    parser.add_argument("name", nargs="?", default="", help="only cases with this in their names")
    parser.add_argument("--sample", type=int, help="only so many of them")
    options = parser.parse_args()
    cases = [case for case in all_cases() if options.name in case.name]
    random.Random(7).shuffle(cases)
    start = time.monotonic()
    world = make_world(options.folder)
    cases = cases[: options.sample]
    wrong = [line for case in cases for line in attempt(world, case)]
    for line in wrong:
        print(line.encode("ascii", "backslashreplace").decode())
    tried = len(operations(world))
    print(
        f"forged: {len(cases):,} forged indexes, {tried} operations on each: {len(wrong)} failures "
        f"(crashes, hangs, tracebacks, writes outside, over 1 GiB), "
        f"{time.monotonic() - start:.0f} s"
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
