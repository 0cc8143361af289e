#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: the next generation beside the one that serves, taken whole or refused whole, with a receipt."""
import os
import signal
import sys

from catalog import Catalog, locked_catalog, put_in_place
from quotes import Quotes
from sluice import Client, DOORS, Feed, Sluiced, folder
import tap
from tap import equal

SLUICED, QUOTES = sys.argv[1:3]

CONFIG = """
databases:
  catalog: {sqlite: catalog.db, connections: 2}
caches:
  hot: {memory: 1MiB}
pipelines:
  product:
    takes: {sku: string}
    steps:
    - cache:
        in: hot
        key: product/${sku}
        ttl: 1h
        miss: [{lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}}]
"""

PRICE = """
  price:
    takes: {sku: string}
    steps: [{lookup: {in: catalog, query: "SELECT price FROM product WHERE sku = :sku"}}]
"""

SOURCE = """
sources:
  north: {zmq: "%s"%s}
"""

QUOTE = """
  quote: {takes: {symbol: string}, steps: [{fanout: {to: [north], wait: any}}]}
"""


def prepared(stack, text=CONFIG, **options):
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    return catalog, Sluiced(stack, SLUICED, text, directory, **options)


def reload(daemon, text, doors=DOORS):
    """What the manager hears at the end of it."""
    daemon.begin_reload(text, doors)
    begun = daemon.manager.wait_for("RELOADING=1", daemon.process)
    equal(begun["MONOTONIC_USEC"].isdecimal(), True)
    return daemon.end_reload()


def refused(daemon, text, *errors, doors=DOORS, generation=1):
    """Reloads what is wrong in these ways, and sees each told."""
    status = reload(daemon, text, doors)
    equal(status, f"serving generation {generation}; reload refused: {errors[0]}")
    for error in errors:
        quoted = error.replace('"', '\\"')
        daemon.log.wait_for(f'msg="reload refused" error="{quoted}"')


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def test_a_receipt(stack):
    _, daemon = prepared(stack)
    feed = Feed(stack, daemon, "daemon.")
    equal(reload(daemon, CONFIG + PRICE), "serving generation 2")
    daemon.log.wait_for('msg="reloaded" generation=2 changes="pipeline price added"')
    event = feed.wait_for("daemon.reloaded")
    equal([event["generation"], event["before"], event["changes"]], [2, 1, ["pipeline price added"]])
    client = Client(stack, daemon)
    equal(client.call("price", {"sku": "s1"}).body, {"price": 1.5})
    equal(client.call("product", {"sku": "s1"}).keys["cache"], "miss")
    changed = CONFIG.replace("1MiB", "2MiB").replace("1h", "2h") + "limits: {in_flight: 500}\ndrain: 1s\n"
    equal(reload(daemon, changed), "serving generation 3")
    equal(feed.wait_for("daemon.reloaded")["changes"],
          ["cache hot changed", "pipeline price removed", "pipeline product changed", "limits changed", "drain changed"])
    equal(client.call("product", {"sku": "s1"}).keys["cache"], "hit")  # though its cache has another size
    # Nor is it a change to write a default out.
    equal(reload(daemon, changed.replace(':sku"}', ':sku", queue: 1000}')), "serving generation 4")
    equal(feed.wait_for("daemon.reloaded")["changes"], [])
    daemon.log.wait_for("generation=4 changes=nothing")
    stats = feed.stats(lambda stats: stats["generation"] == 4 and stats["generations"] == 1)
    equal(stats["caches"]["hot"]["bytes_max"], 2 << 20)


def test_what_nobody_uses_any_more_is_warned_of(stack):
    _, daemon = prepared(stack)
    _, pipelines = CONFIG.split("pipelines:")
    reload(daemon, CONFIG.replace(pipelines, "\n  bare: {steps: [{lookup: {in: catalog, query: SELECT 1 AS one}}]}\n"))
    daemon.log.wait_for('no pipeline uses the cache \\"hot\\"')


