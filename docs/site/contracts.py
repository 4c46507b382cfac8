#!/usr/bin/env python3
"""contracts.py HEADER: prints the header with its contracts as comments that Doxygen reads. Doxyfile calls it.

A contract is a comment right above a declaration, or behind it in its line. One above is also the contract of the
declarations that follow without a blank line, such as a function's twin without exceptions: they say `@asabove`. So does
the class that the header's first comment is about. Every line stays where it is, as Doxygen's warnings count them.
"""

import re
import sys

# Lines that declare nothing that has a contract of its own.
OTHER = re.compile(r"\s*(static_assert|(inline )?namespace\b|(public|private|protected):|\}|#(?!define))")
FRIEND = re.compile(r"\s*(template <.*> )?friend (class|struct)\b")
FORWARD = re.compile(r"\s*(template <.*> )?(class|struct) \w+;")
GUIDE = re.compile(r"(template <.*> )?(\w+)\(.*\) -> \2<.*>;")  # how a class's template arguments are found
FOREIGN = re.compile(r".*\bstd::ranges::enable_")  # specialized here, declared in the standard library


def split(line):
    """The code of a line, without what its literals say, and its comment."""
    blank = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])\'', lambda text: "~" * len(text[0]), line)
    code, slashes, _ = blank.partition("//")
    return code, line[len(code) + 2 :] if slashes else ""


def escaped(text):
    """What Doxygen would take for a command, a tag or a link is text, outside of `code`."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"[\\@<>#&%*]|(?<!\w)::", r"\\\g<0>", part) for part in parts[::2]]
    return "`".join(parts)


def contract(lines, mark):
    """The lines of a comment, for Doxygen. Those with four spaces more are code."""
    is_code = [line.startswith("     ") for line in lines] + [False]
    out = [mark + (line if code else text) for line, code, text in zip(lines, is_code, escaped("\n".join(lines)).split("\n"))]
    for i in range(1, len(lines)):
        if is_code[i] and not is_code[i - 1]:
            out[i - 1] += " @code{.cpp}"
        if is_code[i] and not is_code[i + 1]:
            out[i] += " @endcode"
    return out


class Scopes:
    """Where in the program a line begins. Reads its code, without comments and literals."""

    def __init__(self):
        self.stack = ["scope"]  # scope: a namespace or a class; enum; body: anything else in braces
        self.round = 0  # open parentheses
        self.declaration = ""  # what has been read of the current one
        self.continued = False  # a macro's lines

    def begins(self):
        """True if the next line begins a declaration."""
        return not self.continued and self.stack[-1] != "body" and self.round == 0 and not self.declaration.strip()

    def kind(self):
        """What the brace that opens now is about."""
        text = self.declaration.strip()
        while text.startswith("template"):  # and what may be in its angle brackets
            depth = 0
            for end, c in enumerate(text):
                depth += {"<": 1, ">": -1}.get(c, 0)
                if c == ">" and depth == 0:
                    break
            text = re.sub(r"^\s*(requires\s*\(.*\)\s*)?", "", text[end + 1 :])
        if re.match(r"enum\b", text):
            return "enum"
        return "scope" if re.match(r"(inline )?namespace\b|(class|struct|union)\b", text) else "body"

    def read(self, code):
        directive = self.continued or code.lstrip().startswith("#")
        self.continued = directive and code.rstrip().endswith("\\")
        if directive:
            return
        for c in re.sub(r"\b(public|private|protected):", "", code):
            inside = self.stack[-1] == "body"
            self.round += {"(": 1, "[": 1, ")": -1, "]": -1}.get(c, 0)
            if c == "{":
                self.stack.append("body" if inside or self.round else self.kind())
            elif c == "}":
                self.stack.pop()
            # A body may be an initializer, but what follows that declares nothing.
            if self.stack[-1] != "body" and self.round == 0 and (c in "{};" or (c == "," and self.stack[-1] == "enum")):
                self.declaration = ""
            else:
                self.declaration += c
        self.declaration += " "


def declares(code):
    return bool(code.strip()) and not any(each.match(code) for each in (OTHER, FRIEND, FORWARD))


class Header:
    """A header, line by line."""

    def __init__(self, lines):
        self.lines = lines
        self.at = 0  # the line that comes next
        self.out = []
        self.scopes = Scopes()
        self.covered = ""  # by a contract above: "first" is the declaration right below it, "further" are those behind
        self.subject = re.match(r"// (\w+):|", lines[0])[1]  # what the first comment is about

    def converted(self):
        self.head()
        while self.at < len(self.lines):
            code, comment = split(self.lines[self.at])
            if comment and not code.strip() and self.scopes.begins():
                self.above(code)
            else:
                self.line(code, comment)
        return self.out

    def block(self):
        """Takes the lines of a comment that has its lines alone."""
        begin = self.at
        while re.match(r"\s*//", self.lines[self.at]):
            self.at += 1
        return self.lines[begin : self.at]

    def head(self):
        self.out += contract([line[2:] for line in self.block()], "///")
        self.out[0] = self.out[0].replace("///", "/// @head", 1)

    def above(self, indent):
        """A comment above something: a contract, if that is a declaration, maybe behind a #if."""
        block = self.block()
        following = " ".join(self.lines[self.at : self.at + 2])
        if (declares(self.lines[self.at]) or re.match(r"\s*#", following)) and not FOREIGN.match(following):
            self.out += contract([line.lstrip()[2:] for line in block], indent + "///")
            self.covered = "first"
        else:
            self.out += block
            self.covered = ""

    def line(self, code, comment):
        line = self.lines[self.at]
        begins = self.scopes.begins()
        depth = len(self.scopes.stack)
        self.scopes.read(code)
        declared = begins and declares(code)
        if FRIEND.match(code) or FOREIGN.match(code):
            line = ""
        elif comment and declares(code) and self.scopes.begins():
            self.behind(line, code, comment)
            line = None
        elif declared and (self.covered == "further" or GUIDE.match(code) or not self.covered and self.is_subject()):
            line = "/** @asabove */ " + line
        opens = len(self.scopes.stack) > depth and self.scopes.stack[-1] != "body"
        if opens or begins and not declares(code) and not code.startswith("#"):
            self.covered = ""
        elif declared and self.covered:
            self.covered = "further"
        if line is not None:
            self.out.append(line)
            self.at += 1

    def behind(self, line, code, comment):
        """A contract behind a declaration, which may go on below itself."""
        self.out.append(line[: len(code)] + contract([comment], "///<")[0])
        self.at += 1
        below = " " * len(code) + "//"
        while self.lines[self.at].startswith(below):
            self.out.append(contract([self.lines[self.at][len(below) :]], below + "/<")[0])
            self.at += 1

    def is_subject(self):
        if not self.subject:
            return False
        declared = re.split("[{;]", " ".join(split(line)[0] for line in self.lines[self.at : self.at + 6]))[0]
        return re.search(rf"(class|struct) (\[\[.*\]\] |KAIO_\w+\(.*\) )?{self.subject}\s*$| {self.subject}\(", declared)


with open(sys.argv[1], encoding="utf-8") as file:
    source = file.read()
# What macros stand for: an inline namespace and pragmas.
source = source.replace("namespace kaio::inline KAIO_BUILD", "namespace kaio")
source = source.replace("inline namespace KAIO_BUILD {", "").replace("} // namespace KAIO_BUILD", "")
source = re.sub("^KAIO_COROUTINES_(BEGIN|END)", "", source, flags=re.M)
source = re.sub(r"(?<=\d)'(?=\d)", "", source)  # it would take them for quotes
sys.stdout.write("\n".join(Header(source.split("\n")).converted()))
