#!/usr/bin/env python3
"""compile.py INCLUDE [--time]: what kaio's headers cost to compile with g++ in a program that already includes what
most programs include. The ratio of the compiler's instructions with and without kaio has a limit, as
docs/decisions/compile-cost.md explains.

--time prints CPU times instead (medians of interleaved runs), and has no limit."""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import cachegrind
import report

include = sys.argv[1]
yardstick = ["vector", "string", "memory", "map", "algorithm", "functional", "chrono"]
# As a multiple of the instructions of the yardstick alone (g++ 12). The decision page says how the limit came about.
limits = {"kaio/kaio.hpp": 1.19}


def command(folder, headers):
    source = os.path.join(folder, f"{len(headers)}-{os.path.basename(headers[-1])}.cpp")
    with open(source, "w", encoding="utf-8") as file:
        file.write("".join(f"#include <{header}>\n" for header in headers))
    return ["g++", "-std=c++20", "-I", include, "-c", source, "-o", os.devnull]


def cost(header):
    def case():
        if not shutil.which("g++"):
            raise report.Skip("g++ is not installed")
        with tempfile.TemporaryDirectory() as folder:
            without, ours = (
                cachegrind.instructions(command(folder, headers), timeout=280) for headers in (yardstick, [*yardstick, header])
            )
        print(f"{header}: {ours / 1e6:.0f} million instructions, without it {without / 1e6:.0f}: {ours / without:.3f} ×")
        if ours <= limits[header] * without:
            return None
        return (
            f"more than {limits[header]} ×. To repeat it: compile a file with the {len(yardstick)} headers of the yardstick, and one "
            f"with <{header}> too, each by valgrind --tool=cachegrind --cache-sim=no --trace-children=yes g++ -std=c++20 -I {include} -c"
        )

    return case


def cpu_times(commands, rounds=21):
    def once(line):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(line, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    times = {what: [] for what in commands}
    for _ in range(rounds):
        for what, line in commands.items():
            times[what].append(once(line))
    return {what: statistics.median(taken) for what, taken in times.items()}


if sys.argv[2:] == ["--time"]:
    with tempfile.TemporaryDirectory() as folder:
        commands = {"the yardstick": command(folder, yardstick)}
        commands |= {f"with <{header}>": command(folder, [*yardstick, header]) for header in limits}
        figures = cpu_times(commands)
    for what, seconds in figures.items():
        print(f"{what}: {seconds:.3f} s of CPU, {seconds / figures['the yardstick']:.3f} ×")
else:
    report.run([(f"{header}, at most {limit} × a program without it", cost(header)) for header, limit in limits.items()])
