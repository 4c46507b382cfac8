"""warnings.py INCLUDE COMPILER...: kaio's headers do not break a project's build with -Werror, whatever warnings the
project enables. They are included by -I with all warnings that a compiler has, except those below, and cause none."""

import os
import re
import shutil
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

include, compiler = sys.argv[1], sys.argv[2:]
user = os.path.join(os.path.dirname(os.path.abspath(__file__)), "user.cpp")

# Tried are those of these compilers that are installed and differ from each other, and the one that builds the tests.
COMPILERS = ["g++"] + [f"g++-{version}" for version in range(11, 17)] + ["clang++"]
COMPILERS += [f"clang++-{version}" for version in range(15, 24)] + ["i686-linux-gnu-g++"]

# Ways to compile. A warning may appear in only one of them.
WAYS = {
    "gcc": [["-O2"], ["-O2", "-DNDEBUG", "-fno-exceptions", "-fno-rtti", "-std=c++23"]],
    "clang": [["-fsyntax-only"], ["-fsyntax-only", "-DNDEBUG", "-fno-exceptions", "-fno-rtti", "-std=c++2b"]],
}
# Takes as long as the other two, so one GCC tries it. It stands for a build that is not optimized, too.
SANITIZED = ["-O0", "-fsanitize=address,undefined"]
ONE_WAY = [["-O1"]]  # for another machine

# Warnings of GCC that are left out, each with its reason. Names are whole, or end in *.
NOT_GCC = {
    "-Wsystem-headers": "is about the headers of others",
    "-Wabi*": "is about the compiler's own changes",
    "-Wtemplates": "is about the language, not about its use; likewise the next three",
    "-Wnamespaces": "",
    "-Wmultiple-inheritance": "",
    "-Wvirtual-inheritance": "",
    "-Waggregate-return": "is about every function that returns a class",
    "-Wc++*": "asks for an older language",
    "-Wlong-long": "asks for an older language",
    "-Wpadded": "is about every class that has a hole, on one machine or another",
    "-Winline": "reports what the optimizer did not do",
    "-Wnrvo": "the same",
    "-Wsuggest-*": "the same",
    "-Wdisabled-optimization": "the same",
    "-Wanalyzer-*": "belongs to -fanalyzer, which is for C only according to GCC's manual",
    "-Wno-*": "is not a warning",
    "-Wchkp": "belongs to versions of GCC that are gone",
    "-Wnormalized": "takes a value",
    "-Wlarger-than-": "takes a value",
}
GCC_MORE = ["-Wcast-align=strict", "-Wformat=2", "-Wstrict-overflow=2", "-Wimplicit-fallthrough=5", "-Wshadow=local"]
GCC_MORE += ["-Wunused-const-variable=2", "-Wplacement-new=2", "-Wcatch-value=3", "-Wattribute-alias=2"]

# Warnings of Clang's -Weverything that are left out.
NOT_CLANG = {
    "c++98-compat": "asks for an older language",
    "c++98-compat-pedantic": "asks for an older language",
    "padded": "is about every class that has a hole, on one machine or another",
    "unsafe-buffer-usage": "is about every index into memory; the kernel's ring and batches are pointers",
    "weak-vtables": "asks for a source file, which headers do not have",
    "unknown-warning-option": "older versions of Clang do not know all of these",
}

# GCC warns of the code that it generates for a user's own coroutine. No header can prevent that.
OF_THE_USER = re.compile(r"user\.cpp:.*\[-W(switch-default|zero-as-null-pointer-constant)\]")


def left_out(flag):
    return any(flag == name or (name[-1] == "*" and flag.startswith(name[:-1])) for name in NOT_GCC)


def all_warnings(command):
    """Returns the warnings that this GCC has, according to its own help."""
    flags = set()
    for kind in ("c++", "common"):
        told = subprocess.run(command + [f"--help=warnings,{kind}"], text=True, capture_output=True).stdout
        flags |= set(re.findall(r"^\s+(-W[-+a-z0-9]+)(?=\s|$)", told, re.MULTILINE))
    return sorted(flag for flag in flags if not left_out(flag)) + GCC_MORE


def flags_of(command):
    if is_clang(command):
        return ["-Weverything"] + [f"-Wno-{name}" for name in NOT_CLANG]
    return all_warnings(command)


def is_clang(command):
    return "clang" in version(command)


def version(command):
    return subprocess.run(command + ["--version"], text=True, capture_output=True).stdout.splitlines()[0]


def complaints(command, how, source):
    flags = ["-std=c++20", *flags_of(command), *how, "-I", include, "-c", "-o", os.devnull]
    done = subprocess.run(command + flags + source, text=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    lines = [line for line in done.stderr.splitlines() if re.search(r"(warning|error): ", line)]
    return [line for line in lines if not OF_THE_USER.search(line)]


def clean(command, how):
    return lambda: "\n".join(complaints(command, how, [user])[:20]) or None


def tells(command):
    """A warning in a header, and one in a user's file, would be noticed."""

    def run():
        source = ["-x", "c++", "-include", "kaio/sys/abi.hpp", "/dev/stdin"]
        flags = ["-std=c++20", *flags_of(command), "-I", include, "-c", "-o", os.devnull]
        done = subprocess.run(
            command + flags + source, input="int f(double d) { return (int)d; }\n", text=True, capture_output=True
        )
        return None if "-Wold-style-cast" in done.stderr else f"there was no warning of an old cast\n{done.stderr}"

    return run


def compilers():
    seen = set()
    for name in [compiler] + [[name] for name in COMPILERS]:
        if shutil.which(name[-1]) is None:
            continue
        what = re.sub(r"^\S+ ", "", version(name)) if "i686" not in name[-1] else name[-1]
        if is_clang(name) and int(re.search(r"version (\d+)", version(name))[1]) < 15:
            continue
        if what not in seen:
            seen.add(what)
            yield name


cases = []
for command in compilers():
    name = os.path.basename(command[-1])
    ways = ONE_WAY if "i686" in name else WAYS["clang" if is_clang(command) else "gcc"]
    if command == compiler and not is_clang(command):
        ways = [*ways, SANITIZED]
    cases += [(f"no warning: {name} {' '.join(how)}", clean(command, how)) for how in ways]
    cases += [(f"{name} warns of an old cast", tells(command))]
report.run(cases, workers=2)
