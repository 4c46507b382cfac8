#!/usr/bin/env python3
"""build.py ROOT FOLDER [--strict]: builds the site in FOLDER/html. `meson compile -C build site` calls it.

Gathers the pages in FOLDER/pages, at the places that they have in the repository: the documents, a page of each header,
and one of each other file that a page links to. So a link that is right in the repository is right in the site. Prints
where the site is. --strict: a warning of Doxygen or Sphinx is an error.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))
import reference

LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)\s]*)?\)")
LANGUAGES = {".cpp": "cpp", ".hpp": "cpp", ".h": "cpp", ".c": "c", ".py": "python", ".sh": "bash", ".js": "javascript"}
FIGURES = (".svg", ".png")
PROGRAMS = (".js", ".css")  # of pages
FLOORS = {
    "sys": "sys: the kernel as it is",
    "io": "io: one context",
    "loop": "loop: many requests",
    "coro": "coro: coroutines",
    "sim": "sim: a simulated kernel",
    "asio": "asio: files with the interface of Asio",
    "compat": "compat: the interface of libaio",
}
# What the side of each page lists: headings, and below them pages.
CONTENTS = [
    ("Guide", ["docs/guide/README", "docs/guide/*"]),
    ("指南", ["README.zh-CN", "docs/guide/zh/README", "docs/guide/zh/*"]),
    ("kaio", ["README", "docs/*", "docs/decisions", "CHANGELOG", "CONTRIBUTING"]),
    ("Reference", ["include/kaio/kaio.hpp", "include/kaio/*"]),
]


class Site:
    def __init__(self, root, folder):
        self.root, self.folder = root, folder
        self.pages = {}  # what each page says, by its name

    def gather(self):
        """The documents, and what belongs to them."""
        documents = [*self.root.glob("*.md"), *self.root.glob("docs/**/*")]
        for path in documents:
            name = path.relative_to(self.root)
            if "site" in name.parts[1:2]:
                continue
            if path.suffix == ".md":
                self.pages[str(name.with_suffix(""))] = path.read_text(encoding="utf-8")
            elif path.suffix in FIGURES + PROGRAMS:
                to = self.folder / ("pages" if path.suffix in FIGURES else "programs") / name
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, to)
        self.pages["index"] = (self.root / "docs/site/index.md").read_text(encoding="utf-8")

    def refer(self, strict):
        """The pages of the headers, by Doxygen. Its warnings are shown."""
        said = [
            (self.root / "docs/site/Doxyfile").read_text(encoding="utf-8"),
            f"OUTPUT_DIRECTORY = {self.folder}",
            f'FILTER_PATTERNS = "*.hpp={sys.executable} docs/site/contracts.py"',
            *(["WARN_AS_ERROR = FAIL_ON_WARNINGS"] if strict else []),
        ]
        shutil.rmtree(self.folder / "xml", ignore_errors=True)
        subprocess.run(["doxygen", "-"], input="\n".join(said), text=True, cwd=self.root, check=True)
        for path, text in reference.pages(self.folder / "xml", self.root, lambda path: "source/" + path):
            self.pages[path] = text
            self.show(path, "source/" + path)

    def show(self, path, name):
        """A page with the source of a file, or the names in a folder. The search leaves it out."""
        whole = self.root / path
        if whole.is_dir():
            inside = sorted(each.name for each in whole.iterdir() if not each.name.startswith((".", "__")))
            text = "\n".join(f"- [{each}]({Path(name).name}/{each})" for each in inside)
        else:
            text = whole.read_text(encoding="utf-8").rstrip("\n")
            first = text.split("\n")[0]
            language = LANGUAGES.get(whole.suffix, "python" if "python" in first else "bash" if "bash" in first else "text")
            text = f"~~~~~~~~{language}\n{text}\n~~~~~~~~"
        self.pages[name] = f"---\norphan: true\nnosearch: true\n---\n# {path}\n\n{text}\n"

    def follow(self):
        """Shows what pages link to and is no page yet."""
        left = list(self.pages)
        while left:
            name = left.pop()
            for link in LINK.findall(re.sub(r"^(```|~~~).*?^\1", "", self.pages[name], flags=re.M | re.S)):
                target = os.path.normpath(os.path.join(os.path.dirname(name), link))
                wanted = target.removesuffix(".md")
                if wanted not in self.pages and (self.root / target).exists() and not target.endswith(FIGURES):
                    self.show(target, wanted)
                    left.append(wanted)

    def order(self):
        """The contents. Decisions and headers, which are many, have a page that lists them."""
        decisions = [name for name in self.pages if name.startswith("docs/decisions/")]
        self.parent("docs/decisions", "Decisions", decisions, ":maxdepth: 1")
        for floor, title in FLOORS.items():
            inside = sorted(name for name in self.pages
                            if name.startswith(f"include/kaio/{floor}/") and "orphan:" not in self.pages[name])
            self.parent(f"include/kaio/{floor}", title, inside, ":hidden:")
            for name in inside:
                self.pages[f"include/kaio/{floor}"] += f"\n- [{name.removeprefix('include/')}](/{name}): {self.about(name)}"
        listed = {"index"}
        for caption, patterns in CONTENTS:
            names = []
            for pattern in patterns:
                names += [name for name in sorted(self.pages) if name not in listed and "orphan:" not in self.pages[name]
                          and re.fullmatch(pattern.replace("*", "[^/]*"), name)]
                listed.update(names)
            if names:
                self.pages["index"] += self.tree(names, f":caption: {caption}\n:maxdepth: 1")

    def about(self, name):
        """The first sentence about a header, without links."""
        said = self.pages[name].split("```\n", 1)[1].strip().split("\n\n")[0]
        return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.split(r"\.\s", said)[0]).rstrip(".: ") + "."

    @staticmethod
    def tree(names, options):
        return f"\n```{{toctree}}\n{options}\n\n" + "\n".join("/" + name for name in names) + "\n```\n"

    def parent(self, name, title, inside, options):
        self.pages[name] = f"# {title}\n" + self.tree(sorted(inside), options)

    def write(self):
        """Only what has changed, so that Sphinx reads no more than that again."""
        pages = self.folder / "pages"
        wanted = {pages / f"{name}.md": text for name, text in self.pages.items()}
        for path in pages.rglob("*.md"):
            if path not in wanted:
                path.unlink()
        for path, text in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")

    def build(self, strict):
        command = ["sphinx-build", "-q", "-b", "html", "-c", self.root / "docs/site", "-d", self.folder / "doctrees"]
        command += ["-D", f"html_extra_path={self.folder / 'programs'}"]
        command += ["-W", "--keep-going"] if strict else []
        subprocess.run([*command, self.folder / "pages", self.folder / "html"], check=True)
        print(self.folder / "html/index.html")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strict", action="store_true")
    arguments = parser.parse_args()
    if not shutil.which("doxygen") or not shutil.which("sphinx-build"):
        sys.exit("the site needs: apt-get install doxygen python3-sphinx python3-myst-parser furo")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    site = Site(arguments.root.resolve(), arguments.folder.resolve())
    try:
        site.gather()
        site.refer(arguments.strict)
        site.follow()
        site.order()
        site.write()
        site.build(arguments.strict)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.cmd[0]} failed")


main()
