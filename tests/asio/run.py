#!/usr/bin/env python3
"""run.py SIDE-BY-SIDE RUN-UNDER: a program of Asio reads a file by kaio's files where a container's filter forbids the
io_uring that Asio's own files need. Where both work, they read the same."""

import os
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

program, launcher = map(os.path.abspath, sys.argv[1:3])


def reads(whose, filter=None):
    """Returns the sum of what was read, or what the program said instead."""
    with tempfile.NamedTemporaryFile(dir=os.getcwd()) as file:
        file.write(random.Random(1).randbytes(1 << 20))
        file.flush()
        words = [*([launcher, filter] if filter else []), program, whose, file.name, "2000", "8"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        raise report.Skip(f"no seccomp filters here: {done.stderr.strip()}")
    if "Invalid argument" in done.stderr:
        raise report.Skip(f"the file system of {os.getcwd()} has no direct I/O")
    found = re.match(r"sum (\d+), ", done.stdout)
    return found[1] if found and done.returncode == 0 else done.stderr


def same(filter):
    def case():
        usual, there = reads("kaio"), reads("kaio", filter)
        return None if there == usual and usual.isdigit() else f"without the filter: {usual}\nwith it: {there}"

    return case


def asio_fails():
    """Otherwise the other cases prove nothing."""
    said = reads("asio", "docker")
    return None if "Operation not permitted" in said else said


def as_asio():
    own, ours = reads("asio"), reads("kaio")
    if not own.isdigit():
        raise report.Skip(f"Asio's own files do not work here: {own.strip()}")
    return None if own == ours else f"Asio's files: {own}\nkaio's: {ours}"


report.run(
    [(f"kaio's files under {filter}'s filter", same(filter)) for filter in ("docker", "docker-old")]
    + [("Asio's own files under docker's filter", asio_fails), ("kaio's files read what Asio's read", as_asio)]
)
