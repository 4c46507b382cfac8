#!/usr/bin/env python3
"""per_core.py PROGRAM: docs/examples/per_core.cpp counts the lines of files, and every processor counts its part."""

import os
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

program = os.path.abspath(sys.argv[1])
part = 8 << 20


def counts(folder, length):
    def case():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            data = random.randbytes(length)
            with open(os.path.join(place, "file"), "wb") as file:
                file.write(data)
            done = subprocess.run([program, "file"], cwd=place, capture_output=True, text=True, timeout=60)
        if "refuses O_DIRECT" in done.stderr:
            raise report.Skip(f"the file system of {folder} has no direct I/O")
        parts = [tuple(map(int, found)) for found in re.findall(r"^processor (\d+): (\d+) lines$", done.stdout, re.M)]
        wanted = data.count(b"\n")
        if done.returncode != 0 or done.stdout.splitlines()[-1] != f"{wanted} lines":
            return f"{wanted} lines, but the program prints {done.stdout}{done.stderr}"
        if len(parts) != (length + part - 1) // part or sum(lines for _, lines in parts) != wanted:
            return f"{wanted} lines, but the parts are {parts}"
        used = {processor for processor, _ in parts}
        allowed = os.sched_getaffinity(0)
        if not used <= allowed or len(used) != min(len(allowed), len(parts)):
            return f"the parts are {parts}, but the processors {allowed}"
        return None

    return case


def refuses(arguments, status, said):
    def case():
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30)
        return None if done.returncode == status and said in done.stderr else f"{done.returncode}: {done.stderr}"

    return case


def full_output():
    """The output goes to a full disk."""
    with tempfile.NamedTemporaryFile() as file, open("/dev/full", "w", encoding="utf-8") as full:
        file.write(b"line\n")
        file.flush()
        done = subprocess.run([program, file.name], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    if "refuses O_DIRECT" in done.stderr:
        raise report.Skip("the file system of temporary files has no direct I/O")
    said = "per_core: the output can't be written\n"
    return None if done.returncode == 1 and done.stderr == said else f"exit status {done.returncode}: {done.stderr}"


lengths = (0, 1, 4097, part, part + 1, 5 * part - 1)
report.run(
    [
        (f"per_core counts {length} bytes in {folder}", counts(folder, length))
        for folder in (os.getcwd(), "/dev/shm")
        if os.path.isdir(folder)
        for length in lengths
    ]
    + [
        ("per_core refuses a missing file", refuses(["/none"], 1, 'open("/none"): No such file or directory')),
        ("per_core fails if it can't write its output", full_output),
        ("per_core prints its usage", refuses([], 2, "usage: per_core FILE")),
    ]
)
