# SPDX-License-Identifier: Apache-2.0
"""Twice as many requests as can be answered: how many are answered in time, with and without what sheds load."""
import contextlib
import sqlite3
import string
import tempfile
import threading
import time
from pathlib import Path

import zmq

from servers import Failure, start_sluiced

BUDGET_MS = 100
BUSY = 4  # requests in flight, to find out how many can be answered
SERVICE_SECONDS = 0.002  # of the source, which does one thing at a time

CONFIG = string.Template("""\
listen: "tcp://127.0.0.1:*"
limits: {per_client: 1000000$adaptive}
databases:
  catalog: {sqlite: "$catalog", connections: 1}
sources:
  one: {zmq: "$source", required: true}
pipelines:
  row:
    takes: {k: number}
    steps:
      - lookup:
          in: catalog
          query: >-
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
            SELECT count(*) + :k AS n FROM n
          queue: 1000000
          $codel
  quote:
    takes: {k: number}
    steps:
      - fanout: {to: [one], wait: any}
""")

# What is asked, and by what load is shed.
ROWS = [
    ("SQLite, nothing sheds", "row", "", ""),
    ("SQLite, codel", "row", "codel: {}", ""),
    ("a source, nothing sheds", "quote", "", ""),
    ("a source, adaptive limit", "quote", "", ", adaptive: {min: 4}"),
]


def add_options(parser):
    parser.add_argument("--overload-seconds", type=int, default=10, help="of each row (10)")


class Source(threading.Thread):
    """Answers one question at a time, each after so long, in the order in which they came."""

    def __init__(self, stack, context):
        super().__init__(daemon=True)
        self.socket = stack.enter_context(context.socket(zmq.ROUTER))
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.bind("tcp://127.0.0.1:*")
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.over = threading.Event()
        stack.callback(self.end)

    def end(self):
        self.over.set()
        self.join()

    def run(self):
        while not self.over.is_set():
            if not self.socket.poll(100):
                continue
            peer, message = self.socket.recv_multipart()
            target, name = message.split(b"\n")[0].split(b" ")[:2]
            if target == b"$cancel":
                continue
            if not target.startswith(b"$"):
                self.over.wait(SERVICE_SECONDS)
            self.socket.send_multipart([peer, name + b" OK\n{}"])


class Client:
    """Asks, and counts what is answered well within the budget, and what not."""

    def __init__(self, stack, context, endpoint, pipeline):
        self.socket = stack.enter_context(context.socket(zmq.DEALER))
        for option in (zmq.SNDHWM, zmq.RCVHWM, zmq.LINGER):
            self.socket.setsockopt(option, 0)
        self.socket.connect(endpoint)
        self.pipeline = pipeline
        self.sent = {}
        self.number = 0
        self.good = 0

    def ask(self):
        self.number += 1
        self.sent[self.number] = time.monotonic()
        self.socket.send_string(f'{self.pipeline} {self.number} {BUDGET_MS}\n{{"k":{self.number}}}')

    def hear(self, seconds):
        """All that comes until then."""
        until = time.monotonic() + seconds
        while self.socket.poll(max(0, until - time.monotonic()) * 1000):
            name, status = self.socket.recv().split(b"\n")[0].split(b" ")[:2]
            took = time.monotonic() - self.sent.pop(int(name))
            self.good += status == b"OK" and took * 1000 <= BUDGET_MS
            yield


def answered_when_busy(client, seconds):
    """How many a second are answered while just enough are asked."""
    begin = time.monotonic()
    client.good = 0
    for _ in range(BUSY):
        client.ask()
    for _ in client.hear(seconds):
        client.ask()
    return client.good / (time.monotonic() - begin)


def answered_at(client, rate, seconds):
    """The same while so many a second are asked, whatever comes of them."""
    for _ in client.hear(2 * BUDGET_MS / 1000):
        pass
    client.good = 0
    begin, asked = time.monotonic(), 0
    while (now := time.monotonic() - begin) < seconds:
        while asked < rate * now:
            client.ask()
            asked += 1
        for _ in client.hear(0.001):
            pass
    return client.good / seconds


def measure(arguments, pipeline, codel, adaptive):
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        context = stack.enter_context(zmq.Context())
        source = Source(stack, context)
        source.start()
        sqlite3.connect(directory / "catalog.db").close()
        config = directory / "sluice.yaml"
        config.write_text(CONFIG.substitute(adaptive=adaptive, codel=codel, catalog=directory / "catalog.db",
                                            source=source.endpoint))
        server = start_sluiced(stack, arguments.build / "daemon/sluiced", config, directory)
        client = Client(stack, context, server.endpoint, pipeline)
        peak = answered_when_busy(client, arguments.overload_seconds / 2)
        if peak == 0:
            raise Failure("nothing is answered in time")
        return peak, answered_at(client, 2 * peak, arguments.overload_seconds)


def run(arguments):
    print(f"Answers within {BUDGET_MS} ms, a second, when as many are asked as can be answered and twice as many")
    print(f"  {'':28}{'peak':>10}{'twice':>10}{'share':>10}")
    for name, *row in ROWS:
        peak, twice = measure(arguments, *row)
        print(f"  {name:28}{peak:10,.0f}{twice:10,.0f}{twice / peak:10.2f}", flush=True)
