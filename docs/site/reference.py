"""Makes a page of Markdown of each header, from Doxygen's XML. build.py calls it."""

import os
import re
import xml.etree.ElementTree as ElementTree

FACTS = re.compile(r"(?:^|(?<=[.:)]) )(Errors(?: at submission)?|Allocates|System calls|REQUIRES):")
BANNER = re.compile(r"\s*// (.*?) -{10,}$")


def text_of(element):
    return "".join(element.itertext()) if element is not None else ""


def code(text):
    """A piece of a declaration, spaced as the headers are."""
    text = re.sub(r"\[\[.*?\]\] ?|\b(inline|friend) ", "", " ".join(text.split()))
    text = re.sub(r" ?= ?(?=default|delete|\{)", " = ", text.replace("< ", "<").replace(" >", ">"))
    text = re.sub(r"(?<=\w|>) (&&?|\*+) ?(?=[\w(.])", r"\1 ", text)
    return re.sub(r" (&&?|\*+)(?=[,)>])", r"\1", text)


def condition(text):
    """The same, where && and || stand between what may be true."""
    return re.sub(r" ?(&&|\|\|) ?", r" \1 ", code(text))


def wrapped(text, width=76):
    """Broken behind commas, where it is too long."""
    lines = []
    while len(text) > width and text.rfind(", ", 20, width) > 0:
        at = text.rfind(", ", 20, width) + 1
        lines.append(text[:at])
        text = "    " + ("    " if not lines[1:] else "    ") + text[at:].lstrip()
    return "\n".join([*lines, text])


class Text:
    """Descriptions, as Markdown."""

    def __init__(self, page, names):
        self.page = page  # where the text will be
        self.names = names  # that have a place on a page

    def plain(self, text):
        """Outside of `code`, which Doxygen leaves in a header's first paragraph, nothing means anything."""
        parts = (text or "").split("`")
        parts[::2] = [re.sub(r"[\\*_<\[\]]", r"\\\g<0>", part) for part in parts[::2]]
        return re.sub(r"\bdocs/[\w/-]+\.md", self.link, "`".join(parts))

    def link(self, match):
        return f"[{match[0]}]({os.path.relpath(match[0], os.path.dirname(self.page))})"

    def inline(self, element):
        out = self.plain(element.text)
        for child in element:
            inner = self.inline(child)
            if child.tag == "computeroutput":
                inner = f"`{text_of(child)}`"
            elif child.tag == "ref" and child.get("refid") in self.names:
                inner = f"[{inner}]({child.get('refid')})"
            elif child.tag == "programlisting":
                lines = [text_of(line) for line in child]
                inner = "\n\n```cpp\n" + "\n".join(line.removeprefix("    ").rstrip() for line in lines) + "\n```\n\n"
            elif child.tag in ("itemizedlist", "orderedlist"):
                inner = "\n\n" + "\n".join("- " + self.inline(item).strip().replace("\n", "\n  ") for item in child) + "\n\n"
            elif child.tag == "para":
                inner = "\n\n" + inner.strip() + "\n\n"
            out += inner + self.plain(child.tail)
        return out

    def of(self, definition):
        """What is said of something. Each fact gets a paragraph."""
        said = "\n\n".join(self.inline(definition.find(each)).strip() for each in ("briefdescription", "detaileddescription"))
        blocks = re.split(r"(```.*?```)", said, flags=re.S)
        blocks[::2] = [FACTS.sub(r"\n\n**\1:**", block) for block in blocks[::2]]
        return re.sub(r"\n{3,}", "\n\n", "".join(blocks)).strip()


def shared(definition):
    """Its contract is that of what stands above it."""
    return any(definition.find(f"{kind}//asabove") is not None for kind in ("briefdescription", "detaileddescription"))


def line_of(definition):
    return int(definition.find("location").get("line"))


def template(definition, source):
    parameters = definition.find("templateparamlist")
    if parameters is None:
        return ""
    each = []
    for one in parameters:
        name = text_of(one.find("declname"))
        default = text_of(one.find("defval"))
        each.append(text_of(one.find("type")) + (" " + name if name else "") + (" = " + default if default else ""))
    text = "template <" + ", ".join(each) + ">"
    if text.count("<") != text.count(">"):  # Doxygen 1.9.4 loses its way at a decltype
        first = last = line_of(definition) - 1
        while not source[first].lstrip().startswith("template"):
            first -= 1
        text = " ".join(source[first:last])
    return wrapped(condition(text)) + "\n"


def signature(member, source):
    kind, name = member.get("kind"), text_of(member.find("name"))
    if kind == "define":
        parameters = [text_of(one) for one in member.findall("param")]
        return f"#define {name}" + ("(" + ", ".join(parameters) + ")" if parameters else "")
    words = " ".join(word for word in ("static", "explicit", "constexpr", "virtual") if member.get(word) == "yes"
                     or member.get("virt") in (word, f"pure-{word}"))
    declared = re.sub(r"\bconstexpr\b", "" if "constexpr" in words else r"\g<0>", text_of(member.find("type")))
    if kind == "typedef":
        return template(member, source) + code(f"using {name} = {declared};")
    if kind == "variable":
        value = text_of(member.find("argsstring")) + " " + text_of(member.find("initializer"))
        return template(member, source) + code(f"{words} {declared} {name}{value}") + ";"
    requires = text_of(member.find("requiresclause"))
    arguments = text_of(member.find("argsstring"))
    above = template(member, source) + (condition(f"requires {requires}") + "\n" if requires else "")
    return above + wrapped(code(f"{words} {declared} {name}{arguments}".strip())) + ";"


