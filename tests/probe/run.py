#!/usr/bin/env python3
"""run.py [KAIO-PROBE [KAIO-BENCH [FORGETFUL]]]: runs kaio-probe on tmpfs and on ext4 over a loop device, and compares
what it reports with what is certain about them. Then it tries bad arguments and refusals of all kinds (with seccomp
filters made here), and checks that nothing is left behind. On odd file systems it runs kaio-bench too."""

import contextlib
import ctypes
import json
import os
import platform
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

program, bench, forgetful_program = (sys.argv[1:] + [""] * 3)[:3]
memory = "/dev/shm"
tools = os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"
# Only what is certain on every kernel: requests in memory can't wait for a device.
at_once_on_tmpfs = {"read", "vectored read", "overwrite", "vectored overwrite", "warm buffered read", "buffered write"}
on_ext4 = {
    "read": "asynchronous",
    "vectored read": "asynchronous",
    "overwrite": "asynchronous",
    "extending write": "blocks in io_submit",
    "fdatasync": "asynchronous",
    "cold buffered read": "blocks in io_submit",
    "warm buffered read": "completes at once",
}
operations = at_once_on_tmpfs | set(on_ext4) | {"fallocated write", "write into a hole", "fsync"}
verdicts = {"asynchronous", "blocks in io_submit", "completes at once"}


def probe(*arguments, filters=None):
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=120, preexec_fn=filters and (lambda: restrict(filters))
    )


def probe_json(folder, **more):
    done = probe("--json", folder, **more)
    if done.returncode != 0 or done.stderr:
        raise RuntimeError(f"exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def restrict(filters):
    """Puts this process under a seccomp filter. For each (system call, errno, argument, bits), the call fails with the
    errno if the argument has one of the bits, or always if the argument is None."""
    load, jump_equal, jump_set, end = 0x20, 0x15, 0x45, 0x06
    code = [(load, 0, 0, 0)]
    for call, errno, argument, bits in filters:
        fail = (end, 0, 0, 0x50000 | errno)
        # Another call jumps over all of this. For this call the argument replaces the number, so the filter ends here.
        if argument is None:
            code += [(jump_equal, 0, 1, call), fail]
        else:
            code += [(jump_equal, 0, 4, call), (load, 0, 0, 16 + 8 * argument), (jump_set, 0, 1, bits), fail]
            code += [(end, 0, 0, 0x7FFF0000)]
    code += [(end, 0, 0, 0x7FFF0000)]
    packed = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    whole = Program(len(code), ctypes.addressof(packed))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(whole), 0, 0):
        os._exit(99)


def refuse(call, errno, argument=None, bits=0):
    """Returns the filter for one call of x86-64 and AArch64, or skips the test."""
    numbers = {
        "x86_64": {"io_setup": 206, "openat": 257, "io_uring_setup": 425, "sched_setscheduler": 144},
        "aarch64": {"io_setup": 0, "openat": 56, "io_uring_setup": 425, "sched_setscheduler": 119},
    }
    if platform.machine() not in numbers:
        raise report.Skip("this test knows only the system calls of x86-64 and AArch64")
    return [(numbers[platform.machine()][call], errno, argument, bits)]


def shell(*command):
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": tools}, check=True).stdout.strip()


@contextlib.contextmanager
def mounted(*options, device=None):
    """A folder on which `mount OPTIONS` has mounted something."""
    if os.geteuid() != 0:
        raise report.Skip("mounting needs root")
    with tempfile.TemporaryDirectory() as folder:
        try:
            shell("mount", *options, *([device] if device else ["none"]), folder)
        except subprocess.CalledProcessError as error:
            raise report.Skip(f"mount {' '.join(options)}: {error.stderr.strip()}")
        try:
            yield folder
        finally:
            shell("umount", folder)


@contextlib.contextmanager
def ext4(*options):
    """A folder with ext4, mounted with these options, on a loop device with direct I/O over memory."""
    if os.geteuid() != 0:
        raise report.Skip("a loop device needs root")
    if not shutil.which("mkfs.ext4", path=tools):
        raise report.Skip("mkfs.ext4 is not installed")
    with tempfile.NamedTemporaryFile(dir=memory) as file:
        file.truncate(256 << 20)
        try:
            device = shell("losetup", "--find", "--show", "--direct-io=on", file.name)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            raise report.Skip(f"losetup: {getattr(error, 'stderr', error)}")
        try:
            shell("mkfs.ext4", "-q", "-F", device)
            with mounted("-t", "ext4", *options, device=device) as folder:
                yield folder
        finally:
            shell("losetup", "--detach", device)


