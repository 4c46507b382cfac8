#!/usr/bin/env python3
"""compile.py INCLUDE [--instructions | --time]: what kaio's headers cost to compile with g++, against <liburing.h>.

By itself it counts preprocessed lines, which have limits. Both options print, and judge nothing: the instructions of the
compiler (callgrind, a minute), and CPU times, medians of interleaved runs."""

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
limits = {"kaio/io/context.hpp": 0.80, "kaio/kaio.hpp": 0.95}  # × the lines of the yardstick


gxx = ["g++", "-std=c++20", "-I", include, "-x", "c++"]
preprocess = [*gxx, "-E", "-P", "-"]


def preprocessed(header):
    return subprocess.run(preprocess, input=f"#include <{header}>\n", capture_output=True, text=True)


def lines(header):
    """That are left by the preprocessor and not empty."""
    done = preprocessed(header)
    done.check_returncode()
    return done.stdout.count("\n")


def to_compile(header, folder):
    source = os.path.join(folder, header.replace("/", "_") + ".cpp")
    with open(source, "w", encoding="utf-8") as file:
        file.write(f"#include <{header}>\n")
    return [*gxx, "-c", source, "-o", "/dev/null"]


def missing():
    if not shutil.which("g++"):
        return "g++ is not installed"
    if preprocessed(yardstick).returncode != 0:
        return f"<{yardstick}> is not installed (Debian: liburing-dev)"
    return None


def no_longer(header):
    def case():
        if missing():
            raise report.Skip(missing())
        base, ours = lines(yardstick), lines(header)
        if ours <= limits[header] * base:
            return None
        return (
            f"{header}: {ours} preprocessed lines, {ours / base:.3f} × the {base} of {yardstick}; at most {limits[header]} × "
            f"is promised. To repeat it: echo '#include <{header}>' | {' '.join(preprocess)} | wc -l"
        )

    return case


def cpu_times(commands, rounds):
    def once(command):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    times = {header: [] for header in commands}
    for _ in range(rounds):
        for header, command in commands.items():
            times[header].append(once(command))
    return {header: statistics.median(taken) for header, taken in times.items()}


def show(measure, unit):
    with tempfile.TemporaryDirectory() as folder:
        figures = measure({header: to_compile(header, folder) for header in (yardstick, "system_error", *limits)})
    for header, figure in figures.items():
        print(f"{header}: {figure:.3f} {unit}, {figure / figures[yardstick]:.3f} × {yardstick}", flush=True)


def instructions(commands):
    return {header: callgrind.instructions(command, timeout=900) / 1e9 for header, command in commands.items()}


if sys.argv[2:] == ["--time"]:
    show(lambda commands: cpu_times(commands, 21), "s of CPU")
elif sys.argv[2:] == ["--instructions"]:
    show(instructions, "thousand million instructions")
else:
    if not missing():
        show(lambda commands: cpu_times(commands, 3), "s of CPU")
    report.run([(f"{header}, at most {limit} × the lines of {yardstick}", no_longer(header)) for header, limit in limits.items()])
