"""What the script tests share: test cases that are counted, and the lines that tests/run adds up."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor


class Skip(Exception):
    """Raised by a case that can't be run here; its text is the reason."""


def run(cases, workers=1):
    """Runs the cases, pairs of a name and a function, and exits. The function returns None, or what is wrong, or, if it
    stands for a whole program, how many test cases passed there."""
    passed = failed = skipped = 0

    def one(case):
        try:
            return case[1]()
        except Skip as skip:
            return skip
        except Exception as error:  # a broken case is a failed case
            return f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(workers) as pool:
        for (name, _), outcome in zip(cases, pool.map(one, cases)):
            if outcome is None:
                passed += 1
            elif isinstance(outcome, int):
                passed += outcome
            elif isinstance(outcome, Skip):
                skipped += 1
                print(f"skipped: {name}: {outcome}")
            else:
                failed += 1
                print(f"FAILED: {name}\n{outcome}\n")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.stdout.flush()
    sys.exit(1 if failed else 0)


def headers(include):
    """The paths of kaio's headers relative to the folder `include`, sorted."""
    found = []
    for folder, _, names in os.walk(os.path.join(include, "kaio")):
        found += [os.path.relpath(os.path.join(folder, name), include) for name in names if name.endswith(".hpp")]
    return sorted(found)
