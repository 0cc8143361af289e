#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A database that fails in the ways that databases do."""
import sys

from catalog import Catalog, locked_catalog, put_in_place
from sluice import Client, DOORS, Feed, Sluiced, folder, run
import tap
from tap import equal

SLUICED = sys.argv[1]
MANY = 10000

CONFIG = """
limits: {in_flight: 20000, per_client: 20000, deadline: 60s, max_deadline: 60s}
databases:
  catalog: {sqlite: catalog.db, connections: 2}
caches:
  hot: {memory: 1MiB}
pipelines:
  product:
    takes: {sku: string}
    steps:
    - lookup: {in: catalog, queue: 20000, query: "SELECT name FROM product WHERE sku = :sku"}
  bounded:
    takes: {sku: string}
    steps:
    - timeout: {after: 20ms, steps: [{lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}}]}
  patient:
    takes: {sku: string}
    steps:
    - retry:
        attempts: 10
        initial: 2s
        max: 2s
        budget: 0
        steps:
        - timeout: {after: 20ms, steps: [{lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}}]}
  cached:
    takes: {sku: string}
    steps:
    - cache:
        in: hot
        key: product/${sku}
        ttl: 1h
        miss:
        - lookup: {in: catalog, queue: 20000, query: "SELECT name FROM product WHERE sku = :sku"}
  everything:
    steps:
    - lookup: {in: catalog, query: "SELECT * FROM product WHERE sku = 's1'", json: [symbols]}
"""
CATALOG_PLACE = "sluice.yaml:6:21"


def prepared(stack):
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    return catalog, Sluiced(stack, SLUICED, CONFIG, directory)


def refused(directory, text=CONFIG):
    """What a start says that does not succeed."""
    (directory / "sluice.yaml").write_text(DOORS + text)
    done = run(SLUICED, "--config", "sluice.yaml", cwd=directory)
    equal((done.returncode, done.stdout), (1, ""))
    return done.stderr


def check_serves(client, sku="s1", pipeline="product"):
    reply = client.call(pipeline, {"sku": sku})
    equal((reply.status, reply.body), ("OK", {"name": f"product {sku[1:]}"}))


def test_a_missing_file(stack):
    equal(refused(folder(stack)), [f'{CATALOG_PLACE}: error: database "catalog" cannot be opened: catalog.db: '
                                   "No such file or directory"])


def test_one_that_is_not_required_comes_later(stack):
    directory, catalog = locked_catalog(stack)
    daemon = Sluiced(stack, SLUICED, CONFIG.replace("connections: 2", "connections: 2, required: false"), directory)
    client, feed = Client(stack, daemon), Feed(stack, daemon, "stats")
    equal(client.call("product", {"sku": "s1"}).status, "UNAVAILABLE")
    catalog.unlock()
    feed.stats(lambda stats: stats["databases"]["catalog"]["ready"])
    check_serves(client)


def found_wrong_later(stack):
    """A daemon that finds, when its file can be read at last, that it asks for another table than there is."""
    text = CONFIG.replace("connections: 2", "connections: 2, required: false").replace("FROM product", "FROM item")
    directory, catalog = locked_catalog(stack)
    daemon = Sluiced(stack, SLUICED, text, directory)
    client, feed = Client(stack, daemon), Feed(stack, daemon, "daemon.")
    catalog.unlock()
    wrong = "the query cannot be prepared: no such table: item"
    equal(wrong in feed.wait_for("daemon.open_failed")["error"], True)
    equal(wrong in daemon.log.wait_for('msg="a resource cannot be opened"'), True)
    equal(client.call("product", {"sku": "s1"}).status, "UNAVAILABLE")
    return daemon, client, feed


def test_one_that_was_wrong_is_mended_by_another_file(stack):
    daemon, client, feed = found_wrong_later(stack)
    put_in_place(stack, daemon.directory / "catalog.db", "ALTER TABLE product RENAME TO item")
    equal(feed.wait_for("daemon.database_ready")["name"], "catalog")
    check_serves(client)


def test_one_that_was_wrong_is_mended_by_a_reload(stack):
    daemon, client, feed = found_wrong_later(stack)
    daemon.begin_reload(CONFIG)
    feed.wait_for("daemon.reloaded")
    check_serves(client)