@contextlib.contextmanager
def forgetful():
    """A folder on a file system that has no O_TMPFILE and opens no file that has lost its name."""
    if not forgetful_program:
        raise report.Skip("libfuse is not installed (libfuse3-dev)")
    if not os.path.exists("/dev/fuse"):
        raise report.Skip("there is no /dev/fuse")
    with tempfile.TemporaryDirectory(dir=memory) as behind, tempfile.TemporaryDirectory() as folder:
        serving = subprocess.Popen([forgetful_program, behind, "-f", folder], stderr=subprocess.PIPE, text=True)
        try:
            while not os.path.ismount(folder) and serving.poll() is None:
                time.sleep(0.01)
            if serving.poll() is not None:
                raise report.Skip(f"FUSE: {serving.stderr.read().strip()}")
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder] if os.geteuid() == 0 else ["fusermount3", "-uz", folder], capture_output=True)
            serving.communicate(timeout=30)  # the server ends when it is unmounted


def wrong_shape(found, more=()):
    keys = ["format", "directory", "kernel", "machine", "file_system", "device", "alignment", "direct", "direct_ignored"]
    keys += ["aio", "io_uring", "block", "operations", "flags", "known_to_block", *more]
    if list(found) != keys or found["format"] != 1 or found["kernel"] != platform.release():
        return f"keys {list(found)}, format {found['format']}, kernel {found['kernel']}"
    if {one["name"] for one in found["operations"]} != operations:
        return f"operations {[one['name'] for one in found['operations']]}"
    for one in found["operations"]:
        if "error" in one or "error" in one["with_helpers"]:
            return f"{one}"
        helped = one["with_helpers"]
        if not helped["stuck_us"] > 0 or not 0 <= helped["by_helper"] <= 1 or not 0 <= helped["slept"] <= 0.1:
            return f"with helpers: {one}"
        if one["verdict"] not in verdicts or not 0 < one["submit_us"] <= one["complete_us"] or one["repetitions"] < 11:
            return f"{one}"
    for flag in found["flags"]:
        if list(flag) != ["name", "direct_read", "direct_write", "buffered_read", "buffered_write"]:
            return f"{flag}"
    if found["aio"]["max_nr"] < 1 or found["aio"]["nr"] < 0:
        return f"{found['aio']}"
    return None


def other_verdicts(found, expected):
    said = {one["name"]: one for one in found["operations"]}
    wrong = [said[name] for name, verdict in expected.items() if said[name]["verdict"] != verdict]
    return "\n".join(map(str, wrong)) or None


def on_tmpfs():
    found = probe_json(memory)
    if not found["file_system"] or found["file_system"]["type"] != "tmpfs":
        raise report.Skip(f"{memory} is not a tmpfs mount")
    if not found["direct"]:
        raise report.Skip("this tmpfs has no O_DIRECT (6.6)")
    flags = {flag["name"]: flag for flag in found["flags"]}
    if flags["RWF_DSYNC"]["direct_write"] != "works" or flags["RWF_DSYNC"]["direct_read"] is not None:
        return f"{flags['RWF_DSYNC']}"
    helped = [one for one in found["operations"] if one["with_helpers"]["by_helper"] != 0]
    if helped:  # memory needs none
        return f"{helped}"
    if found["known_to_block"]:
        return f"{found['known_to_block']}"
    return wrong_shape(found) or other_verdicts(found, dict.fromkeys(at_once_on_tmpfs, "completes at once"))


def over_loop_device(filters=None):
    with ext4() as folder:
        found = probe_json(folder, filters=filters)
        left = os.listdir(folder)
    if left != ["lost+found"]:
        return f"left behind: {left}"
    if found["file_system"]["type"] != "ext4" or not found["device"]["name"].startswith("loop"):
        return f"{found['file_system']} {found['device']}"
    if not found["device"]["scheduler"] or not found["device"]["queue"] or found["device"]["sector"] != 512:
        return f"{found['device']}"
    if found["alignment"]["offset"] != 512 and found["alignment"]["found_by"] == "statx":
        return f"{found['alignment']}"
    for one in found["operations"]:
        by_helper = one["with_helpers"]["by_helper"]
        if on_ext4.get(one["name"]) == "blocks in io_submit" and by_helper < 0.5 or one["name"] == "overwrite" and by_helper > 0.5:
            return f"{one}"
    return wrong_shape(found) or other_verdicts(found, on_ext4)


