#!/usr/bin/env python3
"""compile.py INCLUDE [--time]: what kaio's headers cost to compile with g++, against <liburing.h>: instructions of the
compiler (callgrind), which don't depend on the weather. With --time it prints CPU times instead, to read and not to judge:
medians of interleaved runs."""

import functools
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import callgrind
import report

include = sys.argv[1]
yardstick = "liburing.h"
limits = {"kaio/io/context.hpp": 0.80, "kaio/kaio.hpp": 1.00}  # × the yardstick


def compile_command(header, folder):
    source = os.path.join(folder, header.replace("/", "_") + ".cpp")
    with open(source, "w", encoding="utf-8") as file:
        file.write(f"#include <{header}>\n")
    return ["g++", "-std=c++20", "-I", include, "-c", source, "-o", "/dev/null"]


@functools.cache
def instructions(header):
    """Of the driver, the compiler and the assembler together, in millions."""
    with tempfile.TemporaryDirectory() as folder:
        return callgrind.instructions(compile_command(header, folder), timeout=900) / 1e6


def needs():
    if not shutil.which("g++"):
        raise report.Skip("g++ is not installed")
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(compile_command(yardstick, folder), capture_output=True).returncode != 0:
            raise report.Skip(f"<{yardstick}> is not installed (Debian: liburing-dev)")


def no_dearer(header):
    def case():
        needs()
        base, ours = instructions(yardstick), instructions(header)
        text = f"{header}: {ours:.0f} million instructions to compile, {yardstick} {base:.0f}: {ours / base:.3f} ×"
        print(text)
        return None if ours <= limits[header] * base else f"{text}, and at most {limits[header]} × is promised"

    return case


def cpu_times(rounds=11):
    def once(command):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    with tempfile.TemporaryDirectory() as folder:
        commands = {header: compile_command(header, folder) for header in (yardstick, "system_error", *limits)}
        times = {header: [] for header in commands}
        for _ in range(rounds):
            for header, command in commands.items():
                times[header].append(once(command))
    base = statistics.median(times[yardstick])
    for header, taken in times.items():
        median = statistics.median(taken)
        print(f"{header}: {median * 1000:.0f} ms ({min(taken) * 1000:.0f} to {max(taken) * 1000:.0f}), {median / base:.2f} ×")


if sys.argv[2:] == ["--time"]:
    cpu_times()
else:
    cases = [(f"{header}, at most {limit} × {yardstick}", no_dearer(header)) for header, limit in limits.items()]
    report.run(cases)
