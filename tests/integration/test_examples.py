#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every configuration that is shipped is right, without so much as a warning; and what its comments say is so."""
import pathlib
import re
import sys

from catalog import Catalog
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
          ["demo.yaml", "edge.yaml", "hedged.yaml", "outlier.yaml", "product.yaml", "race.yaml", "smallest.yaml", "streaming.yaml"])
    for path in examples:
        if path.name != "race.yaml" or knows_http(SLUICED):
            check(path)


def test_what_is_installed(stack):
    check(CONF / "sluice.yaml")


def started(stack, name, directory):
    """A daemon with that example, at doors of its own."""
    text = (CONF / "examples" / name).read_text()
    return Sluiced(stack, SLUICED, re.sub(r"^(listen|telemetry):.*\n", "", text, flags=re.M), directory)


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


tap.run([test_the_examples, test_what_is_installed, test_a_product_is_cached])
