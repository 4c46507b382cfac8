"""oldest.py ROOT: the oldest compilers that README.md names build the headers and the examples, and the programs
run."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

root = sys.argv[1]
examples = os.path.join(root, "docs", "examples")

# The compilers in README.md: (its words, the command).
NAMED = [("GCC 12", "g++-12"), ("Clang 15", "clang++-15"), ("GCC 11", "g++-11")]
FLAGS = "-std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -pthread".split()
RUN = ["write.cpp", "write_raw.cpp", "notifier_epoll.cpp"]

# The compilers that build the raw layer as C++17: those of Debian 12, and older ones where they are installed.
RAW = ["g++-9", "g++-11", "g++-12", "clang++-10", "clang++-14", "clang++-15", "clang++-19"]
RAW_FLAGS = ["-std=c++17", "-pedantic-errors", "-Wsign-conversion"]

# What GCC 11 can't compile, according to README.md.
KEPT = """
#include <kaio/kaio.hpp>
kaio::task<int> keeps(kaio::loop& loop, int fd, std::byte (&bytes)[512]) {
    auto kept = loop.submit(kaio::read(fd, bytes, 0));
    kaio::io_result const r = co_await kept;
    co_return static_cast<int>(r.bytes());
}
"""


def built(compiler, arguments, **more):
    if shutil.which(compiler) is None:
        raise report.Skip(f"{compiler} is not installed")
    return subprocess.run(
        [compiler, *FLAGS, "-I", os.path.join(root, "include"), *arguments], capture_output=True, text=True, **more
    )


def all_headers(compiler):
    headers = report.headers(os.path.join(root, "include"))
    text = "".join(f"#include <{header}>\n" for header in headers if not header.startswith("kaio/asio/"))
    done = built(compiler, ["-fsyntax-only", "-x", "c++", "-"], input=text)
    return done.stderr[:3000] or None


def user(compiler):
    done = built(compiler, ["-fsyntax-only", os.path.join(root, "tests", "headers", "user.cpp")])
    return done.stderr[:3000] or None


def example(compiler, name):
    with tempfile.TemporaryDirectory() as place:
        program = os.path.join(place, "program")
        run = name in RUN
        more = ["-DASIO_HAS_CO_AWAIT"] if "clang" in compiler and "asio" in name else []  # Asio 1.22 does not know that
        done = built(compiler, [os.path.join(examples, name), *more, *(["-o", program] if run else ["-fsyntax-only"])])
        if missing := re.search(r"fatal error: '?((asio/|uv\.)\S+?)'?:? ", done.stderr):
            raise report.Skip(f"{missing[1]} is not there")
        if done.returncode != 0 or not run:
            return done.stderr[:3000] or None
        done = subprocess.run([program], cwd=place, capture_output=True, text=True, timeout=60)
        if "allow io_setup" in done.stderr or "no native AIO" in done.stderr:
            raise report.Skip("there is no native AIO here")
        if "bytes written" not in done.stdout and "O_DIRECT" in done.stderr:
            raise report.Skip(f"{place} is on a file system without direct I/O")
        return None if done.returncode == 0 and "bytes written" in done.stdout else done.stdout + done.stderr


def raw(compiler):
    with tempfile.TemporaryDirectory() as place:
        program = os.path.join(place, "program")
        done = built(compiler, [*RAW_FLAGS, os.path.join(root, "tests", "headers", "raw.cpp"), "-o", program])
        if done.returncode != 0:
            return done.stderr[:3000]
        done = subprocess.run([program], cwd=place, capture_output=True, text=True, timeout=60)
        if "allow io_setup" in done.stderr or "no native AIO" in done.stderr:
            raise report.Skip("there is no native AIO here")
        return None if done.returncode == 0 and done.stdout == "4103 bytes written\n" else done.stdout + done.stderr


def builds_the_tests(compiler):
    """Whether it is g++, with which tests/run builds and tests the examples anyway."""
    found = [shutil.which(name) for name in (compiler, "g++")]
    return None not in found and os.path.realpath(found[0]) == os.path.realpath(found[1])


def kept(compiler):
    done = built(compiler, ["-fsyntax-only", "-x", "c++", "-"], input=KEPT)
    if compiler != "g++-11":
        return done.stderr[:3000] or None
    return None if "no suspend point info" in done.stderr else f"GCC 11 compiles it, or fails for another reason\n{done.stderr}"


def named():
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        text = file.read()
    missing = [words for words, _ in NAMED if words not in text]
    others = set(re.findall(r"\b(?:GCC|Clang) \d+", text)) - {words for words, _ in NAMED}
    return f"README.md and this test name different compilers: {missing} {others}" if missing or others else None


cases = [("README.md names the same compilers", named)]
for _, compiler in NAMED:
    cases += [
        (f"all headers, {compiler}", lambda c=compiler: all_headers(c)),
        (f"a program that uses them, {compiler}", lambda c=compiler: user(c)),
        (f"a request that is kept in a variable, {compiler}", lambda c=compiler: kept(c)),
    ]
    if builds_the_tests(compiler):
        continue
    cases += [
        (f"{name}, {compiler}", lambda c=compiler, n=name: example(c, n))
        for name in sorted(os.listdir(examples))
        if name.endswith(".cpp")
    ]
cases += [(f"the raw layer as C++17, {compiler}", lambda c=compiler: raw(c)) for compiler in RAW]
report.run(cases, workers=2)
