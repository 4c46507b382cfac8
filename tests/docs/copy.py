#!/usr/bin/env python3
"""copy.py PROGRAM: what docs/examples/copy.cpp copies, and what it prints when it can't."""

import os
import pty
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

program = os.path.abspath(sys.argv[1])
folders = [folder for folder in (os.getcwd(), "/dev/shm") if os.path.isdir(folder)]
small = ["--block-size", "65536", "--queue-depth", "3", "--threads", "3"]


def copy(place, *arguments, **options):
    return subprocess.run([program, *arguments], cwd=place, capture_output=True, text=True, timeout=60, **options)


def put(place, name, data):
    with open(os.path.join(place, name), "wb") as file:
        file.write(data)


def get(place, name):
    with open(os.path.join(place, name), "rb") as file:
        return file.read()


def copied(place, data, *options):
    """Copies `data`. Returns None, or what is wrong with the copy."""
    put(place, "from", data)
    done = copy(place, *options, "from", "to")
    said = [line for line in done.stderr.splitlines() if "no direct I/O" not in line]
    if done.returncode != 0 or done.stdout or said:
        return f"{len(data)} bytes: exit status {done.returncode}: {done.stdout}{done.stderr}"
    if get(place, "to") != data:
        return f"{len(data)} bytes: the copy differs; it has {os.path.getsize(os.path.join(place, 'to'))}"
    return None


def lengths(place):
    block = 65536
    around = [0, 512, 4096, block, 3 * block, 9 * block]
    for length in [length + more for length in around for more in (-1, 0, 1) if length + more >= 0]:
        wrong = copied(place, random.randbytes(length), *small)
        if wrong:
            return wrong
    return None


def long(place):
    return copied(place, random.randbytes(64 << 20))


def one_thread(place):
    return copied(place, random.randbytes(5000001), "--threads", "1")


def odd_block_size(place):
    return copied(place, random.randbytes(1000000), "--block-size", "1000", "--queue-depth", "50")


def shrinking(place):
    """The source is truncated in the middle of the copy: all threads end."""
    with open(os.path.join(place, "from"), "wb") as source:
        source.write(bytes(64 << 20))
    running = subprocess.Popen([program, *small, "from", "to"], cwd=place, stderr=subprocess.PIPE, text=True)
    while not os.path.exists(os.path.join(place, "to")) and running.poll() is None:
        pass
    os.truncate(os.path.join(place, "from"), 1 << 20)
    _, said = running.communicate(timeout=60)
    if running.returncode == 0:
        raise report.Skip("the copy was complete before the source was truncated")
    if "from: it became shorter while it was copied; to was removed" not in said or os.path.exists(os.path.join(place, "to")):
        return f"exit status {running.returncode}: {said}"
    return None


def growing(place):
    """Others append to the source meanwhile: the copy is the beginning of the source, and at least its first size."""
    with open(os.path.join(place, "from"), "wb") as source:
        source.write(random.randbytes(8 << 20))
        source.flush()
        running = subprocess.Popen([program, *small, "from", "to"], cwd=place, stderr=subprocess.PIPE, text=True)
        before = os.path.getsize(os.path.join(place, "from"))
        while running.poll() is None and before < 64 << 20:
            source.write(random.randbytes(12345))
            source.flush()
            before = source.tell()
        _, said = running.communicate(timeout=60)
    whole, copied = get(place, "from"), get(place, "to")
    if running.returncode != 0 or len(copied) < 8 << 20 or whole[: len(copied)] != copied:
        return f"exit status {running.returncode}, {len(copied)} of {len(whole)} bytes: {said}"
    return None


def without_a_size(place):
    """Files whose size says nothing: 0 in /proc, 4096 in /sys. Native AIO can't read some of them at all."""
    names = ["/proc/cpuinfo", "/proc/version", f"/proc/{os.getpid()}/limits", "/sys/block/loop0/size"]
    for name in [*names, "/sys/kernel/mm/transparent_hugepage/enabled"]:
        if not os.path.exists(name):
            continue
        with open(name, "rb") as file:
            wanted = file.read()
        done = copy(place, name, "to")
        # The clock rates in /proc/cpuinfo may differ each time.
        if done.returncode != 0 or (get(place, "to") != wanted and not (name == "/proc/cpuinfo" and get(place, "to"))):
            return f"{name}: exit status {done.returncode}: {done.stderr}"
    return None


