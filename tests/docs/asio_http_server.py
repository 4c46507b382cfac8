#!/usr/bin/env python3
"""asio_http_server.py PROGRAM RUN-UNDER: curl fetches files from docs/examples/asio_http_server.cpp, byte for byte, also
where a container's filter forbids io_uring."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

program, launcher = map(os.path.abspath, sys.argv[1:3])
SIZES = {"large": (64 << 20) + 12345, "piece": 256 << 10, "small": 1, "empty": 0}


class Server:
    """A server of a folder with these files. The end of the block kills it if it still runs."""

    def __init__(self, place, filter):
        self.folder = os.path.join(place, "files")
        os.mkdir(self.folder)
        self.files = {name: random.randbytes(size) for name, size in SIZES.items()}
        for name, data in self.files.items():
            with open(os.path.join(self.folder, name), "wb") as file:
                file.write(data)
        words = [*([launcher, filter] if filter else []), program, self.folder, "0"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (127\.0\.0\.1:\d+)\n", line)
        if not found:
            status, said = self.process.wait(), self.process.stderr.read()
            if status == 77:
                raise report.Skip(f"no seccomp filters here: {said.strip()}")
            raise RuntimeError(f"exit status {status}: {line}{said}")
        self.url = f"http://{found[1]}/"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def curl(self, *words):
        done = subprocess.run(["curl", "-sS", "--max-time", "60", *words], capture_output=True)
        return done.stdout if done.returncode == 0 else f"curl: exit status {done.returncode}: {done.stderr.decode()}"

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=30)
        return f"exit status {self.process.returncode}: {said}" if self.process.returncode != 0 or said else None


def fetched(server):
    """Each file, then several at a time, then several by one connection."""
    for name, data in server.files.items():
        if (got := server.curl(server.url + name)) != data:
            return f"{name} has {len(data)} bytes, but curl got {got if isinstance(got, str) else len(got)}"
    with ThreadPoolExecutor(8) as pool:
        names = ["large", "small", "piece", "large"] * 2
        for name, got in zip(names, pool.map(lambda name: server.curl(server.url + name), names)):
            if got != server.files[name]:
                return f"{name} differs among several"
    count = server.curl("-o", os.devnull, "-o", os.devnull, "-w", "%{num_connects}", server.url + "piece", server.url + "large")
    return server.end() if count == b"10" else f"two files by one connection: {count}"


def answers(server):
    with open(os.path.join(os.path.dirname(server.folder), "secret"), "wb") as file:
        file.write(b"not in the folder")
    status = ["-o", os.devnull, "-w", "%{http_code}", "--path-as-is"]
    for path in ("missing", "../secret", "%2e%2e/secret", "", "."):
        if (code := server.curl(*status, server.url + path)) != b"404":
            return f"{path}: {code}"
    if (code := server.curl(*status, "-X", "DELETE", server.url + "small")) != b"405":
        return f"DELETE: {code}"
    return server.end()


def ends_while_sending(server):
    """A client that stops reading does not keep the server from ending."""
    reader = subprocess.Popen(["curl", "-sS", "--limit-rate", "1", server.url + "large"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    reader.stdout.read(1)
    ended = server.end()
    reader.kill()
    reader.communicate()
    return ended


def served(case, folder, filter=None):
    def run():
        if not shutil.which("curl"):
            raise report.Skip("curl is not installed")
        with tempfile.TemporaryDirectory(dir=folder) as place, Server(place, filter) as server:
            return case(server)

    return run


def refuses(arguments, status, said):
    def case():
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30)
        return None if done.returncode == status and said in done.stderr else f"{done.returncode}: {done.stderr}"

    return case


report.run(
    [
        ("curl fetches files, byte for byte", served(fetched, os.getcwd())),
        ("curl fetches files of a file system in memory", served(fetched, "/dev/shm")),
        ("curl fetches files under docker's filter", served(fetched, os.getcwd(), "docker")),
        ("the server has no other files and no other methods", served(answers, os.getcwd())),
        ("the server ends while it sends", served(ends_while_sending, os.getcwd())),
        ("the server refuses a wrong port", refuses([".", "65536"], 2, "usage: asio_http_server FOLDER PORT")),
    ]
)
