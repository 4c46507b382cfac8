"""tested.py INCLUDE PROGRAM...: each public header of a floor has a test program of its name, and this test can tell."""

import os
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

FLOORS = ("sys", "io", "loop", "coro", "sim", "compat", "asio")  # headers elsewhere are not looked at
# Headers without a test of their name, each with its reason.
EXCEPTIONS = {
    "sys/cpp20": "has no code: tests/headers/refusals.py has its error",
    "coro/coroutine": "has no code: tests/headers/refusals.py has its errors, warnings.py its macros",
}


def floor_of(name):
    return name.split("/")[0]


def public(include):
    """io/file for kaio/io/file.hpp, sorted. Headers in detail/ are not public."""
    names = [header.removesuffix(".hpp").removeprefix("kaio/") for header in report.headers(include)]
    return [name for name in names if floor_of(name) in FLOORS and name.count("/") == 1]


def untested(name, programs, exceptions):
    if name not in programs and name not in exceptions:
        return f"{name} has no test: tests/{name}.cpp, in `programs` of tests/meson.build"
    return None


def needless(include, programs, exceptions):
    """One line for each exception that is none."""
    names = public(include)
    for name, reason in exceptions.items():
        if floor_of(name) in FLOORS and name not in names:
            yield f"{name} is an exception, and there is no such header"
        elif name in programs:
            yield f"{name} has a test, and is an exception: {reason}"


# Trees, as their headers, programs and exceptions, with what must be said about them (None: nothing).
TREES = {
    "a good tree": (["io/file", "sys/ring"], ["io/file", "sys/ring", "limits/files"], {}, None),
    "a header without a test": (["io/file", "sys/ring"], ["io/file"], {}, "sys/ring has no test: tests/sys/ring.cpp"),
    "a test of another floor's header": (["io/file"], ["sim/file"], {}, "io/file has no test"),
    "machinery": (["io/detail/words"], [], {}, None),
    "a header outside the floors": (["version", "net/socket"], [], {}, None),
    "an exception": (["sys/words"], [], {"sys/words": "no code"}, None),
    "an exception with a test": (["sys/words"], ["sys/words"], {"sys/words": "no code"}, "is an exception: no code"),
    "an exception for nothing": (["io/file"], ["io/file"], {"sys/words": "no code"}, "there is no such header"),
}


def tree_case(headers, programs, exceptions, expected):
    def run():
        with tempfile.TemporaryDirectory() as include:
            for header in headers:
                path = os.path.join(include, "kaio", f"{header}.hpp")
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8"):
                    pass
            found = [untested(name, programs, exceptions) for name in public(include)]
            said = "\n".join([*filter(None, found), *needless(include, programs, exceptions)])
        if (expected or "") in said and bool(expected) == bool(said):
            return None
        return f"expected: {expected}\nbut it said: {said or 'nothing'}"

    return run


include, programs = sys.argv[1], sys.argv[2:]
cases = [(name, lambda name=name: untested(name, programs, EXCEPTIONS)) for name in public(include)]
cases += [("no needless exceptions", lambda: "\n".join(needless(include, programs, EXCEPTIONS)) or None)]
cases += [(f"judges {name}", tree_case(*tree)) for name, tree in TREES.items()]
report.run(cases)
