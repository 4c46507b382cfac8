"""run.py ROOT VERSION -- COMPILER...: the ways to use kaio in a project: copied, as a Meson subproject, installed."""

import filecmp
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

root, version, compiler = sys.argv[1], sys.argv[2], sys.argv[4:]
application = os.path.join(os.path.dirname(os.path.abspath(__file__)), "application")
temporary = tempfile.TemporaryDirectory()
environment = {**os.environ, "CXX": shlex.join(compiler)}
# The configuration under test sets these, and they would affect the small projects here.
for name in ("PKG_CONFIG_PATH", "CXXFLAGS", "LDFLAGS", "DESTDIR"):
    environment.pop(name, None)


class Failed(Exception):
    pass


def command(*words, **variables):
    result = subprocess.run(words, capture_output=True, text=True, env={**environment, **variables})
    if result.returncode != 0:
        raise Failed(f"{shlex.join(words)}\n{result.stdout}{result.stderr}")
    return result.stdout.strip()


def expect(what, actual, expected):
    return None if actual == expected else f"{what}: {actual}, expected: {expected}"


def compiled(name, *flags):
    """Compiles the application with these flags and no others. Returns what it prints."""
    program = os.path.join(temporary.name, name)
    command(*compiler, "-std=c++20", os.path.join(application, "main.cpp"), *flags, "-o", program)
    return command(program)


def copied():
    return expect("the version in version.hpp", compiled("copied", "-I", os.path.join(root, "include")), version)


def subproject():
    source, build = os.path.join(temporary.name, "application"), os.path.join(temporary.name, "build")
    shutil.copytree(application, source)
    os.mkdir(os.path.join(source, "subprojects"))
    os.symlink(root, os.path.join(source, "subprojects", "kaio"))
    command("meson", "setup", build, source)
    command("ninja", "-C", build)
    targets = [target["name"] for target in json.loads(command("meson", "introspect", "--targets", build))]
    tests = json.loads(command("meson", "introspect", "--tests", build))
    return (
        expect("what it prints", command(os.path.join(build, "application")), version)
        or expect("targets", targets, ["application"])
        or expect("tests", tests, [])
    )


def installed():
    build, there = os.path.join(temporary.name, "kaio"), os.path.join(temporary.name, "there")
    with open(os.path.join(root, "README.md"), encoding="utf-8") as readme:
        said = re.search(r"^    meson setup build (.*) && meson install -C build$", readme.read(), re.MULTILINE)
    if not said:
        return "README.md has no command that installs"
    command("meson", "setup", build, root, "--prefix=/usr", *said[1].split())
    targets = [target["name"] for target in json.loads(command("meson", "introspect", "--targets", build))]
    if targets:
        return f"README.md's command builds {targets}"
    command("meson", "install", "-C", build, "--destdir", there)

    differing = same(os.path.join(root, "include", "kaio"), os.path.join(there, "usr", "include", "kaio"))
    if differing:
        return f"installed headers that differ: {differing}"

    found = {"PKG_CONFIG_PATH": os.path.join(there, "usr", "share", "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": there}
    flags = shlex.split(command("pkg-config", "--cflags", "--libs", "kaio", **found))
    return (
        expect("pkg-config's version", command("pkg-config", "--modversion", "kaio", **found), version)
        or expect("pkg-config's flags", flags, [f"-I{there}/usr/include"] if flags else ["an include path"])
        or expect("what it prints", compiled("installed", *flags), version)
    )


def same(one, other):
    """Returns the names that differ between two trees."""
    compared = filecmp.dircmp(one, other)
    return (
        compared.left_only
        + compared.right_only
        + compared.diff_files
        + [name for folder in compared.common_dirs for name in same(*(os.path.join(at, folder) for at in (one, other)))]
    )


def described():
    with open(os.path.join(root, "CHANGELOG.md"), encoding="utf-8") as changelog:
        return None if f"\n## [{version}]" in changelog.read() else f"CHANGELOG.md has no section for {version}"


try:
    report.run(
        [
            ("copied headers need only -I, and version.hpp has the project's version", copied),
            ("a Meson subproject needs only dependency('kaio'), and builds nothing of kaio", subproject),
            ("README.md's command installs without building anything, and pkg-config finds it", installed),
            ("the changelog has the version", described),
        ]
    )
finally:
    temporary.cleanup()