def benched(*arguments):
    """Returns what kaio-bench reports on one medium, as JSON."""
    if not bench:
        raise report.Skip("kaio-bench is not built")
    short = ["--runtime=0.005", "--ramp_time=0", "--rounds=1", "--size=4m", "--iodepth=1", "--ioengine=raw-ring", "--quiet"]
    done = subprocess.run([bench, *short, *arguments, "--json=-"], capture_output=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"exit status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return json.loads(done.stdout.decode())


def with_direct_ignored():
    with ext4("-o", "data=journal") as folder:
        found = probe_json(folder)
        table = probe(folder).stdout
        medium = benched(f"--directory={folder}")["media"][0] if bench else None
        words = subprocess.run([bench, "--directory=" + folder, "--size=4m", "--runtime=0.005", "--rounds=1", "--iodepth=1",
                                "--ioengine=raw-ring"], capture_output=True, text=True, timeout=120).stdout if bench else ""
    if found["alignment"]["found_by"] == "default" and not found["direct_ignored"]:
        with ext4() as folder:  # if statx reports anything, it reports it here
            if probe_json(folder)["alignment"]["found_by"] == "default":
                raise report.Skip("this kernel does not report direct I/O (6.1)")
    if not found["direct"] or not found["direct_ignored"]:
        return f"direct {found['direct']}, direct_ignored {found['direct_ignored']}"
    if table.count("accepted and ignored here") != 2:
        return table
    if medium and (medium["direct"] != "ignored" or "accepted and ignored" not in medium["notice"]):
        return f"kaio-bench: {medium}"
    return words if bench and words.count("accepted and ignored") != 2 else wrong_shape(found)


def name_of_any_bytes():
    with tempfile.TemporaryDirectory(dir=memory) as above:
        folder = os.path.join(os.fsencode(above), b"b\xff\xfe\xc3(d")  # three ways not to be UTF-8
        os.mkdir(folder)
        found = probe_json(folder)
        plain = probe_json(above)
        with open(folder + b"/file", "wb") as file:
            file.truncate(4 << 20)
        made = benched(b"--filename=" + folder + b"/file") if bench else None
        there = benched(b"--directory=" + folder)["media"][0] if bench else None
        shown = subprocess.run([program, folder], capture_output=True, timeout=120)
    if bytes.fromhex(found["directory_hex"]) != folder or "b\ufffd\ufffd\ufffd(d" not in found["directory"]:
        return f"{found['directory']} {found.get('directory_hex')}"
    if "directory_hex" in plain or shown.returncode != 0:
        return f"{plain}, exit status {shown.returncode}"
    if made and (folder + b"/file" != bytes.fromhex(made["media"][0]["medium_hex"]) or folder not in bytes.fromhex(made["command_hex"])):
        return f"kaio-bench: {made}"
    if there and folder not in bytes.fromhex(there["description_hex"]):
        return f"kaio-bench: {there}"
    return wrong_shape(found, ["directory_hex"])


def mount_point_of_any_bytes():
    with tempfile.TemporaryDirectory(dir=memory) as above:
        folder = os.path.join(os.fsencode(above), b"m\xff \xfe")
        os.mkdir(folder)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True).returncode != 0:
            raise report.Skip("mounting is not permitted here")
        try:
            system = probe_json(folder)["file_system"]
        finally:
            subprocess.run(["umount", folder], check=True)
    return None if bytes.fromhex(system.get("mounted_at_hex", "")) == folder else f"{system}"


def on_a_forgetful_one():
    with forgetful() as folder:
        found = probe_json(folder)
        left = os.listdir(folder)
        rates = [row["requests_per_second"] for row in benched(f"--directory={folder}", "--numjobs=3")["media"][0]["results"]] if bench else [1]
        left += os.listdir(folder)
    if not found["direct"] or not found["file_system"]["type"].startswith("fuse"):
        return f"{found['direct']} {found['file_system']}"
    if not found["file_system"]["source"] or "fdatasync" not in " ".join(found["known_to_block"]):
        return f"{found['file_system']} {found['known_to_block']}"
    if left or not rates or not rates[0] > 0:
        return f"left behind: {left}; requests per second: {rates}"
    return wrong_shape(found)


def as_table():
    done = probe(memory)
    lines = done.stdout.splitlines()
    for name in sorted(operations):
        if not any(line.startswith(name + " ") and any(verdict in line for verdict in verdicts) for line in lines):
            return f"no verdict for {name}:\n{done.stdout}"
    for name in ("kernel", "file system", "device", "direct I/O", "native AIO", "io_uring", "RWF_NOWAIT"):
        if not any(line.startswith(name) for line in lines):
            return f"no line on {name}:\n{done.stdout}"
    return None if done.returncode == 0 and not done.stderr else f"exit status {done.returncode}, {done.stderr}"


