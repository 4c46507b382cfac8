#!/usr/bin/env python3
"""guide.py ROOT -- COMPILER...: the pages of docs/guide say what is so. Each block of code there is run, or says that it
is a part of something.

A comment before a block, such as <!-- fragment -->, says what the block is:

    block                  what is done with it
    cpp, c                 a whole program: it is compiled without a warning and run. If its first line is a comment
                           with a name (// ring.cpp: ...), it has that name for the commands of the page
    cpp, c: warnings       the same, but the compiler may complain
    cpp, c: fragment       lines of a program of the guide or of a file in the tree; else (cpp) it is compiled in CONTEXT
    sh                     commands that are run where the page's programs lie, and beside them include, docs and tests
    sh: by hand            commands that need root, a disk of their own, or long. The files that they name exist
    text                   what the program or the commands above print, exactly
    text: like             the same, but numbers may differ
    text: drawing          nothing; a translation has its own

A page in docs/guide/zh has the same blocks as the page in docs/guide, but for its drawings, and the same numbers in its
tables. A picture there is the English one with other words.
"""

import os
import sys

# Instead of this file's own folder, whose copy.py Python would take for its own.
sys.path[0] = os.path.join(os.path.dirname(__file__), "..", "support")

import re
import shlex
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import report

ROOT, COMPILER = Path(sys.argv[1]).resolve(), sys.argv[3:]
GUIDE = ROOT / "docs/guide"
C_COMPILER = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
MARKS = {
    "cpp": ("", "warnings", "fragment"),
    "c": ("", "warnings", "fragment"),
    "sh": ("", "by hand"),
    "text": ("", "like", "drawing"),
}

# What a fragment may use that is no part of a program: the things that a reader of kaio's pages knows by their names.
CONTEXT = """
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <vector>
#include <poll.h>
#include <kaio/kaio.hpp>
#include <kaio/coro/mutex.hpp>
#include <kaio/coro/semaphore.hpp>
#include <kaio/coro/task_group.hpp>
#include <kaio/coro/with_timeout.hpp>
#include <kaio/io/shared_context.hpp>
#include <kaio/io/submit_and_wait.hpp>
#include <kaio/loop/helpers.hpp>
#include <kaio/loop/offload.hpp>
#include <kaio/loop/owned_post.hpp>
#include <kaio/loop/posted_request.hpp>
#include <kaio/loop/request_scope.hpp>
using namespace std::chrono_literals;
[[maybe_unused]] static void use(const auto&...) {}
"""
PARAMETERS = ", ".join(
    f"[[maybe_unused]] {parameter}"
    for parameter in (
        "kaio::loop& loop",
        "kaio::file& file",
        "kaio::aligned_buffer& buffer",
        "std::int64_t offset",
        "std::span<const std::byte> record",
    )
)


