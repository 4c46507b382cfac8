"""macros.py INCLUDE COMPILER...: kaio's headers, and a program that uses them, compile after headers and projects that
define macros with everyday names."""

import os
import re
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

include, compiler = sys.argv[1], sys.argv[2:]
here = os.path.dirname(os.path.abspath(__file__))

# Headers of the system and of other projects. Each group is included before kaio, in this order. Those that are not
# installed are skipped. A header of the C++ library comes before macros that it could not survive itself.
HEADERS = {
    "curses": ["curses.h", "term.h", "menu.h", "form.h", "panel.h"],
    "X11": ["chrono", "X11/Xlib.h", "X11/Xutil.h", "X11/Xos.h", "X11/Xatom.h", "X11/Intrinsic.h"],
    "the BSD's": ["sys/param.h", "sys/queue.h", "sys/sysmacros.h", "sys/cdefs.h", "sys/ttydefaults.h", "err.h"],
    "POSIX": ["aio.h", "fcntl.h", "poll.h", "sched.h", "signal.h", "spawn.h", "sys/mman.h", "sys/resource.h"]
    + ["sys/select.h", "sys/socket.h", "sys/stat.h", "sys/uio.h", "syslog.h", "termios.h", "time.h", "unistd.h"],
    "C": ["memory", "assert.h", "complex.h", "errno.h", "fenv.h", "iso646.h", "limits.h", "math.h", "setjmp.h", "stdalign.h"]
    + ["stdatomic.h", "stdbool.h", "stdnoreturn.h", "tgmath.h", "threads.h"],
    "glibc": ["sys/sysmacros.h", "sys/mount.h", "sys/ptrace.h", "sys/eventfd.h", "sys/timerfd.h", "sys/prctl.h"]
    + ["obstack.h", "search.h", "elf.h"],
    "the kernel": ["linux/aio_abi.h", "linux/fs.h", "linux/stat.h", "linux/time_types.h", "linux/io_uring.h"]
    + ["linux/ioprio.h", "linux/types.h", "linux/stddef.h", "linux/kernel.h", "linux/futex.h", "asm/unistd.h"],
    "libaio": ["libaio.h"],
    "liburing": ["liburing.h"],
    "Python": ["python3.11/Python.h"],
    "zlib": ["zlib.h"],
    "Valgrind": ["valgrind/valgrind.h", "valgrind/memcheck.h"],
}

# Macros that projects define for themselves. The headers of the C++ library that kaio includes come first, because they
# could not survive many of these macros either.
MACROS = {
    "as the Linux kernel": """
        likely(x) __builtin_expect(!!(x), 1)
        unlikely(x) __builtin_expect(!!(x), 0)
        noinline __attribute__((__noinline__))
        cold __attribute__((__cold__))
        hot __attribute__((__hot__))
        unused __attribute__((__unused__))
        packed __attribute__((__packed__))
        always_inline inline __attribute__((__always_inline__))
        min(a, b) ((a) < (b) ? (a) : (b))
        max(a, b) ((a) > (b) ? (a) : (b))
        clamp(v, lo, hi) min(max(v, lo), hi)
        swap(a, b) do { } while (0)
        barrier() __asm__ volatile("" ::: "memory")
        container_of(p, type, member) 0
        current 0
        noreturn __attribute__((__noreturn__))""",
    "as Windows": """
        interface struct
        near
        far
        small char
        IN
        OUT
        ERROR 0
        DELETE 1
        min(a, b) (((a) < (b)) ? (a) : (b))
        max(a, b) (((a) > (b)) ? (a) : (b))""",
    "as Qt": """
        emit
        slots
        signals public
        foreach(a, b) for (a : b)
        forever for (;;)""",
    "as Arduino": """
        bit(b) (1UL << (b))
        abs(x) ((x) > 0 ? (x) : -(x))
        round(x) ((long)(x))
        word(x) (x)
        lowByte(w) (w)
        F(x) (x)
        B0 0
        B1 1
        INPUT 0
        HIGH 1""",
    "as test frameworks": """
        check(x) do { if (!(x)) __builtin_abort(); } while (0)
        require(x) check(x)
        verify(x) check(x)
        fail(x) __builtin_abort()
        test(x) check(x)""",
    "as old C": """
        none 0
        unset_t int
        LINUX 1
        TRUE 1
        FALSE 0
        nil 0
        I 1.0i
        private public
        protected public
        bool bool
        streq(a, b) (__builtin_strcmp(a, b) == 0)
        elif else if
        until(x) while (!(x))
        countof(a) (sizeof(a) / sizeof *(a))""",
    "as GNU C++": "linux 1\nunix 1",
}


def standard():
    """Returns the headers that kaio and its user include, except kaio's own."""
    found = set()
    for path in [os.path.join(include, header) for header in report.headers(include)] + [os.path.join(here, "user.cpp")]:
        with open(path, encoding="utf-8") as file:
            found |= set(re.findall(r"^#include <([a-z_]+)>", file.read(), re.MULTILINE))
    return "".join(f"#include <{header}>\n" for header in sorted(found))


def accepts(source, *flags):
    command = compiler + ["-std=c++20", "-fsyntax-only", "-w", *flags, "-I", include, "-I", here, "-x", "c++", "-"]
    return subprocess.run(command, input=source, text=True, capture_output=True)


def compiles(source, *flags):
    done = accepts(source + '#include "user.cpp"\n', *flags)
    return None if done.returncode == 0 else done.stderr[:3000]


def after_headers(names):
    def run():
        there = [name for name in names if os.path.exists(os.path.join("/usr/include", name))]
        there += [name for name in names if name not in there and accepts(f"#include <{name}>\n").returncode == 0]
        if not there:
            raise report.Skip(f"{', '.join(names)}: not installed")
        return compiles("".join(f"#include <{name}>\n" for name in names if name in there))

    return run


def after_macros(lines):
    defined = "".join(f"#define {line.strip()}\n" for line in lines.splitlines() if line.strip())
    return lambda: compiles(standard() + defined)


name = os.path.basename(compiler[-1])
report.run(
    [(f"after {what}, {name}", after_headers(names)) for what, names in HEADERS.items()]
    + [(f"after macros {what}, {name}", after_macros(lines)) for what, lines in MACROS.items()]
    + [(f"as GNU C++ with its own macros, {name}", lambda: compiles("", "-std=gnu++20"))]
    + [("notices a macro that kaio does not survive", lambda: None if compiles("#define submit 1\n") else "it compiled")],
    workers=2,
)
