#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Ten thousand requests for one cold key are one query, whoever of them leaves."""
import sys

from catalog import Catalog
from sluice import Client, Feed, Sluiced, folder
import tap
from tap import equal

SLUICED = sys.argv[1]
MANY = 10000

# With `ttl: 0s` nothing is answered from the cache: whoever is answered waited for the flight.
CONFIG = """
limits: {in_flight: 20000, per_client: 20000, deadline: 60s, max_deadline: 60s}
databases:
  catalog: {sqlite: catalog.db, connections: 1}
caches:
  hot: {memory: 1MiB}
pipelines:
  product:
    takes: {sku: string}
    steps:
    - cache:
        in: hot
        key: product/${sku}
        ttl: 0s
        miss:
        - lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}
"""


def locked(stack):
    """A daemon whose database nobody can read until it is unlocked."""
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    daemon = Sluiced(stack, SLUICED, CONFIG, directory)
    catalog.lock()
    return catalog, daemon, Feed(stack, daemon)


def names(prefix, count):
    return [f"{prefix}{n}" for n in range(count)]


def ask_all(client, asked):
    for name in asked:
        client.ask("product", name, {"sku": "s3"})


def wait_in_flight(feed, count):
    return feed.stats(lambda stats: stats["in_flight"] == count and stats["databases"]["catalog"]["queries"] == 1)


def check_answers(client, asked):
    """Each is answered with the product, once."""
    replies = client.hear_many(len(asked))
    equal(sorted(reply.id for reply in replies), sorted(asked))
    equal({(reply.status, str(reply.body)) for reply in replies}, {("OK", "{'name': 'product 3'}")})
    client.settle()


def check_cancelled(client, asked):
    equal([(reply.id, reply.status) for reply in client.hear_many(len(asked))], [(name, "CANCELLED") for name in asked])


def queries(stats):
    return stats["databases"]["catalog"]["queries"]


def flights(stats):
    return stats["pipelines"]["product"]["stages"]["product/1.cache"]


def permits(stats):
    return stats["pipelines"]["product"]["stages"]["product/1.cache/1.lookup"]


def check_one_query(feed, joined):
    stats = feed.stats()
    equal((queries(stats), stats["databases"]["catalog"]["running_highest"]), (1, 1))
    equal((flights(stats)["misses"], flights(stats)["joined"]), (1, joined))
    equal([flights(stats)["flights"], flights(stats)["waiting"], permits(stats)["running"]], [0, 0, 0])
    equal((stats["in_flight"], stats["reaping"]), (0, 0))


def test_one_client(stack):
    catalog, daemon, feed = locked(stack)
    client = Client(stack, daemon)
    asked = names("r", MANY)
    ask_all(client, asked)
    wait_in_flight(feed, MANY)
    catalog.unlock()
    check_answers(client, asked)
    check_one_query(feed, MANY - 1)


def test_a_hundred_clients(stack):
    catalog, daemon, feed = locked(stack)
    clients = [Client(stack, daemon) for _ in range(100)]
    asked = names("r", MANY // 100)
    for client in clients:
        ask_all(client, asked)
    wait_in_flight(feed, MANY)
    catalog.unlock()
    for client in clients:
        check_answers(client, asked)
    check_one_query(feed, MANY - 1)


def test_the_first_cancels(stack):
    catalog, daemon, feed = locked(stack)
    client = Client(stack, daemon)
    asked = names("r", MANY)
    ask_all(client, asked)
    wait_in_flight(feed, MANY)
    client.cancel(asked[0])
    check_cancelled(client, asked[:1])
    wait_in_flight(feed, MANY - 1)
    catalog.unlock()
    check_answers(client, asked[1:])
    check_one_query(feed, MANY - 1)


def test_the_first_connection_closes(stack):
    catalog, daemon, feed = locked(stack)
    first, client = Client(stack, daemon), Client(stack, daemon)
    ask_all(first, ["first"])
    wait_in_flight(feed, 1)
    asked = names("r", MANY)
    ask_all(client, asked)
    wait_in_flight(feed, MANY + 1)
    first.close()
    wait_in_flight(feed, MANY)
    catalog.unlock()
    check_answers(client, asked)
    check_one_query(feed, MANY)
    equal(daemon.stop()["gone"], 1)


def test_all_but_the_last_cancel(stack):
    catalog, daemon, feed = locked(stack)
    client = Client(stack, daemon)
    asked = names("r", MANY)
    ask_all(client, asked)
    wait_in_flight(feed, MANY)
    for name in asked[:-1]:
        client.cancel(name)
    check_cancelled(client, asked[:-1])
    wait_in_flight(feed, 1)
    catalog.unlock()
    check_answers(client, asked[-1:])
    check_one_query(feed, MANY - 1)


def test_all_cancel(stack):
    catalog, daemon, feed = locked(stack)
    client = Client(stack, daemon)
    asked = names("r", MANY)
    ask_all(client, asked)
    wait_in_flight(feed, MANY)
    for name in asked:
        client.cancel(name)
    check_cancelled(client, asked)
    # The lock is still held, and yet the query has ended and nothing is left of it.
    stats = feed.stats(lambda stats: permits(stats)["running"] == 0 and stats["reaping"] == 0)
    equal((stats["in_flight"], flights(stats)["flights"], queries(stats)), (0, 0, 1))
    # The only worker there is takes another query, which waits for the lock in its turn.
    ask_all(client, ["next"])
    feed.stats(lambda stats: queries(stats) == 2 and permits(stats)["running"] == 1 and stats["in_flight"] == 1)
    catalog.unlock()
    check_answers(client, ["next"])
    stats = feed.stats()
    equal((stats["in_flight"], queries(stats), flights(stats)["misses"]), (0, 2, 2))


tap.run([
    test_one_client, test_a_hundred_clients, test_the_first_cancels, test_the_first_connection_closes,
    test_all_but_the_last_cancel, test_all_cancel,
])
