"""floors.py INCLUDE: the #include lines of kaio's headers respect the floors, and this test notices if they do not."""

import os
import re
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

# A floor is a folder of include/kaio, and version.hpp is the ground. A header includes from its own floor or a lower
# one. Only the headers of a folder include from that folder's detail/.
FLOORS = ("version.hpp", "sys", "io", "loop", "coro")
# Beside the floors: from where another folder, or a header at the top, may include.
BESIDE = {
    "sim": ("sim", "sys", "io"),
    "compat": ("compat", "sys", "io"),
    "asio": ("asio", "sys", "io"),
    "kaio.hpp": FLOORS,
}
FOREIGN = ("libaio.h", "liburing.h", "linux/aio_abi.h")  # kaio has its own layouts and needs no library


def allowed(place):
    return FLOORS[: FLOORS.index(place) + 1] if place in FLOORS else BESIDE.get(place)


def place_of(header):
    """kaio/io/file.hpp -> io, kaio/kaio.hpp -> kaio.hpp"""
    return header.split("/")[1]


def is_detail(header):
    """kaio/io/detail/text.hpp -> True"""
    return header.split("/")[2:3] == ["detail"]


def includes(include, header):
    with open(os.path.join(include, header), encoding="utf-8") as file:
        # `__has_include` is not an include. A directive that has no plain name is returned whole.
        for line in file:
            directive = re.match(r"\s*#\s*include\b\s*(.*)", line)
            if directive:
                name = re.match(r'([<"])([^>"]*)[>"]', directive[1])
                yield name.groups() if name else ("", directive[1])


def complaints(include, header):
    place = place_of(header)
    if allowed(place) is None:
        yield f"the table of floors does not know {place}"
        return
    if len(header.split("/")) > (4 if is_detail(header) else 3):
        yield "a floor has no folders but detail"
    for quote, name in includes(include, header):
        if quote == "":
            yield f"an include that can't be read: {name}"
        elif name in FOREIGN:
            yield f"includes {name}"
        elif quote == '"':
            yield f'includes "{name}"; write <kaio/...>'
        elif name.split("/")[0].split(".")[0] in ("asio", "boost") and place != "asio":
            yield f"includes {name}: only kaio/asio includes Asio"
        elif name.startswith("kaio/"):
            if not os.path.exists(os.path.join(include, name)):
                yield f"includes {name}, which does not exist"
            elif place_of(name) not in allowed(place):
                yield f"includes {name}: {place} may include from: {', '.join(allowed(place)) or 'nothing'}"
            elif is_detail(name) and place_of(name) != place:
                yield f"includes {name}, which is for the headers of {place_of(name)} only"


def cycle(include):
    """Returns one include cycle as text, or None."""
    state, path = {}, []

    def visit(header):
        if state.get(header) == "open":
            return " -> ".join(path[path.index(header) :] + [header])
        if header in state or not os.path.exists(os.path.join(include, header)):
            return None
        state[header] = "open"
        path.append(header)
        for _, name in includes(include, header):
            found = visit(name) if name.startswith("kaio/") else None
            if found:
                return found
        path.pop()
        state[header] = "done"
        return None

    return next(filter(None, map(visit, report.headers(include))), None)


def wrong(include):
    """Returns everything that is wrong with a tree."""
    found = [f"{header}: {text}" for header in report.headers(include) for text in complaints(include, header)]
    loop = cycle(include)
    return found + [f"cycle: {loop}"] if loop else found


