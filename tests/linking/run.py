"""run.py INCLUDE COMPILER...: programs whose several parts all include kaio."""

import os
import re
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

include, compiler = sys.argv[1], sys.argv[2:]
here = os.path.dirname(os.path.abspath(__file__))
folder = tempfile.TemporaryDirectory()


def path(name):
    return os.path.join(folder.name, name)


def build(output, *arguments):
    command = [*compiler, "-std=c++20", "-I", include, "-pthread", *arguments, "-o", path(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return path(output)


def source(name):
    return os.path.join(here, name)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return f"{done.stdout}{done.stderr}exit status {done.returncode}\n"


def shared_objects(visibility, optimization):
    def case():
        flags = [optimization, "-fPIC", "-shared", f"-fvisibility={visibility}"]
        if visibility == "hidden":
            flags.append("-fvisibility-inlines-hidden")
        name = f"{visibility}{optimization}"
        engine = build(f"engine-{name}.so", *flags, source("engine.cpp"))
        plugin = build(f"plugin-{name}.so", *flags, source("plugin.cpp"))
        host = build(f"host-{name}", source("host.cpp"), "-ldl")
        said = run(host, engine, plugin)
        return None if said == "read 512\nstopped\nexit status 0\n" else said

    return case


WITH_AND_WITHOUT = """the part without: 7
caught: kaio: open("/no/such/file"): No such file or directory
caught: the task's own
exit status 0
"""


def with_and_without_exceptions(optimization):
    def case():
        without = build(f"without{optimization}.o", optimization, "-fno-exceptions", "-c", source("without_exceptions.cpp"))
        with_them = build(f"with{optimization}.o", optimization, "-c", source("with_exceptions.cpp"))
        for order in ((without, with_them), (with_them, without)):
            said = run(build(f"program{optimization}{order.index(without)}", *order))
            if said != WITH_AND_WITHOUT:
                return f"linked as {' '.join(os.path.basename(part) for part in order)}:\n{said}"
        return None

    return case


def shared_types_do_not_link(difference):
    def case():
        one = build(f"one{difference}.o", difference, "-DSHARED", "-c", source("without_exceptions.cpp"))
        other = build(f"other{difference}.o", "-DSHARED", "-c", source("with_exceptions.cpp"))
        command = [*compiler, difference, one, other, "-o", path("shared")]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return "the program links, although kaio::loop differs between its parts"
        return None if "shared_task" in done.stderr else done.stderr

    return case


def one_layout():
    # Not with a sanitizer: its builds have an inline namespace of their own, and with AddressSanitizer more to remember.
    ways = {"plain": [], "without exceptions": ["-fno-exceptions"], "without RTTI": ["-fno-rtti"], "NDEBUG": ["-DNDEBUG"]}
    said = {
        way: run(build(f"sizes{number}", *flags, source("sizes.cpp"))) for number, (way, flags) in enumerate(ways.items())
    }
    different = [f"{way}:\n{sizes}" for way, sizes in said.items() if sizes != said["plain"]]
    return "\n".join([f"plain:\n{said['plain']}", *different]) if different else None


def no_variables():
    """Two shared objects can each have a copy of what a header defines, so no header defines a changing variable."""
    object_file = build("everything.o", "-c", source("everything.cpp"))
    listed = subprocess.run(["nm", "-C", "--format=sysv", object_file], capture_output=True, text=True, check=True).stdout
    symbols = [[column.strip() for column in line.split("|")] for line in listed.splitlines() if line.count("|") >= 6]
    if not any("everything()" in symbol[0] for symbol in symbols):
        return f"nm shows no functions:\n{listed[:2000]}"
    # An error category is constant after its first use, and errors of different copies compare by std::errc.
    category = re.compile(r"kaio::\w+::detail::words_of<.*>\(\)::(storage|one)|guard variable for .*words_of<")
    changing = [s[0] for s in symbols if "kaio::" in s[0] and not category.search(s[0]) and re.match(r"\.(t?bss|t?data)(?!\.rel\.ro)", s[6])]
    return f"variables that may exist twice: {', '.join(changing)}" if changing else None


cases = [
    (f"shared objects with {visibility} visibility, built with {optimization}, use one loop", shared_objects(visibility, optimization))
    for visibility, optimization in (("hidden", "-O0"), ("hidden", "-O2"), ("default", "-O2"))
]
cases += [
    (f"parts with and without exceptions, built with {optimization} and linked in both orders", with_and_without_exceptions(optimization))
    for optimization in ("-O0", "-O2")
]
cases += [
    (f"parts with and without {what} that exchange objects of kaio do not link", shared_types_do_not_link(flag))
    for what, flag in (("exceptions", "-fno-exceptions"), ("AddressSanitizer", "-fsanitize=address"))
]
cases += [
    ("classes have the same size in builds whose parts can be linked", one_layout),
    ("no header defines a variable that changes", no_variables),
]
report.run(cases, workers=2)
