# SPDX-License-Identifier: Apache-2.0
"""Measures sluiced beside a bare ROUTER echo, and prints both as one table.

Clients and servers share the machine with whatever else runs on it. So that this falls on all rows alike, they take
turns in short rounds, of which the table gives the medians. What decides is the CPU time that a server spends on a
request.
"""
import argparse
import contextlib
import dataclasses
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import zmq

from servers import WAIT_SECONDS, Failure, start_program, start_sluiced

KEYS = 100000
ID, KEY = "@" * 10, "#" * 10  # digits stand here in the end, so all messages of a row have one size
BODY = '{"sku":"product-' + KEY + '","country":"GB","currency":"GBP"}'
BODY_SIZE, VALUE_SIZE = 60, 200
FILLERS, FILLER_WINDOW = 8, 64
ROUNDS = 3
BUSY = 0.95  # of one core: a server less busy than that was not what bounded its rate
AIM_AT, AIM_RATE, AIM_CPU = ("hit", 8, 64), 0.75, 1.6

LOOKUP = '{lookup: {in: catalog, query: "SELECT sku, name, price, text FROM product WHERE sku = :sku"}}'
CONFIG = """\
listen: "tcp://127.0.0.1:*"
databases:
  catalog: {sqlite: "$directory/catalog.db"}
caches:
  hot: {memory: 256MiB}
sources:
  north: {zmq: "$north", required: true}
  east: {zmq: "$east", required: true}
  west: {zmq: "$west", required: true}
pipelines:
  hit:
    takes: {sku: string}
    deadline: 10s
    steps:
      - cache: {in: hot, key: "hit/${sku}", ttl: 1h, miss: [$lookup]}
  cold:
    takes: {sku: string}
    deadline: 10s
    steps:
      - cache: {in: hot, key: "cold/${sku}", ttl: 0s, miss: [$lookup]}
  fanout:
    takes: {sku: string}
    deadline: 10s
    steps:
      - fanout: {to: [north, east, west], wait: all, timeout: 5s, body: {symbol: "${sku}"}}
"""


@dataclasses.dataclass
class Row:
    """What is asked of which server. Every reply must begin like that, and its first line must end like that."""
    what: str
    server: str
    target: str
    reply: str = f"{ID} OK "
    header_end: str = None
    each: bool = False  # the keys in turn, not by Zipf's law


ROWS = {
    "echo": Row("bare ROUTER, a fresh message of a hit's bytes", "echo", "hit", header_end="cache=hit"),
    "mirror": Row("bare ROUTER, each message given back", "mirror", "hit", reply=f"hit {ID} ", header_end=" -"),
    "hit": Row("sluiced, a cache hit", "sluiced", "hit", header_end="cache=hit"),
    "cold": Row("sluiced, a cache miss and a look into SQLite", "sluiced", "cold", header_end="cache=miss", each=True),
    "fanout": Row("sluiced, all of three local sources", "sluiced", "fanout"),
}


def value_of(number):
    """A row of the catalog, VALUE_SIZE bytes as JSON."""
    row = {"sku": f"product-{number:0{len(KEY)}}", "name": f"Product {number}", "price": 100 + number * 7 % 9900}
    size = len(json.dumps({**row, "text": ""}, separators=(",", ":")))
    return {**row, "text": ("what a customer reads about it; " * 8)[:VALUE_SIZE - size]}


def write_catalog(path):
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE product (sku TEXT PRIMARY KEY, name TEXT, price INTEGER, text TEXT) WITHOUT ROWID")
        database.executemany("INSERT INTO product VALUES (:sku, :name, :price, :text)", map(value_of, range(KEYS)))


def write_config(directory, sources):
    text = CONFIG.replace("$lookup", LOOKUP).replace("$directory", str(directory))
    for name, source in sources.items():
        text = text.replace(f"${name}", source.endpoint)
    path = directory / "sluice.yaml"
    path.write_text(text)
    return path


def capture_hit(server):
    """A hit's reply, with a hole for the id."""
    body = BODY.replace(KEY, f"{0:0{len(KEY)}}")
    name = "0" * len(ID)
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.setsockopt(zmq.LINGER, 0)
        client.setsockopt(zmq.RCVTIMEO, WAIT_SECONDS * 1000)
        client.connect(server.endpoint)
        for cache in ("miss", "hit"):
            client.send_string(f"hit {name} -\n{body}")
            reply = client.recv_string()
            header, _, value = reply.partition("\n")
            if not header.startswith(f"{name} OK ") or not header.endswith(f"cache={cache}") or len(value) != VALUE_SIZE:
                raise Failure(f"expected a {cache} of {VALUE_SIZE} bytes from sluiced: {reply}")
    return reply.replace(name, ID, 1)


class Bench:
    def __init__(self, stack, build, directory):
        here = build / "tests/bench"
        self.load = here / "load"
        write_catalog(directory / "catalog.db")
        sources = {name: start_program(stack, build / "tests/quotes/quotes", "--bind", "tcp://127.0.0.1:*", "--name", name)
                   for name in ("north", "east", "west")}
        sluiced = start_sluiced(stack, build / "daemon/sluiced", write_config(directory, sources), directory)
        echo = start_program(stack, here / "echo", "--reply", capture_hit(sluiced))
        self.servers = {"sluiced": sluiced, "echo": echo, "mirror": start_program(stack, here / "echo")}

    def run(self, row, clients, window, *options):
        server = self.servers[row.server]
        command = [self.load, "--connect", server.endpoint, "--pid", server.process.pid, "--clients", clients, "--window",
                   window, "--keys", KEYS, "--request", f"{row.target} {ID} -\n{BODY}", "--reply", row.reply, *options]
        if row.header_end:
            command += ["--header-end", row.header_end]
        if row.each:
            command += ["--each"]
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            ended = f"\n{row.server} has ended: {server.process.returncode}" if server.process.poll() is not None else ""
            raise Failure(f"{row.what}: {done.stderr or done.returncode}{ended}")
        return json.loads(done.stdout)

    def fill(self):
        """Asks for every key once, so that each is a hit from then on."""
        row = dataclasses.replace(ROWS["hit"], header_end=None, each=True)
        self.run(row, FILLERS, FILLER_WINDOW, "--count", KEYS, "--warm-up", 0, "--seconds", 600)


