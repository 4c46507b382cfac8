"""refusals.py INCLUDE COMPILER...: where kaio can't be compiled, the first error gives the reason, and the second ends
it."""

import os
import re
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

include, compiler = sys.argv[1], sys.argv[2:]

ANYWHERE = ["kaio/version.hpp"]  # only macros, for every language version
CPP20 = "kaio needs C++20: compile with -std=c++20 or later"
CPP17 = "kaio needs C++20, and its raw layer C++17"
# What the raw layer has beside it and needs C++20.
CPP20_TOO = ["kaio/sys/cpp20.hpp", "kaio/io/buffer_pool.hpp", "kaio/io/detail/pool_header.hpp"]


def errors(header, *flags):
    command = compiler + [*flags, "-I", include, "-fsyntax-only", "-x", "c++", "-"]
    done = subprocess.run(command, input=f"#include <{header}>\n", text=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    return [line for line in done.stderr.splitlines() if re.search(r"error: ", line)], done.stderr


def says(text, header, *flags):
    """The first error has this text. The second, which stops the compiler, is the last."""

    def run():
        found, output = errors(header, *flags)
        right = len(found) == 2 and text in found[0] and "see the error above" in found[1]
        return None if right else f"expected: {text}\n{output[:2000]}"

    return run


def says_nothing(header, *flags):
    return lambda: errors(header, *flags)[1] or None


def knows(flag):
    # -Werror, because Clang only warns of a flag that it knows but ignores.
    return subprocess.run(compiler + [flag, "-Werror", "-fsyntax-only", "-x", "c++", os.devnull], capture_output=True).returncode == 0


headers = [header for header in report.headers(include) if header not in ANYWHERE]
raw = [header for header in headers if header.startswith(("kaio/sys/", "kaio/io/", "kaio/compat/")) and header not in CPP20_TOO]
cases = [(f"{header} as C++17", says_nothing(header, "-std=c++17", "-pedantic-errors", "-Wall", "-Wextra")) for header in raw]
cases += [(f"{header} as C++17", says(CPP20, header, "-std=c++17")) for header in headers if header not in raw]
cases += [("kaio/io/context.hpp as C++14", says(CPP17, "kaio/io/context.hpp", "-std=c++14"))]
cases += [(f"kaio.hpp as {old}", says(CPP20, "kaio/kaio.hpp", f"-std={old}")) for old in ("c++11", "c++14", "gnu++17")]
cases += [(f"{header} as C++11", says_nothing(header, "-std=c++11")) for header in ANYWHERE]
cases += [("kaio.hpp on another system than Linux", says("kaio is for Linux", "kaio/kaio.hpp", "-std=c++20", "-U__linux__"))]


def without_asio():
    """Where there is neither Asio nor Boost: with all of the system's headers but those."""
    told = subprocess.run(compiler + ["-E", "-v", "-x", "c++", os.devnull], text=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    folders = re.search(r"#include <\.\.\.> search starts here:\n(.*)End of search list", told.stderr, re.S)[1].split()
    with tempfile.TemporaryDirectory() as place:
        for folder in folders:
            for name in os.listdir(folder):
                kept = os.path.join(place, str(folders.index(folder)), name)
                os.makedirs(os.path.dirname(kept), exist_ok=True)
                if name not in ("asio", "asio.hpp", "boost"):
                    os.symlink(os.path.join(folder, name), kept)
        flags = ["-std=c++20", "-nostdinc", "-nostdinc++"]
        for number in range(len(folders)):
            flags += ["-isystem", os.path.join(place, str(number))]
        return says("kaio/asio needs Asio 1.18 or later", "kaio/asio/stream_file.hpp", *flags)()


cases += [("kaio/asio without Asio", without_asio)]


def without_coroutines(header, text):
    def run():
        if not knows("-fno-coroutines"):
            raise report.Skip(f"{os.path.basename(compiler[-1])} has no -fno-coroutines")
        flags = ("-std=c++20", "-fno-coroutines")
        return says(text, header, *flags)() if text else says_nothing(header, *flags)()

    return run


cases += [
    (f"{header} without coroutines", without_coroutines(header, "needs a compiler with coroutines"))
    for header in headers
    if header.startswith("kaio/coro/") or header == "kaio/kaio.hpp"
]
cases += [("kaio/loop/loop.hpp without coroutines", without_coroutines("kaio/loop/loop.hpp", None))]
report.run(cases, workers=2)
