#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What sheds load before a fixed limit is reached: controlled delay of a queue, and a limit that is found out."""
import sys

from catalog import Catalog
from scripted import Scripted
from sluice import Client, Feed, Sluiced, folder
import tap
from tap import equal

SLUICED = sys.argv[1]
LIMITS = "deadline: 60s, max_deadline: 60s"

# One query at a time, that takes much longer than the target and the interval on any machine.
CODEL = """
limits: {LIMITS}
databases:
  catalog: {sqlite: catalog.db, connections: 1}
pipelines:
  shed:
    steps:
    - lookup: {in: catalog, query: &slow, codel: {target: 1ms, interval: 1ms}}
  patient:
    steps:
    - lookup: {in: catalog, query: &slow}
""".replace("LIMITS", LIMITS).replace("&slow", (
    '"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT max(i) AS top FROM n"'))


def ask_many(client, pipeline, count):
    for n in range(count):
        client.ask(pipeline, f"{pipeline}{n}", budget=60000)


def lookup(stats, pipeline):
    return stats["pipelines"][pipeline]["stages"][f"{pipeline}/1.lookup"]


def over_a_catalog(stack):
    """A client, and a reader of the feed; what is asked of the catalog waits until it is unlocked."""
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    daemon = Sluiced(stack, SLUICED, CODEL, directory)
    return catalog, Client(stack, daemon), Feed(stack, daemon)


def ask_together(catalog, client, feed, pipeline, count):
    """The first is answered when all others wait behind it."""
    catalog.lock()
    ask_many(client, pipeline, count)
    feed.stats(lambda stats: lookup(stats, pipeline)["waiting"] == count - 1)
    catalog.unlock()


def test_a_queue_that_stands_is_shed(stack):
    catalog, client, feed = over_a_catalog(stack)
    ask_together(catalog, client, feed, "shed", 30)
    replies = client.hear_many(30)
    # The first has not waited, and the second ends the interval in which somebody had not.
    equal([(reply.id, reply.status) for reply in replies[:2]], [("shed0", "OK"), ("shed1", "OK")])
    shed = [reply for reply in replies if reply.status != "OK"]
    assert shed, replies
    for reply in shed:
        equal((reply.status, reply.body["error"]), ("RESOURCE_EXHAUSTED", "the queue is too slow"))
        assert int(reply.keys["retry_ms"]) > 0, reply
    counts = lookup(feed.stats(lambda stats: stats["in_flight"] == 0), "shed")
    equal([counts[name] for name in ("shed", "granted", "refused", "running", "waiting")],
          [len(shed), 30 - len(shed), 0, 0, 0])
    # With nobody in the queue nobody is refused.
    for _ in range(5):
        equal(client.call("shed").status, "OK")


def test_without_codel_nobody_is_shed(stack):
    catalog, client, feed = over_a_catalog(stack)
    ask_together(catalog, client, feed, "patient", 30)
    equal([(reply.id, reply.status) for reply in client.hear_many(30)], [(f"patient{n}", "OK") for n in range(30)])
    counts = lookup(feed.stats(), "patient")
    equal([counts[name] for name in ("shed", "granted", "refused")], [0, 30, 0])


def test_a_queue_that_is_not_slow_is_not_shed(stack):
    """Those who wait for a lock as long as it is held are not held against those who come behind it."""
    catalog, client, feed = over_a_catalog(stack)
    ask_together(catalog, client, feed, "shed", 2)
    equal([(reply.id, reply.status) for reply in client.hear_many(2)], [("shed0", "OK"), ("shed1", "OK")])
    equal(lookup(feed.stats(), "shed")["shed"], 0)


CROWDED = """
databases:
  catalog: {{sqlite: catalog.db}}
sources:
  north: {{zmq: '{endpoint}', required: true}}
pipelines:
  held: {{deadline: 1s, steps: [lookup: {{in: catalog, query: SELECT sku FROM product}}]}}
  quote: {{steps: [fanout: {{to: [north], wait: any}}]}}
"""
CROWD = 60  # requests at once, more than any limit that is found out here
ROUNDS = 200  # more than it takes by far
USUAL, LONG = 200000, 800000  # microseconds; the limit comes down from 1.5 times the usual on


