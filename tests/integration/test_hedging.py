#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sources that are asked one after another, and sources that are left alone because they fail."""
import pathlib
import re
import sys
import time

from quotes import Quotes, Wire
from scripted import Scripted
from sluice import Client, Feed, Sluiced
import tap
from tap import equal

SLUICED, QUOTES = sys.argv[1:]
EXAMPLES = pathlib.Path(__file__).parents[2] / "conf/examples"
APPLE = {"symbol": "AAPL"}
BUDGET = 60000

PIPELINES = """
limits: {deadline: 60s, max_deadline: 60s}
pipelines:
  hedged:
    takes: {symbol: string}
    steps: [{fanout: {to: [north, south], wait: any, hedge: {after: 20ms, budget: 100%}}}]
  patient:
    takes: {symbol: string}
    steps: [{fanout: {to: [north, south], wait: any, hedge: {after: 60s, budget: 100%}}}]
  alone:
    takes: {symbol: string}
    steps: [{fanout: {to: north}}]
  behind:
    takes: {symbol: string}
    steps: [{fanout: {to: [south, north], wait: any, hedge: {after: 60s, budget: 100%}}}]
  slow:
    takes: {symbol: string}
    steps: [{fanout: {to: north, timeout: 3s}}]
  hurried:
    takes: {symbol: string}
    steps: [{fanout: {to: [south, north], wait: any, hedge: {after: 1ms, samples: 16, budget: 100%}}}]
"""


def quotes(stack, name, *options):
    source = Quotes(stack, QUOTES, "--name", name, *options)
    return source, Wire(stack, source.endpoint)


def over(stack, options="", **endpoints):
    """A daemon over these sources, once they are connected; options: more of north's."""
    text = "sources:\n"
    for name, endpoint in endpoints.items():
        text += f"  {name}: {{zmq: '{endpoint}'{options if name == 'north' else ''}}}\n"
    daemon = Sluiced(stack, SLUICED, text + PIPELINES)
    feed = Feed(stack, daemon, "daemon.")
    feed.wait_up(endpoints)
    return daemon, feed


def count(feed, pipeline, **expected):
    """Waits until a fan-out has counted that."""
    def holds(stats):
        counted = stats["pipelines"][pipeline]["stages"][f"{pipeline}/1.fanout"]
        return {name: counted[name] for name in expected} == expected
    feed.stats(holds)


def test_a_source_that_hangs_is_hedged(stack):
    north, at_north = quotes(stack, "north", "--hang", "1")
    south, at_south = quotes(stack, "south")
    daemon, feed = over(stack, north=north.endpoint, south=south.endpoint)
    client = Client(stack, daemon)
    for _ in range(5):
        reply = client.call("hedged", APPLE, budget=BUDGET)
        equal((reply.status, reply.body["source"]), ("OK", "south"))
    count(feed, "hedged", asked=10, hedges=5, hedges_won=5, hedges_refused=0, passed_by=0)
    equal((at_north.stats()["asked"], at_south.stats()["asked"]), (5, 5))


def test_slow_answers_are_hedged(stack):
    """Half of north's take a minute."""
    north, _ = quotes(stack, "north", "--slow", "0.5", "--slower", "60", "--latency", "1000")
    south, at_south = quotes(stack, "south")
    daemon, feed = over(stack, north=north.endpoint, south=south.endpoint)
    client = Client(stack, daemon)
    for _ in range(3):
        equal(client.call("hedged", APPLE, budget=BUDGET).body["source"], "south")
    stats = feed.stats(lambda stats: stats["sources"]["north"]["pending"] == 0)
    equal(stats["sources"]["north"]["cancelled"], 3)
    equal(at_south.stats()["asked"], 3)


def test_a_source_that_fails_needs_no_hedge(stack):
    north, _ = quotes(stack, "north", "--fail", "1")
    south, _ = quotes(stack, "south")
    daemon, feed = over(stack, north=north.endpoint, south=south.endpoint)
    equal(Client(stack, daemon).call("patient", APPLE, budget=BUDGET).body["source"], "south")
    count(feed, "patient", asked=2, hedges=0, hedges_won=0)


def test_a_source_that_fails_is_left_alone(stack):
    north, at_north = quotes(stack, "north", "--fail", "1")
    south, _ = quotes(stack, "south")
    daemon, feed = over(stack, ", breaker: {failures: 50%, of: 4, within: 1h, open: 1h}", north=north.endpoint,
                        south=south.endpoint)
    client = Client(stack, daemon)
    for _ in range(4):
        equal(client.call("alone", APPLE, budget=BUDGET).status, "UNAVAILABLE")
    equal(feed.wait_for("daemon.source_breaker_open")["name"], "north")
    reply = client.call("alone", APPLE, budget=BUDGET)
    equal((reply.status, reply.body["causes"][0]["error"]),
          ("UNAVAILABLE", "left alone for a while, because it failed too often"))
    equal(client.call("hedged", APPLE, budget=BUDGET).body["source"], "south")
    equal(at_north.stats()["asked"], 4)
    stats = feed.stats(lambda stats: stats["sources"]["north"]["breaker"] == "open")
    equal((stats["sources"]["north"]["opened"], stats["sources"]["south"]["breaker"]), (1, "closed"))
    count(feed, "alone", asked=4, passed_by=1)


