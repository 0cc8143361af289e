#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every configuration that is shipped is right, without so much as a warning; and what its comments say is so."""
import json
import pathlib
import re
import sys

from catalog import Catalog
from scripted import Scripted
from sluice import Client, Feed, Sluiced, folder, knows_http, run
import tap
from tap import equal

SLUICED = sys.argv[1]
CONF = pathlib.Path(__file__).parents[2] / "conf"


def check(path):
    done = run(SLUICED, "--config", path.name, "--check", cwd=path.parent)
    equal((path.name, done.returncode, done.stderr), (path.name, 0, []))
    assert done.stdout.startswith(f"{path.name} is right; "), done.stdout


def test_the_examples(stack):
    examples = sorted((CONF / "examples").iterdir())
    equal([path.name for path in examples],
          ["demo.yaml", "edge.yaml", "hedged.yaml", "outlier.yaml", "product.yaml", "quorum.yaml", "race.yaml",
           "retry.yaml", "smallest.yaml", "streaming.yaml"])
    for path in examples:
        if path.name != "race.yaml" or knows_http(SLUICED):
            check(path)


def test_what_is_installed(stack):
    check(CONF / "sluice.yaml")


def started(stack, name, directory=None, instead=()):
    """A daemon with that example, at doors of its own, with something else instead of what is written there."""
    text = re.sub(r"^(listen|telemetry):.*\n", "", (CONF / "examples" / name).read_text(), flags=re.M)
    for written, here in instead:
        assert written in text, written
        text = text.replace(written, here)
    return Sluiced(stack, SLUICED, text, directory)


def up(stack, daemon, *sources):
    """A client, and a reader of the feed, once these are connected."""
    feed = Feed(stack, daemon)
    feed.wait_up(sources)
    return Client(stack, daemon), feed


def test_a_product_is_cached(stack):
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    daemon = started(stack, "product.yaml", directory)
    client, feed = Client(stack, daemon), Feed(stack, daemon)

    def ask(caller, **keys):
        reply = client.call("product", {"sku": "s1", "client": caller}, budget=60000, **keys)
        return reply.status, reply.keys.get("cache"), reply.body.get("found_by")
    equal(ask("anna"), ("OK", "miss", "anna"))
    equal(ask("beth"), ("OK", "hit", "anna"))
    catalog.lock()
    equal(ask("beth"), ("OK", "hit", "anna"))
    catalog.unlock()
    equal(ask("carl", fresh=1), ("OK", "miss", "carl"))
    equal(ask("beth"), ("OK", "hit", "carl"))
    equal(client.call("product", {"sku": "none"}).status, "NOT_FOUND")
    counts = feed.stats()["pipelines"]["product"]["stages"]["product/1.cache"]
    equal((counts["hits"], counts["misses"], counts["fresh"], counts["joined"]), (3, 2, 1, 0))


def answer(source, status, body=None):
    """Answers the next question to a source; gives its target. A question before it may have been taken back."""
    target, name, _ = source.hear()
    while target == "$cancel":
        target, name, _ = source.hear()
    source.say(f"{name} {status} us=0" + ("\n" + json.dumps(body) if body is not None else ""))
    return target


