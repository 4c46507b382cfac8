"""What the script tests share: test cases that are counted, and the lines that say so; and what adds those lines up."""

import collections
import json
import os
import re
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


class Totals:
    """Adds up what the test programs said at their end, for tests/run and tests/vm/run."""

    SUMMARY = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped")

    def __init__(self):
        self.programs = self.passed = self.failed = self.skipped = 0
        self.reasons = collections.Counter()  # of the skips

    def skip(self, what, reason):
        """Counts, and prints, what is left out as a whole."""
        print(f"skipped: {what}: {reason}")
        self.skipped += 1
        self.reasons[reason] += 1

    def fail(self, what):
        """Counts, and prints, what failed as a whole."""
        print(f"failed: {what}")
        self.failed += 1

    def add(self, testlog):
        """Adds a log of Meson's: a JSON object for each program, one a line."""
        with open(testlog, encoding="utf-8") as file:
            for test in map(json.loads, file):
                self.add_program(test)

    def add_program(self, test):
        self.programs += 1
        lines = test.get("stdout", "").strip().splitlines()
        self.reasons.update(line.split(": ", 2)[-1] for line in lines if line.startswith("skipped: "))
        summary = self.SUMMARY.fullmatch(lines[-1]) if lines else None
        passed, failed, skipped = map(int, summary.groups()) if summary else (0, 0, 0)
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        # A crash, a timeout or a sanitizer's report at the exit is a failure that the program did not count.
        if not summary or (failed == 0 and test.get("returncode", 1) != 0):
            self.fail(f"{test['name']}: ended as {test['result']}, exit status {test.get('returncode')}")

    def close(self):
        """Prints each reason of a skip once, with its count, and at last the sum. Returns an exit status, which is a
        failure's if anything failed or no program was run."""
        for reason, count in sorted(self.reasons.items()):
            print(f"skipped: {reason}" + (f" ({count} times)" if count > 1 else ""))
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed > 0 or self.programs == 0 else 0


def headers(include):
    """The paths of kaio's headers relative to the folder `include`, sorted."""
    found = []
    for folder, _, names in os.walk(os.path.join(include, "kaio")):
        found += [os.path.relpath(os.path.join(folder, name), include) for name in names if name.endswith(".hpp")]
    return sorted(found)
