"""Which processes are in a mount namespace, for tests that what they have started is gone."""

import contextlib
import os
import time


def mount_namespace(process):
    """Its name, or "" if there is no such process."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{process}/ns/mnt")
    return ""


def children(process):
    with contextlib.suppress(OSError), open(f"/proc/{process}/task/{process}/children", encoding="ascii") as file:
        return file.read().split()
    return []


def processes_in(namespace):
    return [process for process in os.listdir("/proc") if process.isdigit() and mount_namespace(process) == namespace]


def left_in(namespace, seconds=20):
    """The processes that are still there after so long, for the kernel ends them a little later."""
    end = time.monotonic() + seconds
    while (left := processes_in(namespace)) and time.monotonic() < end:
        time.sleep(0.05)
    return left
