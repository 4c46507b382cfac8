#!/usr/bin/env python3
"""selection.py FOLDER names|targets [--suite SUITE] [--no-suite SUITE] [PART...]: of the tests that are configured in a build
folder, those in the one suite and not in the other, and whose names contain one of PART: their names, or what Ninja has
to build for them."""

import argparse
import json
import os

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("what", choices=["names", "targets"])
parser.add_argument("--suite")
parser.add_argument("--no-suite")
parser.add_argument("-t")  # that one is for `meson test`
parser.add_argument("part", nargs="*")
arguments = parser.parse_intermixed_args()


def known(what):
    with open(os.path.join(arguments.folder, "meson-info", f"intro-{what}.json"), encoding="utf-8") as file:
        return json.load(file)


def selected(test):
    suites = [suite.split(":")[-1] for suite in test["suite"]]
    if arguments.no_suite in suites or (arguments.suite and arguments.suite not in suites):
        return False
    return not arguments.part or any(part in test["name"] for part in arguments.part)


tests = [test for test in known("tests") if selected(test)]
if arguments.what == "names":
    print("\n".join(test["name"] for test in tests))
else:
    files = {target["id"]: target["filename"] for target in known("targets")}
    needed = {name for test in tests for target in test["depends"] for name in files[target]}
    print("\n".join(sorted(os.path.relpath(name, os.path.abspath(arguments.folder)) for name in needed)))
