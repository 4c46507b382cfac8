"""run.py INCLUDE COMPILER...: programs of several parts that all include kaio."""

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


def no_variables():
    """Two shared objects can each have a copy of whatever a header defines, so it defines no variable that changes."""
    object_file = build("everything.o", "-c", source("everything.cpp"))
    listed = subprocess.run(["nm", "-C", "--format=sysv", object_file], capture_output=True, text=True, check=True).stdout
    symbols = [[column.strip() for column in line.split("|")] for line in listed.splitlines() if line.count("|") >= 6]
    if not any("everything()" in symbol[0] for symbol in symbols):
        return f"nm shows no functions:\n{listed[:2000]}"
    # An error category is constant after its first use, and errors compare by std::errc in whichever copy.
    category = re.compile(r"kaio::detail::words_of<.*>\(\)::(storage|one)|guard variable for .*words_of<")
    changing = [s[0] for s in symbols if "kaio::" in s[0] and not category.search(s[0]) and re.match(r"\.(t?bss|t?data)(?!\.rel\.ro)", s[6])]
    return f"variables that may exist twice: {', '.join(changing)}" if changing else None


cases = [
    (f"shared objects with {visibility} visibility, built with {optimization}, use one loop", shared_objects(visibility, optimization))
    for visibility, optimization in (("hidden", "-O0"), ("hidden", "-O2"), ("default", "-O2"))
]
cases += [("no header defines a variable that changes", no_variables)]
report.run(cases, workers=2)
