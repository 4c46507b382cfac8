#!/usr/bin/env python3
"""glusterfs.py SCRIPT LOAD LOG MEDIUM HELPERS COPY CHECKSUM PROBE [--measure]: programs on a GlusterFS volume of three bricks,
parts of which fail under load. SCRIPT (bench/glusterfs.sh) makes the volume. Needs root and /dev/fuse.

--measure: only the failures, for longer, as fast as the volume goes, and prints what the load says.

All of it runs in namespaces for mounts, processes and the network that are gone with this script, however it ends."""

import contextlib
import filecmp
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from functools import cache
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import report

os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
arguments = [argument for argument in sys.argv[1:] if argument != "--measure"]
script, load, log, medium, helpers, copy, checksum, probe = [os.path.abspath(path) if path else "" for path in arguments]
measure = "--measure" in sys.argv

folder = "/run/kaio/volume"
bricks = [f"/run/kaio/brick{number}/files" for number in (1, 2, 3)]
outside = "/run/kaio"  # memory that is no part of the volume
PING_TIMEOUT = 5  # network.ping-timeout, in seconds: a server that stands still is given up after once to twice this time
ENOTCONN = 107
NAMESPACES = ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--net", "--mount-proc", "--propagation", "private"]


def why_not():
    """Why this machine can't have such a volume, or ""."""
    if os.geteuid() != 0:
        return "mounting needs root"
    for tool, package in (("glusterd", "glusterfs-server"), ("mount.glusterfs", "glusterfs-client"), ("ip", "iproute2")):
        if not shutil.which(tool):
            return f"{tool} is not installed (Debian: {package})"
    for device in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(device):
            return f"there is no {device}"
    link = "ip link add kaio0 type veth peer name kaio1"
    tried = subprocess.run([*NAMESPACES, "sh", "-c", link], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"no namespaces, or no network in them: {tried.stderr.strip()}"


def run(*command, status=0, **settings):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **settings)
    if done.returncode != status:
        raise RuntimeError(f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def gluster(*command):
    return run("nsenter", "--net=/run/netns/bricks", "gluster", "--mode=script", "volume", *command)


@contextlib.contextmanager
def volume():
    """The volume, while the block runs."""
    with open("/dev/shm/kaio-glusterfs.log", "w+", encoding="utf-8", errors="replace") as said:
        os.unlink(said.name)
        made = subprocess.Popen(["sh", script, "256"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True)
        if made.stdout.readline() != "ready\n":
            said.seek(0)
            raise RuntimeError(f"no volume: {said.read()}")
        try:
            yield
        finally:
            made.stdin.close()


def kill_brick(number, by=signal.SIGKILL):
    """Sends a signal to the process that serves the brick."""
    path = f"/run/gluster/vols/kaio/10.0.0.2-run-kaio-brick{number}-files.pid"
    with open(path, encoding="ascii") as file:
        server = int(file.read())
    os.kill(server, by)
    if by == signal.SIGKILL:
        os.waitpid(server, 0)  # a daemon is a child of its namespace's first process, which is this one


def start_bricks():
    """Starts those that do not run."""
    gluster("start", "kaio", "force")


def wait_for_healing():
    """Returns how many seconds it took until no brick lacks anything."""
    begin = time.monotonic()
    while time.monotonic() - begin < 60:
        said = gluster("heal", "kaio", "info")
        if said.count("Number of entries: 0") == len(bricks):
            return time.monotonic() - begin
        time.sleep(0.2)
    raise RuntimeError(f"it does not heal:\n{said}")


def figure(text, name):
    return float(re.search(rf"^{re.escape(name)}: ([0-9.]+)", text, re.M)[1])


def errors_of(text):
    """How often each errno came, by number."""
    found = {}
    for number, count in re.findall(r"errno (\d+), .*: (\d+)$", text, re.M):
        found[int(number)] = found.get(int(number), 0) + int(count)
    return found


class Load:
    """A load generator on a file of the volume."""

    def __init__(self, method, seconds):
        self.file = f"{folder}/by-{method}"
        self.name = os.path.basename(self.file)
        self.record = f"{outside}/{self.name}"
        rest = [] if measure else ["--rest", "20"]
        command = [load, "run", "--seconds", str(seconds), "--by", method, *rest, self.file, self.record]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if self.process.stdout.readline() != "writing\n":
            raise RuntimeError(f"{command}: {self.process.communicate()[0]}")

    def finish(self):
        self.said = self.process.communicate(timeout=120)[0]
        if self.process.returncode != 0:
            raise RuntimeError(f"the load ended with {self.process.returncode}: {self.said}")

    def check(self):
        """What the client sees, and then what each brick has."""
        checked = run(load, "check", self.file, self.record)
        for brick in bricks:
            run(load, "check", f"{brick}/{self.name}", self.record)
        if measure:
            print(self.name, self.said, checked, sep="\n", flush=True)


class Log:
    """The log of docs/examples/wal.hpp on the volume."""

    def __init__(self, seconds):
        self.file = f"{folder}/log"
        self.process = subprocess.Popen([log, "run", str(seconds), self.file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self):
        self.said = self.process.communicate(timeout=120)[0]
        if self.process.returncode != 0:
            raise RuntimeError(f"the log ended with {self.process.returncode}: {self.said}")

    def check(self):
        run(log, "check", self.file, re.search(r"acknowledged: (\d+)", self.said)[1])


@cache
def give_up_soon():
    """Not for the tests of a medium: a client on a busy machine would give up a server that is only slow. A client takes
    it from its mount on."""
    run("umount", folder)
    gluster("set", "kaio", "network.ping-timeout", str(PING_TIMEOUT))
    run("mount", "-t", "glusterfs", "-o", "direct-io-mode=enable", "10.0.0.2:/kaio", folder)
    private = f"{folder}/.meta/graphs/active/kaio-client-%d/private"  # of the client's connection to a brick
    while not all("connected = 1" in Path(private % number).read_text() for number in range(3)):
        time.sleep(0.05)


def under_load(seconds, fail, wrong):
    """`fail` fails something while programs write for so many seconds. `wrong` says what is wrong with what they said,
    or returns None. Whatever they said, nothing may be lost, and the bricks must become equal."""

    def case():
        give_up_soon()
        for methods in [["fdatasync"], ["dsync"]] if measure else [["fdatasync", "dsync"]]:
            loads = [Load(method, seconds) for method in methods]
            programs = loads if measure else [*loads, Log(seconds)]
            fail()
            for program in programs:
                program.finish()
            start_bricks()
            healed = wait_for_healing()
            for program in programs:
                program.check()
            if measure:
                print(f"healed after {healed:.1f} s\n", flush=True)
            names = [os.path.basename(program.file) for program in programs]
            for brick in bricks[1:]:
                different = filecmp.cmpfiles(bricks[0], brick, names, shallow=False)[1:]
                if different != ([], []):
                    return f"{brick} and {bricks[0]} differ: {different}"
            for program in programs:
                if problem := wrong(program.said):
                    return f"{problem}:\n{program.said}"
        return None

    return case


def goes_on(said):
    if "errno" in said:
        return "errors"
    return None if figure(said, "acknowledged") > 100 else "hardly anything was written"


def goes_on_after(least, most):
    def wrong(said):
        if "silence" in said:  # the log says nothing about it
            if not least <= figure(said, "longest silence") <= most or figure(said, "silences of a second or more") != 1:
                return f"not one silence of {least} to {most} s"
        return goes_on(said)

    return wrong


def all_fail_at_once(said):
    if "longest write" in said:
        if set(errors_of(said)) != {ENOTCONN} or errors_of(said)[ENOTCONN] < 100:
            return "not one ENOTCONN after the other"
        if figure(said, "longest write") > 2 or figure(said, "longest fdatasync") > 2:
            return "a request that did not fail at once"
        return None
    return None if f"errno {ENOTCONN}" in said else "the log did not fail"


def one_is_killed():
    time.sleep(3 if measure else 1)
    kill_brick(1)
    time.sleep(5 if measure else 2)
    start_bricks()


def one_stands_still():
    time.sleep(3 if measure else 1)
    kill_brick(2, signal.SIGSTOP)
    time.sleep(2 * PING_TIMEOUT + 3)
    kill_brick(2, signal.SIGCONT)


def two_are_killed():
    time.sleep(3 if measure else 1)
    kill_brick(1)
    kill_brick(3)


def network_is_cut():
    time.sleep(3 if measure else 1)
    run("ip", "-n", "bricks", "link", "set", "kaio1", "down")
    time.sleep(3)
    run("ip", "-n", "bricks", "link", "set", "kaio1", "up")


def counted(program, **settings):
    """How many cases of a test program passed on the volume."""
    said = run(program, cwd=folder, env=dict(os.environ, TMPDIR=folder, KAIO_MEDIUM=folder, **settings))
    passed, failed = re.search(r"(\d+) passed, (\d+) failed, \d+ skipped\s*$", said).groups()
    if failed != "0":
        raise RuntimeError(said)
    return int(passed)


def media():
    client = run("pgrep", "-f", "--", "--process-name fuse").strip()
    return counted(medium) + counted(helpers, KAIO_STOP=f"kill -STOP {client}", KAIO_GO=f"kill -CONT {client}")


def copies():
    data = random.randbytes(12345678)
    paths = [f"{outside}/from", f"{folder}/to", f"{folder}/again", f"{outside}/back"]
    with open(paths[0], "wb") as file:
        file.write(data)
    for source, target in zip(paths, paths[1:]):
        run(copy, source, target)
        if not filecmp.cmp(paths[0], target, shallow=False):
            return f"{target} differs"
    said = run(checksum, paths[1])
    return None if said.startswith(f"{zlib.crc32(data):08x}") else said


def probed():
    if not probe:
        raise report.Skip("kaio-probe is not built: it needs -Dbench=enabled, CLI11, fmt and nlohmann-json")
    found = json.loads(run(probe, "--json", folder))
    system = found["file_system"]
    if (system["type"], system["source"], system["mounted_at"]) != ("fuse.glusterfs", "10.0.0.2:/kaio", folder) or not found["direct"]:
        return f"{system}, direct: {found['direct']}"
    verdicts = {one["name"]: one["verdict"] for one in found["operations"]}
    if None in verdicts.values() or verdicts["read"] != "asynchronous" or verdicts["extending write"] != "blocks in io_submit":
        return f"{found['operations']}"
    if "fdatasync" not in " ".join(found["known_to_block"]):
        return f"{found['known_to_block']}"
    left = [name for name in os.listdir(folder) if name.startswith("kaio-probe")]
    return f"left behind: {left}" if left else None


def notices_what_is_lost():
    """An older copy has lost what was acknowledged since, and one wrong byte is seen."""
    file, record, older = f"{outside}/file", f"{outside}/record", f"{outside}/older"
    writing = subprocess.Popen([load, "run", "--seconds", "1", "--size", "1048576", file, record], stdout=subprocess.PIPE, text=True)
    writing.stdout.readline()
    shutil.copy(file, older)
    writing.communicate(timeout=60)
    run(load, "check", file, record)
    if figure(run(load, "check", older, record, status=1), "lost") < 100:
        return "the older copy has lost nothing"
    with open(file, "r+b") as damaged:
        damaged.seek(5000)
        damaged.write(b"?")
    return None if figure(run(load, "check", file, record, status=1), "torn") == 1 else "nothing is torn"


failures = [
    ("one brick is killed and comes back", under_load(13 if measure else 6, one_is_killed, goes_on)),
    ("one brick stands still", under_load(20 if measure else 15, one_stands_still, goes_on_after(PING_TIMEOUT - 1, 2 * PING_TIMEOUT + 2))),
    ("two bricks are killed", under_load(6 if measure else 3, two_are_killed, all_fail_at_once)),
    ("the client's network is cut for 3 s", under_load(15 if measure else 8, network_is_cut, goes_on_after(2, 10))),
]
cases = failures if measure else [
    ("the load's check notices what is lost", notices_what_is_lost),
    ("the tests of a medium", media),
    ("copies", copies),
    ("kaio-probe", probed),
    *failures,
]

if "KAIO_OWN_NAMESPACES" in os.environ:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the first process of a namespace has no default for it
    with volume():
        report.run(cases)
elif reason := why_not():

    def skip():
        raise report.Skip(reason)

    report.run([(name, skip) for name, _ in cases])
else:
    os.environ["KAIO_OWN_NAMESPACES"] = "yes"
    die_with_this = ["setpriv", "--pdeathsig", "KILL"]
    sys.exit(subprocess.run([*die_with_this, *NAMESPACES, sys.executable, *sys.argv]).returncode)