def holes(place):
    """Data at the beginning and in the middle (not aligned), and a hole at the end; then nothing but a hole."""
    mib = 1 << 20
    for parts, size in ([(0, 5000), (10 * mib + 777, 300000)], 20 * mib + 5), ([], 8 * mib):
        with open(os.path.join(place, "from"), "wb") as file:
            for offset, length in parts:
                file.seek(offset)
                file.write(random.randbytes(length))
            file.truncate(size)
            os.fsync(file.fileno())
        before = os.stat(os.path.join(place, "from"))
        if before.st_blocks * 512 > mib:
            raise report.Skip("this file system keeps no holes")
        done = copy(place, "from", "to")
        if done.returncode != 0:
            return done.stderr
        if get(place, "from") != get(place, "to"):
            return "the copy differs"
        with open(os.path.join(place, "to"), "rb") as file:
            os.fsync(file.fileno())
        after = os.stat(os.path.join(place, "to"))
        if after.st_blocks > before.st_blocks + 16:
            return f"the copy has {after.st_blocks} blocks, the source {before.st_blocks}"
    return None


def replaces(place):
    put(place, "to", b"x" * 200000)
    os.link(os.path.join(place, "to"), os.path.join(place, "other name"))
    wrong = copied(place, b"short", *small)
    if wrong is None and get(place, "other name") != b"short":
        return "copy made a new file instead of replacing the content"
    return wrong


def keeps_permissions(place):
    put(place, "from", b"x")
    os.chmod(os.path.join(place, "from"), 0o750)
    done = copy(place, "from", "to", umask=0o022)
    mode = os.stat(os.path.join(place, "to")).st_mode & 0o777
    return None if done.returncode == 0 and mode == 0o750 else f"{done.stderr}{mode:o}"


def progress(place):
    put(place, "from", random.randbytes(1 << 20))
    try:
        terminal, stderr = pty.openpty()
    except OSError as error:
        raise report.Skip(f"no pseudo-terminal: {error}")
    done = subprocess.run([program, "from", "to"], cwd=place, stderr=stderr, timeout=60)
    os.close(stderr)
    text = b""
    try:
        while part := os.read(terminal, 4096):
            text += part
    except OSError:
        pass  # a closed pseudo-terminal ends with an error
    os.close(terminal)
    if done.returncode != 0 or not text.rstrip().endswith(b"[" + b"#" * 50 + b"] 100 %"):
        return f"exit status {done.returncode}: {text!r}"
    return None


def refuses(message, *arguments, status=1):
    """The program ends with this message, and leaves everything as it was."""

    def case(place):
        put(place, "file", b"content")
        os.link(os.path.join(place, "file"), os.path.join(place, "hard link"))
        os.symlink("file", os.path.join(place, "symbolic link"))
        os.mkdir(os.path.join(place, "folder"))
        os.mkfifo(os.path.join(place, "fifo"))
        names = sorted(os.listdir(place))
        done = copy(place, *arguments)
        if done.returncode != status or message not in done.stderr:
            return f"exit status {done.returncode}: {done.stderr}"
        if get(place, "file") != b"content" or sorted(os.listdir(place)) != names:
            return f"copy left {os.listdir(place)}"
        return None

    return case


def unreadable(place):
    put(place, "from", b"secret")
    os.chmod(os.path.join(place, "from"), 0)
    if os.getuid() != 0:
        done = copy(place, "from", "to")
    elif not os.path.exists("/proc/self/fd"):
        raise report.Skip("/proc is not mounted")
    else:
        # Root may read everything, so another user must run the program. If the clone is in /root, that user can't reach
        # the program by its path, but by its open descriptor.
        os.chmod(place, 0o777)
        opened = os.open(program, os.O_RDONLY)
        command = [f"/proc/self/fd/{opened}", "from", "to"]
        user = {"user": 65534, "group": 65534, "extra_groups": []}
        done = subprocess.run(command, cwd=place, pass_fds=[opened], capture_output=True, text=True, timeout=60, **user)
        os.close(opened)
    there = os.path.exists(os.path.join(place, "to"))
    if done.returncode != 1 or "from: Permission denied" not in done.stderr or there:
        return f"exit status {done.returncode}: {done.stderr}"
    return None