class Crowds:
    """A daemon whose limits are these, what it asks, and those who ask it all at once."""

    def __init__(self, stack, limits):
        self.rounds = 0
        directory = folder(stack)
        self.catalog = Catalog(stack, directory / "catalog.db")
        self.source = Scripted(stack)
        self.daemon = Sluiced(stack, SLUICED, f"limits: {{{LIMITS}{limits}}}"
                              + CROWDED.format(endpoint=self.source.endpoint), directory, ready=False)
        self.source.say(f"{self.source.hear_ping()} OK us=0")
        self.daemon.wait_ready()
        self.client, self.feed = Client(stack, self.daemon), Feed(stack, self.daemon)

    def limit(self):
        return self.feed.stats(lambda stats: stats["in_flight"] + stats["reaping"] == 0)["in_flight_max"]

    def count_round(self):
        self.rounds += 1
        assert self.rounds <= ROUNDS, f"the limit stays at {self.limit()}"

    def run_out(self):
        """Nobody who is let in is answered in time."""
        self.count_round()
        ask_many(self.client, "held", CROWD)
        equal({reply.status for reply in self.client.hear_many(CROWD)}, {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"})

    def come(self, at_least=0):
        """Nobody is answered before all who are let in have been heard and so many microseconds have passed since, by
        the daemon's clock. Gives how many were let in; the others were refused."""
        let_in = min(self.limit(), CROWD)
        self.count_round()
        ask_many(self.client, "quote", CROWD)
        names = [self.source.hear()[1] for _ in range(let_in)]
        for reply in self.client.hear_many(CROWD - let_in):
            equal((reply.status, reply.body["error"]), ("RESOURCE_EXHAUSTED", "too many requests in flight"))
            assert int(reply.keys["retry_ms"]) > 0, reply
        if at_least:
            began = self.feed.stats()["t"]
            self.feed.stats(lambda stats: stats["t"] >= began + at_least)
        for name in names:
            self.source.say(f"{name} OK us=0\n1")
        equal({reply.status for reply in self.client.hear_many(let_in)}, {"OK"})
        return let_in


def test_a_limit_follows_from_how_long_requests_take(stack):
    crowds = Crowds(stack, ", adaptive: {min: 8, max: 50}")
    let_in = [crowds.come(USUAL), crowds.come(USUAL)]
    equal(let_in, [8, 8])
    # While they take no longer than usual it grows, though many come that it refuses.
    while crowds.limit() < 20:
        let_in.append(crowds.come())
    high = crowds.limit()
    # When they take longer it falls.
    while crowds.limit() > high * 3 / 4:
        let_in.append(crowds.come(LONG))
    assert 8 <= crowds.limit() < high <= 50, (high, let_in)
    stats = crowds.feed.stats()
    equal((stats["in_flight_highest"], stats["ended"]),
          (max(let_in), {"OK": sum(let_in), "RESOURCE_EXHAUSTED": len(let_in) * CROWD - sum(let_in)}))


def test_a_limit_falls_where_all_run_out_of_time(stack):
    crowds = Crowds(stack, ", adaptive: {min: 8, max: 50}")
    crowds.come(USUAL)
    crowds.come(USUAL)
    while crowds.limit() < 12:
        crowds.come()
    high = crowds.limit()
    crowds.catalog.lock()
    while crowds.limit() >= high:
        crowds.run_out()
    assert 8 <= crowds.limit() < high


def test_a_limit_that_is_given_stays(stack):
    crowds = Crowds(stack, "")
    equal([crowds.come(at_least) for at_least in (0, USUAL, LONG)], [CROWD] * 3)
    stats = crowds.feed.stats()
    equal((stats["in_flight_max"], stats["in_flight_highest"]), (10000, CROWD))


tap.run([
    test_a_queue_that_stands_is_shed, test_without_codel_nobody_is_shed, test_a_queue_that_is_not_slow_is_not_shed,
    test_a_limit_follows_from_how_long_requests_take, test_a_limit_falls_where_all_run_out_of_time,
    test_a_limit_that_is_given_stays,
])
