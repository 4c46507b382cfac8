"""run.py INCLUDE LIBRARY INSTRUCTIONS CACHE COMPILER...: what Debian has that uses libaio, unmodified, runs on the
libaio.so.1 that kaio builds (LIBRARY), and libaio's own tests pass. INSTRUCTIONS is tests/compat/instructions.cpp, built.
libaio's source is downloaded into the folder CACHE."""

import contextlib
import ctypes
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "support"))
import report

os.environ["PATH"] += ":/usr/sbin:/sbin"
include, library, instructions, cache, compiler = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:]
ours = {**os.environ, "LD_LIBRARY_PATH": os.path.dirname(library), "LC_ALL": "C"}
debians = glob.glob("/usr/lib/*-linux-gnu/libaio.so.1")

# The symbols of libaio 0.3.113, with their versions. Those in parentheses are for programs that were linked long ago.
SYMBOLS = """
LIBAIO_0.1 io_queue_init, LIBAIO_0.1 io_queue_release, LIBAIO_0.1 io_queue_run, LIBAIO_0.1 io_submit,
LIBAIO_0.4 io_cancel, LIBAIO_0.4 io_destroy, LIBAIO_0.4 io_getevents, LIBAIO_0.4 io_queue_wait, LIBAIO_0.4 io_setup,
LIBAIO_0.5 io_pgetevents, (LIBAIO_0.1) io_cancel, (LIBAIO_0.1) io_getevents, (LIBAIO_0.1) io_queue_wait
"""
MOST_INSTRUCTIONS = 500  # of a request at depth 1; Debian's libaio takes 121, and a system call more

LIBAIO = "pool/main/liba/libaio/libaio_0.3.113.orig.tar.gz"
LIBAIO_SHA256 = "2c44d1c5fd0d43752287c9ae1eb9c023f04ef848ea8d4aafa46e9aedb678200b"
# Those of libaio's tests that run anywhere. Debian leaves out 23, which is about the kernel.
TESTS = [2, 3, 4, 5, 6, 7, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22]


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise report.Skip(f"{tool} is not installed")


class Killed(Exception):
    """A program took too long."""


def run(*command, limit=60, **more):
    """The program's output; a failure is an error."""
    need(command[0])
    more = {"env": ours, **more}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=limit, **more)
        except subprocess.TimeoutExpired as error:
            raise Killed(str(error)) from None
        output.seek(0)
        said = output.read()
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{said[-3000:]}")
    return said


@contextlib.contextmanager
def folder(parent=None):
    """A new one, by default on the disk where temporary files are."""
    with tempfile.TemporaryDirectory(prefix="kaio-libaio-", dir=parent) as name:
        yield name


def symbols_of(file):
    """(version, name) of each; a version in parentheses is not the default."""
    return set(re.findall(r"\.text\s+\S+\s+(\(?LIBAIO_\S+)\s+(\w+)$", run("objdump", "-T", file), re.M))


def exports():
    """The library has libaio's symbols in their versions, as Debian's has, and needs the C library alone."""
    expected = {tuple(symbol.split()) for symbol in SYMBOLS.replace("\n", " ").split(",")}
    for file in (library, *debians):
        if symbols_of(file) != expected:
            return f"{file}: {sorted(symbols_of(file) ^ expected)}"
    dynamic = run("readelf", "-dW", library)
    needed = set(re.findall(r"NEEDED\).*\[(.*)\]", dynamic)) - {"libc.so.6", "libpthread.so.0"}
    name = re.findall(r"SONAME\).*\[(.*)\]", dynamic)
    return None if not needed and name == ["libaio.so.1"] else f"needs {needed}, is called {name}"


