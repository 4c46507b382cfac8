#!/usr/bin/env python3
"""examples.py SOURCE-ROOT NAME=PROGRAM...: runs the examples in folders on several file systems, and checks what they
print and write. The code in README.md and docs/ must be code of programs that the tests build and run."""

import os
import re
import subprocess
import sys
import tempfile
import textwrap

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

root = sys.argv[1]
programs = dict(argument.split("=", 1) for argument in sys.argv[2:])


def unit(folder):
    """The number of bytes that the example writes in this folder: 1024, or the file system's unit if that is larger."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        stat = subprocess.run(["stat", "-f", "-c", "%T", file.name], capture_output=True, text=True, check=True)
    # tmpfs reports no alignment, so kaio assumes the 4096 that every file system accepts.
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


def foreign_loop(name, own):
    """The loop's own event, a request, a timer after it, and a post each print one line."""
    if name not in programs:
        raise report.Skip("libuv (Debian: libuv1-dev) is not installed, or the programs are static")
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as place:
        done = subprocess.run([programs[name]], cwd=place, capture_output=True, text=True, timeout=60)
        if done.returncode != 0 and "refuses O_DIRECT" in done.stderr:
            raise report.Skip(f"the file system of {os.getcwd()} has no direct I/O")
        lines = done.stdout.splitlines()
        wanted = sorted(["20 ms later", "4096 bytes written", own, "posted by another thread"])
        if done.returncode != 0 or done.stderr or sorted(lines) != wanted:
            return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
        if lines.index("20 ms later") < lines.index("4096 bytes written"):
            return "the timer expired before it was submitted"
        with open(os.path.join(place, "aio.txt"), "rb") as file:
            return None if file.read() == b"@" * 4096 else "aio.txt differs"


def power_loss():
    """power_loss.cpp finds every acknowledged record for each seed. The same seed prints the same line."""
    printed = []
    for seed in [*range(1, 21), 1]:
        done = subprocess.run([programs["power_loss"], str(seed)], capture_output=True, text=True, timeout=60)
        line = re.fullmatch(r"(\d+) records acknowledged, (\d+) found\n", done.stdout)
        if done.returncode != 0 or not line or int(line[2]) < int(line[1]):
            return f"seed {seed}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
        printed.append(done.stdout)
    return None if printed[-1] == printed[0] and len(set(printed)) > 1 else f"the seeds print {printed}"


def late_timer():
    """late_timer.cpp: the timer is late by milliseconds without helpers, and on time with them."""
    done = subprocess.run([programs["late_timer"]], capture_output=True, text=True, timeout=60)
    late = [int(number) for number in re.findall(r"helpers it is late by (\d+) us\n", done.stdout)]
    if done.returncode == 0 and len(late) == 2 and late[0] > 1000 and late[1] < 50:
        return None
    return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"


MYTHS = """
1. no O_DIRECT, nothing aligned: io_submit 1, events at once 1, result 777
2. io_getevents before it is complete 0, afterwards 1
3. requests that ended 3, signals 0
4. io_submit 1 and 1; the results are (1024|-22) for 1024 bytes, (4096|-22) at an odd address
5. new threads for 32 native requests 0, for 4 of glibc's aio_read [1-4]
6. a cold buffered read: \\d+ us inside io_submit, then complete 1
7. events within 20 ms 0, and later all the same 1
8. io_cancel of a read -22; the read ends with 65536 bytes
9. (flushes for three writes 0, for three with RWF_DSYNC at least 1: yes|this file has no disk of its own .*)
10. three tries: io_setup -11, io_submit -11; and after events were taken 1
"""


def myths(folder):
    """myths.cpp shows for each of ten statements that it is wrong."""

    def case():
        if not os.path.isdir(folder):
            raise report.Skip(f"there is no {folder}")
        with tempfile.TemporaryDirectory(dir=folder) as place:
            done = subprocess.run([programs["myths"], place], capture_output=True, text=True, timeout=60)
        if done.returncode != 0 and "refuses O_DIRECT" in done.stderr:
            raise report.Skip(f"the file system of {folder} has no direct I/O")
        if done.returncode == 0 and re.fullmatch(MYTHS.lstrip(), done.stdout):
            return None
        return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"

    return case


def replicated_log():
    """replicated_log.cpp finds every line that it has acknowledged, although one of its files is missing each time."""

    def run(lines, *files, behind):
        command = [programs["replicated_log"], *files]
        done = subprocess.run(command, cwd=place, input=lines, capture_output=True, text=True, timeout=60)
        said = f"{lines.count(chr(10))} acknowledged, {behind} of 3 disks are behind\n"
        if done.returncode == 0 and done.stderr.endswith(said):
            return done.stdout
        raise RuntimeError(f"exit status {done.returncode}\n{done.stdout}{done.stderr}")

    with tempfile.TemporaryDirectory(dir=os.getcwd()) as place:
        if unit(place) != 1024:
            raise report.Skip(f"{os.getcwd()} is a tmpfs, which has no direct I/O before Linux 6.6")
        found = run("one\ntwo\n", "a", "b", "c", behind=0)
        found += run("three\n", "a", "nowhere/b", "c", behind=1)
        os.remove(os.path.join(place, "a"))  # a disk that is replaced
        found += run("four\n", "a", "b", "c", behind=0)
        found += run("", "a", "b", "nowhere/c", behind=1)
    wanted = "one\ntwo\n" + "one\ntwo\nthree\n" + "one\ntwo\nthree\nfour\n"
    return None if found == wanted else f"it finds\n{found}"


