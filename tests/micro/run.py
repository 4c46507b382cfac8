#!/usr/bin/env python3
"""run.py FOLDER [KAIO-MICRO]: that the micro-benchmarks in FOLDER run and that what they time does what it should. The
times are not looked at."""

import functools
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

folder, program = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""


@functools.cache
def done():
    quick = ["--benchmark-samples", "2", "--benchmark-warmup-time", "1", "--benchmark-no-analysis"]
    return subprocess.run([program, *quick], capture_output=True, text=True, timeout=120)


def runs(source):
    def case():
        if not program:
            raise report.Skip("kaio-micro is not built: that takes -Dbench=enabled, CLI11, fmt and Catch2")
        with open(os.path.join(folder, source), encoding="utf-8") as file:
            names = re.findall(r'BENCHMARK\("(.*?)"\)', file.read())
        missing = [name for name in names if name not in re.sub(r"\s+", " ", done().stdout)]
        if done().returncode != 0 or "All tests passed" not in done().stdout or missing or not names:
            return f"exit status {done().returncode}, not run: {missing}\n{done().stdout}{done().stderr}"
        return None

    return case


sources = sorted(name for name in os.listdir(folder) if name.endswith(".cpp") and name != "main.cpp")
report.run([(source, runs(source)) for source in sources])