@dataclass
class Block:
    page: Path
    line: int
    language: str
    mark: str  # as MARKS has them
    text: str

    @property
    def place(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def name(self):
        """The file that the program is written to."""
        named = re.match(rf"(?://|/\*) (\w+\.{self.language})\b", self.text)
        return named[1] if named else f"line{self.line}.{self.language}"

    @property
    def runs(self):
        return (self.language in ("c", "cpp") and self.mark != "fragment") or (self.language == "sh" and not self.mark)


@cache
def read(path):
    return path.read_text(encoding="utf-8")


@cache
def blocks(page):
    text, found = read(page), []
    for match in re.finditer(r"(?:^<!-- ([^\n]*) -->\n\n?)?^```(\w*)\n(.*?)^```$", text, re.S | re.M):
        line = text.count("\n", 0, match.start(2)) + 1
        found.append(Block(page, line, match[2], match[1] or "", match[3]))
    return found


def pages(folder=GUIDE):
    return sorted(folder.glob("[0-9][0-9]-*.md"))


# Running ---------------------------------------------------------------------------------------------------------------


def command(*words, folder, timeout=60):
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace", timeout=timeout)
    if re.search(r"O_DIRECT[^\n]*Invalid argument|refuses O_DIRECT", done.stderr):
        raise report.Skip(f"the file system of {os.getcwd()} has no direct I/O")
    return done


def compile_program(block, folder):
    """Compiles a program, and returns its path. What is wrong is an exception."""
    source = folder / block.name
    source.write_text(block.text, encoding="utf-8")
    if "<libaio.h>" in block.text and not os.path.exists("/usr/include/libaio.h"):
        raise report.Skip("libaio.h is not there (Debian: libaio-dev)")
    if block.language == "c" and not C_COMPILER:
        raise report.Skip("there is no C compiler")
    compiler = [*COMPILER, "-std=c++20", f"-I{ROOT}/include"] if block.language == "cpp" else [C_COMPILER, "-std=gnu17"]
    libraries = ["-laio"] if "<libaio.h>" in block.text else []
    program = source.with_suffix("")
    done = command(*compiler, "-Wall", "-Wextra", source.name, "-o", program.name, "-pthread", *libraries, folder=folder)
    if done.returncode != 0 or (done.stderr and block.mark != "warnings"):
        raise RuntimeError(f"{block.place} does not compile without a warning\n{done.stderr[:4000]}")
    return program


def same(said, wanted, like):
    """Whether the output is what the page has; `like`: whatever its numbers are."""
    if like:
        said, wanted = (re.sub(r" +", " ", re.sub(r"(?<!\w)-?\d+(\.\d+)?", "#", text)) for text in (said, wanted))
    return said == wanted


@cache
def folder_of(page):
    """Where the page's programs lie and its commands are run. It goes with this program."""
    temporary = tempfile.TemporaryDirectory(dir=os.getcwd())
    for linked in ("include", "docs", "tests"):
        Path(temporary.name, linked).symlink_to(ROOT / linked)
    return temporary


def run(block, after):
    """Runs the block, and compares what it prints with what the page has in the block after it."""
    folder = Path(folder_of(block.page).name)
    if block.language == "sh":
        # The page's own compiler commands are for everybody; here the compiler is the build's.
        script = re.sub(r"^g\+\+(?= )", shlex.join(COMPILER), block.text, flags=re.M)
        done = command("bash", "-e", "-c", script, folder=folder)
    else:
        done = command(compile_program(block, folder), folder=folder)
    if done.returncode != 0 or done.stderr:
        return f"{block.place}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
    shown = after.text if after and after.language == "text" and after.mark in ("", "like") else ""
    if same(done.stdout, shown, shown and after.mark == "like"):
        return None
    return f"{block.place} prints\n{done.stdout}and the page has\n{shown}"


def running(page):
    """A case for each block of the page that is run."""
    each = blocks(page)
    for block, after in zip(each, [*each[1:], None]):
        if block.runs:
            name = block.name if block.language != "sh" else f"line {block.line}"
            yield f"{page.name}: what {name} prints", lambda block=block, after=after: run(block, after)


# Parts -----------------------------------------------------------------------------------------------------------------


@cache
def sources():
    """The lines of what is built: each file once."""
    found = []
    for folder in ("docs/examples", "include", "tests", "bench"):
        found += [read(path) for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".cpp", ".hpp", ".c", ".h")]
    found += [block.text for page in pages() for block in blocks(page) if block.runs]
    return ["\n" + "\n".join(map(str.strip, text.splitlines())) + "\n" for text in found]


def is_part_of_something(block):
    lines = "\n" + "\n".join(map(str.strip, block.text.strip("\n").splitlines())) + "\n"
    return any(lines in text for text in sources())


def in_context(number, block):
    """The fragment as part of a translation unit: functions as they are, statements in a function."""
    mark = f'#line {block.line + 1} "{block.page.relative_to(ROOT)}"\n'
    first = block.text.lstrip().split(maxsplit=1)[0]
    if re.search(r"^}", block.text, re.M) and first not in ("if", "for", "while", "switch", "{"):
        return f"namespace fragment_{number} {{\n{mark}{block.text}}}\n"
    result = "kaio::task<>" if re.search(r"\bco_(await|return)\b", block.text) else "void"
    return f"{result} fragment_{number}({PARAMETERS}) {{\n{mark}{block.text}}}\n"