def search():
    """search.cpp finds the node that is nearest."""
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as place:
        done = subprocess.run([programs["search"]], cwd=place, capture_output=True, text=True, timeout=60)
    if done.returncode == 0 and re.fullmatch(r"the nearest is number 340, after \d+ batches\n", done.stdout):
        return None
    return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"


def compiler_traps():
    """compiler_traps.cpp: the compiler has the traps that docs/compilers.md says, and every way out works."""
    done = subprocess.run([programs["compiler_traps"]], capture_output=True, text=True, timeout=60)
    if done.returncode == 0 and done.stdout.count("the way out works") == 4:
        return None
    return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"


def moved_from_libaio():
    """moved_from_libaio.cpp writes its file."""
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run([programs["moved_from_libaio"]], cwd=place, capture_output=True, text=True, timeout=60)
        with open(os.path.join(place, "aio.txt"), encoding="utf-8") as file:
            written = file.read()
    right = (done.returncode, done.stdout, written) == (0, "13 bytes written\n", "hello, world\n")
    return None if right else f"exit status {done.returncode}\n{done.stdout}{done.stderr}{written}"


def fails_clearly():
    """If nothing can be written, the error text names the file and the cause."""
    with tempfile.TemporaryDirectory() as place:
        os.mkdir(os.path.join(place, "aio.txt"))  # nobody can write to a directory, not even root
        done = subprocess.run([programs["write"]], cwd=place, capture_output=True, text=True, timeout=60)
    if done.returncode == 0 or 'open("aio.txt"): Is a directory' not in done.stderr:
        return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return None


def readme():
    """README.md has whole programs, byte for byte, each with the command that builds and runs it."""
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        text = file.read()
    blocks = re.findall(r"^```cpp\n(.*?)^```$", text, re.S | re.M)
    for name in ("write", "write_coroutine"):
        source = f"docs/examples/{name}.cpp"
        with open(os.path.join(root, source), encoding="utf-8") as file:
            program = file.read()
        if program not in blocks:
            return f"no block of code in README.md is {source}, byte for byte"
        if f"    g++ -std=c++20 -I include {source} -o {name} && ./{name}\n" not in text:
            return f"README.md has no command for {source}"
        if name == "write" and not 15 <= len(program.splitlines()) <= 20:
            return f"{source} has {len(program.splitlines())} lines, not 15 to 20"
    others = [block for block in blocks if "int main" not in block]
    return f"README.md has a part of a program:\n{others[0]}" if others else None


def contains(lines, block):
    """True if the lines contain the block, whatever its indentation."""
    size = len(block.splitlines())
    parts = ("".join(lines[start : start + size]) for start in range(len(lines) - size + 1))
    return any(textwrap.dedent(part) == block for part in parts)


def code_is_built():
    """Every block of code in the documents is part of a program that this test or tests/consumers builds and runs. The
    guide has a test of its own."""
    sources = []
    for folder in ("docs/examples", "tests/consumers"):
        for at, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                with open(os.path.join(at, name), encoding="utf-8") as file:
                    sources.append(file.readlines())
    documents = [name for name in os.listdir(root) if name.endswith(".md")]
    for folder, _, names in os.walk(os.path.join(root, "docs")):
        if not os.path.relpath(folder, root).startswith("docs/guide"):
            documents += [os.path.relpath(os.path.join(folder, name), root) for name in names if name.endswith(".md")]
    for document in sorted(documents):
        with open(os.path.join(root, document), encoding="utf-8") as file:
            blocks = re.findall(r"^```(?:cpp|meson|ini|cmake|make)\n(.*?)^```$", file.read(), re.S | re.M)
        for block in blocks:
            if not any(contains(lines, block) for lines in sources):
                return f"{document}: no program that is built contains this:\n{block}"
    return None


def reliability():
    """The tests, documents and headers that docs/reliability.md names exist."""
    with open(os.path.join(root, "docs/reliability.md"), encoding="utf-8") as file:
        named = set(re.findall(r"`((?:tests|docs|include)/[^`*]+)`", file.read()))
    missing = sorted(name for name in named if not os.path.exists(os.path.join(root, name)))
    return f"docs/reliability.md names files that do not exist: {missing}" if missing or not named else None


cases = [
    (f"{name} writes its file in {folder}", writes(name, folder))
    for name in sorted(programs)
    if name.startswith("write")
    for folder in (os.getcwd(), "/dev/shm")
]
cases.append(("notifier_epoll drives kaio from epoll", lambda: foreign_loop("notifier_epoll", "from the pipe: a message")))
if "power_loss" in programs:
    cases.append(("power_loss finds every acknowledged record", power_loss))
    cases.append(("notifier_libuv drives kaio from libuv", lambda: foreign_loop("notifier_libuv", "libuv's timer")))


    cases.append(("replicated_log finds every record without one of its files", replicated_log))
    cases.append(("late_timer's timer is on time with helpers", late_timer))
    cases.append(("moved_from_libaio writes its file", moved_from_libaio))
if "search" in programs:
    cases.append(("search finds the nearest node", search))
if "myths" in programs:
    cases += [(f"myths are wrong in {folder}", myths(folder)) for folder in (os.getcwd(), "/dev/shm")]
cases.append(("write names the file and the cause of an error", fails_clearly))
if "compiler_traps" in programs:
    cases.append(("compiler_traps: docs/compilers.md is right about this compiler", compiler_traps))
cases.append(("the programs in README.md are whole, and have their commands", readme))
cases.append(("the code in README.md and docs/ is built and run", code_is_built))
cases.append(("the tests that docs/reliability.md names exist", reliability))
report.run(cases)