def test_a_refusal_changes_nothing(stack):
    _, daemon = prepared(stack)
    feed = Feed(stack, daemon, "daemon.")
    client = Client(stack, daemon)
    equal(client.call("product", {"sku": "s1"}).keys["cache"], "miss")
    refused(daemon, CONFIG + PRICE.replace("takes", "tkaes"),
            'sluice.yaml:19:5: unknown key "tkaes"; did you mean "takes"?')
    event = feed.wait_for("daemon.reload_refused")
    equal((event["generation"], event["errors"]), (1, ['sluice.yaml:19:5: unknown key "tkaes"; did you mean "takes"?']))
    refused(daemon, CONFIG + PRICE.replace("SELECT price", "SELECT colour"),
            "sluice.yaml:20:43: the query cannot be prepared: no such column: colour")
    refused(daemon, CONFIG.replace("catalog.db", "nothing.db"),
            'sluice.yaml:5:21: database "catalog" cannot be opened: nothing.db: No such file or directory')
    refused(daemon, "]", "sluice.yaml:3:1: not YAML: did not find expected key, while parsing a block mapping that begins at line 1")
    os.unlink(daemon.directory / "sluice.yaml")
    daemon.signal(signal.SIGHUP)
    equal(daemon.end_reload(), "serving generation 1; reload refused: sluice.yaml: cannot be read: No such file or directory")
    reply = client.call("product", {"sku": "s1"})
    equal((reply.keys["cache"], reply.body), ("hit", {"name": "product 1"}))
    equal(client.call("price", {"sku": "s1"}).status, "UNIMPLEMENTED")
    stats = feed.stats(lambda stats: stats["generations"] == 1)
    equal((stats["generation"], stats["caches"]["hot"]["hits"]), (1, 1))
    equal(reload(daemon, CONFIG + PRICE), "serving generation 2")


def test_what_needs_a_restart(stack):
    _, daemon = prepared(stack)
    refused(daemon, CONFIG, 'sluice.yaml:1:9: another "listen" needs a restart',
            'sluice.yaml:2:22: another "telemetry.publish" needs a restart',
            doors='listen: tcp://127.0.0.2:*\ntelemetry: {publish: "tcp://127.0.0.2:*", every: 10ms}\n')
    refused(daemon, "limits: {message: 2MiB, per_client: 1001}\n" + CONFIG,
            'sluice.yaml:3:9: a higher "limits.message" needs a restart',
            'sluice.yaml:3:9: a higher "limits.per_client" needs a restart')
    equal(reload(daemon, "limits: {message: 1KiB, per_client: 10}\n" + CONFIG), "serving generation 2")
    client = Client(stack, daemon)
    reply = client.call("product", '{"sku":"s1","x":"' + "x" * 1024 + '"}')
    equal((reply.status, reply.keys["max"]), ("INVALID_ARGUMENT", "1024"))
    equal(client.call("product", {"sku": "s1"}).status, "OK")


def test_what_runs_ends_in_its_generation(stack):
    catalog, daemon = prepared(stack)
    client, other = Client(stack, daemon), Client(stack, daemon)
    feed = Feed(stack, daemon)
    catalog.lock()
    client.ask("product", "old", {"sku": "s1"})
    feed.stats(lambda stats: stats["in_flight"] == 1)
    renamed = CONFIG.replace("  product:", "  item:").replace("SELECT name", "SELECT sku, name")
    daemon.begin_reload(renamed)
    daemon.log.wait_for('msg="waiting for a locked database"')
    equal(other.call("item", {"sku": "s1"}).status, "UNIMPLEMENTED")  # for its query is not known to be right
    catalog.unlock()
    equal(client.hear().body, {"name": "product 1"})
    daemon.manager.wait_for("STATUS=serving generation 2", daemon.process)
    equal(other.call("product", {"sku": "s2"}).status, "UNIMPLEMENTED")
    equal(other.call("item", {"sku": "s2"}).body, {"sku": "s2", "name": "product 2"})
    # Values are the cache's, whoever asks: the key is the same.
    equal(other.call("item", {"sku": "s1"}).body, {"name": "product 1"})
    feed.stats(lambda stats: stats["generations"] == 1)


