# SPDX-License-Identifier: Apache-2.0
"""Many requests in flight at once, at sources that never answer: what each holds, and that all end in time."""
import collections
import contextlib
import json
import re
import tempfile
import time
from pathlib import Path

import zmq

from servers import WAIT_SECONDS, Failure, start_program, start_sluiced

CLIENTS = 8
BUDGET_SECONDS = 45  # long enough for all to be sent before the first is late
BYTES_MAX = 2048

CONFIG = """\
listen: "tcp://127.0.0.1:*"
telemetry: {publish: "tcp://127.0.0.1:*", every: 500ms}
limits: {in_flight: 2000000, per_client: 2000000, bytes: 16GiB, max_deadline: 10m}
sources:
$sources
pipelines:
  quote:
    takes: {symbol: string}
    steps:
      - fanout: {to: [$names], wait: any}
"""


def add_options(parser):
    parser.add_argument("--crowd", type=int, default=1000000, help="how many requests (1000000)")
    parser.add_argument("--silent", type=int, default=1, help="how many sources each is asked of (1)")


def write_config(path, endpoint, count):
    names = [f"silent{number}" for number in range(count)]
    sources = "\n".join(f'  {name}: {{zmq: "{endpoint}", required: true}}' for name in names)
    path.write_text(CONFIG.replace("$sources", sources).replace("$names", ", ".join(names)))


def resident_bytes(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


class Feed:
    """The latest `stats`."""

    def __init__(self, context, stack, endpoint):
        self.socket = stack.enter_context(context.socket(zmq.SUB))
        self.socket.setsockopt(zmq.SUBSCRIBE, b"stats")
        self.socket.setsockopt(zmq.RCVTIMEO, WAIT_SECONDS * 1000)
        self.socket.connect(endpoint)

    def next(self):
        while True:
            stats = json.loads(self.socket.recv_multipart()[1])
            if not self.socket.poll(0):
                return stats

    def wait_for(self, what, holds):
        until = time.monotonic() + BUDGET_SECONDS + WAIT_SECONDS
        while time.monotonic() < until:
            stats = self.next()
            if holds(stats):
                return stats
        raise Failure(f"{what}: {stats}")


def connect(context, stack, endpoint):
    client = stack.enter_context(context.socket(zmq.DEALER))
    for option in (zmq.SNDHWM, zmq.RCVHWM, zmq.LINGER):
        client.setsockopt(option, 0)
    client.connect(endpoint)
    return client


def send_all(clients, count):
    budget = BUDGET_SECONDS * 1000
    for number in range(count):
        clients[number % len(clients)].send(b'quote %d %d\n{"symbol":"AAPL"}' % (number, budget))


def receive_all(clients, count):
    """How many replies there were of each status."""
    statuses = collections.Counter()
    while statuses.total() < count:
        ready, _, _ = zmq.select(clients, [], [], BUDGET_SECONDS + WAIT_SECONDS)
        if not ready:
            raise Failure(f"of {count} requests, only these were answered: {statuses}")
        for client in ready:
            with contextlib.suppress(zmq.Again):
                while True:
                    statuses[client.recv(zmq.DONTWAIT).split(None, 2)[1].decode()] += 1
    return statuses


def run(arguments):
    count = arguments.crowd
    print(f"{count:,} requests in flight, each at {arguments.silent} that read and never answer", flush=True)
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-bench-")))
        silent = start_program(stack, arguments.build / "tests/quotes/quotes", "--bind", "tcp://127.0.0.1:*", "--hang", 1)
        config = directory / "sluice.yaml"
        write_config(config, silent.endpoint, arguments.silent)
        server = start_sluiced(stack, arguments.build / "daemon/sluiced", config, directory)
        context = stack.enter_context(zmq.Context())
        feed = Feed(context, stack, server.telemetry)
        clients = [connect(context, stack, server.endpoint) for _ in range(CLIENTS)]
        before = resident_bytes(server)
        send_all(clients, count)
        stats = feed.wait_for("not all are in flight", lambda stats: stats["in_flight"] == count)
        each = (resident_bytes(server) - before) / count
        statuses = receive_all(clients, count)
        feed.wait_for("something is left", lambda stats: stats["in_flight"] + stats["reaping"] + stats["bytes"] == 0)
    aim = f" (at most {BYTES_MAX}: {'met' if each <= BYTES_MAX else 'missed'})" if arguments.silent == 1 else ""
    print(f"  memory of the process for each: {each:,.0f} bytes{aim}, "
          f"accounted for: {stats['bytes'] / count:,.0f}\n"
          f"  answered: {', '.join(f'{number:,} {status}' for status, number in statuses.items())}; nothing was left", flush=True)
