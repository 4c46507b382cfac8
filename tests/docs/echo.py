#!/usr/bin/env python3
"""echo.py PROGRAM: docs/examples/echo.cpp returns and logs what many clients send, and ends cleanly."""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import report

program = os.path.abspath(sys.argv[1])


class Server:
    """A server with its log in a folder. The end of the block kills it if it still runs."""

    def __init__(self, log):
        self.process = subprocess.Popen([program, "0", log], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", self.process.stdout.readline())[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def end(self, number=signal.SIGTERM):
        """Returns None if the server ends well on this signal, else how it ended."""
        self.process.send_signal(number)
        return self.ended(0, "")

    def ended(self, status, said):
        _, stderr = self.process.communicate(timeout=30)
        if self.process.returncode != status or said not in stderr or (not said and stderr):
            return f"exit status {self.process.returncode}: {stderr}"
        return None


def receive(client, size):
    data = b""
    while len(data) < size and (part := client.recv(65536)):
        data += part
    return data


def many_clients(log):
    """200 clients at once, each with its own lines. Lines that came back are in the log."""
    with Server(log) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(200)]
        for turn in range(3):
            for i, client in enumerate(clients):
                client.sendall(b"client %d, turn %d\n" % (i, turn))
            for i, client in enumerate(clients):
                line = b"client %d, turn %d\n" % (i, turn)
                if receive(client, len(line)) != line:
                    return f"client {i} got something else"
        with open(log, "rb") as file:
            lines = sorted(file.read().splitlines(True))
        if lines != sorted(b"client %d, turn %d\n" % (i, turn) for i in range(200) for turn in range(3)):
            return f"{len(lines)} lines in the log, and not those that were sent"
        return server.end()


def much(log):
    """A client sends more than all buffers on the way hold, and reads late. The log is appended to."""
    with open(log, "wb") as file:
        file.write(b"before")
    data = random.randbytes(16 << 20)
    with Server(log) as server, server.connect() as client:
        sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        sender.start()
        time.sleep(0.1)  # so that the server meets a full socket; the result does not depend on it
        back = receive(client, len(data) + 1)
        sender.join()
        if back != data:
            return f"{len(back)} bytes came back, not those that were sent"
        with open(log, "rb") as file:
            if file.read() != b"before" + data:
                return "the log differs"
        return server.end(signal.SIGINT)


def ends_with_clients(log):
    """Clients that are connected when the server ends get back what they sent, then the end of the stream."""
    with Server(log) as server, server.connect() as idle, server.connect() as busy:
        busy.sendall(b"hello")
        if receive(busy, 5) != b"hello":
            return "no echo"
        wrong = server.end()
        return wrong or (None if idle.recv(1) == b"" and busy.recv(1) == b"" else "no end of the stream")


def ends_with_a_client_that_does_not_read(log):
    with Server(log) as server, server.connect() as client:
        client.setblocking(False)
        quiet = 0
        while quiet < 5:  # until all buffers on the way are full
            try:
                client.send(bytes(65536))
                quiet = 0
            except BlockingIOError:
                quiet += 1
                time.sleep(0.05)
        return server.end()


def log_fails(_):
    """If the log can't be written, the server ends and prints the reason."""
    with Server("/dev/full") as server, server.connect() as client:
        client.sendall(b"hello")
        if receive(client, 1) != b"":
            return "the server echoed what it could not log"
        return server.ended(1, "echo: the log: ")


def refuses(arguments, status, said):
    def case(_):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30)
        return None if done.returncode == status and said in done.stderr else f"{done.returncode}: {done.stderr}"

    return case


def taken_port(log):
    with Server(log) as server:
        return refuses([str(server.port), log], 1, "echo: bind: Address already in use")(log)


def within(case):
    def run():
        with tempfile.TemporaryDirectory() as place:
            return case(os.path.join(place, "log"))

    return run


report.run(
    [
        ("echo serves many clients at once", within(many_clients)),
        ("echo serves a client that reads late", within(much)),
        ("echo ends while clients are connected", within(ends_with_clients)),
        ("echo ends although a client doesn't read", within(ends_with_a_client_that_does_not_read)),
        ("echo ends if its log fails", within(log_fails)),
        ("echo refuses a port that is taken", within(taken_port)),
        ("echo refuses a log in no folder", within(refuses(["0", "/none/log"], 1, 'open("/none/log"): No such file'))),
        ("echo refuses a port beyond 65535", within(refuses(["65536", "log"], 2, "usage: echo PORT LOG"))),
        ("echo refuses a single argument", within(refuses(["0"], 2, "usage: echo PORT LOG"))),
    ]
)
