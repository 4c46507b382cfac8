#!/usr/bin/env python3
"""run.py RUN-UNDER SOURCE-ROOT NAME=PROGRAM...: runs the tests that use the kernel, and the examples, as a container
would. Docker's filters change nothing. Without native AIO, every program reports that and names the alternatives."""

import os
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "support"))
import report

launcher, root = map(os.path.abspath, sys.argv[1:3])
programs = dict(argument.split("=", 1) for argument in sys.argv[3:])
tests = {name: path for name, path in programs.items() if not name.startswith("example/")}
examples = {name: path for name, path in programs.items() if name.startswith("example/")}


def under(kind, command, **settings):
    done = subprocess.run([launcher, kind, *command], capture_output=True, text=True, timeout=120, **settings)
    if done.returncode == 77:
        raise report.Skip(f"no seccomp filters here: {done.stderr.strip()}")
    return done


def same(kind, command):
    """The program passes as it does without a filter. Returns the number of its test cases."""

    def case():
        with tempfile.TemporaryDirectory() as place:
            done = under(kind, command, cwd=place)
        lines = done.stdout.strip().splitlines()
        words = lines[-1].split() if lines else []
        if done.returncode != 0 or len(words) != 6 or words[1] != "passed,":
            return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
        return int(words[0])

    return case


def fails_clearly(path):
    def case():
        with tempfile.TemporaryDirectory() as place:
            done = under("no-aio", [path], cwd=place)
        missing = [word for word in ("io_setup(", "no native AIO", "io_uring", "threads with pread", "not implemented")
                   if word not in done.stderr]
        if done.returncode == 0 or missing:
            return f"exit status {done.returncode}, and the error text lacks {missing}:\n{done.stdout}{done.stderr}"
        return None

    return case


def really_denied():
    """The filters deny what they should deny. Otherwise the other cases prove nothing."""
    probe = """import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number):
    libc.syscall(number, 0, 0, 0, 0, 0, 0)
    return errno.errorcode[ctypes.get_errno()]
print(call(425), call(%d))"""
    pgetevents = {"x86_64": 333, "aarch64": 292, "riscv64": 292, "s390x": 382, "ppc64le": 388}.get(os.uname().machine)
    if pgetevents is None:
        raise report.Skip("the number of io_pgetevents is not known here")
    for kind, denied in (("docker", [True, False]), ("docker-old", [True, True])):
        done = under(kind, [sys.executable, "-c", probe % pgetevents])
        if [error == "EPERM" for error in done.stdout.split()] != denied:
            return f"under {kind}: {done.stdout}{done.stderr}"
    return None


example_tests = [sys.executable, os.path.join(here, "..", "docs", "examples.py"), root]
example_tests += [f"{name[len('example/'):]}={path}" for name, path in examples.items()]
report.run(
    [(f"{name} under {kind}", same(kind, [path])) for kind in ("docker", "docker-old") for name, path in tests.items()]
    + [(f"the examples under {kind}", same(kind, example_tests)) for kind in ("docker", "docker-old")]
    + [(f"{name} without native AIO", fails_clearly(path)) for name, path in examples.items()]
    + [("the filters deny what they should", really_denied)],
    workers=3,
)