def binds(program):
    """Every symbol that the program wants of libaio is found in the library, in its version."""

    def case():
        need(program)
        wanted = set(re.findall(r"\*UND\*\s+\S+\s+\(?(LIBAIO_[0-9.]+)\)?\s+(\w+)", run("objdump", "-T", shutil.which(program))))
        if not wanted:
            raise report.Skip(f"Debian's {program} makes the system calls itself")
        said = run(program, "--version", env={**ours, "LD_DEBUG": "bindings", "LD_BIND_NOW": "1"})
        bound = re.findall(r"\[0\] to (.+) \[0\]: normal symbol `(io_\w+)' \[(LIBAIO\S+)\]", said)
        found = {(version, name) for file, name, version in bound if os.path.realpath(file) == os.path.realpath(library)}
        return None if found == wanted else f"wanted {sorted(wanted)}, bound {bound}"

    return case


def one_list():
    """Two shared objects that are built with hidden symbols know each other's contexts."""
    if "clang" in run(*compiler, "--version"):
        raise report.Skip("Clang's programs have one for each that is loaded by dlopen")
    source = '#include <kaio/compat/libaio.hpp>\nextern "C" [[gnu::visibility("default")]] void* list() { return kaio::detail::libaio_places; }\n'
    with folder() as place:
        lists = set()
        for name in ("a", "b"):
            with open(f"{place}/{name}.cpp", "w", encoding="utf-8") as file:
                file.write(source)
            flags = ["-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-I", include]
            run(*compiler, *flags, f"{place}/{name}.cpp", "-o", f"{place}/{name}.so", env=os.environ)
            function = ctypes.CDLL(f"{place}/{name}.so").list
            function.restype = ctypes.c_void_p
            lists.add(function())
    return None if len(lists) == 1 else "each has its own list of contexts"


def layout(command):
    def case():
        need(command[0])
        if not os.path.exists("/usr/include/libaio.h"):
            raise report.Skip("libaio-dev is not installed")
        with folder() as place:
            # Cross compilers do not look into /usr/include.
            shutil.copy("/usr/include/libaio.h", place)
            os.mkdir(os.path.join(place, "gnu"))
            open(os.path.join(place, "gnu", "stubs-32.h"), "w").close()  # of a C library that is not installed
            source = os.path.join(here, "layout.cpp")
            flags = ["-std=c++20", "-Wno-invalid-offsetof", "-fsyntax-only", "-I", include, "-I", place]
            run(*command, *flags, source, env=os.environ)

    return case


def fio(*jobs, parent=None, limit=60, **options):
    """Runs fio with these jobs at once, each as fio's options, for so many seconds at most. Other options are for all
    jobs."""
    options = {"ioengine": "libaio", "bs": "4k", "size": "2m", "verify": "crc32c", "verify_fatal": 1, **options}
    with folder(parent) as place:
        lines = ["[global]", f"directory={place}", *(f"{name}={value}" for name, value in options.items())]
        for number, job in enumerate(jobs):
            lines += [f"[{number}]", *job.split()]
        file = os.path.join(place, "jobs.fio")
        with open(file, "w", encoding="utf-8") as made:
            made.write("\n".join(lines) + "\n")
        said = run("fio", "--output-format=terse", file, limit=limit, cwd=place)
    ended = [line.split(";") for line in said.splitlines() if line.startswith("3;")]
    return None if len(ended) == len(jobs) and all(line[4] == "0" for line in ended) else said


# Each job writes, reads back and compares.
JOBS = [
    f"rw=randwrite iodepth={depth} {how}"
    for depth in (1, 2, 32, 128)
    for how in ("", "userspace_reap", "iodepth_batch_submit=8 iodepth_batch_complete_min=1")
]
JOBS += ["rw=write iodepth=16 iodepth_batch_complete_min=16", "rw=randrw iodepth=64 bsrange=4k-64k", "rw=write iodepth=8 fsync=4"]


def fio_direct():
    try:
        with folder() as place:
            os.close(os.open(os.path.join(place, "file"), os.O_CREAT | os.O_RDWR | os.O_DIRECT))
    except OSError:
        raise report.Skip("where temporary files are is no direct I/O")
    return fio(*JOBS, direct=1)