def fragments():
    """Fragments of C++ that are no part of a program compile in CONTEXT. Those of C are part of one."""
    parts = []
    for page in pages():
        for block in blocks(page):
            if block.mark != "fragment" or is_part_of_something(block):
                continue
            if block.language == "c":
                return f"{block.place} is no part of a program"
            parts.append(in_context(len(parts), block))
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as name:
        source = Path(name, "fragments.cpp")
        source.write_text(CONTEXT + "".join(parts), encoding="utf-8")
        words = [*COMPILER, "-std=c++20", f"-I{ROOT}/include", "-fsyntax-only", "-Wno-unused", str(source)]
        done = command(*words, folder=name)
    return done.stderr if done.returncode != 0 else None


def marks():
    """Each block is of a kind that this test knows, and what is no program's output says so."""
    for page in pages():
        before = None
        if re.search(r"^ +```", read(page), re.M):
            return f"{page.relative_to(ROOT)} has a block that is indented"
        if read(page).count("\n```") != 2 * len(blocks(page)):
            return f"{page.relative_to(ROOT)} has a block that is not found"
        for block in blocks(page):
            if block.mark not in MARKS.get(block.language, ()):
                return f'{block.place}: "{block.language}", "{block.mark}": no such kind of block'
            if block.language == "text" and block.mark in ("", "like") and not (before and before.runs):
                return f"{block.place}: nothing above it is run and prints this"
            before = block
    return None


def probed():
    """The table of times by file system is that of docs/probe.md, and the drawing has the times of ext4."""
    drawing = xml.etree.ElementTree.parse(GUIDE / "04-inside-io-submit.svg").getroot()
    drawn = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    probe, page = read(ROOT / "docs/probe.md"), read(GUIDE / "04-when-it-is-not-asynchronous.md")
    rows = re.findall(r"^\| ([a-z ]+) \| (.* / .*) \|$", page, re.M)
    for name, cells in rows:
        for system, cell in zip(("ext4", "xfs", "btrfs", "tmpfs"), cells.split(" | ")):
            section = probe.split(f"\n## {system}\n")[1].split("\n## ")[0]
            submit, complete = re.search(rf"^{name} +([\d.]+) +([\d.]+) ", section, re.M).groups()
            bold = "**" if re.search(rf"^{name} .* blocks in io_submit", section, re.M) else ""
            if cell != f"{bold}{submit} / {complete}{bold}":
                return f"{name} on {system}: docs/probe.md has {submit} and {complete}, the guide {cell}"
            times = f"{float(submit):g}" if submit == complete else f"{float(submit):g} / {float(complete):g}"
            if system == "ext4" and name in drawn and drawn[drawn.index(name) + 1] != times:
                return f"{name}: docs/probe.md has {times}, the drawing {drawn[drawn.index(name) + 1]}"
    return None if len(rows) > 5 else "the table is not found"


def by_hand():
    """Commands that are not run are shell, and what they name in the tree exists."""
    for block in (block for page in pages() for block in blocks(page) if block.language == "sh"):
        done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
        if done.returncode != 0:
            return f"{block.place}: {done.stderr}"
        commands = re.sub(r"\bninja .*", "", block.text)  # which names what it makes
        for name in re.findall(r"(?<![\w./-])(?:tests|docs|include|bench)/[\w./-]+", commands):
            if not (ROOT / name).exists():
                return f"{block.place}: there is no {name}"
    return None


# The pages together ----------------------------------------------------------------------------------------------------


