#!/usr/bin/env python3
"""speed.py SPEED: what a simulated request costs, in instructions (callgrind, the difference of two run lengths), which
don't depend on the weather. Most of them copy bytes. docs/simulation.md says what that is in requests per second."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

program = sys.argv[1]
short, long = 10_000, 30_000
limits = {"read": 2500, "write": 4000}


def instructions(form, requests):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, form, str(requests)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return int(found[1])


def cheap(form):
    def case():
        if not shutil.which("valgrind"):
            raise report.Skip("valgrind is not installed")
        cost = (instructions(form, long) - instructions(form, short)) / (long - short)
        print(f"{form}: {cost:.0f} instructions per simulated request")
        return None if cost <= limits[form] else f"{cost:.0f} instructions per request; more than {limits[form]}"

    return case


cases = [(f"a simulated {form} costs at most {limit} instructions", cheap(form)) for form, limit in limits.items()]
report.run(cases, workers=2)
