#!/usr/bin/env python3
"""run.py SOURCE-ROOT [KAIO-BENCH]: runs each engine for a moment and holds the figures against what must be true on any
machine; that nothing is overwritten unasked and nothing stays behind; and that mistakes are named."""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import namespaces
import report

root = sys.argv[1]
program = sys.argv[2] if len(sys.argv) > 2 else ""
short = ["--runtime=0.005", "--ramp_time=0", "--rounds=2", "--size=4m"]


def bench(*arguments, **more):
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, **more)


def figures(*arguments, **more):
    done = bench(*short, *arguments, "--json=-", **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(done.args)}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def engines():
    text = bench("--help").stdout
    return re.findall(r"^  (\S+)", text[text.index("\nEngines:") : text.index("\nMedia")], re.M)


def is_sane(row):
    if "why_not" in row:
        return len(row["why_not"]) > 10
    latency = row["latency_us"]
    in_order = 0 < latency["p50"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    stuck = row["turns"] == 0 or 0 <= row["stuck_us"]["p50"] <= row["stuck_us"]["p99.9"] <= row["stuck_us"]["max"]
    counted = sum(count for _, count in latency["histogram"]) >= row["requests"] - 1 >= row["iodepth"] - 1
    calls = row["system_calls"] is None or row["system_calls"] > 0
    return row["requests_per_second"] > 0 and row["ratio"] > 0 and row["spread"] >= 1 and in_order and stuck and counted and calls


def every_engine(*arguments):
    def case():
        medium = figures("--iodepth=1,4", *arguments)["media"][0]
        for row in medium["results"]:
            if not is_sane(row):
                return f"this can't be: {row}"
        missing = set(engines()) - {row["engine"] for row in medium["results"]}
        if missing:
            return f"not a word about {missing}"
        measured = {row["engine"] for row in medium["results"] if "why_not" not in row}
        if not {"kaio", "kaio-helpers", "kaio-helpers-4", "raw-ring", "pread-pool", "posix-aio"} <= measured:
            return f"measured were only {measured}"
        return None

    return case


def blocks_written(engine, folder):
    path = os.path.join(folder, "file")
    with open(path, "wb") as file:
        file.truncate(1 << 20)
    depth = 1 if engine == "pread" else 4
    done = bench(f"--filename={path}", f"--overwrite={path}", "--rw=randwrite", f"--ioengine={engine}", f"--iodepth={depth}", "--alone=40")
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    with open(path, "rb") as file:
        data = file.read()
    return {i for i in range(len(data) // 4096) if any(data[i * 4096 : i * 4096 + 4096])}


def same_offsets():
    refused = {row["engine"] for row in figures("--medium=tmpfs", "--iodepth=1")["media"][0]["results"] if "why_not" in row}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        found = {engine: blocks_written(engine, folder) for engine in engines() if engine not in refused}
    expected = found["raw-ring"]
    if not 20 < len(expected) <= 41:
        return f"raw-ring wrote {len(expected)} different blocks with 41 requests"
    return next((f"{engine} wrote {sorted(blocks)}, raw-ring {sorted(expected)}" for engine, blocks in found.items() if blocks != expected), None)


def system_calls():
    rows = {row["engine"]: row for row in figures("--medium=null", "--iodepth=32", "--ioengine=kaio,raw-ring,raw-syscall")["media"][0]["results"]}
    if rows["raw-ring"]["system_calls"] is None:
        raise report.Skip("neither perf nor ptrace is permitted here")
    for engine, expected in ("kaio", 1 / 32), ("raw-ring", 1 / 32), ("raw-syscall", 2 / 32):
        if not expected * 0.95 < rows[engine]["system_calls"] < expected * 1.2:
            return f"{engine}: {rows[engine]['system_calls']} system calls per request, where {expected} were made"
    return None


def sleeps_inside_turns(*arguments):
    """Where io_submit blocks, plain engines sleep inside their turns, and those with helpers never do."""

    def case():
        if os.geteuid() != 0:
            raise report.Skip("a file system on a loop device needs root")
        long = ["--rounds=1", "--number_ios=2000", "--size=32m", "--iodepth=8", "--ioengine=kaio,kaio-helpers,kaio-helpers-4,raw-ring", "--json=-"]
        done = bench(*long, *arguments)
        if "loop device" in done.stderr or "mkfs" in done.stderr or "mount" in done.stderr:
            raise report.Skip(done.stderr)
        if done.returncode != 0:
            return done.stderr
        for row in json.loads(done.stdout)["media"][0]["results"]:
            if row["turns"] < 10:
                return f"too few turns: {row['engine']}, {row['turns']}"
            per_turn = row["sleeps"] / row["turns"]
            if "helpers" in row["engine"]:
                if row["sleeps"] != 0:
                    return f"{row['engine']} slept {row['sleeps']} times in {row['turns']} turns"
                if not row["timer_late_us"]:
                    return f"no timer beside {row['engine']}"
            elif per_turn < 0.05:
                return f"{row['engine']} slept only {per_turn} times a turn"
        return None

    return case


def cold_is_cold():
    """Each block is read once, so a file of 4 MiB has no more than 1024 requests for warming up and measuring."""
    with tempfile.TemporaryDirectory() as folder:  # a disk, if the machine has one
        row = figures("--state=cold", "--direct=0", "--iodepth=4", "--ioengine=raw-ring", f"--directory={folder}")["media"][0]["results"][0]
    return None if row["requests"] <= 512 else f"{row['requests']} requests"


def refused_with_reason():
    """A seccomp filter that answers io_uring_setup (425 everywhere) with EPERM, as Docker's does."""
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(filters)))
    libc = ctypes.CDLL(None, use_errno=True)

    def forbid():
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        libc.prctl(22, 2, head, 0, 0)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER

    rows = figures("--medium=null", "--iodepth=4", "--ioengine=raw-ring,io_uring,io_uring-tuned", preexec_fn=forbid)["media"][0]["results"]
    for row in rows:
        if row["engine"] != "raw-ring" and "seccomp" not in row.get("why_not", "") and "not installed" not in row.get("why_not", ""):
            return f"no reason: {row}"
    return None


def overwrites_nothing():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = os.path.join(folder, "precious")
        precious = os.urandom(1 << 20)
        with open(path, "wb") as file:
            file.write(precious)
        only = ["--ioengine=raw-ring", "--iodepth=1", *short]
        for rw in "randwrite", "write", "randrw", "rw":
            done = bench(f"--filename={path}", f"--rw={rw}", *only)
            if done.returncode != 1 or f"--overwrite={path}" not in done.stderr:
                return f"{rw}: exit status {done.returncode}: {done.stderr}"
        done = bench(f"--filename={path}", "--rw=write", f"--overwrite={path}x", *only)
        if done.returncode != 2:
            return f"another name was enough: {done.stdout}"
        if bench(f"--filename={path}", *only).returncode != 0:
            return "reading needs no permission"
        with open(path, "rb") as file:
            if file.read() != precious:
                return "it was written to"
        if bench(f"--filename={path}", "--rw=write", f"--overwrite={path}", *only).returncode != 0:
            return "not even with --overwrite"
        with open(path, "rb") as file:
            return "it was not written to, with --overwrite" if file.read() == precious else None


def loop_devices():
    names = os.listdir("/sys/block") if os.path.isdir("/sys/block") else []  # else /sys is not mounted
    return {name for name in names if name.startswith("loop") and os.path.exists(f"/sys/block/{name}/loop")}


def leaves_nothing(medium, how):
    def case():
        if medium.startswith("loop") and os.geteuid() != 0:
            raise report.Skip("a loop device needs root")
        devices = loop_devices()
        with tempfile.TemporaryDirectory() as folder:
            command = [program, f"--medium={medium}", f"--directory={folder}", "--runtime=0.2", "--size=16m", "--ioengine=raw-ring"]
            done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": folder})
            time.sleep(1.5)  # any moment must do; this one is usually in the rounds
            if done.poll() is not None:
                text = done.stderr.read().decode()
                lacking = ("no free loop device", "loop-control", "mkfs", "mount namespace")
                raise report.Skip(text) if any(what in text for what in lacking) else RuntimeError(text)
            done.send_signal(how)
            _, error = done.communicate(timeout=60)
            expected = 128 + how if how != signal.SIGKILL else -how
            if done.returncode != expected:
                return f"exit status {done.returncode} and not {expected}: {error.decode()}"
            if os.listdir(folder):
                return f"left behind: {os.listdir(folder)}"
        for _ in range(100):  # the kernel takes loop devices away a little later
            if not loop_devices() - devices:
                break
            time.sleep(0.05)
        left = loop_devices() - devices
        mounts = [line for line in open("/proc/mounts", encoding="utf-8") if "kaio-bench" in line]
        return f"left behind: {left} {mounts}" if left or mounts else None

    return case


def glusterfs(how):
    """Measures on a GlusterFS volume, and ends by the signal, or by itself. Then none of the volume's processes is left."""

    def case():
        tools = os.environ["PATH"] + ":/usr/sbin:/sbin"
        missing = [tool for tool in ("glusterd", "mount.glusterfs", "ip") if not shutil.which(tool, path=tools)]
        if missing or os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
            raise report.Skip(f"a GlusterFS volume needs {', '.join(missing) or 'root and /dev/fuse'}")
        command = [program, *short, "--medium=glusterfs", "--iodepth=4", "--ioengine=kaio", "--json=-"]
        done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        volume = file = ""  # the namespace that all of the volume's processes share, and the file that is measured
        while not (volume and file) and done.poll() is None:
            for child in namespaces.children(done.pid):
                volume = namespaces.mount_namespace(child)
            with contextlib.suppress(OSError):
                links = [os.readlink(f"/proc/{done.pid}/fd/{number}") for number in os.listdir(f"/proc/{done.pid}/fd")]
                file = next((link for link in links if "/kaio-bench-" in link), "")
            time.sleep(0.001)
        if how:
            done.send_signal(how)
        said, error = done.communicate(timeout=120)
        if "unshare: " in error or "RTNETLINK" in error:
            raise report.Skip(error.strip())
        if done.returncode != (-how if how else 0) or not file:
            return f"exit status {done.returncode}: {error}"
        if not how and not json.loads(said)["media"][0]["results"][0]["requests_per_second"] > 0:
            return said
        left = namespaces.left_in(volume)
        return f"left behind: {left}" if left else None

    return case


def names_mistakes():
    mistakes = {
        "--iodepth": ["--iodepth=0", "--iodepth=4-", "--iodepth=5000", "--iodepth=a", "--iodepth=8-4"],
        "--numjobs": ["--numjobs=0"],
        "--rw": ["--rw=sideways"],
        "--rwmixread": ["--rwmixread=101"],
        "--bs": ["--bs=0", "--bs=many"],
        "--fsync": ["--fsync=4"],
        "--medium": ["--medium=floppy"],
        "--ioengine": ["--ioengine=sync"],
        "--alone": ["--alone=10"],
        "--directory": ["--directory=/nowhere"],
        "--nonsense": ["--nonsense"],
        "--state": ["--state=odd", "--state=cold", "--state=empty", "--state=hole"],
    }
    for name, arguments in mistakes.items():
        for argument in arguments:
            done = bench(argument)
            if done.returncode != 2 or name not in done.stderr + done.stdout:
                return f"{argument}: exit status {done.returncode}: {done.stdout}{done.stderr}"
    done = bench("--filename=/nowhere/file")
    return None if done.returncode == 1 and "/nowhere" in done.stderr else f"/nowhere/file: {done.stderr}"


def table_and_words():
    done = bench(*short, "--medium=null", "--iodepth=4", "--ioengine=kaio,raw-ring")
    lines = done.stdout.splitlines()
    if [line.split(":")[0] for line in lines[-3:]] != ["Speed", "Cost", "Noise"]:
        return f"it does not end with three sentences: {done.stdout}"
    return None if any(re.match(r" +4 kaio +\d", line) for line in lines) else f"no row of kaio: {done.stdout}"


def full_output():
    """The output, or the file of the figures, goes to a full disk."""
    arguments = [*short, "--medium=null", "--iodepth=1", "--ioengine=kaio"]
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([program, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    if done.returncode != 1 or "can't be written" not in done.stderr and "No space left" not in done.stderr:
        return f"exit status {done.returncode}: {done.stderr}"
    done = bench(*arguments, "--json=/dev/full")
    return None if done.returncode == 1 and "No space left" in done.stderr else f"exit status {done.returncode}: {done.stderr}"


def plots():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.json")
        done = bench(*short, "--medium=null,tmpfs", "--iodepth=1,4", "--numjobs=1,2", "--ioengine=kaio,raw-ring,pread", f"--json={path}")
        if done.returncode != 0:
            return done.stderr
        drawn = subprocess.run([os.path.join(root, "bench/plot"), path, "--out", folder], capture_output=True, text=True, timeout=120)
        if "needs matplotlib" in drawn.stderr:
            raise report.Skip("matplotlib is not installed")
        paths = drawn.stdout.split()
        expected = {f"run-{m}-{what}.{kind}" for m in ("null", "tmpfs") for what in ("depth", "loops", "latency", "turns") for kind in ("png", "svg")}
        if {os.path.basename(p) for p in paths} != expected or any(os.path.getsize(p) < 5000 for p in paths):
            return f"drawn: {paths} {drawn.stderr}"
        svg = open(os.path.join(folder, "run-null-depth.svg"), encoding="utf-8").read()
        return None if "requests per second" in svg and "kaio-bench" in svg and "µs" in svg else "the figure says too little"


def needs_program(case):
    def checked():
        if not program:
            raise report.Skip("bench/ was not built (CLI11, fmt and nlohmann-json are needed, and -Dbench=auto)")
        return case()

    return checked


cases = [
    ("every engine reads, and its figures can be", every_engine("--medium=tmpfs")),
    ("every engine reads, writes and syncs", every_engine("--medium=file", "--rw=randrw", "--fsync=8", f"--directory={tempfile.gettempdir()}")),
    ("every engine in two threads, in sequence", every_engine("--medium=tmpfs", "--rw=write", "--numjobs=2")),
    ("every engine has the same offsets", same_offsets),
    ("system calls are counted", system_calls),
    ("writes that extend a file stop no loop with helpers", sleeps_inside_turns("--medium=loop-ext4", "--rw=write", "--state=empty")),
    ("writes into holes of btrfs stop no loop with helpers", sleeps_inside_turns("--medium=loop-btrfs", "--rw=randwrite", "--state=hole")),
    ("cold reads stop no loop with helpers", sleeps_inside_turns("--medium=loop-ext4", "--state=cold", "--direct=0")),
    ("a cold file is read once", cold_is_cold),
    ("what is refused is shown with the reason", refused_with_reason),
    ("nothing is overwritten unasked", overwrites_nothing),
    ("Ctrl-C leaves no file", leaves_nothing("file", signal.SIGINT)),
    ("a killed program leaves no file", leaves_nothing("file", signal.SIGKILL)),
    ("Ctrl-C leaves no loop device and no mount", leaves_nothing("loop-ext4", signal.SIGINT)),
    ("a killed program leaves no loop device and no mount", leaves_nothing("loop-ext4", signal.SIGKILL)),
    ("GlusterFS is measured, and leaves no process", glusterfs(None)),
    ("a killed program leaves no process of GlusterFS", glusterfs(signal.SIGKILL)),
    ("mistakes are named", names_mistakes),
    ("a table and three sentences", table_and_words),
    ("output that can't be written is an error", full_output),
    ("figures are drawn", plots),
]
report.run([(name, needs_program(case)) for name, case in cases])
