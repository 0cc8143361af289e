# SPDX-License-Identifier: Apache-2.0
"""Starts the quote source (tests/quotes) and speaks the wire with it."""
import json
import subprocess

import zmq

TIMEOUT_MS = 20000  # after which what a test waits for will not come


class Quotes:
    def __init__(self, stack, program, *options):
        self.process = subprocess.Popen([program, "--bind", "tcp://127.0.0.1:*", *options], stdout=subprocess.PIPE,
                                        text=True)
        stack.callback(self.stop)
        word, self.endpoint = self.process.stdout.readline().split()
        assert word == "listening"

    def stop(self):
        """Asks it to end and gives its exit status."""
        self.process.terminate()
        self.process.stdout.close()
        return self.process.wait(TIMEOUT_MS / 1000)


class Wire:
    """One connection."""

    def __init__(self, stack, endpoint):
        self.socket = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.DEALER))
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, TIMEOUT_MS)
        self.socket.connect(endpoint)

    def say(self, line, body=None):
        self.socket.send_string(line if body is None else f"{line}\n{body}")

    def hear(self):
        """The next reply: id, status, and the body as a string or None."""
        header, _, body = self.socket.recv_string().partition("\n")
        name, status, *_ = header.split(" ")
        return name, status, body or None

    def quote(self, name, symbol="AAPL"):
        self.say(f"quote {name} -", json.dumps({"symbol": symbol}))

    def stats(self):
        self.say("stats stats -")
        name, status, body = self.hear()
        assert (name, status) == ("stats", "OK")
        return json.loads(body)
