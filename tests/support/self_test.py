#!/usr/bin/env python3
"""self_test.py: what tests/run counts, what it selects, and that a build folder that was kept is never out of date."""

import contextlib
import io
import os
import tempfile
from pathlib import Path

import report
import run


def totals_of(*programs):
    """What is printed for programs, as dictionaries in Meson's log, and the exit status."""
    totals, said = report.Totals(), io.StringIO()
    with contextlib.redirect_stdout(said):
        for program in programs:
            totals.add_program({"name": "a", "result": "OK", "returncode": 0, **program})
        status = totals.close()
    return said.getvalue().splitlines(), status


def adds_up(lines, status, *programs):
    def case():
        said = totals_of(*programs)
        return None if said == (lines, status) else f"expected {(lines, status)}, but it is {said}"

    return case


def configuration(**more):
    return run.Configuration(folder="one", title="one", description="one", compiler="c++", options=[], **more)


TESTS = [
    {"name": "io/file", "suite": ["kaio"]},
    {"name": "io/context", "suite": ["kaio:threads"]},
    {"name": "headers/floors", "suite": ["kaio:scripts", "kaio:once"]},
]


def selects(expected, *names, **suites):
    def case():
        found = [test["name"] for test in TESTS if configuration(**suites).selects(test, names)]
        return None if found == expected else f"expected {expected}, but it is {found}"

    return case


def write(path, text):
    """A file that is older than any build folder."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, (1, 1))


def kept_folder():
    """A test that has another name, or none any more, since the folder was configured."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve()
        run.ROOT = root
        os.chdir(root)
        os.makedirs("build")
        write(root / "meson_options.txt", "".join(f"option('{name}', type: 'feature')\n" for name in ("tests", "docs", "bench")))
        for names in (["one", "two"], ["one", "three"], ["one"]):
            project = ["project('p', 'cpp')"]
            for name in names:
                write(root / f"{name}.cpp", "int main() {}\n")
                project.append(f"test('{name}', executable('{name}', '{name}.cpp', build_by_default: false))")
            write(root / "meson.build", "\n".join(project) + "\n")
            for path in root.glob("*.cpp"):
                if path.stem not in names:
                    path.unlink()
            c = configuration()
            if not run.build(c, ["o", "e"]):
                return f"with {names}: {c.log.read_text(encoding='utf-8')}"
            found = [test["name"] for test in run.selected(c, [])]
            if found != names or not all((c.path / name).exists() for name in names):
                return f"it has {found}, and there are {names}"
    return None


ok = {"stdout": "words\n2 passed, 0 failed, 1 skipped\n"}
report.run(
    [
        ("programs are added up", adds_up(["4 passed, 0 failed, 2 skipped"], 0, ok, ok)),
        ("a failure is one", adds_up(["1 passed, 2 failed, 0 skipped"], 1, {"stdout": "1 passed, 2 failed, 0 skipped", "returncode": 1})),
        (
            "a crash is a failure",
            adds_up(["failed: a: ended as FAIL, exit status -11", "0 passed, 1 failed, 0 skipped"], 1, {"returncode": -11, "result": "FAIL"}),
        ),
        (
            "a report at the exit is a failure",
            adds_up(["failed: a: ended as FAIL, exit status 1", "2 passed, 1 failed, 1 skipped"], 1, {**ok, "returncode": 1, "result": "FAIL"}),
        ),
        (
            "a reason is printed once",
            adds_up(["skipped: no disk (2 times)", "0 passed, 0 failed, 2 skipped"], 0, *[{"stdout": "skipped: a: no disk\n0 passed, 0 failed, 1 skipped"}] * 2),
        ),
        ("nothing is a failure", adds_up(["0 passed, 0 failed, 0 skipped"], 1)),
        ("no names: all", selects(["io/file", "io/context", "headers/floors"])),
        ("a part of a name", selects(["io/file", "io/context"], "io/")),
        ("several parts", selects(["io/file", "headers/floors"], "file", "floors")),
        ("a suite", selects(["io/context"], suite="threads")),
        ("without a suite", selects(["io/file", "io/context"], no_suite="once")),
        ("a suite and a part", selects([], "file", suite="threads")),
        ("a kept folder follows the tests", kept_folder),
    ]
)
