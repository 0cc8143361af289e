#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same scenarios for clients in several languages, with every kind of socket, directly and through a proxy.

scenarios.json is a list of scenarios: a name, the kinds of socket that can play it (all, if none are named), and its
steps. A step sends a header, with a body that is any JSON; or it hears replies, in whatever order they come: each an
expression for the header, and the body, or none. `envelope` stands for the frames before the message, where they are
not those of the kind; `socket` for the connection, where there is more than one."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import traceback

import zmq

from catalog import Catalog
from quotes import Quotes
from sluice import TIMEOUT, Sluiced, folder
from tap import equal

HERE = pathlib.Path(__file__).parent
KINDS = ["dealer", "delimited", "req", "correlate", "relaxed"]

SOURCES = {"north": [], "south": [], "broken": ["--fail", "1"], "silent": ["--hang", "1"]}

CONFIG = """
databases:
  catalog: {sqlite: catalog.db}
caches:
  hot: {memory: 1MiB}
sources:
%s
pipelines:
  product:
    takes: {sku: string}
    steps:
    - cache:
        in: hot
        key: product/${sku}
        ttl: 1h
        missing_ttl: 1h
        miss:
        - lookup:
            in: catalog
            query: SELECT sku, name, price, symbols FROM product WHERE sku = :sku
            json: [symbols]
  offer:
    takes: {sku: string}
    steps:
    - call: product
      as: product
    - fanout: {each: {symbol: "${product.symbols}"}, to: [silent, north], wait: any}
      as: quotes
    reply: {name: "${product.name}", quotes: "${quotes}"}
  both:
    takes: {symbol: string}
    steps:
    - fanout: {to: [north, south]}
  any:
    takes: {symbol: string}
    steps:
    - fanout: {to: [silent, north], wait: any}
  some:
    takes: {symbol: string}
    steps:
    - fanout: {to: [broken, north], on_error: partial}
  failing:
    takes: {symbol: string}
    steps:
    - fanout: {to: [broken]}
  wait:
    deadline: 30s
    steps:
    - fanout: {to: [silent], body: {symbol: none}}
  echo:
    takes: {word: string}
    steps:
    - lookup: {in: catalog, query: "SELECT :word AS word"}
"""


class Proxy:
    """What stands between clients and the daemon: a ROUTER for them, and a DEALER of its own."""

    def __init__(self, stack, endpoint):
        context = zmq.Context()
        self.front, self.back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
        self.front.linger = self.back.linger = 0
        self.front.bind("tcp://127.0.0.1:*")
        self.back.connect(endpoint)
        self.endpoint = self.front.last_endpoint.decode()
        threading.Thread(target=self._run, daemon=True).start()
        stack.callback(context.term)

    def _run(self):
        with self.front, self.back:
            try:
                zmq.proxy(self.front, self.back)
            except zmq.ContextTerminated:
                pass


def install_node_client(directory):
    """Makes that folder one that Node runs the client in. Gives what stands in the way, or None."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "node and npm are not there"
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "client.mjs"):
        shutil.copy(HERE / "node" / name, directory)
    # Where all is there already npm sees that, without the network.
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline",
         "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"],
        cwd=directory, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    if "CI" in os.environ:
        raise SystemExit(done.stderr)
    return "npm can not install zeromq: " + " ".join(done.stderr.split())[:200]


class Stage:
    """The sources, which all runs share, and a daemon for each run, so that its cache is empty."""

    def __init__(self, stack, sluiced, quotes):
        self.sluiced = sluiced
        self.directory = folder(stack)
        Catalog(stack, self.directory / "catalog.db")
        started = [(name, Quotes(stack, quotes, "--name", name, *options)) for name, options in SOURCES.items()]
        self.config = CONFIG % "\n".join(
            f'  {name}: {{zmq: "{source.endpoint}", required: true}}' for name, source in started)

    def play(self, command, kind, proxied):
        """What the client says. It, and the daemon, must have come to a clean end."""
        with contextlib.ExitStack() as stack:
            daemon = Sluiced(stack, self.sluiced, self.config, self.directory)
            endpoint = Proxy(stack, daemon.endpoint).endpoint if proxied else daemon.endpoint
            done = subprocess.run([*command, endpoint, kind, HERE / "scenarios.json"], text=True, timeout=TIMEOUT,
                                  stdout=subprocess.PIPE)
            daemon.stop()
        failed = "\nnot ok " in f"\n{done.stdout}"
        equal(done.returncode, int(failed))
        return done.stdout


class Results:
    """One TAP of many."""

    def __init__(self):
        self.count = 0
        self.failed = False

    def say(self, good, name):
        self.count += 1
        self.failed |= not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}", flush=True)

    def take(self, text, run):
        """Takes another TAP over, which must be whole."""
        results = re.findall(r"^(ok|not ok) \d+ - (.*)$", text, re.MULTILINE)
        for line in re.findall(r"^#.*$", text, re.MULTILINE):
            print(line)
        for verdict, name in results:
            self.say(verdict == "ok", f"{run}: {name}")
        equal(re.findall(r"^1\.\.(\d+)$", text, re.MULTILINE), [str(len(results))])
        assert results


def main(sluiced, quotes, client):
    runs = [(kind, False) for kind in KINDS] + [(kind, True) for kind in KINDS if kind != "dealer"]
    results = Results()
    with contextlib.ExitStack() as stack:
        stage = Stage(stack, sluiced, quotes)
        for kind, proxied in runs:
            run = f"{kind}, proxied" if proxied else kind
            try:
                results.take(stage.play(client, kind, proxied), run)
            except Exception:
                print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()))
                results.say(False, f"{run}: does not end as it should")
                break
    print(f"1..{results.count}")
    return results.failed


SLUICED, QUOTES, CLIENT, *DIRECTORY = sys.argv[1:]
# The client for Node needs a folder to be installed in; others are programs.
if DIRECTORY:
    missing = install_node_client(pathlib.Path(DIRECTORY[0]))
    if missing:
        print(f"1..0 # SKIP {missing}")
        sys.exit()
sys.exit(main(SLUICED, QUOTES, ["node", f"{DIRECTORY[0]}/client.mjs"] if DIRECTORY else [CLIENT]))
