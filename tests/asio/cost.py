#!/usr/bin/env python3
"""cost.py ASIO-COST REQUEST-COST: what a read by kaio's files for Asio costs in user space, compared with what Asio takes
for a post and kaio's coroutines for a read: instructions (cachegrind, the difference of two run lengths), allocations,
and calls of io_submit."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import cachegrind
import report

program, of_kaio = sys.argv[1:3]
short, long = 10_000, 30_000
# Instructions beyond a post, as a multiple of those of kaio's coroutines. With the type of the io_context's executor
# Asio's post costs about 250 fewer, and kaio's part is the same.
limits = {"file": ("post", 1.3), "plain_file": ("plain_post", 2.6)}


def beyond_post(form):
    post, limit = limits[form]

    def case():
        file, posted = (cachegrind.per_request(program, which, short, long) for which in (form, post))
        coroutine = cachegrind.per_request(of_kaio, "coroutine", short, long)
        print(f"{form}: {file:.0f} instructions for a read, {posted:.0f} for a post, {coroutine:.0f} for a read by a coroutine")
        if file > posted + limit * coroutine:
            return f"more than {limit} × {coroutine:.0f} beyond the post; to see it: valgrind --tool=callgrind {program} {form} {long}"
        return None

    return case


def allocations():
    """More reads take no more of them."""
    if not shutil.which("valgrind"):
        raise report.Skip("valgrind is not installed")
    counts = []
    for reads in (short, long):
        done = subprocess.run(["valgrind", program, "file", str(reads)], capture_output=True, text=True, timeout=280)
        counts.append(re.search(r"total heap usage: ([0-9,]+) allocs", done.stderr)[1])
    return None if counts[0] == counts[1] else f"{short} reads make {counts[0]} allocations, {long} make {counts[1]}"


def submissions():
    if not shutil.which("strace"):
        raise report.Skip("strace is not installed")
    with tempfile.NamedTemporaryFile("r") as output:
        command = ["strace", "-f", "-c", "-o", output.name, program, "file", str(short)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        table = output.read()
    if done.returncode != 0:
        if "PTRACE" in done.stderr or "not permitted" in done.stderr:
            raise report.Skip("tracing is not permitted here")
        raise RuntimeError(done.stderr)
    calls = {line.split()[-1]: int(line.split()[3]) for line in table.splitlines() if re.match(r" *\d+\.\d", line)}
    print(f"{short} reads, 32 at a time: {calls['io_submit']} io_submit")
    wanted = short // 32 + 10
    return None if calls["io_submit"] <= wanted and calls.get("read", 0) <= wanted else f"more than {wanted} of io_submit or read"


report.run(
    [(f"instructions of {form}", beyond_post(form)) for form in limits]
    + [("allocations", allocations), ("system calls", submissions)],
    workers=2,
)
