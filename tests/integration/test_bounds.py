#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bounds under load: reached, never passed, and what is over them is refused at once."""
import sys

from catalog import Catalog
from sluice import Client, Feed, Sluiced, folder
import tap
from tap import equal

SLUICED = sys.argv[1]
CONNECTIONS = 4

# `slow` computes for a while, so that many of it run at once whenever they may.
CONFIG = """
limits: {in_flight: 20000, per_client: 20000, deadline: 60s, max_deadline: 60s}
databases:
  catalog: {sqlite: catalog.db, connections: 4}
caches:
  hot: {memory: 1MiB}
pipelines:
  wide:
    steps:
    - lookup: {in: catalog, queue: 10000, query: &slow}
  narrow:
    steps:
    - lookup: {in: catalog, queue: 10000, concurrency: 2, query: &slow}
  over:
    steps:
    - lookup: {in: catalog, queue: 10000, concurrency: 9, query: &slow}
  single:
    takes: {sku: string}
    steps:
    - lookup: {in: catalog, concurrency: 1, queue: 2, query: "SELECT name FROM product WHERE sku = :sku"}
  unqueued:
    takes: {sku: string}
    steps:
    - lookup: {in: catalog, concurrency: 1, queue: 0, query: "SELECT name FROM product WHERE sku = :sku"}
  cached:
    takes: {sku: string}
    steps:
    - cache:
        in: hot
        key: product/${sku}
        ttl: 1h
        miss:
        - lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}
""".replace("&slow", '"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) '
                     'SELECT max(i) AS top, (SELECT count(*) FROM product) AS products FROM n"')


def prepared(stack, text=CONFIG):
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    daemon = Sluiced(stack, SLUICED, text, directory)
    return catalog, daemon, Feed(stack, daemon)


def lookup(stats, pipeline):
    return stats["pipelines"][pipeline]["stages"][f"{pipeline}/1.lookup"]


def ask_many(client, pipeline, count, prefix="r", body=None):
    for n in range(count):
        client.ask(pipeline, f"{prefix}{n}", body)


def statuses(replies):
    return {reply.status for reply in replies}


def reaches(stack, pipeline, running, permits):
    """While the database is locked as many queries run as may. A load that then runs freely never passes that."""
    catalog, daemon, feed = prepared(stack)
    client = Client(stack, daemon)
    catalog.lock()
    ask_many(client, pipeline, 100, "locked")
    stats = feed.stats(lambda stats: stats["databases"]["catalog"]["queries"] == running and
                       stats["in_flight"] == 100)
    equal((lookup(stats, pipeline)["running"], lookup(stats, pipeline)["waiting"]), (permits, 100 - permits))
    catalog.unlock()
    equal(statuses(client.hear_many(100)), {"OK"})
    ask_many(client, pipeline, 1000, "free")
    equal(statuses(client.hear_many(1000)), {"OK"})
    stats = feed.stats()
    equal((stats["in_flight"], stats["databases"]["catalog"]["queries"]), (0, 1100))
    equal(stats["databases"]["catalog"]["running_highest"], running)
    equal(lookup(stats, pipeline)["running_highest"], running)
    equal([lookup(stats, pipeline)[name] for name in ("granted", "running", "waiting")], [1100, 0, 0])


def test_connections_bound_all(stack):
    reaches(stack, "wide", CONNECTIONS, CONNECTIONS)


def test_concurrency_bounds_one_stage(stack):
    reaches(stack, "narrow", 2, 2)


def test_concurrency_over_connections_runs_no_more(stack):
    reaches(stack, "over", CONNECTIONS, 9)


def test_stages_share_the_connections(stack):
    catalog, daemon, feed = prepared(stack)
    client = Client(stack, daemon)
    catalog.lock()
    for pipeline in ("narrow", "wide"):
        ask_many(client, pipeline, 500, pipeline)
    feed.stats(lambda stats: stats["databases"]["catalog"]["queries"] == CONNECTIONS and stats["in_flight"] == 1000)
    catalog.unlock()
    equal(statuses(client.hear_many(1000)), {"OK"})
    stats = feed.stats()
    equal(stats["databases"]["catalog"]["running_highest"], CONNECTIONS)
    equal(lookup(stats, "narrow")["running_highest"], 2)