def fio_buffered():
    return fio(*JOBS, parent="/dev/shm")


def fio_threads():
    """The jobs are threads of one process."""
    return fio(*JOBS, parent="/dev/shm", thread=1)


def fio_offload():
    """Threads of their own submit. There fio 3.33 itself hangs now and then, with Debian's libaio too."""
    for _ in range(5):
        with contextlib.suppress(Killed):
            return fio("rw=randwrite iodepth=2 io_submit_mode=offload", parent="/dev/shm", thread=1, limit=8)
    raise report.Skip("fio hung five times")


def system_calls():
    """Of a request at depth 1, whose event is there at once: io_submit alone."""
    need("strace", "fio")
    job = "--name=x --ioengine=libaio --filename=/dev/zero --rw=read --bs=4k --size=4m --iodepth=1 --thread".split()
    said = run("strace", "-f", "-c", "-e", "trace=io_submit,io_getevents", "fio", *job, cwd="/dev/shm")
    # % time, seconds, µs a call, calls, perhaps errors, name
    calls = {words[-1]: int(words[3]) for words in map(str.split, said.splitlines()) if words and words[-1].startswith("io_")}
    return None if calls == {"io_submit": 1024} else f"1024 requests made these system calls: {calls}\n{said}"


def user_space():
    """A request at depth 1 does not take more instructions than it did."""
    done = subprocess.run([instructions, library], capture_output=True, text=True, timeout=100)
    if done.returncode == 77:
        raise report.Skip("no native AIO here, or no ptrace")
    count = int(done.stdout)
    return None if count <= MOST_INSTRUCTIONS else f"a request takes {count} instructions, more than {MOST_INSTRUCTIONS}"


def native(path, driver="raw"):
    """QEMU's words for a file that it reads and writes by native AIO."""
    return f"driver={driver},file.driver=file,file.filename={path},file.aio=native,file.cache.direct=on,cache.direct=on"


def qemu_bench():
    need("qemu-img", "strace")
    with folder() as place:
        disk = os.path.join(place, "disk.raw")
        run("qemu-img", "create", "-f", "raw", disk, "16M")
        for what in ([], ["-w", "--flush-interval=64"]):
            run("qemu-img", "bench", "-n", "-t", "none", "-f", "raw", "-d", "64", "-c", "20000", *what, disk)
        said = run("strace", "-f", "-e", "trace=io_submit", "qemu-img", "bench", "-n", "-t", "none", "-f", "raw", "-c", "100", disk)
    return None if "io_submit(" in said else f"it did not use native AIO:\n{said}"


def qemu_convert():
    need("qemu-img")
    with folder() as place:
        first, second, third = (os.path.join(place, name) for name in ("1.raw", "2.qcow2", "3.raw"))
        with open(first, "wb") as file:
            for _ in range(8):
                file.write(os.urandom(1 << 20))
                file.seek(1 << 20, os.SEEK_CUR)
            file.truncate(20 << 20)
        run("qemu-img", "create", "-f", "qcow2", second, "20M")
        run("qemu-img", "create", "-f", "raw", third, "20M")
        convert = ["qemu-img", "convert", "-n", "--image-opts", "--target-image-opts"]
        run(*convert, native(first), native(second, "qcow2"))
        run(*convert, native(second, "qcow2"), native(third))
        run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", first, second, env=os.environ)
        run("cmp", first, third)