def test_a_generation_lives_as_long_as_its_requests(stack):
    quotes = Quotes(stack, QUOTES, "--hang", "1")
    text = CONFIG + QUOTE
    _, daemon = prepared(stack, text + SOURCE % (quotes.endpoint, ", required: true"))
    feed = Feed(stack, daemon)
    client = Client(stack, daemon)
    client.ask("quote", "old", {"symbol": "AAPL"}, budget=30000)
    feed.stats(lambda stats: stats["in_flight"] == 1)
    # Another source of that name: the old one goes on for the one request that is out there.
    answering = Quotes(stack, QUOTES)
    equal(reload(daemon, text + SOURCE % (answering.endpoint, ", required: true")), "serving generation 2")
    equal(client.call("quote", {"symbol": "AAPL"}, name="new").status, "OK")
    feed.stats(lambda stats: stats["generations"] == 2)
    client.cancel("old")
    equal(client.hear().status, "CANCELLED")
    stats = feed.stats(lambda stats: stats["generations"] == 1)
    # What ends in the old one counts for the pipeline of that name all the same.
    equal(stats["pipelines"]["quote"]["ended"], {"OK": 1, "CANCELLED": 1})


def test_a_database_ends_with_its_last_lookup(stack):
    catalog, daemon = prepared(stack)
    client, other = Client(stack, daemon), Client(stack, daemon)
    feed = Feed(stack, daemon)
    catalog.lock()
    client.ask("product", "old", {"sku": "s1"}, budget=30000)
    feed.stats(lambda stats: stats["in_flight"] == 1)
    equal(reload(daemon, "pipelines:" + QUOTE + SOURCE % ("ipc://nobody", "")), "serving generation 2")
    catalog.unlock()
    equal(client.hear().body, {"name": "product 1"})
    feed.stats(lambda stats: stats["generations"] == 1)
    equal(other.call("product", {"sku": "s1"}).status, "UNIMPLEMENTED")


def test_a_catalog_with_another_schema(stack):
    """The file first, and then the queries for it: the old one stays for those who still ask it."""
    catalog, daemon = prepared(stack)
    client, other = Client(stack, daemon), Client(stack, daemon)
    feed = Feed(stack, daemon, "daemon.")
    catalog.lock()
    client.ask("product", "old", {"sku": "s1"}, budget=30000)
    feed.stats(lambda stats: stats["in_flight"] == 1)
    put_in_place(stack, daemon.directory / "catalog.db", "ALTER TABLE product RENAME TO item", "UPDATE item SET name = 'new'")
    feed.wait_for("daemon.database_refused")
    refused(daemon, CONFIG, "sluice.yaml:16:46: the query cannot be prepared: no such table: product")
    equal(reload(daemon, CONFIG.replace("FROM product", "FROM item")), "serving generation 2")
    equal(other.call("product", {"sku": "s2"}).body, {"name": "new"})
    catalog.unlock()
    equal(client.hear().body, {"name": "product 1"})
    feed.stats(lambda stats: stats["generations"] == 1)
    for n in range(3, 6):
        equal(other.call("product", {"sku": f"s{n}"}).body, {"name": "new"})


def test_a_schema_that_is_changed_in_place(stack):
    catalog, daemon = prepared(stack)
    catalog.rename("product", "item")
    equal(reload(daemon, CONFIG.replace("FROM product", "FROM item")), "serving generation 2")
    equal(Client(stack, daemon).call("product", {"sku": "s1"}).body, {"name": "product 1"})