def check_refused(reply):
    equal(reply.status, "RESOURCE_EXHAUSTED")
    assert 5 <= int(reply.keys["retry_ms"]) <= 15, reply
    return reply.body["error"]


def test_a_full_queue(stack):
    catalog, daemon, feed = prepared(stack)
    client = Client(stack, daemon)
    catalog.lock()
    ask_many(client, "single", 3, body={"sku": "s1"})
    feed.stats(lambda stats: lookup(stats, "single")["waiting"] == 2)
    # At once: nothing has come of the others, and nothing can while the lock is held.
    equal(check_refused(client.call("single", {"sku": "s1"})), "the queue is full")
    equal(check_refused(client.call("single", {"sku": "s1"})), "the queue is full")
    # A place that is given back can be taken.
    client.cancel("r1")
    equal(client.hear()[:2], ("r1", "CANCELLED"))
    client.ask("single", "again", {"sku": "s1"})
    feed.stats(lambda stats: lookup(stats, "single")["waiting"] == 2)
    catalog.unlock()
    equal([(reply.id, reply.status) for reply in client.hear_many(3)], [("r0", "OK"), ("r2", "OK"), ("again", "OK")])
    stats = feed.stats()
    equal((lookup(stats, "single")["refused"], lookup(stats, "single")["waiting_highest"]), (2, 2))


def test_no_queue(stack):
    catalog, daemon, feed = prepared(stack)
    client = Client(stack, daemon)
    catalog.lock()
    client.ask("unqueued", "first", {"sku": "s1"})
    equal(check_refused(client.call("unqueued", {"sku": "s1"})), "the queue is full")
    catalog.unlock()
    equal(client.hear()[:2], ("first", "OK"))
    equal(client.call("unqueued", {"sku": "s1"}).status, "OK")


def at_a_limit(stack, limits):
    """At ten in flight a hit is served, and what would wait is refused; below ten it waits again."""
    catalog, daemon, feed = prepared(stack, CONFIG.replace("in_flight: 20000, per_client: 20000", limits))
    client = Client(stack, daemon)
    equal(client.call("cached", {"sku": "s1"}).keys["cache"], "miss")
    catalog.lock()
    ask_many(client, "cached", 10, body={"sku": "s2"})
    feed.stats(lambda stats: stats["in_flight"] == 10)
    hit = client.call("cached", {"sku": "s1"})
    equal((hit.status, hit.keys["cache"], hit.body), ("OK", "hit", {"name": "product 1"}))
    for pipeline in ("cached", "single"):
        check_refused(client.call(pipeline, {"sku": "s3"}))
    client.cancel("r0")
    equal(client.hear()[:2], ("r0", "CANCELLED"))
    # What was answered counts until its work has ended.
    feed.stats(lambda stats: (stats["in_flight"], stats["reaping"]) == (9, 0))
    client.ask("cached", "again", {"sku": "s2"})
    feed.stats(lambda stats: stats["in_flight"] == 10)
    other = Client(stack, daemon)
    other.ask("cached", "other", {"sku": "s2"})
    return catalog, client, other, feed


def check_answers(client, count):
    replies = client.hear_many(count)
    equal({(reply.status, str(reply.body)) for reply in replies}, {("OK", "{'name': 'product 2'}")})
    client.settle()


def test_the_limit_of_all(stack):
    catalog, client, other, feed = at_a_limit(stack, "in_flight: 10")
    check_refused(other.hear())
    catalog.unlock()
    check_answers(client, 10)
    equal(feed.stats()["in_flight_highest"], 10)


def test_the_limit_of_one_client(stack):
    catalog, client, other, feed = at_a_limit(stack, "per_client: 10")
    feed.stats(lambda stats: stats["in_flight"] == 11)
    catalog.unlock()
    check_answers(client, 10)
    check_answers(other, 1)
    equal(feed.stats()["in_flight_highest"], 11)


tap.run([
    test_connections_bound_all, test_concurrency_bounds_one_stage, test_concurrency_over_connections_runs_no_more,
    test_stages_share_the_connections, test_a_full_queue, test_no_queue, test_the_limit_of_all,
    test_the_limit_of_one_client,
])
