#!/usr/bin/env python3
"""run.py REQUEST-COST: what a request costs in user space, compared with a loop written by hand. The figures do not
depend on how busy the machine is: instructions (cachegrind, the difference of two run lengths) and system calls
(strace -c)."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import cachegrind
import report

program = sys.argv[1]
short, long = 20_000, 60_000
# Instructions on top of the loop written by hand. GCC keeps each temporary of a co_await expression in the coroutine's
# frame, including the 64 bytes of the request. Clang does not: there a coroutine costs what a callback costs. With Clang
# a scope costs more, because registers are saved for the call that tells those who wait for the scope to close.
limits = {"raw": 4, "owned": 16, "coroutine": 48, "callback": 31, "handed_over": 41, "scope": 46}


def beyond_hand(form):
    def case():
        by_hand, ours = (cachegrind.per_request(program, which, short, long) for which in ("hand", form))
        print(f"{form}: {ours:.1f} instructions per request, by hand {by_hand:.1f}: + {ours - by_hand:.1f}, {ours / by_hand:.2f} ×")
        if ours > by_hand + limits[form]:
            return (
                f"more than {limits[form]} on top; to see it: valgrind --tool=callgrind {program} {form} {long},"
                f" less the same for {short}, over {long - short}; and the same for 'hand'"
            )
        return None

    return case


def system_calls(form):
    def case():
        if not shutil.which("strace"):
            raise report.Skip("strace is not installed")
        with tempfile.NamedTemporaryFile("r") as output:
            command = ["strace", "-f", "-c", "-o", output.name, program, form, str(short)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            table = output.read()
        if done.returncode != 0:
            if "PTRACE" in done.stderr or "not permitted" in done.stderr:
                raise report.Skip("tracing is not permitted here")
            raise RuntimeError(done.stderr)
        calls = {line.split()[-1]: int(line.split()[3]) for line in table.splitlines() if re.match(r" *\d+\.\d", line)}
        print(f"{form}: {calls.get('io_submit', 0)} io_submit for {short} requests, {calls.get('io_getevents', 0)} io_getevents")
        if calls.get("io_submit", 0) > short // 32:
            return f"more than {short // 32} io_submit: {' '.join(command)}"
        if calls.get("io_getevents", 0) or calls.get("io_pgetevents", 0):
            return f"on tmpfs there should be no io_getevents: {' '.join(command)}"
        return None

    return case


cases = [(f"instructions of {form}, at most {limit} more than by hand", beyond_hand(form)) for form, limit in limits.items()]
cases += [(f"system calls of {form}", system_calls(form)) for form in limits]
report.run(cases, workers=2)
