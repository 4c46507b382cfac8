#!/usr/bin/env python3
"""contracts.py HEADER: prints the header with its contracts as comments that Doxygen reads. Doxyfile calls it.

A contract is a comment right above a declaration, or behind it in its line. One above is also the contract of the
declarations that follow without a blank line, such as a function's twin without exceptions: they say `@asabove`. So does
the class that the header's first comment is about. Every line stays where it is, as Doxygen's warnings count them.
"""

import re
import sys

# Lines that declare nothing that has a contract of its own.
OTHER = re.compile(r"\s*(static_assert|friend (class|struct)\b|(inline )?namespace\b|(public|private|protected):|\}|#(?!define))")
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
        return (re.match(r"(enum|)(?:(?:inline )?(?:namespace|class|struct|union)\b|)", text)[0] and
                ("enum" if text.startswith("enum") else "scope")) or "body"

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


def converted(lines):
    scopes = Scopes()
    end = next(i for i, line in enumerate(lines) if not line.startswith("//"))
    out = contract([line[2:] for line in lines[:end]], "///")
    out[0] = out[0].replace("///", "/// @head", 1)
    subject = re.match(r"// (\w+):|", lines[0])[1]
    covers = False  # a contract above covers what begins now
    lines, i = lines[end:], 0
    while i < len(lines):
        line = lines[i]
        code, comment = split(line)
        begins = scopes.begins()
        if begins and comment and not code.strip():
            end = next(j for j in range(i, len(lines)) if not re.match(r"\s*//", lines[j]))
            above = lines[end].strip() and not re.match(OTHER, lines[end]) or re.match(r"\s*#", lines[end])
            if above and not FOREIGN.match(" ".join(lines[end : end + 2])):
                out += contract([text.lstrip()[2:] for text in lines[i:end]], code + "///")
                covers = "now"
            else:
                out += lines[i:end]
                covers = False
            i = end
            continue
        declares = begins and code.strip() and not OTHER.match(code) and not FORWARD.match(code)
        depth = len(scopes.stack)
        scopes.read(code)
        if re.match(r"\s*friend (class|struct)\b", code) or FOREIGN.match(code):
            line = ""
        elif comment and scopes.begins() and code.strip() and not OTHER.match(code) and not FORWARD.match(code):
            line = code + contract([comment], "///<")[0]
            line = lines[i][: len(code)] + line[len(code) :]
            while re.match(r"\s*//", lines[i + 1]) and lines[i + 1].index("//") == len(code):
                out.append(line)
                i += 1
                line = contract([lines[i].lstrip()[2:]], " " * len(code) + "///<")[0]
        elif declares and (covers == "further" or GUIDE.match(code)):
            line = "/** @asabove */ " + line
        elif declares and not covers and subject:
            declared = re.split("[{;]", " ".join(split(text)[0] for text in lines[i : i + 6]))[0]
            if re.search(rf"(class|struct) (\[\[.*\]\] |KAIO_\w+\(.*\) )?{subject}\s*$| {subject}\(", declared):
                line = "/** @asabove */ " + line
        if begins and not code.strip() or len(scopes.stack) > depth and scopes.stack[-1] != "body" or OTHER.match(code) and begins:
            covers = covers if code.lstrip().startswith("#") else False
        elif declares and covers:
            covers = "further"
        out.append(line)
        i += 1
    return out


with open(sys.argv[1], encoding="utf-8") as file:
    source = file.read()
# What macros stand for: an inline namespace and pragmas.
source = source.replace("namespace kaio::inline KAIO_BUILD", "namespace kaio")
source = source.replace("inline namespace KAIO_BUILD {", "").replace("} // namespace KAIO_BUILD", "")
source = re.sub("^KAIO_COROUTINES_(BEGIN|END)", "", source, flags=re.M)
source = re.sub(r"(?<=\d)'(?=\d)", "", source)  # it would take them for quotes
sys.stdout.write("\n".join(converted(source.split("\n"))))
