# SPDX-License-Identifier: Apache-2.0
"""The programs that a part of the benchmarks starts, and stops when it is over."""
import contextlib
import os
import re
import socket
import subprocess

WAIT_SECONDS = 20  # for a server to start or to stop


class Failure(Exception):
    pass


class Server:
    """A running program and its endpoint."""

    def __init__(self, stack, *command, **options):
        self.process = subprocess.Popen([str(word) for word in command], **options)
        stack.callback(self.stop)
        self.endpoint = None
        self.telemetry = None

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_program(stack, *command):
    """A server that prints where it listens."""
    server = Server(stack, *command, stdout=subprocess.PIPE, text=True)
    stack.callback(server.process.stdout.close)
    words = server.process.stdout.readline().split()
    if len(words) != 2:
        raise Failure(f"{command[0]} does not start")
    server.endpoint = words[1]
    return server


def start_sluiced(stack, program, config, directory):
    """Waits until it says READY=1; where it listens stands in its log."""
    notify = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    notify.bind(f"{directory}/notify")
    notify.settimeout(0.2)
    environment = {name: value for name, value in os.environ.items() if name not in ("JOURNAL_STREAM", "WATCHDOG_USEC")}
    environment["NOTIFY_SOCKET"] = f"{directory}/notify"
    log = directory / "log"
    with log.open("w") as stderr:
        server = Server(stack, program, "--config", config, stderr=stderr, env=environment)
    while True:
        with contextlib.suppress(TimeoutError):
            if b"READY=1" in notify.recv(4096).split(b"\n"):
                break
        if server.process.poll() is not None:
            raise Failure(f"sluiced does not start:\n{log.read_text()}")
    server.endpoint = re.search(r"\blisten=(\S+)", log.read_text()).group(1)
    telemetry = re.search(r"\btelemetry=(\S+)", log.read_text())
    server.telemetry = telemetry and telemetry.group(1)
    return server
