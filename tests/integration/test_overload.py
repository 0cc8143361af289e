#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What sheds load before a fixed limit is reached: controlled delay of a queue, and a limit that is found out."""
import collections
import sys

from catalog import Catalog
from quotes import Quotes
from sluice import Client, Feed, Sluiced, folder
import tap
from tap import equal

SLUICED, QUOTES = sys.argv[1:]
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


def ask_many(client, pipeline, count, body=None):
    for n in range(count):
        client.ask(pipeline, f"{pipeline}{n}", body, budget=60000)


def lookup(stats, pipeline):
    return stats["pipelines"][pipeline]["stages"][f"{pipeline}/1.lookup"]


def over_a_catalog(stack):
    """A client, and a reader of the feed; what is asked of the catalog waits until it is unlocked."""
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    daemon = Sluiced(stack, SLUICED, CODEL, directory)
    return catalog, Client(stack, daemon), Feed(stack, daemon)


def test_a_queue_that_stands_is_shed(stack):
    _, client, feed = over_a_catalog(stack)
    ask_many(client, "shed", 30)
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
    _, client, feed = over_a_catalog(stack)
    ask_many(client, "patient", 30)
    equal([(reply.id, reply.status) for reply in client.hear_many(30)], [(f"patient{n}", "OK") for n in range(30)])
    counts = lookup(feed.stats(), "patient")
    equal([counts[name] for name in ("shed", "granted", "refused")], [0, 30, 0])


def test_a_queue_that_is_not_slow_is_not_shed(stack):
    """Those who wait for a lock as long as it is held are not held against those who come behind it."""
    catalog, client, feed = over_a_catalog(stack)
    catalog.lock()
    ask_many(client, "shed", 2)
    feed.stats(lambda stats: lookup(stats, "shed")["waiting"] == 1)
    catalog.unlock()
    equal([(reply.id, reply.status) for reply in client.hear_many(2)], [("shed0", "OK"), ("shed1", "OK")])
    equal(lookup(feed.stats(), "shed")["shed"], 0)


# Two sources of the same daemon, of which one takes many times as long as the other.
SOURCES = """
sources:
  fast: {{zmq: '{fast}', required: true}}
  slow: {{zmq: '{slow}', required: true}}
pipelines:
  fast: {{steps: [{{fanout: {{to: [fast], wait: any}}}}]}}
  slow: {{steps: [{{fanout: {{to: [slow], wait: any}}}}]}}
"""
CROWD = 60  # requests at once, more than any limit that is found out here
ROUNDS = 2000


def over_sources(stack, limits):
    endpoints = {name: Quotes(stack, QUOTES, "--name", name, "--latency", latency).endpoint
                 for name, latency in (("fast", "20"), ("slow", "300"))}
    daemon = Sluiced(stack, SLUICED, f"limits: {{{LIMITS}{limits}}}{SOURCES.format(**endpoints)}")
    return Client(stack, daemon), Feed(stack, daemon)


def crowd(client, pipeline):
    """Asks so many at once; the answers, by status."""
    ask_many(client, pipeline, CROWD, {"symbol": "AAPL"})
    by_status = collections.defaultdict(list)
    for reply in client.hear_many(CROWD):
        by_status[reply.status].append(reply)
    return by_status


def until(client, feed, pipeline, holds):
    """Lets crowds come until that holds of the limit; gives the limit, and what was answered by then."""
    by_status = collections.defaultdict(list)
    for _ in range(ROUNDS):
        for status, replies in crowd(client, pipeline).items():
            by_status[status] += replies
        stats = feed.stats(lambda stats: stats["in_flight"] == 0)
        if holds(stats["in_flight_max"]):
            return stats["in_flight_max"], by_status
    raise AssertionError(f"the limit stays at {stats['in_flight_max']}")


def test_a_limit_follows_from_how_long_requests_take(stack):
    client, feed = over_sources(stack, ", adaptive: {min: 8, max: 50}")
    equal(feed.stats()["in_flight_max"], 8)
    # While they take as long as usual it grows, though many come that it refuses.
    high, answers = until(client, feed, "fast", lambda limit: limit >= 20)
    equal(set(answers), {"OK", "RESOURCE_EXHAUSTED"})
    # When they take longer it falls.
    low, more = until(client, feed, "slow", lambda limit: limit < high * 3 / 4)
    equal(set(more), {"OK", "RESOURCE_EXHAUSTED"})
    assert 8 <= low < high <= 50, (low, high)
    for reply in answers["RESOURCE_EXHAUSTED"] + more["RESOURCE_EXHAUSTED"]:
        equal(reply.body["error"], "too many requests in flight")
        assert int(reply.keys["retry_ms"]) > 0, reply
    stats = feed.stats()
    assert stats["in_flight_highest"] <= 50 < CROWD, stats
    equal(stats["ended"]["RESOURCE_EXHAUSTED"],
          len(answers["RESOURCE_EXHAUSTED"]) + len(more["RESOURCE_EXHAUSTED"]))


def test_a_limit_that_is_given_stays(stack):
    client, feed = over_sources(stack, "")
    for pipeline in ("fast", "slow"):
        equal({status: len(replies) for status, replies in crowd(client, pipeline).items()}, {"OK": CROWD})
    stats = feed.stats()
    equal((stats["in_flight_max"], stats["in_flight_highest"]), (10000, CROWD))


tap.run([
    test_a_queue_that_stands_is_shed, test_without_codel_nobody_is_shed, test_a_queue_that_is_not_slow_is_not_shed,
    test_a_limit_follows_from_how_long_requests_take, test_a_limit_that_is_given_stays,
])
