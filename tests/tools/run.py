#!/usr/bin/env python3
"""run.py INCLUDE COMPILER...: programs that use kaio under the tools that watch memory. No false report, and the real
mistakes are still reported."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "support"))
import report

include, compiler = sys.argv[1], sys.argv[2:]
place = tempfile.TemporaryDirectory()


@functools.cache
def missing(sanitizer):
    """Why programs with this sanitizer can't be built here, or None."""
    command = [*compiler, f"-fsanitize={sanitizer}", "-x", "c++", "-", "-o", os.path.join(place.name, "probe-" + sanitizer)]
    probe = subprocess.run(command, input="int main() {}", text=True, capture_output=True)
    return f"{compiler[-1]} has no {sanitizer} sanitizer here" if probe.returncode != 0 else None


def build_all():
    """Every program for every tool, two compilers at a time: name and tool → the program, or a Skip, or the error."""

    def build(name, tool):
        program = os.path.join(place.name, f"{name}-{tool}")
        flags = ["-std=c++20", "-gdwarf-4", "-O1", "-I", include]
        if tool != "memcheck":
            if missing(tool):
                return report.Skip(missing(tool))
            flags.append(f"-fsanitize={tool}")
        elif not shutil.which("valgrind"):
            return report.Skip("valgrind is not installed")
        command = [*compiler, *flags, os.path.join(here, name + ".cpp"), "-pthread", "-o", program]
        done = subprocess.run(command, capture_output=True, text=True)
        return program if done.returncode == 0 else RuntimeError(done.stderr)

    keys = [(name, tool) for tool in tools for name in ("reads", "handed_over", "mistakes")]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(keys, pool.map(lambda key: build(*key), keys)))


def outcome(name, tool, *arguments):
    program = programs[name, tool]
    if isinstance(program, Exception):
        raise program
    command = [program, *arguments]
    if tool == "memcheck":
        command = ["valgrind", "-q", "--error-exitcode=99", *command]
    environment = os.environ | ({"ASAN_SYMBOLIZER_PATH": os.path.realpath(symbolizer)} if symbolizer else {})
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def silent(name, tool):
    def case():
        done = outcome(name, tool, *(["valgrind"] if tool == "memcheck" else []))
        return None if done.returncode == 0 and not done.stderr else f"status {done.returncode}\n{done.stderr}"

    return case


def reported(mistake, tool, words):
    def case():
        done = outcome("mistakes", tool, mistake)
        if done.returncode == 0 or words not in done.stderr:
            return f"status {done.returncode}, and no '{words}'\n{done.stderr}"
        return None

    return case


def line_reported(mistake, tool):
    """The report of the mistake names the line that is marked with its name."""
    with open(os.path.join(here, "mistakes.cpp"), encoding="utf-8") as file:
        line = next(number for number, text in enumerate(file, 1) if text.endswith(f"// line: {mistake}\n"))

    def case():
        done = outcome("mistakes", tool, mistake)
        submission, _, rest = done.stderr.partition("ERROR: AddressSanitizer")
        if rest and "mistakes.cpp:" not in rest:
            raise report.Skip("reports have no lines here; is llvm-symbolizer installed?")
        words = f"mistakes.cpp:{line}"
        return None if "submitted here" in submission and words in submission else f"no '{words}'\n{done.stderr}"

    return case


symbolizer = shutil.which("llvm-symbolizer")  # Clang's own name for it has a version that may not be installed
tools = ("address,undefined", "memory", "thread", "memcheck")  # sanitizers by their names for -fsanitize, and Valgrind's
programs = build_all()
report.run(
    [(f"reading under {tool} gives no report", silent("reads", tool)) for tool in tools]
    + [(f"two threads under {tool} give no report", silent("handed_over", tool)) for tool in tools]
    + [
        (f"{what} is reported by {tool}", reported(mistake, tool, words))
        for what, mistake, tool, words in (
            ("a freed buffer that is submitted", "freed", "address,undefined", "heap-use-after-free"),
            ("a buffer that is freed while the kernel has it", "freed_in_flight", "address,undefined", "heap-use-after-free"),
            ("a buffer that leaves its scope while the kernel has it", "out_of_scope", "address,undefined", "stack-use-after-scope"),
            ("a pool's buffer that no handle has", "returned", "address,undefined", "use-after-poison"),
            ("a vector with a freed piece", "freed_piece", "address,undefined", "heap-use-after-free"),
            ("a request for more than the buffer has", "too_long", "address,undefined", "heap-buffer-overflow"),
            ("a write of unwritten bytes", "unwritten", "memory", "use-of-uninitialized-value"),
            ("a write of unwritten bytes", "unwritten", "memcheck", "uninitialised byte"),
            ("a buffer read before its request has completed", "too_early", "memory", "use-of-uninitialized-value"),
            ("a buffer read before its request has completed", "too_early", "memcheck", "uninitialised value"),
            ("a buffer written while in flight and read as complete", "reused", "thread", "data race"),
            ("a loop that two threads call in turn, unsynchronised,", "unsynchronised", "thread", "data race"),
        )
    ]
    + [
        (f"the line that submitted it is in the report of {mistake}", line_reported(mistake, "address,undefined"))
        for mistake in ("freed", "freed_in_flight", "freed_awaited", "out_of_scope")
    ],
    workers=2,
)
