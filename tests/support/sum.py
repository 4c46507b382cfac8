"""sum.py EXTRA TESTLOG...: adds up what the test programs said at their end.

Each TESTLOG is Meson's, one JSON object a line. EXTRA is a file of further lines `skipped: <what>: <reason>` and
`failed: <what>`. Prints each reason of a skip once, with its count, and at last `N passed, N failed, N skipped`.
Fails if anything failed or nothing passed or was skipped.
"""

import collections
import json
import re
import sys

SUMMARY = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped")

passed = failed = skipped = 0
reasons = collections.Counter()


def note_skips(lines):
    noted = [line.split(": ", 2)[-1] for line in lines if line.startswith("skipped: ")]
    reasons.update(noted)
    return len(noted)


with open(sys.argv[1], encoding="utf-8") as file:
    lines = file.read().splitlines()
    skipped += note_skips(lines)
    failed += sum(line.startswith("failed: ") for line in lines)

for log in sys.argv[2:]:
    with open(log, encoding="utf-8") as file:
        for test in map(json.loads, file):
            lines = test.get("stdout", "").strip().splitlines()
            note_skips(lines)
            summary = SUMMARY.fullmatch(lines[-1]) if lines else None
            said = [int(number) for number in summary.groups()] if summary else [0, 0, 0]
            passed += said[0]
            skipped += said[2]
            # A crash, a timeout or a sanitizer's report at the exit is a failure that the program did not count.
            uncounted = not summary or (said[1] == 0 and test.get("returncode", 1) != 0)
            failed += said[1] + uncounted
            if uncounted:
                print(f"failed: {test['name']}: ended as {test['result']}, exit status {test.get('returncode')}")

for reason, count in sorted(reasons.items()):
    print(f"skipped: {reason}" + (f" ({count} times)" if count > 1 else ""))
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(failed > 0 or passed + skipped == 0)
