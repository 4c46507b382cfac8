#!/usr/bin/env python3
"""checksum.py PROGRAM: what docs/examples/checksum.cpp prints is what Python's zlib computes."""

import os
import random
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

program = os.path.abspath(sys.argv[1])


def checksum(place, *names):
    return subprocess.run([program, *names], cwd=place, capture_output=True, text=True, timeout=60)


def make(place, name, length):
    """Makes a file, and returns the line that the program should print for it."""
    data = random.randbytes(length)
    with open(os.path.join(place, name), "wb") as file:
        file.write(data)
    return f"{zlib.crc32(data):08x}  {name}\n"


def many(place):
    """More files than are read at once, with lengths around the block size. Lines keep the arguments' order."""
    block = 256 << 10
    lengths = [0, 1, 511, 512, 4096, 4097, block - 1, block, block + 1, 2 * block, 5 * block + 3]
    lengths += [random.randrange(20000) for _ in range(139)]
    random.shuffle(lengths)
    names = [str(i) for i in range(len(lengths))]
    wanted = "".join(make(place, name, length) for name, length in zip(names, lengths))
    done = checksum(place, *names)
    return None if done.returncode == 0 and done.stdout == wanted and not done.stderr else done.stdout + done.stderr


def errors(place):
    """An error of one file is printed, and the other files still get their lines."""
    first, last = make(place, "first", 100), make(place, "last", 300000)
    os.mkdir(os.path.join(place, "folder"))
    os.mkfifo(os.path.join(place, "fifo"))
    done = checksum(place, "first", "none", "folder", "fifo", "last")
    said = ["fifo: Illegal seek", "folder: Is a directory", "none: No such file or directory"]
    lines = sorted(line.removeprefix("checksum: ") for line in done.stderr.splitlines())
    if done.returncode != 1 or done.stdout != first + last or lines != said:
        return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return None


def without_a_size(place):
    """Files whose size says nothing. Native AIO can't read some of them at all."""
    names = ["/proc/version", f"/proc/{os.getpid()}/limits", "/sys/kernel/mm/transparent_hugepage/enabled"]
    names = [name for name in names if os.path.exists(name)]
    wanted = ""
    for name in names:
        with open(name, "rb") as file:
            wanted += f"{zlib.crc32(file.read()):08x}  {name}\n"
    done = checksum(place, *names)
    return None if done.returncode == 0 and done.stdout == wanted else f"{done.stdout}{done.stderr}"


def full_output(place):
    """The output goes to a full disk."""
    make(place, "file", 100)
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([program, "file"], cwd=place, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    said = "checksum: the output can't be written\n"
    return None if done.returncode == 1 and done.stderr == said else f"exit status {done.returncode}: {done.stderr}"


def usage(place):
    done = checksum(place)
    return None if done.returncode == 2 and done.stderr == "usage: checksum FILE...\n" else done.stderr


def within(folder, case):
    def run():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            return case(place)

    return run


folders = [folder for folder in (os.getcwd(), "/dev/shm") if os.path.isdir(folder)]
report.run(
    [(f"checksum of many files in {folder}", within(folder, many)) for folder in folders]
    + [
        ("checksum names the files that it can't read", within(None, errors)),
        ("checksum prints its usage", within(None, usage)),
        ("checksum of files whose size says nothing", within(None, without_a_size)),
        ("checksum fails if it can't write its output", within(None, full_output)),
    ]
)
