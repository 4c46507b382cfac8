#!/usr/bin/env python3
"""run.py [--quick] [--clang COMPILER] [NAME...]: what tests/run does once the packages are there.

Builds and tests each configuration of the table below under build/. While the tests of one run, the next is built; the
virtual machines of tests/vm/run come last.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import report

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ["--prefix=/usr", "-Dwerror=true", "-Dtests=enabled", "-Ddocs=enabled", "-Dbench=disabled"]
VM_LOG, VM_TESTLOG = Path("build/vm.log"), Path("build/vm/testlog.json")


@dataclass
class Cost:
    """What programs took, with all that they started and waited for, in seconds."""

    processors: float = 0
    clock: float = 0

    def __str__(self):
        return f"{self.processors:.0f} s of the processors in {self.clock:.0f} s"


@dataclass
class Configuration:
    """One way to build the tests, and which of them are run that way."""

    folder: str  # under build/
    title: str  # what a skip is called
    description: str
    compiler: str
    options: list  # for Meson, after OPTIONS
    suite: str = ""  # only the tests in it
    no_suite: str = ""  # only the tests outside it
    patience: int = 1  # a test's time limit is multiplied by it
    catch2: str = ""  # the folder of a pkg-config file, where Catch2 is not the system's
    environment: dict = field(default_factory=dict)  # of the tests
    skipped: str = ""  # why this machine can't have it
    building: Cost = field(default_factory=Cost)
    testing: Cost = field(default_factory=Cost)

    @property
    def path(self):
        return Path("build", self.folder)

    @property
    def log(self):
        return Path("build", self.folder + ".log")

    @property
    def testlog(self):
        return self.path / "meson-logs" / "testlog.json"

    def selects(self, test, names):
        """Whether a test, as Meson describes it, is run here. No names: all of them."""
        suites = [suite.split(":")[-1] for suite in test["suite"]]
        if (self.suite and self.suite not in suites) or self.no_suite in suites:
            return False
        return not names or any(name in test["name"] for name in names)


# Reports of a sanitizer name functions, not lines; for those:
#     meson configure build/asan -Ddebug=true && meson test -C build/asan
# Not optimized: that hides nothing from a sanitizer, and takes a quarter of the time to build.
SANITIZED = ["-Doptimization=0", "-Ddebug=false", "-Db_lundef=false"]


def table(machine):
    """All configurations, one after the other: --quick takes the first, and nothing is asked for the rest of them.

    The suite `once` is about the world around kaio, so once is enough. What the suite `scripts` tests changes neither
    with a sanitizer nor with the processor. tests/meson.build says what the suite `bits` is.
    """
    # As users build it; with the benchmark, if what that needs is there.
    yield Configuration(
        folder="gcc",
        title="g++",
        description=f"g++, Catch2 {machine.system_catch2}",
        compiler="g++",
        options=["-Doptimization=2", "-Ddebug=false", "-Dbench=auto"],
    )
    yield Configuration(
        folder="x86-64" if machine.static else "clang",  # tests/vm/run uses static programs in build/x86-64
        title="clang++",
        description=f"{machine.clang}, Catch2 {machine.newest_catch2}, release without asserts",
        compiler=machine.clang,
        # The examples are the sanitizers' part, with the same compiler.
        options=["-Dbuildtype=release", "-Db_ndebug=true", "-Ddocs=disabled", *machine.static],
        no_suite="once",
        catch2=machine.catch2_3,
        skipped="" if machine.clang else "no clang++ with coroutines (15 or later)",
    )
    yield Configuration(
        folder="asan",
        title="address and undefined behaviour sanitizers",
        description=f"{machine.clang}, {machine.library}, Catch2 {machine.system_catch2}, address and undefined behaviour sanitizers",
        compiler=machine.clang,
        options=[
            *SANITIZED,
            "-Db_sanitize=address,undefined",
            f"-Dcpp_args=-stdlib={machine.library}",
            f"-Dcpp_link_args=-stdlib={machine.library} {machine.linker}",
        ],
        no_suite="scripts",
        patience=2,
        environment={
            "ASAN_OPTIONS": "detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        },
        skipped="" if machine.address_sanitizer else "clang++ with them does not work here",
    )
    yield Configuration(
        folder="tsan",
        title="thread sanitizer",
        description=f"{machine.thread_sanitizer}, Catch2 {machine.newest_catch2}, thread sanitizer",
        compiler=machine.thread_sanitizer,
        options=[*SANITIZED, "-Db_sanitize=thread", f"-Dcpp_link_args={machine.linker}"],
        suite="threads",
        patience=4,
        catch2=machine.catch2_3,
        skipped="" if machine.thread_sanitizer else "programs with it do not run here",
    )
    # Words of 32 bits on a 64-bit kernel, and kaio as one file. The machine i386 of tests/vm/run has some of these
    # programs on a 32-bit kernel.
    yield Configuration(
        folder="i686",
        title="32 bit, kaio as one file",
        description="i686-linux-gnu-g++, static, Catch2 2, kaio as one file",
        compiler="i686-linux-gnu-g++",
        options=[
            *["-Doptimization=0", "-Ddebug=false", "-Ddocs=disabled", "-Done_file=true"],
            *["--cross-file", "tests/cross/i686.ini"],
        ],
        suite="bits",
        skipped=machine.no_32_bit,
    )


class Machine:
    """What the table asks of this machine."""

    def __init__(self, clang):
        self.clang = clang  # the newest one with coroutines, or ""
        self.no_catch2_3 = ""  # why catch2_3 is ""

    def runs(self, *command):
        """Whether a program that is built so works here."""
        if not command[0] or not shutil.which(command[0]):
            return False
        built = subprocess.run(
            [*command, "-x", "c++", "-", "-o", "build/probe"], input=b"int main() { return 0; }", stderr=subprocess.DEVNULL
        )
        if built.returncode != 0:
            return False
        ran = subprocess.run(["build/probe"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.remove("build/probe")
        return ran.returncode == 0

    @cached_property
    def system_catch2(self):
        return 3 if subprocess.run(["pkg-config", "--atleast-version=3", "catch2"]).returncode == 0 else 2

    @cached_property
    def catch2_3(self):
        """The folder of the pkg-config file of a Catch2 3 beside a system's Catch2 2, or ""."""
        if self.system_catch2 == 3:
            return ""
        done = subprocess.run(["tests/support/catch2-3", "build/catch2-3"], capture_output=True, text=True, errors="replace")
        Path("build/catch2-3.log").write_text(done.stderr, encoding="utf-8")
        if done.returncode != 0:
            self.no_catch2_3 = (done.stderr.splitlines() or ["no reason was given"])[-1]
            return ""
        return done.stdout.strip()

    @property
    def newest_catch2(self):
        return 3 if self.catch2_3 else self.system_catch2

    @cached_property
    def static(self):
        """The option for static programs, where tests/vm/run can use them."""
        return ["-Dcpp_link_args=-static"] if os.uname().machine == "x86_64" and self.runs(self.clang, "-static") else []

    @cached_property
    def linker(self):
        """gold takes half as long as the usual one."""
        return "-fuse-ld=gold" if self.runs(self.clang or "g++", "-fuse-ld=gold") else ""

    @cached_property
    def address_sanitizer(self):
        return self.runs(self.clang, "-fsanitize=address,undefined")

    @cached_property
    def library(self):
        """The C++ library of that configuration. A Catch2 3 is a library, and was built with libstdc++."""
        if self.system_catch2 == 2 and self.runs(self.clang, "-stdlib=libc++", "-fsanitize=address,undefined"):
            return "libc++"
        return "libstdc++"

    @cached_property
    def thread_sanitizer(self):
        """The compiler for it, or ""."""
        return next((compiler for compiler in (self.clang, "g++") if self.runs(compiler, "-fsanitize=thread")), "")

    @cached_property
    def no_32_bit(self):
        """Why there are no 32-bit programs, or ""."""
        if self.system_catch2 == 3:
            return "needs Catch2 2, which is a header"
        if not shutil.which("i686-linux-gnu-g++"):
            return "i686-linux-gnu-g++ is not installed"
        return "" if self.runs("i686-linux-gnu-g++", "-static") else "this kernel runs no 32-bit programs"