def test_a_file_that_only_an_old_generation_has_no_use_for(stack):
    quotes = Quotes(stack, QUOTES, "--hang", "1")
    text = CONFIG + QUOTE + SOURCE % (quotes.endpoint, ", required: true")
    _, daemon = prepared(stack, CONFIG + PRICE + QUOTE + SOURCE % (quotes.endpoint, ", required: true"))
    feed = Feed(stack, daemon, "daemon.")
    client = Client(stack, daemon)
    client.ask("quote", "old", {"symbol": "AAPL"}, budget=30000)
    feed.stats(lambda stats: stats["in_flight"] == 1)
    equal(reload(daemon, text), "serving generation 2")
    put_in_place(stack, daemon.directory / "catalog.db", "UPDATE product SET name = 'new'", "ALTER TABLE product DROP COLUMN price")
    feed.wait_for("daemon.database_refused")
    client.cancel("old")
    feed.wait_for("daemon.database_replaced")
    equal(Client(stack, daemon).call("product", {"sku": "s1"}).body, {"name": "new"})


def test_a_required_source_that_does_not_come(stack):
    _, daemon = prepared(stack)
    refused(daemon, "start_timeout: 300ms\n" + CONFIG + QUOTE + SOURCE % ("ipc://nobody", ", required: true"),
            'sluice.yaml:22:16: "north" is required and is not ready: it was waited for as long as `start_timeout` says; '
            "start it, or say `required: false`")
    equal(Client(stack, daemon).call("product", {"sku": "s1"}).status, "OK")


def test_a_source_is_kept_until_what_replaces_it_is_there(stack):
    text = "start_timeout: 60s\n" + CONFIG + QUOTE
    _, daemon = prepared(stack, text + SOURCE % (Quotes(stack, QUOTES).endpoint, ""))
    feed = Feed(stack, daemon)
    client = Client(stack, daemon)
    feed.wait_up(["north"])
    later = f"ipc://{daemon.directory}/later"
    daemon.begin_reload(text + SOURCE % (later, ""))
    daemon.log.wait_for('msg="waiting" name=north')
    equal(client.call("quote", {"symbol": "AAPL"}).status, "OK")
    Quotes(stack, QUOTES, "--bind", later)
    daemon.manager.wait_for("STATUS=serving generation 2", daemon.process)
    equal(client.call("quote", {"symbol": "AAPL"}).status, "OK")
    feed.stats(lambda stats: stats["generations"] == 1)


def test_one_that_replaces_a_source_and_does_not_come(stack):
    text = "start_timeout: 300ms\n" + CONFIG + QUOTE
    _, daemon = prepared(stack, text + SOURCE % (Quotes(stack, QUOTES).endpoint, ""))
    Feed(stack, daemon).wait_up(["north"])
    equal(reload(daemon, text + SOURCE % ("ipc://nobody", "")), "serving generation 2")
    daemon.log.wait_for('msg="not waited for any longer" name=north')


def test_a_database_that_can_not_prepare_what_is_new(stack):
    catalog, daemon = prepared(stack)
    catalog.lock()
    refused(daemon, "start_timeout: 300ms\n" + CONFIG + PRICE,
            'sluice.yaml:6:21: "catalog" goes on, but its new queries could not be prepared (it is locked): it was '
            "waited for as long as `start_timeout` says")
    # Its place is that of those who would ask it, and of nobody who was refused before.
    refused(daemon, "\n" * 7 + CONFIG + PRICE.replace("takes", "tkaes"),
            'sluice.yaml:26:5: unknown key "tkaes"; did you mean "takes"?')
    refused(daemon, "\n\nstart_timeout: 300ms\n" + CONFIG + PRICE,
            'sluice.yaml:8:21: "catalog" goes on, but its new queries could not be prepared (it is locked): it was '
            "waited for as long as `start_timeout` says")


