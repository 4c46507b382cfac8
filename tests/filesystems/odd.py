#!/usr/bin/env python3
"""odd.py ODD-FUSE ODD COPY CHECKSUM: whole transfers, and the examples that copy and read files, on odd file systems
(odd_fuse.cpp). They transfer fewer bytes than asked for in mid-file, report no size, or fail at close. Needs root,
/dev/fuse and libfuse3. ODD-FUSE is empty if odd_fuse.cpp was not built."""

import contextlib
import errno
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

odd_fuse, odd, copy, checksum = [os.path.abspath(path) if path else "" for path in sys.argv[1:5]]


@contextlib.contextmanager
def mounted(*habits):
    """A folder with that file system, while the block runs."""
    if not odd_fuse:
        raise report.Skip("odd_fuse was not built: libfuse3 (Debian: libfuse3-dev) is not installed")
    if not os.path.exists("/dev/fuse"):
        raise report.Skip("there is no /dev/fuse")
    if os.geteuid() != 0:
        raise report.Skip("mounting needs root")
    with tempfile.TemporaryDirectory(prefix="kaio-odd-") as folder:
        device = os.stat(folder).st_dev
        server = subprocess.Popen([odd_fuse, folder, *habits], stderr=subprocess.PIPE, text=True)
        try:
            while os.stat(folder).st_dev == device:
                if server.poll() is not None:
                    raise report.Skip(f"FUSE can't be mounted here: {server.stderr.read().strip()}")
                time.sleep(0.01)
            yield folder
        finally:
            if os.stat(folder).st_dev != device:
                subprocess.run(["umount", "-l", folder], check=True)
            server.terminate()
            server.wait(timeout=30)


def put(folder, name, data):
    """Writes all of the data, in as many writes as it takes."""
    with open(os.path.join(folder, name), "wb", buffering=0) as file:
        while data:
            data = data[file.write(data) :]


def get(folder, name):
    """Reads until the end of the file."""
    data = b""
    with open(os.path.join(folder, name), "rb", buffering=0) as file:
        while part := file.read(1 << 20):
            data += part
    return data


def transfers(*habits, error=None):
    """Runs the test program, and returns how many of its cases passed."""

    def case():
        with mounted(*habits) as folder:
            env = dict(os.environ, KAIO_ODD=folder, **({"KAIO_ODD_ERROR": str(error)} if error else {}))
            done = subprocess.run([odd], env=env, capture_output=True, text=True, timeout=100)
        words = done.stdout.strip().splitlines()[-1].split() if done.stdout.strip() else []
        if done.returncode != 0 or words[1:3] != ["passed,", "0"] or words[4] != "0":
            return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
        return int(words[0])

    return case


def copies(*habits):
    """Copies from, to and within the file system are right, and so is the checksum."""

    def case():
        data = random.randbytes(1234567)
        with mounted(*habits) as folder, tempfile.TemporaryDirectory(dir=os.getcwd()) as outside:
            put(folder, "from", data)
            put(outside, "from", data)
            for source, target in ((folder, outside), (outside, folder), (folder, folder)):
                names = [os.path.join(source, "from"), os.path.join(target, "to")]
                done = subprocess.run([copy, *names], capture_output=True, text=True, timeout=60)
                if done.returncode != 0 or get(target, "to") != data:
                    return f"{names}: exit status {done.returncode}: {done.stderr}"
            done = subprocess.run([checksum, os.path.join(folder, "from")], capture_output=True, text=True, timeout=60)
            if done.returncode != 0 or not done.stdout.startswith(f"{zlib.crc32(data):08x}"):
                return f"exit status {done.returncode}: {done.stdout}{done.stderr}"
        return None

    return case


def fails(said, *habits, source=b"some bytes"):
    """A copy that can't be whole is removed, and reported as an error."""

    def case():
        with mounted(*habits) as folder, tempfile.TemporaryDirectory(dir=os.getcwd()) as outside:
            put(outside, "from", source)
            target = os.path.join(folder, "to")
            done = subprocess.run([copy, os.path.join(outside, "from"), target], capture_output=True, text=True, timeout=60)
            if done.returncode != 1 or said not in done.stderr or "to was removed" not in done.stderr:
                return f"exit status {done.returncode}: {done.stderr}"
            return "the copy is there" if os.path.exists(target) else None

    return case


def unreadable():
    """A source that direct I/O can't read to its end is an error, and makes no shorter file."""
    with mounted("read=1000", "unit=4096") as folder, tempfile.TemporaryDirectory(dir=os.getcwd()) as outside:
        put(folder, "from", bytes(100000))
        target = os.path.join(outside, "to")
        for command in ([copy, os.path.join(folder, "from"), target], [checksum, os.path.join(folder, "from")]):
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            if done.returncode != 1 or "Input/output error" not in done.stderr or done.stdout:
                return f"{command}: exit status {done.returncode}: {done.stdout}{done.stderr}"
        return "the copy is there" if os.path.exists(target) else None


short = ("read=10000", "write=7000")
report.run(
    [
        ("whole transfers where no transfer is short", transfers()),
        ("whole transfers where the file system has units of its own", transfers(*short)),
        ("whole transfers of fewer bytes than a unit", transfers("read=1000", "write=700")),
        ("whole transfers where direct I/O accepts only whole units", transfers(*short, "unit=4096")),
        ("whole transfers that make no progress", transfers("read=1000", "write=1000", "unit=4096", error=errno.EIO)),
        ("copies where the file system has units of its own", copies(*short)),
        ("copies where direct I/O accepts only whole units", copies(*short, "unit=4096")),
        ("copies where files report no size", copies("read=100000", "sizeless=1")),
        ("an error of close", fails("Disk quota exceeded", f"flush={errno.EDQUOT}")),
        ("an error of close after short writes", fails("Input/output error", f"flush={errno.EIO}", "write=1000")),
        ("a source that direct I/O can't read to its end", unreadable),
    ]
)
