#!/usr/bin/env python3
"""run.py SOURCE-ROOT NAME=PROGRAM...: runs the tests that use the kernel, and the examples, on several media. These are
tmpfs, ext4, xfs and btrfs over loop devices that are truly asynchronous, and such a device itself. Loops with helpers
also meet a FUSE file system, and media that stand still, and so does the log of docs/examples/replicated_log.hpp.
Needs root.

Everything is made inside a mount namespace, from files that are already deleted and devices that detach with their last
user. So the kernel cleans up, however this ends."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "support"))
import report

os.environ["PATH"] += ":/usr/sbin:/sbin"
root = sys.argv[1]
programs = dict(argument.split("=", 1) for argument in sys.argv[2:])
tests = {name: path for name, path in programs.items() if not name.startswith("example/")}
examples = [argument[len("example/"):] for argument in sys.argv[2:] if argument.startswith("example/")]


def tool(*command):
    if not shutil.which(command[0]):
        raise report.Skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout.strip()


class Device:
    """A loop device with direct I/O over memory. It vanishes when nothing has it open or mounted any more."""

    def __enter__(self):
        with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="kaio-medium-") as backing:
            backing.truncate(300 << 20)  # the least that mkfs.xfs accepts
            try:
                self.path = tool("losetup", "--find", "--show", "--direct-io=on", backing.name)
            except RuntimeError as error:
                raise report.Skip(f"no loop device: {error}")
        self.open = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        tool("losetup", "--detach", self.path)  # with its last user
        return self

    def __exit__(self, *_):
        os.close(self.open)


def counts(command, **settings):
    """Returns how many cases of a test program passed, and its lines about skips. `settings` are cwd and env."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **settings)
    lines = done.stdout.strip().splitlines()
    words = lines[-1].split() if lines else []
    if done.returncode != 0 or len(words) != 6 or words[1] != "passed,":
        raise RuntimeError(f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return int(words[0]), [line for line in lines if line.startswith("skipped: ")]


def run_in(folder, medium):
    # The folder is both the current one and the one for temporary files.
    env = dict(os.environ, TMPDIR=folder, KAIO_MEDIUM=folder)
    commands = [[path] for path in tests.values()]
    commands.append([sys.executable, os.path.join(here, "..", "docs", "examples.py"), root, *examples])
    passed = 0
    # In parallel, because most of the time they wait for the kernel, 30 ms per context.
    with ThreadPoolExecutor(3) as pool:
        for more, skips in pool.map(lambda command: counts(command, cwd=folder, env=env), commands):
            passed += more
            for skip in skips:
                print(f"on {medium}: {skip}")
    print(f"{passed} test cases passed on {medium}")
    return passed


@contextlib.contextmanager
def mount_of(kind, source, *options):
    """The folder of a file system, while the block runs."""
    with tempfile.TemporaryDirectory(prefix="kaio-mount-") as folder:
        tool("mount", "-t", kind, *options, source, folder)
        try:
            yield folder
        finally:
            tool("umount", folder)


def mounted(kind, source, *options):
    def case():
        with mount_of(kind, source, *options) as folder:
            return run_in(folder, kind)

    return case


def on_loop_device(kind, *mkfs):
    def case():
        with Device() as device:
            tool("mkfs." + kind, *mkfs, device.path)
            return mounted(kind, device.path)()

    return case


def raw_device():
    passed = 0
    with Device() as device:
        for name in ("filesystems/medium", "filesystems/helpers"):
            passed += counts([tests[name]], env=dict(os.environ, KAIO_MEDIUM=device.path))[0]
    print(f"{passed} test cases passed on a raw loop device")
    return passed


def helpers_on(folder, medium, stop="", go=""):
    """`stop` and `go` are shell commands that stop the medium, and let it go on."""
    how = {"KAIO_STOP": stop, "KAIO_GO": go} if stop else {}
    passed, _ = counts([tests["filesystems/helpers"]], env=dict(os.environ, KAIO_MEDIUM=folder, **how))
    print(f"{passed} test cases of helpers passed on {medium}")
    return passed


def stopping(folder, medium, stop, go):
    """Loops with helpers, and a log with one of three copies there, while the medium stands still."""
    passed = helpers_on(folder, medium, stop, go)
    env = dict(os.environ, KAIO_MEDIUM=folder, KAIO_STOP=stop, KAIO_GO=go)
    more, _ = counts([tests["filesystems/replicated_log"]], env=env)
    print(f"{more} test cases of a log passed with one of three copies on {medium}")
    return passed + more


def journaled_data():
    """There ext4 buffers direct I/O."""
    with Device() as device:
        tool("mkfs.ext4", "-q", device.path)
        with mount_of("ext4", device.path, "-o", "data=journal") as folder:
            return helpers_on(folder, "ext4 with data=journal")


def frozen():
    with Device() as device:
        tool("mkfs.ext4", "-q", device.path)
        with mount_of("ext4", device.path) as folder:
            return stopping(folder, "ext4 that is frozen", f"fsfreeze -f {folder}", f"fsfreeze -u {folder}")


def suspended():
    with Device() as device:
        try:
            tool("dmsetup", "targets")
        except RuntimeError:
            raise report.Skip("the kernel has no device mapper")
        name = f"kaio-{os.getpid()}"
        sectors = tool("blockdev", "--getsz", device.path)
        tool("dmsetup", "create", name, "--table", f"0 {sectors} linear {device.path} 0")
        try:
            tool("mkfs.ext4", "-q", "/dev/mapper/" + name)
            with mount_of("ext4", "/dev/mapper/" + name) as folder:
                stop = f"dmsetup suspend --nolockfs --noflush {name}"
                return stopping(folder, "a device that is suspended", stop, f"dmsetup resume {name}")
        finally:
            tool("dmsetup", "resume", name)
            tool("dmsetup", "remove", "--retry", name)


def fuse():
    """A file system whose server stops. It does not know NOWAIT."""
    if not os.path.exists("/dev/fuse"):
        raise report.Skip("there is no /dev/fuse")
    if not shutil.which("bindfs"):
        raise report.Skip("bindfs is not installed")
    with tempfile.TemporaryDirectory(prefix="kaio-below-") as below, tempfile.TemporaryDirectory(prefix="kaio-fuse-") as folder:
        device = os.stat(folder).st_dev
        server = subprocess.Popen(["bindfs", "-f", below, folder], stderr=subprocess.PIPE, text=True)
        try:
            while os.stat(folder).st_dev == device:
                if server.poll() is not None:
                    raise report.Skip(f"FUSE can't be mounted here: {server.stderr.read().strip()}")
                time.sleep(0.01)
            return stopping(folder, "FUSE", f"kill -STOP {server.pid}", f"kill -CONT {server.pid}")
        finally:
            server.send_signal(signal.SIGCONT)
            subprocess.run(["umount", "-l", folder], stderr=subprocess.DEVNULL)
            server.terminate()
            server.wait(timeout=30)


if __name__ == "__main__":
    cases = [
        ("the tests on tmpfs", mounted("tmpfs", "none", "-o", "size=300m")),
        ("the tests on ext4", on_loop_device("ext4", "-q")),
        ("the tests on xfs", on_loop_device("xfs", "-q")),
        ("the tests on btrfs", on_loop_device("btrfs", "-q")),
        ("direct I/O on a raw loop device", raw_device),
        ("helpers on ext4 with data=journal", journaled_data),
        ("helpers and a log on ext4 that is frozen", frozen),
        ("helpers and a log on a device that is suspended", suspended),
        ("helpers and a log on FUSE whose server stops", fuse),
    ]
    if "KAIO_OWN_MOUNTS" not in os.environ:
        if os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode == 0:
            os.environ["KAIO_OWN_MOUNTS"] = "yes"
            os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])

        def skip():
            raise report.Skip("mounting file systems and making loop devices needs root")

        cases = [(name, skip) for name, _ in cases]
    report.run(cases, workers=5)