def test_a_file_that_is_replaced_while_it_is_waited_for(stack):
    """The first that takes its place lacks what is asked already, and the second has all."""
    catalog, daemon = prepared(stack)
    feed = Feed(stack, daemon, "daemon.")
    client = Client(stack, daemon)
    catalog.lock()
    daemon.begin_reload("start_timeout: 1h\n" + CONFIG + PRICE)
    daemon.log.wait_for('msg="waiting" name=catalog reason="it is locked"')
    put_in_place(stack, daemon.directory / "catalog.db", "ALTER TABLE product RENAME COLUMN name TO title")
    feed.wait_for("daemon.database_refused")
    daemon.log.wait_for('msg="waiting" name=catalog reason="its file has just been replaced"')
    catalog.unlock()
    equal(client.call("product", {"sku": "s1"}).body, {"name": "product 1"})
    equal(client.call("price", {"sku": "s1"}).status, "UNIMPLEMENTED")
    put_in_place(stack, daemon.directory / "catalog.db", "UPDATE product SET price = 7")
    daemon.manager.wait_for("STATUS=serving generation 2", daemon.process)
    equal(client.call("price", {"sku": "s1"}).body, {"price": 7})


def test_one_that_comes_while_another_is_loaded(stack):
    catalog, daemon = prepared(stack)
    feed = Feed(stack, daemon, "daemon.")
    catalog.lock()
    daemon.begin_reload(CONFIG + PRICE)
    daemon.log.wait_for('msg="waiting for a locked database"')
    daemon.begin_reload(CONFIG)
    daemon.manager.wait_for("STATUS=serving generation 1; reload refused: the next reload has begun", daemon.process)
    feed.wait_for("daemon.reload_refused", lambda event: event["errors"] == ["the next reload has begun"])
    catalog.unlock()
    daemon.manager.wait_for("STATUS=serving generation 2", daemon.process)
    daemon.log.wait_for("generation=2 changes=nothing")


def test_one_that_comes_before_it_is_ready(stack):
    directory, catalog = locked_catalog(stack)
    daemon = Sluiced(stack, SLUICED, CONFIG, directory, ready=False)
    daemon.log.wait_for('msg="waiting for a locked database"')
    daemon.begin_reload(CONFIG + PRICE)
    catalog.unlock()
    daemon.manager.wait_for("STATUS=serving generation 2", daemon.process)
    daemon.log.wait_for('generation=2 changes="pipeline price added"')


def test_one_that_ends_the_waiting_of_another(stack):
    """A required source that will never come is waited for no longer than until the file is right."""
    _, daemon = prepared(stack)
    daemon.begin_reload("start_timeout: 1h\n" + CONFIG + QUOTE + SOURCE % ("ipc://nobody", ", required: true"))
    daemon.log.wait_for('msg="waiting" name=north')
    daemon.begin_reload(CONFIG + PRICE)
    daemon.manager.wait_for("STATUS=serving generation 2", daemon.process)
    equal(Client(stack, daemon).call("price", {"sku": "s1"}).status, "OK")


def test_a_stop_while_one_is_loaded(stack):
    catalog, daemon = prepared(stack)
    catalog.lock()
    daemon.begin_reload(CONFIG + PRICE)
    daemon.log.wait_for('msg="waiting for a locked database"')
    equal(daemon.stop(), {"read": 0, "answered": 0, "gone": 0, "undelivered": 0})
    told = [message.get("STATUS") for message in daemon.manager.heard()]
    refusal = "serving generation 1; reload refused: the daemon is being stopped"
    equal(told[told.index(refusal):], [refusal, "draining"])
    daemon.log.wait_for('msg="reload refused" error="the daemon is being stopped"')


def test_nothing_is_lost_under_load(stack):
    """A window of requests in flight all the time, hits and misses, while it is reloaded fifty times."""
    quotes = Quotes(stack, QUOTES)
    texts = [CONFIG + QUOTE + SOURCE % (quotes.endpoint, ""), CONFIG + PRICE + QUOTE + SOURCE % (quotes.endpoint, "")]
    _, daemon = prepared(stack, texts[0])
    feed = Feed(stack, daemon)
    feed.wait_up(["north"])
    client = Client(stack, daemon)
    number = 0

    def ask():
        nonlocal number
        number += 1
        if number % 3 == 0:
            client.ask("quote", number, {"symbol": f"S{number}"}, budget=30000)
        else:
            client.ask("product", number, {"sku": f"s{number % 10}"}, budget=30000)

    for _ in range(64):
        ask()
    for generation in range(2, 52):
        daemon.begin_reload(texts[generation % 2])
        for _ in range(64):
            equal(client.hear().status, "OK")
            ask()
        daemon.manager.wait_for(f"STATUS=serving generation {generation}", daemon.process)
    for _ in range(64):
        equal(client.hear().status, "OK")
    feed.stats(lambda stats: stats["generations"] == 1)
    equal(daemon.stop()["answered"], number)


