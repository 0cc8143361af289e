#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Values that are not fresh, while their database is locked or fails; and who asks for a fresh one."""
import sys

from catalog import Catalog
from sluice import Client, Feed, Sluiced, folder
import tap
from tap import equal

SLUICED = sys.argv[1]

# With `ttl: 0s` a value is stale, or old, as soon as it is there, so nothing here depends on time.
CONFIG = """
limits: {deadline: 60s, max_deadline: 60s}
databases:
  catalog: {sqlite: catalog.db, connections: 2}
caches:
  hot: {memory: 1MiB}
pipelines:
  stale:
    takes: {sku: string}
    steps:
    - cache: {in: hot, key: "stale/${sku}", ttl: 0s, stale: 1h, throttle: 1h, miss: [
        {lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}}]}
  old:
    takes: {sku: string}
    steps:
    - cache: {in: hot, key: "old/${sku}", ttl: 0s, stale_if_error: 1h, throttle: 1h, miss: [
        {lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}}]}
  usual:
    takes: {sku: string}
    steps:
    - cache: {in: hot, key: "usual/${sku}", ttl: 1h, miss: [
        {lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}}]}
"""


def prepared(stack):
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    daemon = Sluiced(stack, SLUICED, CONFIG, directory)
    return catalog, daemon, Client(stack, daemon), Feed(stack, daemon)


def expect(client, pipeline, cache, name, **keys):
    reply = client.call(pipeline, {"sku": "s1"}, **keys)
    equal((reply.status, reply.keys.get("cache"), reply.body), ("OK", cache, {"name": name}))


def stage(stats, pipeline):
    return stats["pipelines"][pipeline]["stages"][f"{pipeline}/1.cache"]


def rename(catalog, name):
    catalog.connection.execute("UPDATE product SET name = ? WHERE sku = 's1'", [name])


def test_stale_is_served_while_the_database_is_locked(stack):
    catalog, _, client, feed = prepared(stack)
    expect(client, "stale", "miss", "product 1")
    catalog.lock()
    for _ in range(100):
        expect(client, "stale", "stale", "product 1")
    counts = stage(feed.stats(), "stale")
    equal((counts["stale"], counts["refreshes"], counts["background"], counts["misses"]), (100, 1, 1, 1))
    equal(feed.stats()["in_flight"], 0)
    catalog.unlock()
    feed.stats(lambda stats: stage(stats, "stale")["background"] == 0)
    client.settle()


def test_a_refresh_brings_what_has_changed(stack):
    catalog, _, client, feed = prepared(stack)
    expect(client, "stale", "miss", "product 1")
    rename(catalog, "another")
    expect(client, "stale", "stale", "product 1")
    feed.stats(lambda stats: stage(stats, "stale")["background"] == 0)
    expect(client, "stale", "stale", "another")


def test_the_old_value_is_given_where_the_query_fails(stack):
    catalog, _, client, feed = prepared(stack)
    expect(client, "old", "miss", "product 1")
    expect(client, "old", "miss", "product 1")
    catalog.rename("product", "gone")
    for _ in range(10):
        expect(client, "old", "stale", "product 1")
    # One has failed; the others were spared.
    stats = feed.stats()
    equal(stats["databases"]["catalog"]["queries"], 3)
    counts = stage(stats, "old")
    equal((counts["refresh_failures"], counts["throttled"], counts["stale"]), (1, 9, 10))
    equal(client.call("old", {"sku": "s2"}).status, "INTERNAL")


def test_not_found_takes_the_place_of_a_value(stack):
    catalog, _, client, _ = prepared(stack)
    expect(client, "old", "miss", "product 1")
    catalog.connection.execute("DELETE FROM product WHERE sku = 's1'")
    equal(client.call("old", {"sku": "s1"}).status, "NOT_FOUND")
    catalog.rename("product", "gone")
    equal(client.call("old", {"sku": "s1"}).status, "INTERNAL")


def test_who_asks_for_a_fresh_one_gets_it_and_so_do_the_others(stack):
    catalog, _, client, feed = prepared(stack)
    expect(client, "usual", "miss", "product 1")
    rename(catalog, "another")
    expect(client, "usual", "hit", "product 1")
    expect(client, "usual", "miss", "another", fresh=1)
    expect(client, "usual", "hit", "another")
    equal(stage(feed.stats(), "usual")["fresh"], 1)


def test_a_stop_does_not_wait_for_a_refresh(stack):
    catalog, daemon, client, feed = prepared(stack)
    expect(client, "stale", "miss", "product 1")
    catalog.lock()
    expect(client, "stale", "stale", "product 1")
    feed.stats(lambda stats: stage(stats, "stale")["background"] == 1)
    counts = daemon.stop()
    equal((counts["read"], counts["answered"]), (2, 2))


tap.run([
    test_stale_is_served_while_the_database_is_locked, test_a_refresh_brings_what_has_changed,
    test_the_old_value_is_given_where_the_query_fails, test_not_found_takes_the_place_of_a_value,
    test_who_asks_for_a_fresh_one_gets_it_and_so_do_the_others, test_a_stop_does_not_wait_for_a_refresh,
])
