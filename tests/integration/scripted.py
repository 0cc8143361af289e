# SPDX-License-Identifier: Apache-2.0
"""A source that a test plays itself."""
import zmq

from sluice import TIMEOUT
from tap import equal


class Scripted:
    """A source that answers what the test says, when it says so. Its daemons are up when they are connected, and it
    answers their $ping with the first request, unless it hears that by itself."""

    def __init__(self, stack, endpoint="tcp://127.0.0.1:*"):
        self.socket = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.ROUTER))
        self.socket.linger = 0
        self.socket.rcvtimeo = TIMEOUT * 1000
        self.socket.bind(endpoint)
        self.endpoint = self.socket.last_endpoint.rstrip(b"\0").decode()

    def hear(self):
        """The next request that is no $ping, as target, id and budget; who asks is kept for the answer."""
        while True:
            target, name, budget = self.hear_any()
            if target != "$ping":
                return target, name, budget
            self.say(f"{name} OK us=0")

    def hear_any(self):
        self.peer, message = self.socket.recv_multipart()
        target, name, budget, *self.keys = message.decode().partition("\n")[0].split(" ")
        return target, name, budget

    def hear_ping(self):
        """Its id."""
        target, name, _ = self.hear_any()
        equal(target, "$ping")
        return name

    def say(self, *frames):
        self.socket.send_multipart([self.peer, *(frame.encode() for frame in frames)])