def headings(path):
    """The names that a link to a heading may have, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", read(path), flags=re.S | re.M)
    titles = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in re.findall(r"^#+ (.*)$", text, re.M)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(folder):
    """Links and pictures lead to what is there, to a heading that the page has, or to a page that is to come."""

    def case():
        for page in sorted(folder.glob("*.md")):
            text = re.sub(r"^```.*?^```$", "", read(page), flags=re.S | re.M)
            for to in re.findall(r"\]\(([^)\s]+)\)", text):
                if re.match(r"https?:|mailto:", to):
                    continue
                path, _, heading = to.partition("#")
                goal = (page.parent / path).resolve() if path else page
                if f"({path}, to come)" in read(folder / "README.md"):
                    continue
                if not goal.exists():
                    return f"{page.relative_to(ROOT)}: there is no {to}"
                if heading and heading not in headings(goal):
                    return f"{page.relative_to(ROOT)}: there is no heading {to}"
        return None

    return case


def index(folder):
    """The index has every page, in order."""

    def case():
        linked = re.findall(r"^\d+\. \[.*?\]\((\d\d-[\w-]+\.md)\)", read(folder / "README.md"), re.M)
        there = [page.name for page in pages(folder)]
        return None if linked == there else f"{folder.relative_to(ROOT)}/README.md lists {linked}\nand there are {there}"

    return case


def drawings():
    """Each drawing is well-formed, has a title for those who do not see it, and colours for light and dark."""
    for path in sorted(GUIDE.rglob("*.svg")):
        root = xml.etree.ElementTree.parse(path).getroot()
        if root.find("{http://www.w3.org/2000/svg}title") is None or "prefers-color-scheme: dark" not in read(path):
            return f"{path.relative_to(ROOT)} has no title, or no colours for the dark"
        if not any(path.name in read(page) for page in pages(path.parent)):
            return f"no page shows {path.relative_to(ROOT)}"
    return None


def translated(page):
    """A translated page has the blocks of the English one, but for the drawings."""
    original = GUIDE / page.name
    if not original.exists():
        return f"there is no {original.relative_to(ROOT)}"
    mine, english = (
        [(block.language, block.mark, block.text) for block in blocks(path) if block.mark != "drawing"]
        for path in (page, original)
    )
    for ours, theirs in zip([*mine, None], [*english, None]):
        if ours != theirs:
            return f"{page.relative_to(ROOT)} has the block\n{ours}\nwhere the English page has\n{theirs}"
    for ours, theirs in zip([*numbers(page), None], [*numbers(original), None]):
        if ours != theirs:
            return f"{page.relative_to(ROOT)} has a row with {ours} where the English page has {theirs}"
    return None


def readme():
    """README.zh-CN.md has the programs and commands of README.md, and the numbers of its tables."""
    mine, english = ROOT / "README.zh-CN.md", ROOT / "README.md"
    for ours, theirs in zip(
        *(
            [*re.findall(r"^```.*?^```$|(?<=\n\n)(?: {4}[^\n]*\n)+", read(page), re.S | re.M), *numbers(page), None]
            for page in (mine, english)
        )
    ):
        if ours != theirs:
            return f"README.zh-CN.md has\n{ours}\nwhere README.md has\n{theirs}"
    return None


def numbers(page):
    """The numbers in each row of the page's tables."""
    text = re.sub(r"^```.*?^```$|\]\([^)]*\)", "", read(page), flags=re.S | re.M)
    return [re.findall(r"\d+(?:[.,]\d+)*", row) for row in re.findall(r"^\|.*", text, re.M)]


def translated_drawings():
    """A translated picture has the shapes of the English one, and its numbers where those stand alone."""
    for path in sorted(GUIDE.glob("*/*.svg")):
        mine, english = (
            re.sub(r">[^<]*[^\W\d_][^<]*</(title|desc|text)>", r"></\1>", read(each)) for each in (path, GUIDE / path.name)
        )
        if mine != english:
            return f"{path.relative_to(ROOT)} is not {path.name} of the English guide with other words"
    return None


if __name__ == "__main__":
    cases = [
        ("each block of the guide says what it is", marks),
        ("the guide's index has every page", index(GUIDE)),
        ("the guide's links lead somewhere", links(GUIDE)),
        ("the guide's drawings are for light and dark", drawings),
        ("the guide's fragments are parts of programs, or compile", fragments),
        ("the guide's times by file system are those of the probe", probed),
        ("the guide's commands name what is there", by_hand),
    ]
    cases += [case for page in pages() for case in running(page)]
    chinese = GUIDE / "zh"
    if chinese.exists():
        cases += [
            ("the Chinese guide's index has every page", index(chinese)),
            ("the Chinese guide's links lead somewhere", links(chinese)),
            ("the Chinese README has the code of the English one", readme),
            ("the Chinese guide's drawings are the English ones with other words", translated_drawings),
        ]
    for page in pages(chinese):
        cases.append((f"zh/{page.name} has the code of the English page", lambda page=page: translated(page)))
    report.run(cases)