def test_nothing_is_lost_while_a_source_changes(stack):
    """A window of questions to a source, all the time, while it is told other things ten times."""
    quotes = Quotes(stack, QUOTES)
    texts = [CONFIG + QUOTE + SOURCE % (quotes.endpoint, spare) for spare in ("", ", spare: 9")]
    _, daemon = prepared(stack, texts[0])
    Feed(stack, daemon).wait_up(["north"])
    client = Client(stack, daemon)
    for number in range(16):
        client.ask("quote", number, {"symbol": "AAPL"}, budget=30000)
    for generation in range(2, 12):
        daemon.begin_reload(texts[(generation + 1) % 2])
        while not any(message.get("STATUS") == f"serving generation {generation}" for message in daemon.manager.heard()):
            reply = client.hear()
            equal(reply.status, "OK")
            client.ask("quote", reply.id, {"symbol": "AAPL"}, budget=30000)
    equal([reply.status for reply in client.hear_many(16)], ["OK"] * 16)


def test_what_nobody_holds_is_closed(stack):
    """Sources, connections and threads of a hundred generations are not heaped up, whatever changes."""
    quotes = Quotes(stack, QUOTES)
    texts = [CONFIG, CONFIG.replace("connections: 2", "connections: 3") + QUOTE + SOURCE % (quotes.endpoint, "")]
    _, daemon = prepared(stack, texts[0])
    feed = Feed(stack, daemon)
    client = Client(stack, daemon)
    equal(client.call("product", {"sku": "s1"}).keys["cache"], "miss")
    before = descriptors(daemon)
    threads = len(os.listdir(f"/proc/{daemon.process.pid}/task"))
    for generation in range(2, 102):
        equal(reload(daemon, texts[(generation + 1) % 2]), f"serving generation {generation}")
        equal(client.call("product", {"sku": "s1"}).keys["cache"], "hit")
    equal(reload(daemon, texts[0]), "serving generation 102")
    equal(client.call("product", {"sku": "s2"}).keys["cache"], "miss")
    # libzmq's own thread closes sockets a little later.
    feed.stats(lambda stats: stats["generations"] == 1 and descriptors(daemon) == before)
    equal(len(os.listdir(f"/proc/{daemon.process.pid}/task")), threads)


tap.run([
    test_a_receipt, test_what_nobody_uses_any_more_is_warned_of, test_a_refusal_changes_nothing,
    test_what_needs_a_restart, test_what_runs_ends_in_its_generation,
    test_a_generation_lives_as_long_as_its_requests, test_a_database_ends_with_its_last_lookup,
    test_a_catalog_with_another_schema, test_a_schema_that_is_changed_in_place,
    test_a_file_that_only_an_old_generation_has_no_use_for, test_a_required_source_that_does_not_come,
    test_a_source_is_kept_until_what_replaces_it_is_there, test_one_that_replaces_a_source_and_does_not_come,
    test_a_database_that_can_not_prepare_what_is_new, test_a_file_that_is_replaced_while_it_is_waited_for,
    test_one_that_comes_while_another_is_loaded,
    test_one_that_comes_before_it_is_ready, test_one_that_ends_the_waiting_of_another,
    test_a_stop_while_one_is_loaded, test_nothing_is_lost_under_load, test_nothing_is_lost_while_a_source_changes,
    test_what_nobody_holds_is_closed,
])
