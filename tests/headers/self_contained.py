"""self_contained.py INCLUDE COMPILER...: each header compiles alone, with `-I include` and without a warning. Clang
does that with libc++, whose headers include others than libstdc++'s, for those that users include. All headers together
compile in the other ways that users compile."""

import os
import shutil
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

FLAGS = "-std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fsyntax-only".split()

include, compiler = sys.argv[1], sys.argv[2:]


def accepts(command, source):
    return subprocess.run(command + FLAGS + ["-x", "c++", "-"], input=source, text=True, capture_output=True).returncode == 0


def ways():
    """Pairs of a name and a command, or of a name and the reason why there is no command."""
    yield f"{name} without exceptions and RTTI", compiler + ["-fno-exceptions", "-fno-rtti"]
    if alone == libcxx:
        yield f"{name} with libstdc++", compiler
    elif is_clang:
        yield f"{name} with libc++", "libc++ is not installed"
    if is_clang:
        return
    # Other machines concern the headers, not the compiler, so only one compiler of this test tries them.
    for machine, flags in (
        ("i686-linux-gnu", []),
        ("i686-linux-gnu", ["-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64"]),
        ("s390x-linux-gnu", []),
    ):
        cross = f"{machine}-g++"
        command = [cross] + flags if shutil.which(cross) else f"{cross} is not installed"
        yield " ".join([cross] + flags), command


def case(headers, command):
    def run():
        if isinstance(command, str):
            raise report.Skip(command)
        # Twice, because the second inclusion must find the include guard.
        source = "".join(f"#include <{header}>\n" for header in headers) * 2
        result = subprocess.run(
            command + FLAGS + ["-I", include, "-x", "c++", "-"], input=source, text=True, capture_output=True
        )
        return None if result.returncode == 0 else result.stderr

    return run


name = os.path.basename(compiler[-1])
is_clang = "clang" in subprocess.run(compiler + ["--version"], capture_output=True, text=True).stdout
libcxx = compiler + ["-stdlib=libc++"]
alone = libcxx if is_clang and accepts(libcxx, "#include <cstddef>\n#include <system_error>\n") else compiler
headers = [header for header in report.headers(include) if not header.startswith("kaio/asio/")]
one_by_one = [header for header in headers if not is_clang or "/detail/" not in header]
# Asio takes seconds to compile, so these are tried in one way, and their details not one by one.
asio = [header for header in report.headers(include) if header.startswith("kaio/asio/") and "/detail/" not in header]
if not accepts(alone, "#if !__has_include(<asio.hpp>) && !__has_include(<boost/asio.hpp>)\n#error\n#endif\n"):
    alone_with_asio = "Asio (Debian: libasio-dev) is not installed"
else:
    alone_with_asio = alone
report.run(
    [(f"{header}, {name}", case([header], alone)) for header in one_by_one]
    + [(f"{header}, {name}", case([header], alone_with_asio)) for header in asio]
    + [(f"all headers, {how}", case(headers, command)) for how, command in ways()],
    workers=2,
)