# Trees, as {header: its include lines}, with the complaint that they must cause (None: none).
TREES = {
    "a good tree": (
        {
            "sys/abi.hpp": "#include <cstdint>\n#include <kaio/version.hpp>",
            "io/file.hpp": "#include <fcntl.h>\n#include <kaio/sys/abi.hpp>\n// #include <kaio/loop/loop.hpp>",
            "io/context.hpp": "#include <kaio/io/file.hpp>",
            "coro/task.hpp": "# include <kaio/io/context.hpp>",
            "sim/kernel.hpp": "#include <kaio/sys/abi.hpp>",
            "version.hpp": "",
            "kaio.hpp": "#include <kaio/coro/task.hpp>\n#include <kaio/version.hpp>",
        },
        None,
    ),
    "a detail of its own floor": (
        {
            "io/detail/a.hpp": "#include <kaio/io/b.hpp>\n#include <kaio/io/detail/c.hpp>",
            "io/b.hpp": "",
            "io/detail/c.hpp": "",
            "io/d.hpp": "#include <kaio/io/detail/a.hpp>",
        },
        None,
    ),
    "a detail of a lower floor": (
        {"io/detail/a.hpp": "", "loop/b.hpp": "#include <kaio/io/detail/a.hpp>"},
        "loop/b.hpp: includes kaio/io/detail/a.hpp, which is for the headers of io only",
    ),
    "a detail in a detail of another floor": (
        {"io/detail/a.hpp": "", "loop/detail/b.hpp": "#include <kaio/io/detail/a.hpp>"},
        "for the headers of io only",
    ),
    "a detail of a higher floor": ({"loop/detail/a.hpp": "", "io/b.hpp": "#include <kaio/loop/detail/a.hpp>"}, "may include from"),
    "an umbrella with a detail": ({"io/detail/a.hpp": "", "kaio.hpp": "#include <kaio/io/detail/a.hpp>"}, "for the headers of io only"),
    "another folder in a floor": ({"io/net/a.hpp": ""}, "no folders but detail"),
    "an include from a higher floor": ({"loop/a.hpp": "", "io/b.hpp": "#include <kaio/loop/a.hpp>"}, "io/b.hpp"),
    "an indented include": ({"io/a.hpp": "", "sys/b.hpp": "  #  include <kaio/io/a.hpp>"}, "sys/b.hpp"),
    "a floor that includes the umbrella": ({"kaio.hpp": "", "coro/a.hpp": "#include <kaio/kaio.hpp>"}, "coro/a.hpp"),
    "an umbrella with the simulation": ({"sim/a.hpp": "", "kaio.hpp": "#include <kaio/sim/a.hpp>"}, "kaio.hpp"),
    "an umbrella with an adapter": ({"compat/a.hpp": "", "kaio.hpp": "#include <kaio/compat/a.hpp>"}, "kaio.hpp"),
    "a floor with an adapter": ({"compat/a.hpp": "", "io/b.hpp": "#include <kaio/compat/a.hpp>"}, "io/b.hpp"),
    "files of Asio's interface": ({"io/a.hpp": "", "asio/b.hpp": "#include <asio/buffer.hpp>\n#include <kaio/io/a.hpp>"}, None),
    "a floor with files of Asio's interface": ({"asio/a.hpp": "", "io/b.hpp": "#include <kaio/asio/a.hpp>"}, "io/b.hpp"),
    "an umbrella with files of Asio's interface": ({"asio/a.hpp": "", "kaio.hpp": "#include <kaio/asio/a.hpp>"}, "kaio.hpp"),
    "a floor that includes Asio": ({"io/a.hpp": "#include <asio/buffer.hpp>"}, "only kaio/asio includes Asio"),
    "a floor that includes Boost": ({"loop/a.hpp": "#include <boost/asio.hpp>"}, "only kaio/asio includes Asio"),
    "libaio": ({"sys/a.hpp": "#include <libaio.h>"}, "libaio.h"),
    "liburing": ({"sys/a.hpp": '#include "liburing.h"'}, "liburing.h"),
    "the kernel's header": ({"sys/a.hpp": "#include <linux/aio_abi.h>"}, "aio_abi.h"),
    "a quoted include": ({"sys/a.hpp": "", "sys/b.hpp": '#include "a.hpp"'}, "write <kaio/...>"),
    "an include by a macro": ({"sys/a.hpp": "#include KAIO_HEADER"}, "can't be read"),
    "a header that does not exist": ({"sys/a.hpp": "#include <kaio/sys/b.hpp>"}, "does not exist"),
    "a folder without a floor": ({"net/a.hpp": ""}, "does not know net"),
    "a cycle": (
        {
            "sys/a.hpp": "#include <kaio/sys/b.hpp>",
            "sys/b.hpp": "#include <kaio/sys/c.hpp>",
            "sys/c.hpp": "#include <kaio/sys/a.hpp>",
        },
        "cycle: kaio/sys/a.hpp -> kaio/sys/b.hpp -> kaio/sys/c.hpp -> kaio/sys/a.hpp",
    ),
}


def tree_case(tree, expected):
    def run():
        with tempfile.TemporaryDirectory() as include:
            for header, text in tree.items():
                path = os.path.join(include, "kaio", header)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(f"#pragma once\n{text}\n")
            said = "\n".join(wrong(include))
        if (expected or "") in said and bool(expected) == bool(said):
            return None
        return f"expected: {expected}\nbut the complaint is: {said or 'none'}"

    return run


include = sys.argv[1]
cases = [(header, lambda header=header: "\n".join(complaints(include, header)) or None) for header in report.headers(include)]
cases += [("no include cycles", lambda: cycle(include))]
cases += [(f"judges {name}", tree_case(*tree)) for name, tree in TREES.items()]
report.run(cases)