def compare(result, floor):
    """How rate and CPU time stand to the echo's, and whether the rates may be compared."""
    if not floor:
        return None
    counts = min(result["busy"], floor["busy"]) >= BUSY
    return result["rate"] / floor["rate"], result["cpu_us"] / floor["cpu_us"], counts


def print_line(name, result, ratio):
    rate, cpu = "", ""
    if ratio:
        rate = f"{ratio[0]:.2f} " if ratio[2] else f"({ratio[0]:.2f})"
        cpu = f"{ratio[1]:.2f}"
    print(f"  {name:8}{result['rate']:>12,.0f}{rate:>9}{result['cpu_us']:>12.2f}{cpu:>8}{result['p50_us']:>11,.0f}"
          f"{result['p99_us']:>10,.0f}{result['busy'] * 100:>9.0f} %", flush=True)


def take_turns(bench, arguments, clients, window):
    """The medians of each row's rounds."""
    rounds = {name: [] for name in arguments.rows}
    for number in range(1, ROUNDS + 1):
        for name, results in rounds.items():
            if sys.stderr.isatty():
                print(f"\r  round {number} of {ROUNDS}: {name:8}", end="\r", file=sys.stderr, flush=True)
            results.append(bench.run(ROWS[name], clients, window, "--seconds", arguments.seconds / ROUNDS))
    return {name: {key: statistics.median(result[key] for result in results) for key in results[0]}
            for name, results in rounds.items()}


def measure(bench, arguments):
    """One load after another, all rows of each. Gives the ratios by row, clients and window."""
    ratios = {}
    for clients in arguments.clients:
        for window in arguments.window:
            print(f"\n{clients} client{'s' * (clients > 1)}, {window} in flight each", flush=True)
            results = take_turns(bench, arguments, clients, window)
            print("  row       requests/s   x echo      CPU us  x echo     p50 us    p99 us       busy")
            for name, result in results.items():
                ratios[name, clients, window] = compare(result, results.get("echo"))
                print_line(name, result, ratios[name, clients, window])
    return ratios


def print_aim(ratio):
    rate, cpu, counts = ratio
    said = "not comparable" if not counts else "met" if rate >= AIM_RATE else "missed"
    print(f"\nThe aim, for hits of 8 clients with 64 in flight each:\n"
          f"  at least {AIM_RATE} of the echo's rate: {rate:.2f}, {said}\n"
          f"  at most {AIM_CPU} of its CPU time per request: {cpu:.2f}, {'met' if cpu <= AIM_CPU else 'missed'}")


def names_of_rows(text):
    names = text.split(",")
    for name in names:
        if name not in ROWS:
            raise argparse.ArgumentTypeError(f"no row is called {name!r}; there are {', '.join(ROWS)}")
    # In the order of ROWS: the echo comes first, because the others are compared with it.
    return [name for name in ROWS if name in names]


def duration(text):
    with contextlib.suppress(ValueError):
        if 0.1 <= float(text) <= 3600:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected seconds from 0.1 to 3600, not {text!r}")


def numbers_up_to(highest):
    def read(text):
        numbers = [int(word) if word.isdecimal() else 0 for word in text.split(",")]
        if not all(1 <= number <= highest for number in numbers):
            raise argparse.ArgumentTypeError(f"expected numbers from 1 to {highest}, such as 1,8; not {text!r}")
        return numbers
    return read


def add_options(parser):
    parser.add_argument("--seconds", type=duration, default=3, help="that each row is measured, in all (3)")
    parser.add_argument("--rows", type=names_of_rows, default=list(ROWS),
                        help=", ".join(f"{name}: {row.what}" for name, row in ROWS.items()) + " (all)")
    parser.add_argument("--clients", type=numbers_up_to(1000), default=[1, 8], help="how many there are (1,8)")
    parser.add_argument("--window", type=numbers_up_to(500), default=[1, 64], help="what each has in flight (1,64)")


def run(arguments):
    assert len(BODY) == BODY_SIZE
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-bench-")))
        print(f"{KEYS:,} keys by Zipf's law (0.99), bodies of {BODY_SIZE} bytes, values of {VALUE_SIZE}; "
              f"{os.cpu_count()} cores for clients and servers")
        for name in arguments.rows:
            print(f"  {name:8} {ROWS[name].what}", flush=True)
        bench = Bench(stack, arguments.build, directory)
        if "hit" in arguments.rows:
            bench.fill()
        ratios = measure(bench, arguments)
    print(f"\nCPU: the server's, of all its threads, per request. busy: of one core. In brackets: a rate that says little, "
          f"as\nthe server, or the echo, was busy less than {BUSY * 100:.0f} % of one core, and so something else bounded it.")
    if ratios.get(AIM_AT):
        print_aim(ratios[AIM_AT])
