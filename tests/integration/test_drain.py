#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""However a stop comes in between, each request that was read is accounted for, and each answer arrives."""
import contextlib
import os
import random
import signal
import sys

import zmq

from catalog import Catalog
from quotes import Quotes
from sluice import Client, Feed, NO_LEAK_CHECK, Sluiced, TIMEOUT, folder
import tap
from tap import equal

SLUICED, QUOTES = sys.argv[1:]
STOPS = 1000 if os.environ.get("SLUICE_SLOW") == "1" else 20
CLIENTS = 4

CONFIG = """
drain: DRAIN
limits: {per_client: CLIENT}
databases:
  catalog: {sqlite: catalog.db, connections: 2}
caches:
  hot: {memory: 1MiB}
sources:
  north: {zmq: "NORTH"}
  south: {zmq: "SOUTH"}
pipelines:
  product:
    takes: {sku: string}
    steps:
    - lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}
  cached:
    takes: {sku: string}
    steps:
    - cache:
        in: hot
        key: product/${sku}
        ttl: 1h
        miss:
        - lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}
  quote:
    takes: {symbol: string}
    deadline: 30s
    steps: [{fanout: {to: [north, south], wait: any}}]
  hang:
    takes: {symbol: string}
    deadline: 30s
    steps: [{fanout: {to: [south]}}]
  echo:
    takes: {sku: string, text: string}
    steps:
    - {call: {pipeline: cached, with: {sku: "${sku}"}}, as: product}
    reply: {product: "${product}", text: "${text}"}
"""


def config(drain, per_client=1000, north="ipc://nobody", south="ipc://nobody"):
    text = CONFIG.replace("DRAIN", drain).replace("CLIENT", str(per_client))
    return text.replace("NORTH", north).replace("SOUTH", south)


def prepared(stack, drain, **options):
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    return catalog, Sluiced(stack, SLUICED, config(drain, **options), directory)


def ask(client, name, chosen):
    """One request of those that a daemon is asked under load."""
    sku, symbol = {"sku": f"s{chosen.randrange(12)}"}, {"symbol": "AAPL"}
    target, body = chosen.choices(
        [("cached", sku), ("product", sku), ("quote", symbol), ("hang", symbol), ("product", "[]"), ("nothing", None)],
        [8, 4, 4, 1, 1, 1])[0]
    client.ask(target, name, body)
    if chosen.random() < 0.1:
        client.cancel(name)


def stop_under_load(stack, daemon, chosen):
    """Stops a daemon after so many answers that were chosen by lot, while it is asked on and on."""
    clients = [Client(stack, daemon) for _ in range(CLIENTS)]
    for client in clients:
        client.settle()  # it is connected, and will be told when the daemon closes
    poller = zmq.Poller()
    by_socket = {client.socket: client for client in clients}
    numbers = iter(range(1000000))
    heard = len(clients)
    for client in clients:
        poller.register(client.socket, zmq.POLLIN)
        for _ in range(100):
            ask(client, next(numbers), chosen)
    moment = heard + chosen.randrange(500)
    while heard < moment:
        ready = poller.poll(TIMEOUT * 1000)
        assert ready, f"{heard} answers, and no more"
        for socket, _ in ready:
            by_socket[socket].hear()
            heard += 1
            ask(by_socket[socket], next(numbers), chosen)
    daemon.signal(chosen.choice([signal.SIGTERM, signal.SIGINT]))
    for _ in range(chosen.randrange(200)):
        ask(chosen.choice(clients), next(numbers), chosen)
    counts = daemon.end()
    heard += sum(len(client.hear_rest()) for client in clients)
    equal((counts["answered"], counts["gone"], counts["undelivered"]), (heard, 0, 0))
    assert counts["read"] <= len(clients) + next(numbers)


def test_stops_at_random_moments(stack):
    north = Quotes(stack, QUOTES, "--latency", "1", "--jitter", "2")
    south = Quotes(stack, QUOTES, "--hang", "1")
    directory = folder(stack)
    Catalog(stack, directory / "catalog.db")
    for seed in range(STOPS):
        chosen = random.Random(seed)
        text = config(f"{chosen.choice([0, 1, 20, 50])}ms", north=north.endpoint, south=south.endpoint)
        try:
            with contextlib.ExitStack() as inner:
                stop_under_load(inner, Sluiced(inner, SLUICED, text, directory), chosen)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error


def hold(stack, drain):
    """A daemon that drains, and would for long: a request waits for a locked database."""
    catalog, daemon = prepared(stack, drain)
    catalog.lock()
    client = Client(stack, daemon)
    feed = Feed(stack, daemon, "daemon.")
    client.ask("product", "held", {"sku": "s1"}, budget=30000)
    feed.stats(lambda stats: stats["in_flight"] == 1)
    daemon.signal(signal.SIGTERM)
    equal(feed.wait_for("daemon.draining")["in_flight"], 1)
    return catalog, daemon, client, feed


