#!/usr/bin/env python3
"""ends.py ARGUMENT...: glusterfs.py with these arguments leaves no process, however it is stopped."""

import contextlib
import os
import signal
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "support"))
import namespaces
import report


def serving(script):
    """The namespace of the script's volume as soon as a brick is served there, and "" before."""
    for child in namespaces.children(script.pid):
        namespace = namespaces.mount_namespace(child)
        for process in namespaces.processes_in(namespace):
            with contextlib.suppress(OSError), open(f"/proc/{process}/comm", encoding="ascii") as file:
                if file.read().startswith("glusterfsd") and namespace != namespaces.mount_namespace("self"):
                    return namespace
    return ""


def stopped_by(number):
    def case():
        command = [sys.executable, os.path.join(here, "glusterfs.py"), *sys.argv[1:]]
        script = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        while not (namespace := serving(script)):
            if script.poll() is not None:
                raise report.Skip(script.stdout.readline().strip().split(": ", 2)[-1])
            time.sleep(0.1)
        script.send_signal(number)
        script.communicate(timeout=60)
        left = namespaces.left_in(namespace)
        return f"left behind: {left}" if left else None

    return case


report.run(
    [
        ("Ctrl-C", stopped_by(signal.SIGINT)),
        ("SIGTERM", stopped_by(signal.SIGTERM)),
        ("SIGKILL", stopped_by(signal.SIGKILL)),
    ],
    workers=3,
)
