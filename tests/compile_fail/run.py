"""run.py INCLUDE CASE.cpp... -- COMPILER...: each file compiles, and with -DWRONG it fails with the message that it
names. A file with a line `// only: clang` is tried only with Clang, because GCC does not warn there."""

import os
import re
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

arguments, compiler = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
include, sources = arguments[0], arguments[1:]
clang = "clang" in subprocess.run(compiler + ["--version"], capture_output=True, text=True).stdout


command = compiler + ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-I", include]
# kaio is most of what a case costs to compile, so it is precompiled, once for all of them.
folder = tempfile.TemporaryDirectory()
precompiled = os.path.join(folder.name, "precompiled.hpp")
with open(precompiled, "w", encoding="utf-8") as file:
    file.write("#include <kaio/kaio.hpp>\n")
subprocess.run([*command, "-x", "c++-header", precompiled, "-o", precompiled + (".pch" if clang else ".gch")], check=True)


def compile(source, *flags):
    return subprocess.run([*command, "-fsyntax-only", "-include", precompiled, *flags, source], capture_output=True, text=True)


def right(source):
    def run():
        result = compile(source)
        return None if result.returncode == 0 else result.stderr

    return run


def wrong(source):
    def run():
        with open(source, encoding="utf-8") as file:
            text = file.read()
        expected = re.findall(r"^\s*// expect: (.*\S)\s*$", text, re.MULTILINE)
        if not expected or "#ifdef WRONG" not in text:
            return "the file needs a line `// expect: message` and an `#ifdef WRONG`"
        if re.search(r"^// only: clang$", text, re.MULTILINE) and not clang:
            raise report.Skip("this compiler does not warn of it")
        result = compile(source, "-DWRONG")
        if result.returncode == 0:
            return "the file compiles, but should not"
        missing = [message for message in expected if message not in result.stderr]
        return f"no message contains: {missing}\n{result.stderr}" if missing else None

    return run


cases = []
for source in sources:
    name = os.path.splitext(os.path.basename(source))[0]
    cases += [(f"{name} compiles without its wrong line", right(source)), (f"{name} fails with it", wrong(source))]
report.run(cases, workers=2)
