#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Feeds, as conf/examples/outlier.yaml puts them together, read by a subscriber and by sluicectl."""
import json
import pathlib
import subprocess
import sys

import zmq

from sluice import Client, Feed, Sluiced, TIMEOUT, folder, run
import tap
from tap import equal

SLUICED, SLUICECTL = sys.argv[1:]
EXAMPLE = pathlib.Path(__file__).parents[2] / "conf" / "examples" / "outlier.yaml"
WARMUP = 50
GOLD = {"symbol": "AU-SPOT"}


class Source:
    """A quote source that answers when the test says so."""

    def __init__(self, stack):
        self.socket = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.ROUTER))
        self.socket.linger = 0
        self.socket.rcvtimeo = TIMEOUT * 1000
        self.socket.bind("tcp://127.0.0.1:*")
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def asked(self):
        """Who asks next for a quote, and by what id."""
        while True:
            peer, message = self.socket.recv_multipart()
            target, name, *_ = message.decode().split("\n")[0].split(" ")
            if target == "quote":
                return peer, name

    def answer(self, question, status="OK", body=None):
        peer, name = question
        text = f"{name} {status}" + ("" if body is None else "\n" + json.dumps(body))
        self.socket.send_multipart([peer, text.encode()])


def example(stack):
    """The daemon of the example at doors of its own, and its two sources, once they are connected."""
    north, south = Source(stack), Source(stack)
    text = EXAMPLE.read_text()
    for old, new in (("listen: tcp://127.0.0.1:5575", "listen: tcp://127.0.0.1:*"),
                     ("publish: tcp://127.0.0.1:5576", "publish: tcp://127.0.0.1:*\n  every: 10ms"),
                     ("tcp://127.0.0.1:6001", north.endpoint), ("tcp://127.0.0.1:6002", south.endpoint)):
        equal((old, text.count(old)), (old, 1))
        text = text.replace(old, new)
    daemon = Sluiced(stack, SLUICED, text, doors="")
    feed = Feed(stack, daemon)
    feed.wait_up()
    return daemon, north, south


def quote(client, north, south, name):
    """Asked for and answered by north at once; how long it took, in microseconds."""
    client.ask("quote", name, GOLD)
    question, _ = north.asked(), south.asked()
    north.answer(question, body=1)
    reply = client.hear()
    equal((reply.id, reply.status), (name, "OK"))
    return int(reply.keys["us"])


def test_an_outlier_tells_the_whole_story(stack):
    daemon, north, south = example(stack)
    client = Client(stack, daemon)
    usual = [quote(client, north, south, f"u{n}") for n in range(WARMUP)]
    feed = Feed(stack, daemon, "outlier.odd")
    client.ask("quote", "slow", GOLD)
    question, _ = north.asked(), south.asked()
    # A slow source: it answers when the daemon's own clock says that so much has passed. Neither mean nor deviation is
    # over the longest that it took, so this is far beyond four of them.
    begun = feed.stats()["t"]
    feed.stats(lambda stats: stats["t"] > begun + 6 * max(usual) + 20000)
    north.answer(question, body=1)
    equal(client.hear().id, "slow")
    event = feed.wait_for("outlier.odd", lambda event: event["id"] == "slow")
    held = event["held"]
    equal((held["field"], held["reading"]), ("us", event["us"]))
    assert held["samples"] >= WARMUP and held["reading"] > held["mean"] + 4 * held["deviation"], held
    assert event["us"] > held["mean"] + 10000, event
    equal((event["pipeline"], event["status"], event["cache"]), ("quote", "OK", None))
    equal([(source["source"], source["end"], source["status"]) for source in event["sources"]],
          [("north", "won", "OK"), ("south", "lost", None)])
    usual = feed.wait_for("stats")["feeds"]["odd"]
    equal((usual["events"], usual["samples"]), (event["seq"], held["samples"] + 1))
    assert usual["mean"] > held["mean"] and usual["deviation"] > held["deviation"], usual
    equal((event["losers"], [stage["path"] for stage in event["stages"]]), (1, ["quote/1.fanout"]))


def test_what_was_learned_outlives_a_reload(stack):
    daemon, north, south = example(stack)
    client, feed = Client(stack, daemon), Feed(stack, daemon)
    for n in range(5):
        quote(client, north, south, str(n))
    path = daemon.directory / "sluice.yaml"
    learned = feed.stats(lambda stats: stats["feeds"]["odd"]["samples"] == 5)["feeds"]["odd"]
    for generation, (old, new) in enumerate([("sample: 100", "sample: 7"), ("over: 4", "over: 5")], 2):
        text = path.read_text()
        assert old in text, old
        daemon.begin_reload(text.replace(old, new), doors="")
        stats = feed.stats(lambda stats: stats["generation"] == generation)
        equal(stats["feeds"]["odd"], learned)
        learned = {"events": 0, "samples": 0, "mean": 0, "deviation": 0}


def test_where_and_select(stack):
    daemon, north, south = example(stack)
    client = Client(stack, daemon)
    feed = Feed(stack, daemon, "feed.failed")
    quote(client, north, south, "good")
    client.ask("quote", "bad", GOLD)
    north.answer(north.asked(), "UNAVAILABLE")
    south.answer(south.asked(), "NOT_FOUND")
    equal(client.hear().id, "bad")
    event = feed.wait_for("feed.failed")
    equal(list(event), ["seq", "boot", "t", "id", "status", "us", "sources"])
    equal((event["seq"], event["id"]), (1, "bad"))
    equal([(source["source"], source["end"], source["status"]) for source in event["sources"]],
          [("north", "failed", "UNAVAILABLE"), ("south", "failed", "NOT_FOUND")])


def test_sluicectl_watches_feeds(stack):
    daemon, north, south = example(stack)
    client = Client(stack, daemon)
    watch = stack.enter_context(subprocess.Popen(
        [SLUICECTL, "watch", "feed.few", "stats", "--telemetry", daemon.feed_endpoint], stdout=subprocess.PIPE, text=True))
    stack.callback(watch.kill)
    assert watch.stdout.readline().startswith("stats {")
    for n in range(200):
        quote(client, north, south, f"q{n}")
    # One of each hundred, whichever.
    few = []
    while len(few) < 2:
        topic, event = watch.stdout.readline().split(" ", 1)
        if topic == "feed.few":
            few.append(json.loads(event))
    equal([(event["seq"], event["pipeline"], event["status"]) for event in few], [(1, "quote", "OK"), (2, "quote", "OK")])


def test_what_is_wrong_is_said(stack):
    path = folder(stack) / "wrong.yaml"
    path.write_text(EXAMPLE.read_text().replace("field: us", "field: uss").replace("request.quote.OK", "request.quotes"))
    done = run(SLUICED, "--config", str(path), "--check")
    equal((done.returncode, [line.split(": ", 1)[1] for line in done.stderr]),
          (1, ['error: there is no pipeline "quotes"; did you mean "quote"?',
               'error: the event of a request has no member "uss"; did you mean "us"?']))


tap.run([test_an_outlier_tells_the_whole_story, test_what_was_learned_outlives_a_reload, test_where_and_select,
         test_sluicectl_watches_feeds, test_what_is_wrong_is_said])