def test_a_file_that_is_no_database(stack):
    directory = folder(stack)
    (directory / "catalog.db").write_text("This is no database, but long enough to be looked at as one.\n" * 20)
    equal(refused(directory), [f'{CATALOG_PLACE}: error: database "catalog" cannot be opened: catalog.db: '
                               "file is not a database"])


def test_queries_that_do_not_prepare(stack):
    directory = folder(stack)
    Catalog(stack, directory / "catalog.db")
    lines = refused(directory, """
databases:
  catalog: {sqlite: catalog.db}
pipelines:
  first: {steps: [{lookup: {in: catalog, query: "SELECT name FROM products"}}]}
  good: {steps: [{lookup: {in: catalog, query: "SELECT name FROM product"}}]}
  second: {steps: [{lookup: {in: catalog, query: "SELEKT name FROM product"}}]}
  third: {steps: [{lookup: {in: catalog, query: "SELECT name, price AS name FROM product"}}]}
""")
    equal(lines, [
        "sluice.yaml:7:49: error: the query cannot be prepared: no such table: products",
        'sluice.yaml:9:50: error: the query cannot be prepared: near "SELEKT": syntax error',
        'sluice.yaml:10:49: error: the query cannot be prepared: it returns two columns named "name"',
    ])


def test_locked_at_run_time(stack):
    catalog, daemon = prepared(stack)
    client = Client(stack, daemon)
    check_serves(client, "s1", "cached")
    catalog.lock()
    reply = client.call("product", {"sku": "s1"}, budget=20)
    equal((reply.status, reply.keys.get("retry_ms")), ("DEADLINE_EXCEEDED", None))
    reply = client.call("bounded", {"sku": "s1"})
    equal((reply.status, reply.body["timeout"]), ("UNAVAILABLE", True))
    check_serves(client, "s1", "cached")
    # Those queries have ended though the lock is held, so both connections are free for what comes now.
    feed = Feed(stack, daemon)
    before = feed.stats(lambda stats: stats["reaping"] == 0)["databases"]["catalog"]["queries"]
    client.ask("product", "a", {"sku": "s1"})
    client.ask("product", "b", {"sku": "s2"})
    feed.stats(lambda stats: stats["databases"]["catalog"]["queries"] == before + 2)
    catalog.unlock()
    equal({(reply.id, reply.body["name"]) for reply in client.hear_many(2)}, {("a", "product 1"), ("b", "product 2")})
    client.settle()


def test_a_table_that_goes_and_comes_back(stack):
    catalog, daemon = prepared(stack)
    client = Client(stack, daemon)
    check_serves(client)
    catalog.rename("product", "gone")
    reply = client.call("product", {"sku": "s1"}, name="asked")
    equal((reply.status, reply.body), ("INTERNAL", {"error": "the query failed", "stage": "product/1.lookup"}))
    # What clients may not know is for the log.
    line = daemon.log.wait_for('msg="the query failed"')
    for field in ("database=catalog", "stage=product/1.lookup", "file=catalog.db", "id=asked",
                  'error="no such table: product"'):
        assert field in line, line
    equal(client.call("cached", {"sku": "s1"}).status, "INTERNAL")
    catalog.rename("gone", "product")
    check_serves(client)
    check_serves(client, "s1", "cached")


def test_columns_that_change(stack):
    catalog, daemon = prepared(stack)
    client = Client(stack, daemon)
    product = {"sku": "s1", "name": "product 1", "price": 1.5, "symbols": ["AAPL", "MSFT"]}
    equal(client.call("everything").body, product)
    catalog.connection.execute("ALTER TABLE product ADD COLUMN stock INTEGER DEFAULT 7")
    equal(client.call("everything").body, {**product, "stock": 7})


def test_values_that_are_no_json(stack):
    catalog, daemon = prepared(stack)
    client = Client(stack, daemon)
    for value in ("x'00ff'", "CAST(x'ff' AS TEXT)", "9e999", "-9e999"):
        catalog.connection.execute(f"UPDATE product SET price = {value} WHERE sku = 's1'")
        reply = client.call("everything")
        equal((value, reply.status, reply.body["error"]), (value, "INTERNAL", "a value cannot be written as JSON"))
    catalog.connection.execute("UPDATE product SET price = NULL, symbols = '[' WHERE sku = 's1'")
    equal(client.call("everything").status, "INTERNAL")
    catalog.connection.execute("UPDATE product SET symbols = '[]' WHERE sku = 's1'")
    equal(client.call("everything").body, {"sku": "s1", "name": "product 1", "price": None, "symbols": []})
    check_serves(client, "s2")