class Interrupted(Exception):
    """A signal asked to stop."""


class Children:
    """The programs that run, each with all that it starts in a session of its own, so that it ends as a whole."""

    def __init__(self):
        self.running = set()
        self.stopped_by = 0  # the signal

    def call(self, command, log, cost, **environment):
        """Runs the command, whose output goes to the file `log`, adds to its cost, and returns its exit status."""
        if self.stopped_by:
            raise Interrupted
        start = time.monotonic()
        child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self.running.add(child)
        if self.stopped_by:  # meanwhile, and perhaps without this one
            self.end(child)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.running.discard(child)
        cost.processors += used.ru_utime + used.ru_stime
        cost.clock += time.monotonic() - start
        if self.stopped_by:
            raise Interrupted
        return child.returncode

    def stop(self, number, _):
        """A signal's handler."""
        self.stopped_by = number
        for child in list(self.running):
            self.end(child)

    @staticmethod
    def end(child):
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)


children = Children()


def definition():
    """Changes with what Meson reads, whatever the files' times say: copied files may be older than a kept build folder."""
    files = [ROOT / "meson.build", ROOT / "meson_options.txt"]
    for folder in ("bench", "docs", "include", "tests"):
        files += sorted((ROOT / folder).rglob("meson.build"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def output(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace").stdout


def set_up(c, log):
    """Has Meson configure the folder, anew where another compiler or other options made it. False: it failed."""
    command = ["meson", "setup", str(c.path), *OPTIONS, *c.options]
    wanted = repr((command, c.compiler, c.catch2, output(c.compiler, "--version"), output("meson", "--version"), str(ROOT)))
    record, configured = c.path / "wanted", c.path / "definition"
    if not record.exists() or record.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(c.path, ignore_errors=True)
        environment = {"CXX": c.compiler} | ({"PKG_CONFIG_PATH": c.catch2} if c.catch2 else {})
        if children.call(command, log, c.building, **environment) != 0:
            return False
        record.write_text(wanted, encoding="utf-8")
    elif configured.exists() and configured.read_text(encoding="utf-8") != definition():
        os.utime(c.path / "build.ninja", (0, 0))  # so Ninja has it made again
    # Before anybody asks what there is to build and to test, for that may have changed.
    if children.call(["nice", "ninja", "-C", c.path, "build.ninja"], log, c.building) != 0:
        return False
    configured.write_text(definition(), encoding="utf-8")
    return True


def known_to_meson(c, what):
    return json.loads((c.path / "meson-info" / f"intro-{what}.json").read_text(encoding="utf-8"))


def selected(c, names):
    return [test for test in known_to_meson(c, "tests") if c.selects(test, names)]


def targets(c, names):
    """What Ninja has to build."""
    if not (names or c.suite or c.no_suite):
        return ["all", "meson-test-prereq"]  # and what only tests need
    files = {target["id"]: target["filename"] for target in known_to_meson(c, "targets")}
    needed = {name for test in selected(c, names) for target in test["depends"] for name in files[target]}
    return sorted(os.path.relpath(name, ROOT / c.path) for name in needed)


def build(c, names):
    """Builds what will be tested. False: it failed, and the log says why."""
    with open(c.log, "wb") as log:
        if not set_up(c, log):
            return False
        wanted = targets(c, names)
        return not wanted or children.call(["nice", "ninja", "-C", c.path, *wanted], log, c.building) == 0


def test(c, names, totals):
    """Runs the tests, and adds them up."""
    command = ["meson", "test", "-C", c.path, "--no-rebuild", "--quiet", "--print-errorlogs", "-t", c.patience]
    command += ["--suite", c.suite] if c.suite else []
    command += ["--no-suite", c.no_suite] if c.no_suite else []
    if names:
        command += [one["name"] for one in selected(c, names)]
    c.testlog.unlink(missing_ok=True)
    with open(c.log, "wb") as log:
        status = children.call(command, log, c.testing, **c.environment)
    if status != 0:
        print(text_of(c.log), end="")
    if c.testlog.exists():
        totals.add(c.testlog)
    elif status != 0:
        totals.fail(f"{c.description}: no test ran")


def test_in_virtual_machines(cost):
    VM_TESTLOG.unlink(missing_ok=True)
    with open(VM_LOG, "wb") as log:
        return children.call(["nice", "tests/vm/run"], log, cost) == 0


def add_virtual_machines(passed, totals):
    said = text_of(VM_LOG)
    if not passed:
        print(said)
    if VM_TESTLOG.exists():
        totals.add(VM_TESTLOG)
    else:
        totals.fail("virtual machines")
    for line in said.splitlines():
        if re.search(r": [0-9.]+ s$|tried again", line):
            print(line)


def text_of(path):
    return path.read_text(encoding="utf-8", errors="replace")


def test_all(rows, names, totals, virtual_machines):
    # One build after the other, for each takes all processors. What is tested meanwhile does not wait for it.
    in_machines = Cost()
    with ThreadPoolExecutor(1) as builder:
        builds = [builder.submit(build, c, names) for c in rows]
        machines = builder.submit(test_in_virtual_machines, in_machines) if virtual_machines else None
        for c, built in zip(rows, builds):
            print(f"== {c.description}")
            if not built.result():
                print("\n".join(text_of(c.log).splitlines()[-80:]))
                totals.fail(f"{c.description} does not build")
            elif not names or selected(c, names):
                test(c, names, totals)
        if machines:
            print("== Debian's kernels for other processors and of other ages, in virtual machines")
            add_virtual_machines(machines.result(), totals)
    for c in rows:
        print(f"{c.title}: built: {c.building}; tested: {c.testing}")
    if machines:
        print(f"virtual machines: {in_machines}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--clang", default="", metavar="COMPILER")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_intermixed_args()
    names = arguments.names

    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, children.stop)
    os.chdir(ROOT)
    os.makedirs("build", exist_ok=True)

    machine, totals = Machine(arguments.clang), report.Totals()
    rows = [next(table(machine))] if arguments.quick else list(table(machine))
    if not arguments.quick:
        if machine.system_catch2 == 3:
            totals.skip("Catch2 2", "the system's Catch2 is version 3")
        elif not machine.catch2_3:
            totals.skip("Catch2 3", f"could not be fetched: {machine.no_catch2_3}")
    for c in rows:
        if c.skipped:
            totals.skip(c.title, c.skipped)
    try:
        test_all([c for c in rows if not c.skipped], names, totals, virtual_machines=not arguments.quick and not names)
    except Interrupted:
        return 128 + children.stopped_by
    if names and totals.programs == 0 and totals.failed == 0:
        print(f"no test has a name with: {' '.join(names)} (meson test -C build/gcc --list shows the names)")
    return totals.close()


if __name__ == "__main__":
    sys.exit(main())
