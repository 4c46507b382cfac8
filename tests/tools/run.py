#!/usr/bin/env python3
"""run.py INCLUDE COMPILER...: programs that use kaio under the tools that watch memory. No false report, and the real
mistakes are still reported."""

import os
import shutil
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "support"))
import report

include, compiler = sys.argv[1], sys.argv[2:]
place = tempfile.TemporaryDirectory()


def build(name, sanitizer):
    program = os.path.join(place.name, f"{name}-{sanitizer}")
    source = os.path.join(here, name + ".cpp")
    extra = [f"-fsanitize={sanitizer}"] if sanitizer else []
    flags = ["-std=c++20", "-gdwarf-4", "-O1", "-I", include, *extra]
    probe = subprocess.run([*compiler, *extra, "-x", "c++", "-", "-o", program], input="int main() {}", text=True,
                           capture_output=True)
    if probe.returncode != 0:
        raise report.Skip(f"{compiler[-1]} has no {sanitizer} sanitizer here")
    done = subprocess.run([*compiler, *flags, source, "-o", program], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return program


def silent(sanitizer):
    def case():
        done = subprocess.run([build("reads", sanitizer)], capture_output=True, text=True, timeout=120)
        return None if done.returncode == 0 and not done.stderr else f"status {done.returncode}\n{done.stderr}"

    return case


def memcheck():
    if not shutil.which("valgrind"):
        raise report.Skip("valgrind is not installed")
    command = ["valgrind", "-q", "--error-exitcode=99", build("reads", ""), "valgrind"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return None if done.returncode == 0 and not done.stderr else f"status {done.returncode}\n{done.stderr}"


def reported(name, sanitizer, words):
    def case():
        done = subprocess.run([build(name, sanitizer)], capture_output=True, text=True, timeout=120)
        if done.returncode == 0 or words not in done.stderr:
            return f"status {done.returncode}, and no '{words}'\n{done.stderr}"
        return None

    return case


report.run(
    [(f"reading under the {s} sanitizer gives no report", silent(s)) for s in ("address", "memory", "thread")]
    + [
        ("reading under memcheck gives no report", memcheck),
        ("a freed buffer that is submitted is reported", reported("freed", "address", "heap-use-after-free")),
        ("unwritten bytes that are submitted are reported", reported("unwritten", "memory", "use-of-uninitialized-value")),
    ],
    workers=2,
)