def test_one_question_is_let_through(stack):
    """One in two of north's answers fails, so in the end it opens, and a trial closes it."""
    north, _ = quotes(stack, "north", "--fail", "0.5")
    daemon, feed = over(stack, ", breaker: {failures: 1%, of: 1, within: 1h, open: 1ms}", north=north.endpoint,
                        south=north.endpoint)
    client = Client(stack, daemon)
    for _ in range(40):
        client.call("alone", APPLE, budget=BUDGET)
    for event in ("open", "half_open", "closed"):
        equal(feed.wait_for(f"daemon.source_breaker_{event}")["name"], "north")


def test_a_source_that_is_away_is_told_of_once(stack):
    """Each of these questions is let through and not sent, so the next one is too."""
    north, (south, _) = Scripted(stack), quotes(stack, "south")
    daemon, feed = over(stack, ", breaker: {failures: 50%, of: 4, within: 1h, open: 1ms}", north=north.endpoint,
                        south=south.endpoint)
    client = Client(stack, daemon)
    for n in range(4):
        client.ask("alone", n, APPLE, budget=BUDGET)
        _, name, _ = north.hear()
        north.say(f"{name} UNAVAILABLE us=0")
        equal(client.hear().status, "UNAVAILABLE")
    north.socket.close()
    feed.wait_for("daemon.source_down")
    while client.call("alone", APPLE, budget=BUDGET).body["causes"][0]["error"] != "not connected":
        pass
    for _ in range(50):
        equal(client.call("alone", APPLE, budget=BUDGET).body["causes"][0]["error"], "not connected")
    now = time.time_ns() // 1000
    told = []
    while not told or told[-1][0] != "stats" or told[-1][1]["t"] <= now:
        told.append(feed.next())
    equal([topic for topic, _ in told if topic != "stats"], ["daemon.source_breaker_half_open"])


def test_a_source_that_was_spared_comes_back(stack):
    """South fails, and so does north, which stands behind it, until it is well again."""
    north, (south, _) = Scripted(stack), quotes(stack, "south", "--fail", "1")
    daemon, feed = over(stack, ", breaker: {of: 0}, spare: 2", north=north.endpoint, south=south.endpoint)
    client = Client(stack, daemon)

    def ask(pipeline, answer):
        client.ask(pipeline, "asked", APPLE, budget=BUDGET)
        _, name, _ = north.hear()
        north.say(f"{name} {answer}")
        return client.hear()

    equal(ask("alone", "UNAVAILABLE us=0").status, "UNAVAILABLE")
    for _ in range(50):
        equal(client.call("behind", APPLE, budget=BUDGET).body["causes"][1]["error"], "spared, because too much of it fails")
    for _ in range(2):
        equal(ask("behind", "OK us=0\n7").body, 7)
    stats = feed.stats(lambda stats: stats["sources"]["north"]["answered"] == 3)
    equal(stats["sources"]["north"]["asked"], 3)


def test_a_source_that_was_slow_is_asked_again(stack):
    """South hangs; north has been given up after a longer time than is left of these budgets."""
    north, (south, _) = Scripted(stack), quotes(stack, "south", "--hang", "1")
    daemon, feed = over(stack, ", breaker: {of: 0}, spare: 0", north=north.endpoint, south=south.endpoint)
    client = Client(stack, daemon)
    for n in range(16):
        client.ask("slow", n, APPLE, budget=BUDGET)
    for _ in range(16):
        equal(client.hear().status, "UNAVAILABLE")
    for n in range(51):
        client.ask("hurried", n, APPLE, budget=2000)
    count(feed, "hurried", asked=52, hedges=1, hedges_refused=50)


def test_the_example(stack):
    text = (EXAMPLES / "hedged.yaml").read_text()
    text = re.sub(r"^(listen|telemetry):.*\n", "", text, flags=re.M)
    for written in "deadline: 500ms", "timeout: 300ms":
        assert written in text, written
        text = text.replace(written, written.split(" ")[0] + " 60s")
    for port, options in (("6001", ["--hang", "1"]), ("6002", []), ("6003", [])):
        text = text.replace(f"tcp://127.0.0.1:{port}", quotes(stack, f"at {port}", *options)[0].endpoint)
    daemon = Sluiced(stack, SLUICED, text)
    feed = Feed(stack, daemon)
    feed.wait_up(["north", "south", "east"])
    client = Client(stack, daemon)
    equal(client.call("quote", APPLE).body["source"], "at 6002")
    equal(sorted(client.call("agreed", APPLE).body), ["east", "south"])
    count(feed, "quote", hedges=1, hedges_won=1)


tap.run([test_a_source_that_hangs_is_hedged, test_slow_answers_are_hedged, test_a_source_that_fails_needs_no_hedge,
         test_a_source_that_fails_is_left_alone, test_one_question_is_let_through,
         test_a_source_that_is_away_is_told_of_once, test_a_source_that_was_spared_comes_back,
         test_a_source_that_was_slow_is_asked_again, test_the_example])