class Server:
    """A mariadbd, on a folder with its data."""

    def __init__(self, place):
        self.socket = os.path.join(place, "socket")
        self.log = os.path.join(place, "log")
        options = f"--no-defaults --user=root --skip-networking --datadir={place}/data --socket={self.socket} --pid-file={place}/pid"
        options += " --innodb-use-native-aio=1 --innodb-flush-method=O_DIRECT --innodb-buffer-pool-size=8M --innodb-log-file-size=8M"
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(["mariadbd", *options.split()], env=ours, stdout=log, stderr=log, cwd=place)
        end = time.monotonic() + 60
        while subprocess.run(self.command("select 1"), capture_output=True).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"mariadbd does not start:\n{self.text()}")
            time.sleep(0.1)

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()[-5000:]

    def command(self, statement):
        options = ["--no-defaults", "--user=root", f"--socket={self.socket}", "--skip-column-names", "--delimiter=//"]
        return ["mariadb", *options, "-e", statement]

    def ask(self, statement):
        done = subprocess.run(self.command(statement), capture_output=True, text=True, timeout=100)
        if done.returncode != 0:
            raise RuntimeError(f"{statement}\n{done.stderr}\n{self.text()}")
        return done.stdout.strip()


def mariadb():
    """Tables that are larger than the buffer pool, under load; kill -9 in the middle; then every table is sound and has
    what was committed."""
    need("mariadbd", "mariadb", "mariadb-install-db")
    with folder() as place:
        install = ["mariadb-install-db", "--no-defaults", "--user=root", "--auth-root-authentication-method=normal"]
        run(*install, "--skip-test-db", f"--datadir={place}/data")
        server = Server(place)
        try:
            if server.ask("select @@innodb_use_native_aio") != "1":
                return f"it does not use native AIO:\n{server.text()}"
            with open(f"/proc/{server.process.pid}/maps", encoding="utf-8") as maps:
                if os.path.realpath(library) not in maps.read():
                    return "it does not use the library"
            server.ask("create database kaio//create table kaio.sums (id int primary key, n int) engine=InnoDB")
            writers = []
            for number in range(3):
                table = f"kaio.t{number}"
                server.ask(f"create table {table} (id int auto_increment primary key, text varchar(2000), key (text(20))) engine=InnoDB")
                server.ask(f"insert into kaio.sums values ({number}, 0)")
                # After each transaction the table has as many rows as the sum says.
                add = f"""use kaio//
                    begin not atomic
                        while true do
                            start transaction;
                            insert into {table} (text) select concat(md5(rand()), repeat('x', 1900)) from seq_1_to_40;
                            delete from {table} order by text limit 3;
                            update sums set n = n + 37 where id = {number};
                            commit;
                        end while;
                    end"""
                writers.append(subprocess.Popen(server.command(add), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            end = time.monotonic() + 60
            while int(server.ask("select min(n) from kaio.sums")) < 4000 and time.monotonic() < end:
                time.sleep(0.2)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            for writer in writers:
                writer.wait()

            server = Server(place)
            for number in range(3):
                said = server.ask(f"check table kaio.t{number} extended")
                if not said.endswith("\tstatus\tOK"):
                    return said
                rows, expected = server.ask(
                    f"select count(*), (select n from kaio.sums where id = {number}) from kaio.t{number}"
                ).split()
                if rows != expected or int(rows) == 0:
                    return f"table {number} has {rows} rows, and {expected} were committed"
            server.ask("shutdown")
            if server.process.wait(timeout=60) != 0:
                return f"mariadbd does not shut down:\n{server.text()}"
        finally:
            server.process.kill()
            server.process.wait()


def stress_ng():
    need("stress-ng")
    binds("stress-ng")()
    run("stress-ng", "--aiol", "2", "--aiol-requests", "64", "--aiol-ops", "20000", "--verify", "--temp-path", "/dev/shm")


def harness():
    """The folder of libaio's test programs, built, or why there is none."""
    archive = os.path.join(cache, "libaio.tar.gz")
    os.makedirs(cache, exist_ok=True)
    if not os.path.exists(archive):
        mirror = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], capture_output=True, text=True
        ).stdout.split()
        site = next((one for one in mirror if "security" not in one and "debian" in one), "http://deb.debian.org/debian/")
        helper = ["/usr/lib/apt/apt-helper", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=0", "download-file"]
        got = subprocess.run(
            [*helper, site.rstrip("/") + "/" + LIBAIO, archive + ".new", "SHA256:" + LIBAIO_SHA256], capture_output=True, text=True
        )
        if got.returncode != 0:
            return report.Skip("libaio's source could not be downloaded")
        os.rename(archive + ".new", archive)
    place = os.path.join(cache, "libaio")
    run("tar", "-xf", archive, "-C", cache, "--one-top-level=libaio", "--strip-components=1", "--no-same-owner")
    return os.path.join(place, "harness")


def libaio_test(name, *more, prepare="", parent=None):
    """One of libaio's tests. It runs in a folder of its own, with the files that libaio's Makefile makes for it."""

    def case():
        if isinstance(tests, Exception):
            raise tests
        with folder(parent) as place:
            for file in ("rofile", "wofile", "rwfile"):
                os.makedirs(f"{place}/testdir", exist_ok=True)
                with open(f"{place}/testdir/{file}", "w", encoding="utf-8") as made:
                    made.write("test\n")
            program = os.path.join(place, "test")
            source = ["-w", "-O2", f"-I{tests}/../src", f'-DTEST_NAME="{tests}/cases/{name}.t"', f"{tests}/main.c"]
            run("cc", *source, library, "-lpthread", "-o", program)
            command = [program]
            if prepare:
                if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode != 0:
                    raise report.Skip("mounting needs root")
                script = prepare.format(place=place, tests=tests) + f" || exit 77; exec {program}"
                command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
            done = subprocess.run(command, cwd=place, env=ours, capture_output=True, text=True, errors="replace", timeout=150)
        if done.returncode in (3, 77):
            raise report.Skip("the test finds that this machine lacks what it needs")
        return None if done.returncode == 0 else f"exit status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-1000:]}"

    return case


def memory():
    """/dev/shm if it has room for the tests that write 768 MiB, else the disk."""
    return "/dev/shm" if shutil.disk_usage("/dev/shm").free > 4 << 30 else None


tests = harness()
cases = [(f"libaio's test {number}", libaio_test(number, parent=memory() if number in (6, 14) else None)) for number in reversed(TESTS)]
cases += [
    ("libaio's test 10", libaio_test(10, prepare="mkdir testdir.enospc && cp {tests}/ext2-enospc.img . && mount -o loop -t ext2 ext2-enospc.img testdir.enospc")),
    ("libaio's test 8", libaio_test(8, prepare="mkdir testdir.ext2 && truncate -s 10M ext2.img && mkfs.ext2 -qFb 4096 ext2.img && mount -o loop -t ext2 ext2.img testdir.ext2")),
    # It takes all that fs.aio-max-nr leaves. Here it sees a limit of its own, so others have theirs.
    ("libaio's test 20", libaio_test(20, prepare="echo 512 >max && echo 0 >nr && mount --bind max /proc/sys/fs/aio-max-nr && mount --bind nr /proc/sys/fs/aio-nr")),
]
cases += [("the library has libaio's symbols", exports), ("shared objects have one list of contexts", one_list)]
cases += [(f"{name} binds to the library", binds(name)) for name in ("fio", "qemu-img", "mariadbd")]
cases += [
    (f"the structures lie as libaio's, {' '.join(command)}", layout(command))
    for command in (
        compiler,
        ["i686-linux-gnu-g++"],
        ["s390x-linux-gnu-g++"],
        ["s390x-linux-gnu-g++", "-m31"],  # big-endian, 32 bits
        ["aarch64-linux-gnu-g++"],
        ["arm-linux-gnueabihf-g++"],
    )
]
cases += [
    ("MariaDB under load, killed", mariadb),
    ("fio, direct I/O", fio_direct),
    ("fio, buffered", fio_buffered),
    ("fio, threads", fio_threads),
    ("fio, submission by other threads", fio_offload),
    ("fio at depth 1 makes one system call for a request", system_calls),
    ("a request takes few instructions", user_space),
    ("qemu-img bench", qemu_bench),
    ("qemu-img convert", qemu_convert),
    ("stress-ng", stress_ng),
]
report.run(cases, workers=3)
