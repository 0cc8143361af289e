#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sources that are a real web server, and the example of a race between two."""
import json
import pathlib
import sys

from sluice import Client, Feed, Sluiced, knows_http
import tap
from tap import equal
from web import NGINX, Nginx, Web

SLUICED = sys.argv[1]
RACE = pathlib.Path(__file__).parents[2] / "conf" / "examples" / "race.yaml"

SERVER = """
    location /quote { return 200 '{"symbol": "$arg_symbol", "budget": "$http_sluice_budget", "n": $connection_requests}'; }
    location /none { return 404 '{"error": "no such symbol"}'; }
    location /html { default_type text/html; return 200 '<html></html>'; }
    location /moved { return 301 /quote; }
    location /teapot { return 418; }
    location /large.json { }
    location /slow.json { limit_rate 1k; }
    location /posted.json { client_max_body_size 1k; error_page 405 =200 /posted.json; }
    location /gone { return 444; }
"""

PIPELINES = """
limits: {deadline: 60s, max_deadline: 60s}
sources:
  get: {http: 'URL/${path}?symbol=${symbol | x}'}
  post: {http: 'URL/posted.json', method: POST}
pipelines:
  get: {takes: {path: string, symbol: string = x}, steps: [{fanout: {to: [get], wait: any}}]}
  post: {steps: [{fanout: {to: [post], wait: any}}]}
"""


def over(stack):
    files = {"large.json": json.dumps(["x" * 1000] * 1000), "slow.json": json.dumps("y" * 100000),
             "posted.json": '"taken"'}
    nginx = Nginx(stack, f"root FOLDER; {SERVER}", files)
    daemon = Sluiced(stack, SLUICED, PIPELINES.replace("URL", nginx.url))
    feed = Feed(stack, daemon)
    feed.wait_up()
    return Client(stack, daemon), feed


def get(client, path, **options):
    reply = client.call("get", {"path": path, **options})
    if reply.status == "OK":
        return reply.body
    first, = reply.body["causes"]
    return first["status"], first["error"]


def test_answers(stack):
    client, feed = over(stack)
    body = get(client, "quote", symbol="A B&c")
    equal((body["symbol"], body["n"]), ("A%20B%26c", 1))
    assert 0 < int(body["budget"]) < 60000, body
    # It is the same connection all the time, whatever was answered on it.
    equal(get(client, "none"), ("NOT_FOUND", "no such symbol"))
    status, error = get(client, "html")
    equal((status, error.split(":")[0]), ("INTERNAL", "its answer is not JSON"))
    equal(get(client, "moved"), ("INTERNAL", "it redirects (301), which is not followed"))
    equal(get(client, "teapot"), ("INTERNAL", "it answered 418"))
    equal(get(client, "nowhere"), ("NOT_FOUND", "it answered 404"))
    equal(get(client, "large.json"), ["x" * 1000] * 1000)
    equal(get(client, "quote")["n"], 8)
    equal(get(client, "gone"), ("UNAVAILABLE", "connection lost without an answer"))
    source = feed.stats()["sources"]["get"]
    equal([source[name] for name in ("asked", "answered", "failed", "lost", "pending")], [9, 8, 5, 1, 0])


def test_what_is_posted(stack):
    client, _ = over(stack)
    for body in ({}, {"a": "x" * 500}):
        equal(client.call("post", body).body, "taken")
    first, = client.call("post", {"a": "x" * 2000}).body["causes"]
    equal((first["status"], first["error"]), ("INVALID_ARGUMENT", "it answered 413"))


def test_a_slow_answer_is_cut_off(stack):
    client, feed = over(stack)
    reply = client.call("get", {"path": "slow.json"}, budget=300)
    equal(reply.status, "DEADLINE_EXCEEDED")
    equal(get(client, "quote")["n"], 1)
    equal(feed.stats()["sources"]["get"]["cancelled"], 1)


def test_a_value_does_not_climb_out_of_its_path(stack):
    """nginx decodes a path before it resolves its dots."""
    nginx = Nginx(stack, "location /quote/ { return 200 '1'; } location / { return 200 '\"elsewhere\"'; }")
    daemon = Sluiced(stack, SLUICED, PIPELINES.replace("URL", nginx.url + "/quote"))
    client = Client(stack, daemon)
    for path in ("AAPL", "a/b", "..a", "%2e%2e%2f"):
        equal(get(client, path), 1)
    for path in ("..", "../admin", "x/../../admin", "x/..", ".", "..\\admin"):
        equal(get(client, path), ("INVALID_ARGUMENT", "a value may not be . or .. in a URL's path"))


def proxied(stack):
    """A server that the test speaks for, and nginx before it."""
    web = Web(stack, probed=False)
    return web, Nginx(stack, f"location / {{ proxy_http_version 1.1; proxy_pass {web.url}; }}")


def race(stack):
    """The example, between two of these, with time enough for any machine."""
    (north, before_north), (south, before_south) = proxied(stack), proxied(stack)
    text = RACE.read_text()
    for written, here in [("http://127.0.0.1:8001", before_north.url), ("http://127.0.0.1:8002", before_south.url),
                          ("deadline: 500ms", "deadline: 30s"), ("timeout: 300ms", "timeout: 30s")]:
        assert written in text, written
        text = text.replace(written, here)
    lines = [line for line in text.splitlines() if not line.startswith(("listen:", "telemetry:"))]
    daemon = Sluiced(stack, SLUICED, "\n".join(lines))
    feed = Feed(stack, daemon)
    feed.wait_up()
    return Client(stack, daemon), feed, north, south


def test_the_example_of_a_race(stack):
    client, feed, north, south = race(stack)
    for n in range(3):
        client.ask("quote", n, {"symbol": f"S{n}"})
        (fast, request), (slow, _) = north.hear(), south.hear()
        equal(request.target, f"/quote?symbol=S{n}")
        fast.answer({"price": n})
        equal(client.hear().body, {"price": n})
        # Who is behind the loser's nginx hears of it too, because that looks for the end of a connection.
        slow.hear_close()
    sources = feed.stats()["sources"]
    equal([sources["north"][name] for name in ("asked", "answered", "connected")], [3, 3, 1])
    equal([sources["south"][name] for name in ("asked", "cancelled", "pending")], [3, 3, 0])


def test_the_example_with_a_cache_and_with_the_lowest(stack):
    client, _, north, south = race(stack)
    client.ask("cached", "a", {"symbol": "A"})
    client.ask("cached", "b", {"symbol": "A"})
    (low, _), (high, _) = north.hear(), south.hear()
    client.settle()
    low.answer({"error": "no such symbol"}, 404)
    high.answer({"price": 3})
    equal(sorted((reply.id, reply.keys["cache"], reply.body["price"]) for reply in client.hear_many(2)),
          [("a", "miss", 3), ("b", "joined", 3)])
    client.ask("lowest", "c", {"symbol": "A"})
    (low, _), (high, _) = north.hear(), south.hear()
    high.answer({"price": 3})
    low.answer({"price": 2})
    equal(client.hear().body, {"price": 2, "$source": "north"})


if not knows_http(SLUICED):
    tap.skip("this build has no HTTP sources")
if not NGINX:
    tap.skip("nginx is not there (Debian's nginx-light)")
tap.run([
    test_answers, test_what_is_posted, test_a_slow_answer_is_cut_off,
    test_a_value_does_not_climb_out_of_its_path, test_the_example_of_a_race,
    test_the_example_with_a_cache_and_with_the_lowest,
])
