#!/usr/bin/env python3
"""c_api.py ROOT -- COMPILER...: the library in docs/examples/c_api is built with the commands in its header, and C and
Python programs use it."""

import ctypes
import errno
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import cache

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

root, compiler = os.path.abspath(sys.argv[1]), sys.argv[3:]
folder = os.path.join(root, "docs/examples/c_api")
header = os.path.join(folder, "kaio_c.h")
temporary = tempfile.TemporaryDirectory(dir=os.getcwd())
c_compiler = next(filter(shutil.which, ("cc", "gcc", "clang")), None)


class Failed(Exception):
    pass


def run(command):
    """Runs a command of the header in the temporary folder, and returns what it prints."""
    words = {"c++": shlex.join([*compiler, "-Wall", "-Wextra", "-Werror"]), "cc": f"{c_compiler} -Wall -Wextra -Werror"}
    command = re.sub(r"^(c\+\+|cc)(?= )", lambda word: words[word[0]], command)
    command = re.sub(r"(?<= )(docs/|include )", lambda place: f"{shlex.quote(root)}/{place[0]}", command)
    done = subprocess.run(command, cwd=temporary.name, shell=True, capture_output=True, text=True, timeout=100)
    if "refuses O_DIRECT" in done.stderr or "O_DIRECT: Invalid argument" in done.stderr:
        raise report.Skip(f"the file system of {temporary.name} has no direct I/O")
    if done.returncode != 0 or done.stderr:
        raise Failed(f"{command}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def commands():
    with open(header, encoding="utf-8") as file:
        return re.findall(r"^ \*     (.*)$", file.read(), re.M)


@cache
def library():
    run(commands()[0])
    return os.path.join(temporary.name, "libkaio_c.so")


def prints(command, expected):
    def case():
        library()
        if not c_compiler:
            raise report.Skip("there is no C compiler")
        said = run(commands()[command])
        with open(os.path.join(temporary.name, "blocks.bin"), "rb") as file:
            data = file.read()
        if said != expected or data != b"".join(bytes([97 + i]) * 4096 for i in range(16)):
            return f"it prints {said}, and the file has {len(data)} bytes"
        return None

    return case


def errors():
    """Errors are negative errno values: of a call, and of a request."""
    kaio = ctypes.CDLL(library())
    done_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
    kaio.kaio_run.restype = ctypes.c_int64
    loop, results, buffer = ctypes.c_void_p(), [], ctypes.create_string_buffer(16)
    done = done_type(lambda user, result: results.append((user, result)))
    if kaio.kaio_open(0, ctypes.byref(loop)) != -errno.EINVAL:
        return "a loop without room was made"
    if kaio.kaio_open(2, ctypes.byref(loop)) != 0:
        return "no loop"
    read = [ctypes.c_int(-1), buffer, ctypes.c_size_t(16), ctypes.c_int64(0), done, ctypes.c_void_p(7)]
    if kaio.kaio_read(loop, *read) != 0 or kaio.kaio_run(loop) != 1 or results != [(7, -errno.EBADF)]:
        return f"results: {results}"
    kaio.kaio_read(loop, *read)
    kaio.kaio_close(loop)
    return None if results[1:] == [(7, -errno.ECANCELED)] else f"results: {results}"


def plain_c():
    """The header is C99, and C++11."""
    if not c_compiler:
        raise report.Skip("there is no C compiler")
    for words in ([c_compiler, "-x", "c", "-std=c99"], [*compiler, "-x", "c++", "-std=c++11"]):
        command = [*words, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", header]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            return done.stderr
    return None


report.run(
    [
        ("kaio_c.h has its commands", lambda: None if len(commands()) == 3 else f"{commands()}"),
        ("kaio_c.h is plain C, and C++", plain_c),
        ("kaio_c is used by a C program", prints(1, "16 blocks written, 16 read, the same\n")),
        ("kaio_c is used by Python", prints(2, "posted by another thread\n32 blocks written and read, the same\n")),
        ("kaio_c returns errors as negative numbers", errors),
    ]
)
