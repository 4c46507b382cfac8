#!/usr/bin/env python3
"""installed.py SOURCE-ROOT BUILD-ROOT NAME=PROGRAM...: what is installed beside kaio-bench and kaio-probe. The man pages and
what shells complete are held against --help."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

root, build = sys.argv[1:3]
programs = dict(argument.split("=", 1) for argument in sys.argv[3:])
MAN = {"kaio-bench": "bench/kaio-bench.1", "kaio-probe": "bench/probe/kaio-probe.1"}
WANTED = [
    "/bin/kaio-bench",
    "/bin/kaio-probe",
    "/share/man/man1/kaio-bench.1",
    "/share/man/man1/kaio-probe.1",
    "/share/bash-completion/completions/kaio-bench",
    "/share/bash-completion/completions/kaio-probe",
    "/share/zsh/site-functions/_kaio-bench",
    "/share/zsh/site-functions/_kaio-probe",
]


def output(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, **more).stdout


def options(program):
    """The lines of --help that begin an option, by its last name."""
    lines = re.findall(r"^  (-\S+)(.*)$", output(program, "--help"), re.M)
    return {names.split(",")[-1]: (names.split(","), rest) for names, rest in lines}


def values(rest):
    """The words that an option accepts, if --help has them."""
    listed = re.search(r"\{(.*?)\}", rest)
    return listed[1].split(",") if listed else []


def man_page(name):
    def case():
        with open(os.path.join(root, MAN[name]), encoding="utf-8") as file:
            entries = {}
            for entry in re.split(r"^\.It (?=Fl)", file.read(), flags=re.M)[1:]:
                heading, text = entry.split("\n", 1)
                entries[re.findall(r"Fl (-?\w+)", heading)[-1]] = heading, text
        known = {option.removeprefix("-"): line for option, line in options(programs[name]).items()}
        if entries.keys() != known.keys():
            return f"only in one of man page and --help: {sorted(entries.keys() ^ known.keys())}"
        for option, (names, rest) in known.items():
            heading, text = entries[option]
            if re.findall(r"Fl (-?\w+)", heading) != [one.removeprefix("-") for one in names]:
                return f"{names}: the man page has {heading}"
            default = re.search(r"=(\S+)", re.sub(r"\(=.*?\)|  .*", "", rest))
            missing = [default[1]] if default else []
            missing += [] if ".Fl -help\nlists" in text else values(rest)
            missing = [word for word in missing if not re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", heading + "\n" + text)]
            if missing:
                return f"-{option}: the man page does not say {missing}"
        return None

    return case


def man_page_is_right(name):
    def case():
        if not shutil.which("groff"):
            raise report.Skip("groff is not installed")
        done = subprocess.run(
            ["groff", "-mandoc", "-ww", "-Tascii", os.path.join(root, MAN[name])], capture_output=True, text=True, timeout=60
        )
        return done.stderr or None

    return case


def completed_by_bash(path, name, *words):
    script = (
        f'. "{root}/bench/completion.bash"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kaio {name}; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return output("bash", "-c", script, "bash", name, *words, env={**os.environ, "PATH": path}).split()


def completed_by_zsh(path, name, *words):
    """As a terminal sees it. What zsh is given to choose from is printed."""
    if not shutil.which("zsh"):
        raise report.Skip("zsh is not installed")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(os.path.join(root, "bench/completion.zsh"), os.path.join(folder, f"_{name}"))
        start = (
            f"fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; LISTMAX=10000; bindkey '^I' complete-word; "
            'compadd() { local -a all; builtin compadd -O all "$@"; print -r -- "<$all>"; builtin compadd "$@" }; '
            "comppostfuncs=(after); after() print DO''NE; print REA''DY"
        )
        script = (
            'zmodload zsh/zpty; zpty z zsh -f -i; zpty -w z "$1"; zpty -r z line "*READY*"; zpty -w -n z "$2"$\'\\t\'; '
            'zpty -r z line "*DONE*"; print -r -- "$line"; zpty -d z'
        )
        line = f"{name} {''.join(words)}"
        printed = output("zsh", "-f", "-c", script, "zsh", start, line, env={**os.environ, "PATH": path})
    return " ".join(re.findall(r"<(.*?)>", printed)).split()


def completion(shell):
    def case():
        with tempfile.TemporaryDirectory() as folder:
            for name, program in programs.items():
                os.symlink(program, os.path.join(folder, name))
            path = f"{folder}:{os.environ['PATH']}"
            for name, program in programs.items():
                known = options(program)
                offered = set(shell(path, name, "--"))
                wanted = {one for names, _ in known.values() for one in names if one.startswith("--")}
                if offered != wanted:
                    return f"{name} --: offered or known only: {sorted(offered ^ wanted)}"
                for option, (_, rest) in known.items():
                    offered = shell(path, name, option, "=", "") if values(rest) else []
                    if offered != values(rest):
                        return f"{name} {option}=: {offered}, and not {values(rest)}"
            offered = shell(path, "kaio-bench", "--medium", "=", "null,loop-")
            kinds = {word.rpartition(",")[2] for word in offered}
            return None if kinds == {"loop-ext4", "loop-xfs", "loop-btrfs"} else f"a list: {offered}"

    return case


def installed():
    with tempfile.TemporaryDirectory() as folder:
        output("meson", "install", "-C", build, "--no-rebuild", "--destdir", folder)
        there = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
    missing = [path for path in WANTED if not any(name.endswith(path) for name in there)]
    return f"missing: {missing}" if missing else None


def needs_programs(case):
    def checked():
        if len(programs) < len(MAN):
            raise report.Skip("bench/ was not built (CLI11, fmt and nlohmann-json are needed, and -Dbench=auto)")
        return case()

    return checked


cases = [("the programs are installed, with man pages and completion", installed)]
for name in MAN:
    cases.append((f"the man page of {name} has each option, its default and its values", man_page(name)))
    cases.append((f"the man page of {name} is well formed", man_page_is_right(name)))
cases += [(f"{shell} completes", completion(way)) for shell, way in (("bash", completed_by_bash), ("zsh", completed_by_zsh))]
report.run([(name, needs_programs(case)) for name, case in cases])