def mounted(place, mount, script):
    """Runs a shell script with a file system mounted on the folder `mount` and copy as $0. Returns what it prints."""
    os.mkdir(os.path.join(place, "mount"))
    # In a user namespace, users other than root can mount too, where the system allows it.
    unshare = ["unshare", "--mount"] + ([] if os.getuid() == 0 else ["--user", "--map-root-user"])
    shell = ["sh", "-c", f"mount {mount} mount || exit 99; {script}", program]
    done = subprocess.run(unshare + shell, cwd=place, capture_output=True, text=True, timeout=60)
    if done.returncode == 99 or done.stderr.startswith("unshare"):
        raise report.Skip(f"can't mount a file system: {done.stderr.strip()}")
    return done.stdout + done.stderr


def full(kind):
    """A new copy that doesn't fit is removed. An old file is reported as incomplete."""

    def case(place):
        put(place, "from", random.randbytes(8 << 20))
        if kind == "tmpfs":
            mount = "-t tmpfs -o size=4m none"
        else:
            if os.getuid() != 0:
                raise report.Skip("needs root")
            with open(os.path.join(place, "disk"), "wb") as disk:
                disk.truncate(6 << 20)
            try:
                subprocess.run(["mkfs.ext4", "-q", "disk"], cwd=place, check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError) as error:
                raise report.Skip(f"no mkfs.ext4: {error}")
            mount = "-o loop disk"
        twice = '"$0" from mount/new; ls mount; >mount/old; "$0" from mount/old; ls mount; umount mount'
        said = mounted(place, mount, twice)
        lines = [line for line in said.splitlines() if line != "lost+found" and "no direct I/O" not in line]
        wanted = [
            "copy: mount/new: No space left on device; mount/new was removed",
            "copy: mount/old: No space left on device; mount/old is not complete",
            "old",
        ]
        return None if sorted(lines) == wanted else said

    return case


def buffered(place):
    """A file system without direct I/O."""
    data = random.randbytes(1000001)
    put(place, "from", data)
    said = mounted(place, "-t ramfs none", '"$0" from mount/there && "$0" mount/there back && cmp from mount/there')
    if "mount/there: no direct I/O on this file system, so it is slower" not in said or get(place, "back") != data:
        return said
    return None


usage = "usage: copy [--threads N] [--queue-depth N] [--block-size BYTES] FROM TO"
everywhere = [
    ("copies files of every length", lengths),
    ("copies 64 MiB", long),
    ("copies with a single thread", one_thread),
    ("copies with a block size that nothing is aligned to", odd_block_size),
    ("keeps holes", holes),
    ("replaces the content of a file", replaces),
]
once = [
    ("ends clearly if the source becomes shorter", shrinking),
    ("copies a file that grows meanwhile", growing),
    ("copies files whose size says nothing", without_a_size),
    ("keeps permissions", keeps_permissions),
    ("shows its progress on a terminal", progress),
    ("refuses a file that isn't there", refuses("copy: none: No such file or directory", "none", "to")),
    ("refuses a folder", refuses("copy: folder: is a directory", "folder", "to")),
    ("refuses to write to a folder", refuses("copy: folder: is a directory", "file", "folder")),
    ("refuses to write into a folder that isn't there", refuses("no/to: No such file or directory", "file", "no/to")),
    ("refuses a fifo", refuses("copy: fifo: is not a regular file", "fifo", "to")),
    ("refuses the same file", refuses("file and file are the same file", "file", "file")),
    ("refuses the same file by a hard link", refuses("are the same file", "file", "hard link")),
    ("refuses the same file by a symbolic link", refuses("are the same file", "symbolic link", "file")),
    ("refuses a block size of 0", refuses("--block-size must be a number", "--block-size", "0", "file", "to")),
    ("refuses a word as a number", refuses("--queue-depth must be a number", "--queue-depth", "8x", "file", "to")),
    ("refuses an option that it does not know", refuses(usage, "--fast", "file", "to", status=2)),
    ("refuses a single name", refuses(usage, "file", status=2)),
    ("refuses more requests than there is room for", refuses("copy: kaio: ", "--queue-depth", "3000000", "file", "to")),
    ("refuses a file that it may not read", unreadable),
    ("ends clearly on a full tmpfs", full("tmpfs")),
    ("ends clearly on a full ext4", full("ext4")),
    ("copies to and from a file system without direct I/O", buffered),
]


def within(folder, case):
    def run():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            return case(place)

    return run


report.run(
    [(f"copy {name} in {folder}", within(folder, case)) for folder in folders for name, case in everywhere]
    + [(f"copy {name}", within(folders[0], case)) for name, case in once]
)