def test_values_are_bound_and_never_spliced(stack):
    _, daemon = prepared(stack)
    client = Client(stack, daemon)
    for sku in ("' OR 1=1 --", "s1'; DROP TABLE product; --", ":sku", "${sku}", "s%", ""):
        equal(client.call("product", {"sku": sku}).status, "NOT_FOUND")
    check_serves(client)


def test_a_hanging_database_is_no_outage_of_the_cache(stack):
    catalog, daemon = prepared(stack)
    feed = Feed(stack, daemon)
    warm, waiting = Client(stack, daemon), Client(stack, daemon)
    check_serves(warm, "s1", "cached")
    catalog.lock()
    for n in range(MANY):
        waiting.ask("product" if n % 2 else "cached", n, {"sku": f"s{n % 10}" if n % 2 else f"n{n}"})
    feed.stats(lambda stats: stats["in_flight"] == MANY)
    for _ in range(1000):
        reply = warm.call("cached", {"sku": "s1"})
        equal((reply.status, reply.keys["cache"], reply.body), ("OK", "hit", {"name": "product 1"}))
    equal(feed.stats()["in_flight"], MANY)
    catalog.unlock()
    statuses = [reply.status for reply in waiting.hear_many(MANY)]
    equal((statuses.count("OK"), statuses.count("NOT_FOUND")), (MANY // 2, MANY // 2))
    waiting.settle()


def test_a_retry_outlives_a_lock(stack):
    catalog, daemon = prepared(stack)
    client, feed = Client(stack, daemon), Feed(stack, daemon)
    catalog.lock()
    client.ask("patient", 1, {"sku": "s1"})
    feed.stats(lambda stats: stats["pipelines"]["patient"]["stages"]["patient/1.retry"]["retries"] >= 2)
    catalog.unlock()
    reply = client.hear()
    equal((reply.status, reply.body), ("OK", {"name": "product 1"}))


def replace(stack, directory, price):
    put_in_place(stack, directory / "catalog.db", f"UPDATE product SET name = 'at {price}'")


def test_a_file_that_is_replaced(stack):
    directory = folder(stack)
    Catalog(stack, directory / "catalog.db")
    daemon = Sluiced(stack, SLUICED, CONFIG, directory)
    client, feed = Client(stack, daemon), Feed(stack, daemon, "daemon.")
    check_serves(client)
    for price in (1, 2):
        client.ask("product", "during", {"sku": "s2"})
        replace(stack, directory, price)
        event = feed.wait_for("daemon.database_replaced")
        equal(event["name"], "catalog")
        equal(client.hear().status, "OK")
        for _ in range(4):
            equal(client.call("product", {"sku": "s1"}).body, {"name": f"at {price}"})
    daemon.log.wait_for('msg="a replaced database is used"')


def test_a_file_that_is_replaced_by_another_kind(stack):
    directory = folder(stack)
    Catalog(stack, directory / "catalog.db")
    daemon = Sluiced(stack, SLUICED, CONFIG, directory)
    client, feed = Client(stack, daemon), Feed(stack, daemon, "daemon.")
    (directory / "new.db").write_text("this is not a database\n" * 1000)
    (directory / "new.db").rename(directory / "catalog.db")
    feed.wait_for("daemon.database_refused")
    check_serves(client)
    replace(stack, directory, 3)
    feed.wait_for("daemon.database_replaced")
    equal(client.call("product", {"sku": "s1"}).body, {"name": "at 3"})
    equal(feed.stats()["databases"]["catalog"]["replaced"], 1)


tap.run([
    test_a_missing_file, test_one_that_is_not_required_comes_later,
    test_one_that_was_wrong_is_mended_by_another_file, test_one_that_was_wrong_is_mended_by_a_reload,
    test_a_file_that_is_no_database, test_queries_that_do_not_prepare, test_locked_at_run_time,
    test_a_table_that_goes_and_comes_back, test_columns_that_change, test_values_that_are_no_json,
    test_values_are_bound_and_never_spliced, test_a_hanging_database_is_no_outage_of_the_cache,
    test_a_retry_outlives_a_lock, test_a_file_that_is_replaced, test_a_file_that_is_replaced_by_another_kind,
])
