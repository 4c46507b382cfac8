"""Instructions in user space, counted by cachegrind: figures that don't depend on the weather."""

import functools
import re
import shutil
import subprocess

import report


def instructions(command, timeout=280):
    """Of the command and all that it starts. Raises report.Skip where there is no valgrind."""
    if not shutil.which("valgrind"):
        raise report.Skip("valgrind is not installed")
    watch = ["valgrind", "--tool=cachegrind", "--trace-children=yes", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run(watch + command, capture_output=True, text=True, timeout=timeout)
    found = [int(count.replace(",", "")) for count in re.findall(r"I +refs: +([\d,]+)", done.stderr)]
    if done.returncode != 0 or not found:
        raise RuntimeError(f"{' '.join(watch + command)}\n{done.stderr}")
    return sum(found)


@functools.cache
def per_request(program, form, short, long):
    """Of `PROGRAM FORM REQUESTS`: the difference of two run lengths, so that what it does once does not count."""
    few, many = (instructions([program, form, str(requests)]) for requests in (short, long))
    return (many - few) / (long - short)