class Page:
    """One header's."""

    def __init__(self, path, root, names):
        self.path = path
        self.text = Text(path, names)
        with open(os.path.join(root, path), encoding="utf-8") as file:
            self.source = file.read().splitlines()
        self.id = self.about = None
        self.things = []  # (line, definition) of what the header has at namespace scope

    def block(self, text):
        return f"```cpp\n{text}\n```\n"

    def excerpt(self, line):
        """The declaration that begins or goes on in this line."""
        first = line - 1
        while self.source[first - 1].strip() and not re.match(r"\s*(//|#|\}|.*;$)", self.source[first - 1]):
            first -= 1
        last, depth = first, 0
        while True:
            said = self.source[last].split("//")[0]
            depth += said.count("{") - said.count("}")
            if depth == 0 and said.rstrip().endswith(";"):
                break
            last += 1
        indent = len(self.source[first]) - len(self.source[first].lstrip())
        return self.block("\n".join(text[indent:] for text in self.source[first : last + 1]))

    def members(self, definitions, prefix, level):
        """Each contract, under what it is about."""
        out, groups, banner = [], [], ""
        for member in sorted(definitions, key=line_of):
            if "->" in text_of(member.find("argsstring")) and not text_of(member.find("type")):
                continue  # a deduction guide
            if shared(member) and groups:
                groups[-1].append(member)
            else:
                groups.append([member])
        for group in groups:
            first = group[0]
            for text in self.source[line_of(first) :: -1]:
                if re.match(r"(\}|class |struct |template .*(class|struct) \w+.* \{)", text):
                    break
                if found := BANNER.match(text):
                    if found[1] != banner:
                        banner = found[1]
                        out.append(f"*{banner}*\n")
                    break
            out += [f"({each.get('id')})=" for each in group]
            names = list(dict.fromkeys(text_of(each.find("name")) for each in group))
            out.append(f"{level} {self.text.plain(prefix + ', '.join(names))}\n")
            if first.get("kind") == "enum":
                out.append(self.excerpt(line_of(first)))
            else:
                out.append(self.block("\n".join(signature(each, self.source) for each in group)))
            if not shared(first):
                out.append(self.text.of(first) + "\n")
        return out

    def compound(self, definition):
        name = text_of(definition.find("compoundname")).removeprefix("kaio::")
        out = [f"({definition.get('id')})=", f"## {self.text.plain(code(name))}\n"]
        members = [member for member in definition.findall("sectiondef/memberdef") if member.get("prot") != "private"]
        plain = not any(member.get("kind") == "function" for member in members)
        if definition.get("kind") == "concept" or plain:
            out += [f"({member.get('id')})=" for member in members]
            out.append(self.excerpt(line_of(definition)))
        else:
            out.append(self.block(template(definition, self.source) + definition.get("kind") + " " + code(name) + ";"))
        if not shared(definition):
            out.append(self.text.of(definition) + "\n")
        if not plain:
            out += self.members(members, code(name).split("<")[0].split("::")[-1] + "::", "###")
        return out

    def markdown(self, source):
        name = self.path.removeprefix("include/")
        out = [f"({self.id})=", f"# {name}\n", self.block(f"#include <{name}>"), self.text.of(self.about) + "\n"]
        free = []
        for _, thing in sorted(self.things, key=lambda each: each[0]):
            if thing.tag == "memberdef":
                free.append(thing)
                continue
            out += self.members(free, "", "##")
            free = []
            out += self.compound(thing)
        out += self.members(free, "", "##")
        out.append(f"[The source]({os.path.relpath(source, os.path.dirname(self.path))}) of this header.\n")
        return "\n".join(out)


def pages(xml, root, source_of):
    """Yields path and text of each page. `source_of(path)` is where the source is shown."""
    made, names = {}, set()
    for name in sorted(os.listdir(xml)):
        definition = ElementTree.parse(os.path.join(xml, name)).getroot().find("compounddef")
        if definition is None or definition.get("kind") in ("dir", "page"):
            continue
        for space in definition.iter("sp"):
            space.text = " "
        kind = definition.get("kind")
        whole = kind in ("class", "struct", "union", "concept")
        for thing in [definition] if whole or kind == "file" else definition.findall("sectiondef/memberdef"):
            path = "include/" + thing.find("location").get("file")
            if path.endswith("/") or "/detail/" in path or thing.get("prot") == "private":
                continue
            page = made.setdefault(path, Page(path, root, names))
            if kind == "file":
                page.id, page.about = definition.get("id"), definition
                page.things += [(line_of(each), each) for each in definition.findall("sectiondef/memberdef[@kind='define']")]
            else:
                page.things.append((line_of(thing), thing))
            names.add(thing.get("id"))
            names.update(each.get("id") for each in thing.findall("sectiondef/memberdef") if each.get("prot") != "private")
    for path, page in made.items():
        yield path, page.markdown(source_of(path))
