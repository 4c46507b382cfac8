#!/usr/bin/env python3
"""examples.py SOURCE-ROOT NAME=PROGRAM...: runs each example in folders on several file systems, checks what it prints
and the bytes of its file, and holds the README's program equal to docs/examples/write.cpp."""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

root = sys.argv[1]
programs = dict(argument.split("=", 1) for argument in sys.argv[2:])


def unit(folder):
    """How many bytes the example has to write at once in this folder, asked of the file system by trying."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        stat = subprocess.run(["stat", "-f", "-c", "%T", file.name], capture_output=True, text=True, check=True)
    # tmpfs reports no alignment, so kaio takes the 4096 that every file system accepts.
    return 4096 if stat.stdout.strip() == "tmpfs" else 1024


def writes(name, folder):
    def case():
        if not os.path.isdir(folder):
            raise report.Skip(f"there is no {folder}")
        with tempfile.TemporaryDirectory(dir=folder) as place:
            done = subprocess.run([programs[name]], cwd=place, capture_output=True, text=True, timeout=60)
            if done.returncode != 0 and "refuses O_DIRECT" in done.stderr:
                raise report.Skip(f"the file system of {folder} has no direct I/O")
            if done.returncode != 0 or done.stderr:
                return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
            with open(os.path.join(place, "aio.txt"), "rb") as file:
                data = file.read()
        if len(data) < 1024 or data != b"@" * len(data):
            return f"{len(data)} bytes in aio.txt, and not all of them are '@'"
        if len(data) != unit(folder) and len(data) != 4096:
            return f"{len(data)} bytes in aio.txt"
        lines = done.stdout.splitlines()
        if f"{len(data)} bytes written" not in lines:
            return f"it prints {lines}"
        if (len(data) > 1024) != (f"this file system writes {len(data)} bytes at a time" in lines):
            return f"it prints {lines} for {len(data)} bytes"
        return None

    return case


def foreign_loop():
    """notifier_epoll.cpp: a descriptor of its own, a request, a timer after it, and a post, each heard of once."""
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as place:
        done = subprocess.run([programs["notifier_epoll"]], cwd=place, capture_output=True, text=True, timeout=60)
        if done.returncode != 0 and "refuses O_DIRECT" in done.stderr:
            raise report.Skip(f"the file system of {os.getcwd()} has no direct I/O")
        lines = done.stdout.splitlines()
        wanted = ["20 ms later", "4096 bytes written", "from the pipe: a message", "posted by another thread"]
        if done.returncode != 0 or done.stderr or sorted(lines) != wanted:
            return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
        if lines.index("20 ms later") < lines.index("4096 bytes written"):
            return "the timer expired before it was submitted"
        with open(os.path.join(place, "aio.txt"), "rb") as file:
            return None if file.read() == b"@" * 4096 else "aio.txt differs"


def fails_clearly():
    """Where nothing can be written, the examples end with a text that names the file and the cause."""
    with tempfile.TemporaryDirectory() as place:
        os.mkdir(os.path.join(place, "aio.txt"))  # a directory in its place: nobody can write to it, not even root
        done = subprocess.run([programs["write"]], cwd=place, capture_output=True, text=True, timeout=60)
    if done.returncode == 0 or 'open("aio.txt"): Is a directory' not in done.stderr:
        return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return None


def readme():
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^```cpp\n(.*?)^```$", file.read(), re.S | re.M)
    with open(os.path.join(root, "docs/examples/write.cpp"), encoding="utf-8") as file:
        program = file.read()
    if program not in blocks:
        return "no block of code in README.md is docs/examples/write.cpp, byte for byte"
    if not 15 <= len(program.splitlines()) <= 20:
        return f"docs/examples/write.cpp has {len(program.splitlines())} lines; README promises 15 to 20"
    return None


def reliability():
    """Whatever docs/reliability.md names is there."""
    with open(os.path.join(root, "docs/reliability.md"), encoding="utf-8") as file:
        named = set(re.findall(r"`((?:tests|docs|include)/[^`*]+)`", file.read()))
    missing = sorted(name for name in named if not os.path.exists(os.path.join(root, name)))
    return f"docs/reliability.md names what is not there: {missing}" if missing or not named else None


cases = [
    (f"{name} writes its file in {folder}", writes(name, folder))
    for name in sorted(programs)
    if name.startswith("write")
    for folder in (os.getcwd(), "/dev/shm")
]
cases.append(("notifier_epoll drives kaio from epoll", foreign_loop))
cases.append(("write says what is wrong", fails_clearly))
cases.append(("the README's program is docs/examples/write.cpp", readme))
cases.append(("the tests that docs/reliability.md names are there", reliability))
report.run(cases)