def refuses(status, *texts, arguments=(), folder=None, filters=None):
    with folder or contextlib.nullcontext() as where:
        done = probe(*arguments, *([where] if where else []), filters=filters)
    if done.returncode != status or done.stdout or not all(text in done.stderr for text in texts):
        return f"exit status {done.returncode}, expected {status} and {texts}\n{done.stdout}{done.stderr}"
    return None


def without_io_uring(errno, cause):
    sysctl = "/proc/sys/kernel/io_uring_disabled"
    if not os.path.exists(sysctl):
        raise report.Skip("before 6.6 the kernel does not say whether it has io_uring")
    with open(sysctl, encoding="ascii") as file:
        if file.read().strip() != "0":
            raise report.Skip("kernel.io_uring_disabled is set")
    found = probe_json(memory, filters=refuse("io_uring_setup", errno))["io_uring"]
    if found["available"] or found["cause"] != cause or cause not in found["why"]:
        return f"{found}"
    return None


def without_o_tmpfile():
    """Not every file system has O_TMPFILE. Without it the file must lose its name at once."""
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        found = probe_json(folder, filters=refuse("openat", 95, 2, 0o20000000))
        return wrong_shape(found) or (f"left behind: {os.listdir(folder)}" if os.listdir(folder) else None)


def interrupted(by, filters=None):
    """The signal is sent as soon as the probe has its temporary file. The file must have no name then."""
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        running = subprocess.Popen(
            [program, "--repetitions", "10000", folder],
            stdout=subprocess.DEVNULL,
            preexec_fn=filters and (lambda: restrict(filters)),
        )
        has_file = False
        end = time.monotonic() + 30
        while not has_file and running.poll() is None and time.monotonic() < end:
            with contextlib.suppress(FileNotFoundError):  # the descriptor was closed meanwhile
                for number in os.listdir(f"/proc/{running.pid}/fd"):
                    has_file |= os.readlink(f"/proc/{running.pid}/fd/{number}").startswith(folder + "/")
        running.send_signal(by)
        status = running.wait(timeout=30)
        if not has_file or status != -by:
            return f"it ended by itself, with {status}" if status == 0 else f"status {status}, file seen: {has_file}"
        return f"left behind: {os.listdir(folder)}" if os.listdir(folder) else None


def need_program():
    raise report.Skip("kaio-probe is not built: it needs -Dbench=enabled, CLI11, fmt and nlohmann-json")


missing = contextlib.nullcontext("/no/such/folder")
cases = [
    ("tmpfs completes at once", on_tmpfs),
    ("ext4 over a loop device", over_loop_device),
    ("ext4, where the probe may not raise its priority", lambda: over_loop_device(refuse("sched_setscheduler", 1))),
    ("ext4 that accepts O_DIRECT but ignores it", with_direct_ignored),
    ("a file system that forgets files without a name", on_a_forgetful_one),
    ("a folder whose name is not UTF-8", name_of_any_bytes),
    ("a mount point whose name is not UTF-8", mount_point_of_any_bytes),
    ("the table has every operation", as_table),
    ("a folder that does not exist", lambda: refuses(1, "No such file", "give a directory", folder=missing)),
    ("a file", lambda: refuses(1, "Not a directory", "lies in", arguments=[program])),
    ("a read-only file system", lambda: refuses(1, "Read-only", "remount", folder=mounted("-t", "tmpfs", "-o", "ro"))),
    ("a full file system", lambda: refuses(1, "MiB free", "another", folder=mounted("-t", "tmpfs", "-o", "size=1m"))),
    ("no folder", lambda: refuses(2, "DIR is required")),
    ("an odd block", lambda: refuses(2, "power of two", arguments=["--block", "3000", memory])),
    ("a block that is not a number", lambda: refuses(2, "--block", arguments=["--block", "many", memory])),
    ("too few repetitions", lambda: refuses(2, "20 to", arguments=["--repetitions", "1", memory])),
    ("no native AIO", lambda: refuses(1, "no native AIO", arguments=[memory], filters=refuse("io_setup", 38))),
    ("native AIO forbidden", lambda: refuses(1, "security policy", arguments=[memory], filters=refuse("io_setup", 1))),
    ("io_uring forbidden by a seccomp filter", lambda: without_io_uring(1, "seccomp")),
    ("io_uring hidden by a seccomp filter", lambda: without_io_uring(38, "seccomp")),
    ("a file system without O_TMPFILE", without_o_tmpfile),
    ("Ctrl-C", lambda: interrupted(signal.SIGINT)),
    ("Ctrl-C without O_TMPFILE", lambda: interrupted(signal.SIGINT, refuse("openat", 95, 2, 0o20000000))),
    ("SIGKILL", lambda: interrupted(signal.SIGKILL)),
]
report.run(cases if program else [(name, need_program) for name, _ in cases])