def check_draining(reply, name):
    equal((reply.id, reply.status), (name, "UNAVAILABLE"))
    assert 5 <= int(reply.keys["retry_ms"]) <= 10000, reply
    return reply.body["error"]


def test_what_comes_during_a_drain(stack):
    catalog, daemon, client, _ = hold(stack, "10m")
    newcomer = Client(stack, daemon)
    for one in (client, newcomer):
        for target in ("product", "cached", "nothing", "$ping"):
            equal(check_draining(one.call(target, {"sku": "s1"}), "call"), "draining")
    equal(newcomer.call("pro.duct").status, "INVALID_ARGUMENT")
    # What was in flight runs on to its end, and with it the drain.
    catalog.unlock()
    equal(client.hear()[:2], ("held", "OK"))
    equal(daemon.end(), {"read": 10, "answered": 10, "gone": 0, "undelivered": 0})


def test_a_cancel_during_a_drain(stack):
    _, daemon, client, _ = hold(stack, "10m")
    client.cancel("held")
    equal(client.hear()[:2], ("held", "CANCELLED"))
    equal(daemon.end(), {"read": 1, "answered": 1, "gone": 0, "undelivered": 0})


def test_a_client_that_leaves_during_a_drain(stack):
    _, daemon, client, _ = hold(stack, "10m")
    client.close()
    equal(daemon.end(), {"read": 1, "answered": 0, "gone": 1, "undelivered": 0})


def test_a_drain_that_is_over(stack):
    _, daemon, client, feed = hold(stack, "100ms")
    check_draining(client.hear(), "held")
    counts = daemon.end()
    equal(counts, {"read": 1, "answered": 1, "gone": 0, "undelivered": 0})
    stopped = feed.wait_for("daemon.stopped")
    equal({name: stopped[name] for name in counts}, counts)


def test_a_second_signal_is_the_last_step(stack):
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.ExitStack() as inner:
            _, daemon, client, _ = hold(inner, "10m")
            daemon.signal(number)
            check_draining(client.hear(), "held")
            equal(daemon.end(), {"read": 1, "answered": 1, "gone": 0, "undelivered": 0})


def test_a_client_that_never_reads(stack):
    _, daemon = prepared(stack, "100ms", per_client=4)
    feed = Feed(stack, daemon)
    reader = Client(stack, daemon)
    silent = Client(stack, daemon, rcvhwm=1, rcvbuf=4096)
    body = {"sku": "s1", "text": "x" * 500000}
    reader.call("echo", body)
    asked = 100
    for n in range(asked):
        silent.ask("echo", n, body)
    before = feed.stats(lambda stats: stats["read"] == asked + 1)
    assert before["outboxes"] > 0, before
    equal(reader.call("echo", body).status, "OK")
    counts = daemon.stop()
    equal((counts["read"], counts["gone"]), (asked + 2, 0))
    assert counts["undelivered"] >= before["outboxes"], counts


def test_a_worker_that_does_not_come_back(stack):
    """SQLite cannot be interrupted within a function, and each of these takes many seconds."""
    directory = folder(stack)
    Catalog(stack, directory / "catalog.db")
    daemon = Sluiced(stack, SLUICED, """
drain: 100ms
databases: {catalog: {sqlite: catalog.db}}
pipelines:
  stuck:
    deadline: 30s
    steps:
    - lookup:
        in: catalog
        query: |
          WITH v(i) AS (VALUES ('b'), ('c'), ('d'), ('e'), ('f'), ('g'), ('h'), ('i'))
          SELECT sum(instr(replace(hex(zeroblob(500000)), '0', 'a'), replace(hex(zeroblob(250000)), '0', 'a') || i)) AS n
          FROM v
""", directory, environment=NO_LEAK_CHECK)
    client, feed = Client(stack, daemon), Feed(stack, daemon)
    client.ask("stuck", "held", {})
    feed.stats(lambda stats: stats["databases"]["catalog"]["queries"] == 1)
    counts = daemon.stop()
    check_draining(client.hear(), "held")
    equal(counts, {"read": 1, "answered": 1, "gone": 0, "undelivered": 0})
    assert "has not come back" in daemon.log.lines[-2], daemon.log.lines


tap.run([
    test_stops_at_random_moments, test_what_comes_during_a_drain, test_a_cancel_during_a_drain,
    test_a_client_that_leaves_during_a_drain, test_a_drain_that_is_over, test_a_second_signal_is_the_last_step,
    test_a_client_that_never_reads, test_a_worker_that_does_not_come_back,
])
