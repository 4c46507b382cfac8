"""run.py ROOT VERSION -- COMPILER...: the ways to use kaio in a project, each with a small project of its own: copied, as
one file, as a Meson subproject, with CMake, and installed."""

import filecmp
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import cache

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

root, version, compiler = sys.argv[1], sys.argv[2], sys.argv[4:]
here = os.path.dirname(os.path.abspath(__file__))
temporary = tempfile.TemporaryDirectory()
environment = {**os.environ, "CXX": shlex.join(compiler)}
# The configuration under test sets these, and they would affect the small projects here.
for name in ("PKG_CONFIG_PATH", "CXXFLAGS", "LDFLAGS", "DESTDIR"):
    environment.pop(name, None)


class Failed(Exception):
    pass


def command(*words, **variables):
    if not shutil.which(words[0]):
        raise report.Skip(f"{words[0]} is not installed")
    result = subprocess.run(words, capture_output=True, text=True, env={**environment, **variables})
    if result.returncode != 0:
        raise Failed(f"{shlex.join(words)}\n{result.stdout}{result.stderr}")
    return result.stdout.strip()


def text_of(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def expect(what, actual, expected):
    return None if actual == expected else f"{what}: {actual}, expected: {expected}"


def prints_version(*program):
    return expect("what it prints", command(os.path.join(*program)), version)


def project(name):
    """A new folder with the project `name`."""
    folder = os.path.join(tempfile.mkdtemp(dir=temporary.name), name)
    if name in os.listdir(here):
        shutil.copytree(os.path.join(here, name), folder)
    else:
        os.mkdir(folder)
    shutil.copy(os.path.join(here, "main.cpp"), folder)
    return folder


def replace(path, *pairs):
    """Changes what a project says of the place where kaio is, as its user does."""
    text = text_of(path)
    for old, new in pairs:
        if old not in text:
            raise Failed(f"{path} does not have {old}")
        text = text.replace(old, new)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@cache
def repository():
    """A repository whose one commit has what is needed of kaio, with a tag for its version."""
    folder = os.path.join(temporary.name, "repository")
    shutil.copytree(os.path.join(root, "include"), os.path.join(folder, "include"))
    for name in ("meson.build", "meson_options.txt", "LICENSE"):
        shutil.copy(os.path.join(root, name), folder)
    git = ["git", "-C", folder, "-c", "user.name=kaio", "-c", "user.email=kaio@localhost"]
    command("git", "init", "--quiet", folder)
    command(*git, "add", ".")
    command(*git, "commit", "--quiet", "--message=kaio")
    command(*git, "tag", f"v{version}")
    return f"file://{folder}"


def copied():
    folder = project("copied")
    command(*compiler, "-std=c++20", "-I", os.path.join(root, "include"), f"{folder}/main.cpp", "-o", f"{folder}/application")
    return prints_version(folder, "application")


def one_file(folder, **variables):
    """Makes it there, with README.md's command, and returns its text."""
    if "    include/one_file > kaio.hpp\n" not in text_of(root, "README.md"):
        raise Failed("README.md has no command that makes the one file")
    command("sh", "-c", f'"$0"/include/one_file > {folder}/kaio.hpp', root, **variables)
    return text_of(folder, "kaio.hpp")


def one_file_made():
    folder = project("one_file")
    text = one_file(folder)
    if text != one_file(folder, PYTHONHASHSEED="7", LC_ALL="C"):
        return "it is not the same each time"
    names = re.findall(r"^// (kaio/\S+\.hpp)$", text, re.M)
    include = os.path.join(root, "include")
    license = "".join(f"// {line}".rstrip() + "\n" for line in text_of(root, "LICENSE").splitlines())
    return (
        expect("its headers", sorted(names), [name for name in report.headers(include) if not name.startswith("kaio/asio/")])
        or expect("its first words", text[: len(version) + 9], f"// kaio {version}:")
        or (None if license in text else "it does not have the license")
    )


def one_file_used():
    folder = project("one_file")
    one_file(folder)
    replace(f"{folder}/main.cpp", ("<kaio/kaio.hpp>", '"kaio.hpp"'))
    flags = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Werror"]
    command(*compiler, *flags, f"{folder}/main.cpp", "-o", f"{folder}/application")
    # The rest of it, and all of it once more, may come later.
    with open(f"{folder}/all.cpp", "w", encoding="utf-8") as file:
        file.write('#include "kaio.hpp"\n#define KAIO_ALL\n' + '#include "kaio.hpp"\n' * 2 + "kaio::sim::world* world;\n")
    command(*compiler, *flags, "-fsyntax-only", f"{folder}/all.cpp")
    return prints_version(folder, "application")


def one_file_with_headers():
    folder = project("one_file")
    one_file(folder)
    words = [*compiler, "-std=c++20", "-I", os.path.join(root, "include"), "-I", folder, "-fsyntax-only", "-x", "c++", "-"]
    done = subprocess.run(words, input="#include <kaio/version.hpp>\n#include <kaio.hpp>\n", capture_output=True, text=True)
    return None if done.returncode != 0 and "kaio is included twice" in done.stderr else f"{done.returncode}: {done.stderr}"


def meson_subproject():
    folder = project("meson")
    os.mkdir(f"{folder}/subprojects")
    os.symlink(root, f"{folder}/subprojects/kaio")
    return built_by_meson(folder)


def meson_wrap():
    folder = project("meson")
    os.mkdir(f"{folder}/subprojects")
    shutil.move(f"{folder}/kaio.wrap", f"{folder}/subprojects")
    replace(f"{folder}/subprojects/kaio.wrap", ("https://example.com/kaio.git", repository()))
    return built_by_meson(folder)


def built_by_meson(folder):
    build = f"{folder}/build"
    command("meson", "setup", build, folder)
    command("ninja", "-C", build)
    targets = [target["name"] for target in json.loads(command("meson", "introspect", "--targets", build))]
    tests = json.loads(command("meson", "introspect", "--tests", build))
    return (
        expect("targets", targets, ["application"])
        or expect("tests", tests, [])
        or prints_version(folder, "build", "application")
    )


def cmake(folder, *options):
    command("cmake", "-S", folder, "-B", f"{folder}/build", *options)
    command("cmake", "--build", f"{folder}/build")
    return prints_version(folder, "build", "application")


def cmake_vendored():
    folder = project("cmake_vendored")
    os.mkdir(f"{folder}/third_party")
    os.symlink(root, f"{folder}/third_party/kaio")
    return cmake(folder)


def cmake_fetched():
    folder = project("cmake_fetched")
    replace(f"{folder}/CMakeLists.txt", ("https://example.com/kaio.git", repository()))
    return cmake(folder)


@cache
def installation():
    """Where README.md's command has installed kaio, as if that folder were the root."""
    build, there = os.path.join(temporary.name, "kaio"), os.path.join(temporary.name, "there")
    said = re.search(r"^    meson setup build (.*) && meson install -C build$", text_of(root, "README.md"), re.M)
    if not said:
        raise Failed("README.md has no command that installs")
    command("meson", "setup", build, root, "--prefix=/usr", *said[1].split())
    targets = json.loads(command("meson", "introspect", "--targets", build))
    targets = [target["name"] for target in targets if target["build_by_default"]]
    if targets:
        raise Failed(f"README.md's command builds {targets}")
    command("meson", "install", "-C", build, "--destdir", there)
    return there


def installed():
    differing = same(os.path.join(root, "include", "kaio"), os.path.join(installation(), "usr", "include", "kaio"))
    return f"installed headers that differ: {differing}" if differing else None


def same(one, other):
    """Returns the names that differ between two trees."""
    compared = filecmp.dircmp(one, other)
    return (
        compared.left_only
        + compared.right_only
        + compared.diff_files
        + [name for folder in compared.common_dirs for name in same(*(os.path.join(at, folder) for at in (one, other)))]
    )


def pkg_config():
    there, folder = installation(), project("pkg_config")
    found = {"PKG_CONFIG_PATH": f"{there}/usr/share/pkgconfig", "PKG_CONFIG_SYSROOT_DIR": there}
    flags = shlex.split(command("pkg-config", "--cflags", "--libs", "kaio", **found))
    command("make", "-C", folder, **found)
    return (
        expect("pkg-config's version", command("pkg-config", "--modversion", "kaio", **found), version)
        or expect("pkg-config's flags", flags, [f"-I{there}/usr/include"] if flags else ["an include path"])
        or prints_version(folder, "application")
    )


def cmake_package():
    return cmake(project("cmake_package"), f"-DCMAKE_PREFIX_PATH={installation()}/usr")


# Of the installed version, then what a project wants, and whether CMake may give it that.
VERSIONS = (
    ("0.2.3", "", True),
    ("0.2.3", "0.2", True),
    ("0.2.3", "0.2.3", True),
    ("0.2.3", "0.2.4", False),
    ("0.2.3", "0.1", False),
    ("0.2.3", "0.20", False),
    ("0.2.3", "0.3", False),
    ("0.2.3", "0", False),
    ("0.2.3", "1", False),
    ("0.2.3", "0.2.3 EXACT", True),
    ("0.2.3", "0.2.2 EXACT", False),
    ("0.2.3", "0.1...0.3", True),
    ("0.2.3", "0.1...0.2.3", True),
    ("0.2.3", "0.1...<0.2.3", False),
    ("0.2.3", "0.2.4...0.3", False),
    ("1.2.3", "1", True),
    ("1.2.3", "1.1", True),
    ("1.2.3", "1.3", False),
    ("1.2.3", "0.2", False),
    ("10.2.3", "1", False),
)


def cmake_versions():
    folder = os.path.join(temporary.name, "versions")
    lines = ["cmake_minimum_required(VERSION 3.19)", "project(versions NONE)"]
    for number, (theirs, wanted, _) in enumerate(VERSIONS):
        package = f"{folder}/{number}/share/cmake/kaio"
        shutil.copytree(f"{installation()}/usr/share/cmake/kaio", package)
        replace(f"{package}/kaio-config-version.cmake", (f"PACKAGE_VERSION {version})", f"PACKAGE_VERSION {theirs})"))
        lines += [
            f"find_package(kaio {wanted} CONFIG QUIET PATHS ${{CMAKE_SOURCE_DIR}}/{number} NO_DEFAULT_PATH)",
            'message("found: ${kaio_FOUND}")',
            "unset(kaio_FOUND)",
            "unset(kaio_DIR CACHE)",
        ]
    with open(f"{folder}/CMakeLists.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    command("cmake", "--version")  # a shell can't say that it is missing
    printed = command("sh", "-c", f"cmake -S {folder} -B {folder}/build 2>&1")
    found = [word == "1" for word in re.findall(r"^found: (.*)$", printed, re.M)]
    if len(found) != len(VERSIONS):
        return printed
    wrong = [row for row, one in zip(VERSIONS, found) if row[2] != one]
    return f"installed, wanted, and whether it would do, but CMake says otherwise: {wrong}" if wrong else None


def described():
    found = f"\n## [{version}]" in text_of(root, "CHANGELOG.md")
    return None if found else f"CHANGELOG.md has no section for {version}"


def shown():
    """README.md shows how each project does it, with this version."""
    readme = text_of(root, "README.md")
    major_minor = version.rpartition(".")[0]
    said = (f"find_package(kaio {major_minor} CONFIG REQUIRED)", f"revision = v{version}", f"GIT_TAG v{version}")
    missing = [words for words in said if words not in readme]
    return f"README.md does not say {missing}" if missing else None


try:
    report.run(
        [
            ("copied headers need only -I, and version.hpp has the project's version", copied),
            ("one_file makes the same file each time, of all headers, with version and license", one_file_made),
            ("the one file needs nothing else", one_file_used),
            ("the one file refuses to be mixed with the headers", one_file_with_headers),
            ("a Meson subproject needs only dependency('kaio'), and builds nothing of kaio", meson_subproject),
            ("kaio.wrap fetches it", meson_wrap),
            ("three lines for a copy in a CMake project", cmake_vendored),
            ("three lines for a CMake project that fetches it", cmake_fetched),
            ("README.md's command installs all headers without building anything", installed),
            ("pkg-config finds what is installed", pkg_config),
            ("CMake finds what is installed", cmake_package),
            ("CMake takes a version that will do, and no other", cmake_versions),
            ("the changelog has the version", described),
            ("README.md has the version", shown),
        ]
    )
finally:
    temporary.cleanup()