def test_what_fails_is_tried_again(stack):
    directory = folder(stack)
    north = Scripted(stack)
    Catalog(stack, directory / "catalog.db")
    daemon = started(stack, "retry.yaml", directory, [
        ("tcp://127.0.0.1:6001", north.endpoint), ("deadline: 2s", "deadline: 60s"), ("timeout: 400ms", "timeout: 60s"),
        ("after: 500ms", "after: 60s")])
    client, feed = up(stack, daemon, "north")
    client.ask("quote", "a", {"symbol": "AAPL"})
    for status, body in (("UNAVAILABLE", {"error": "busy"}), ("RESOURCE_EXHAUSTED", None), ("OK", {"price": 7})):
        equal(answer(north, status, body), "quote")
    equal(client.hear()[:4:3], ("a", {"price": 7}))
    client.ask("quote", "b", {"symbol": "none"})
    answer(north, "NOT_FOUND")
    equal(client.hear()[:2], ("b", "NOT_FOUND"))
    counts = feed.stats()["pipelines"]["quote"]["stages"]["quote/1.retry"]
    equal((counts["attempts"], counts["retries"], counts["refused"]), (4, 2, 0))
    # Who does not ask for the market's price is not told it, and the source is not asked.
    equal(client.call("price", {"sku": "s1"}).body, {"sku": "s1", "price": 1.5, "symbols": ["AAPL", "MSFT"]})
    client.ask("price", "c", {"sku": "s1", "live": True})
    answer(north, "OK", {"price": 8})
    equal(client.hear()[:4:3], ("c", {"price": 8}))
    equal(feed.stats()["sources"]["north"]["asked"], 5)


def test_a_lookup_is_tried_again(stack):
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    daemon = started(stack, "retry.yaml", directory, [("deadline: 2s", "deadline: 60s"), ("after: 500ms", "after: 5ms")])
    client, feed = Client(stack, daemon), Feed(stack, daemon)
    catalog.lock()
    reply = client.call("product", {"sku": "s1"})
    equal((reply.status, [cause["timeout"] for cause in reply.body["causes"]]), ("UNAVAILABLE", [True] * 3))
    counts = feed.stats()["pipelines"]["product"]["stages"]["product/1.retry"]
    equal((counts["attempts"], counts["retries"]), (3, 2))
    catalog.unlock()


def test_a_quorum(stack):
    names = ("north", "south", "east")
    north, south, east = sources = [Scripted(stack) for _ in names]
    instead = [(f"tcp://127.0.0.1:600{n + 1}", source.endpoint) for n, source in enumerate(sources)]
    daemon = started(stack, "quorum.yaml", instead=[*instead, ("deadline: 500ms", "deadline: 60s"),
                                                    ("timeout: 300ms", "timeout: 60s")])
    client, _ = up(stack, daemon, *names)

    def ask(pipeline):
        client.ask(pipeline, pipeline, {"symbol": "AAPL"})
    # Two good answers, in the order of the file; the third is not wanted any more.
    ask("two")
    answer(east, "OK", {"price": 3})
    answer(north, "OK", {"price": 1})
    reply = client.hear()
    equal((reply.id, list(reply.body.items())), ("two", [("north", {"price": 1}), ("east", {"price": 3})]))
    equal([south.hear()[0] for _ in range(2)], ["quote", "$cancel"])
    # One that fails is no outage, and two are one at once.
    ask("two")
    answer(north, "UNAVAILABLE")
    answer(south, "OK", 2)
    answer(east, "OK", 3)
    equal(client.hear().body, {"south": 2, "east": 3})
    ask("two")
    answer(north, "UNAVAILABLE")
    answer(south, "UNAVAILABLE")
    reply = client.hear()
    equal((reply.status, [cause["stage"] for cause in reply.body["causes"]]),
          ("UNAVAILABLE", ["two/1.fanout/north", "two/1.fanout/south"]))
    equal([east.hear()[0] for _ in range(2)], ["quote", "$cancel"])
    ask("some")
    answer(north, "UNAVAILABLE")
    answer(south, "UNAVAILABLE")
    answer(east, "OK", 3)
    reply = client.hear()
    equal((reply.keys["partial"], reply.body),
          ("1", {"east": 3, "$missing": {"north": "UNAVAILABLE", "south": "UNAVAILABLE"}}))
    ask("lower")
    answer(south, "OK", {"price": 2})
    answer(east, "OK", {"price": 1})
    equal(client.hear().body, {"price": 1, "$source": "east"})
    equal([north.hear()[0] for _ in range(2)], ["quote", "$cancel"])


tap.run([
    test_the_examples, test_what_is_installed, test_a_product_is_cached, test_what_fails_is_tried_again,
    test_a_lookup_is_tried_again, test_a_quorum,
])
