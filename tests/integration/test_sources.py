#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sources that die, hang, lie and are late, and what a fan-out makes of them."""
import socket
import sys
import time

from quotes import Quotes, Wire
from scripted import Scripted
from sluice import Client, Feed, Sluiced, TIMEOUT, folder
import tap
from tap import equal

SLUICED, QUOTES = sys.argv[1:]
APPLE = {"symbol": "AAPL"}

PIPELINES = """
limits: {deadline: 60s, max_deadline: 60s}
pipelines:
  all:
    takes: {symbol: string}
    steps: [{fanout: {to: [NAMES], body: {symbol: "${symbol}"}}}]
  any:
    takes: {symbol: string}
    steps: [{fanout: {to: [NAMES], wait: any, body: {symbol: "${symbol}"}}}]
  partial:
    takes: {symbol: string}
    steps: [{fanout: {to: [NAMES], on_error: partial, body: {symbol: "${symbol}"}}}]
  hasty:
    takes: {symbol: string}
    steps: [{fanout: {to: [NAMES], timeout: 400ms, on_error: partial, body: {symbol: "${symbol}"}}}]
  again:
    takes: {symbol: string}
    steps: [{retry: {initial: 0s, steps: [{fanout: {to: [NAMES], wait: any, body: {symbol: "${symbol}"}}}]}}]
  each:
    takes: {symbols: [string]}
    steps: [{fanout: {to: [NAMES], each: {symbol: "${symbols}"}, wait: any, on_error: partial}}]
"""


def over(stack, up, **endpoints):
    """A daemon over these sources, with a reader of its feed, once those in `up` are connected."""
    sources = "".join(f"  {name}: {{zmq: '{endpoint}'}}\n" for name, endpoint in endpoints.items())
    text = "sources:\n" + sources + PIPELINES.replace("NAMES", ", ".join(endpoints))
    daemon = Sluiced(stack, SLUICED, text)
    feed = Feed(stack, daemon, "daemon.")
    feed.wait_up(up)
    return daemon, feed


def quotes(stack, name, *options):
    source = Quotes(stack, QUOTES, "--name", name, *options)
    return source, Wire(stack, source.endpoint)


def nobody(stack):
    """An address where nobody listens, and nobody else can."""
    holder = stack.enter_context(socket.socket())
    holder.bind(("127.0.0.1", 0))
    return f"tcp://127.0.0.1:{holder.getsockname()[1]}"


def counts(feed, name, *counters):
    source = feed.stats()["sources"][name]
    return [source[counter] for counter in counters]


def wait_stats(wire, counter, count):
    """A source's own counters, once one of them has come to a count."""
    end = time.monotonic() + TIMEOUT
    stats = wire.stats()
    while stats[counter] < count:
        assert time.monotonic() < end, stats
        stats = wire.stats()
    return stats


def test_all(stack):
    north, south = quotes(stack, "north")[0], quotes(stack, "south")[0]
    daemon, _ = over(stack, ["north", "south"], south=south.endpoint, north=north.endpoint)
    reply = Client(stack, daemon).call("all", APPLE)
    equal((reply.status, reply.keys.get("partial")), ("OK", None))
    # In the order of `to`, whoever was first.
    equal([(name, quote["source"]) for name, quote in reply.body.items()], [("south", "south"), ("north", "north")])


def test_any_cancels_its_losers(stack):
    (north, asked_north), (south, asked_south) = quotes(stack, "north"), quotes(stack, "south", "--hang", "1")
    daemon, feed = over(stack, ["north", "south"], north=north.endpoint, south=south.endpoint)
    client = Client(stack, daemon)
    for n in range(100):
        reply = client.call("any", APPLE, name=n)
        equal((reply.status, reply.body["source"]), ("OK", "north"))
    # Each was told that it is not wanted any more.
    equal(counts(feed, "south", "asked", "cancelled", "pending"), [100, 100, 0])
    equal(wait_stats(asked_south, "cancelled", 100), {"asked": 100, "answered": 0, "cancelled": 100})
    equal(asked_north.stats(), {"asked": 100, "answered": 100, "cancelled": 0})


def test_some_failures(stack):
    good, bad = quotes(stack, "good")[0], quotes(stack, "bad", "--fail", "1")[0]
    daemon, _ = over(stack, ["good", "bad"], bad=bad.endpoint, good=good.endpoint)
    client = Client(stack, daemon)
    reply = client.call("any", APPLE)
    equal((reply.status, reply.body["source"], reply.keys.get("partial")), ("OK", "good", None))
    reply = client.call("partial", APPLE)
    equal((reply.status, reply.keys["partial"], list(reply.body)), ("OK", "1", ["good", "$missing"]))
    equal(reply.body["$missing"], {"bad": "UNAVAILABLE"})
    reply = client.call("all", APPLE)
    equal((reply.status, reply.body["error"]), ("UNAVAILABLE", "too few good answers"))
    equal([cause["stage"] for cause in reply.body["causes"]], ["all/1.fanout/bad"])


def test_all_failures(stack):
    bad, garbage = quotes(stack, "bad", "--fail", "1")[0], quotes(stack, "garbage", "--garbage", "1")[0]
    daemon, _ = over(stack, ["bad", "garbage"], bad=bad.endpoint, garbage=garbage.endpoint)
    client = Client(stack, daemon)
    for pipeline in ("any", "partial", "all"):
        reply = client.call(pipeline, APPLE)
        equal((pipeline, reply.status, reply.keys.get("partial")), (pipeline, "UNAVAILABLE", None))
        equal([(cause["stage"], cause["error"].split(":")[0]) for cause in reply.body["causes"]],
              [(f"{pipeline}/1.fanout/bad", "this source fails now and then"),
               (f"{pipeline}/1.fanout/garbage", "its answer is not JSON")])


def test_a_common_status_passes_through(stack):
    source = Scripted(stack)
    daemon, _ = over(stack, ["north"], north=source.endpoint)
    client = Client(stack, daemon)
    for status in ("NOT_FOUND", "PERMISSION_DENIED", "INVALID_ARGUMENT"):
        client.ask("all", status, APPLE)
        _, name, _ = source.hear()
        source.say(f'{name} {status} us=1\n{{"error":"because"}}')
        reply = client.hear()
        equal((reply.id, reply.status, reply.body["causes"][0]["error"]), (status, status, "because"))


def test_a_source_that_asks_to_be_left_alone(stack):
    source = Scripted(stack)
    daemon, feed = over(stack, ["north"], north=source.endpoint)
    client = Client(stack, daemon)
    # That is past the deadline, so it is not asked again.
    client.ask("again", "far", APPLE, budget=30000)
    _, name, _ = source.hear()
    source.say(f"{name} RESOURCE_EXHAUSTED us=1 retry_ms=40000")
    equal(client.hear()[:2], ("far", "RESOURCE_EXHAUSTED"))
    equal(counts(feed, "north", "asked"), [1])
    client.ask("again", "near", APPLE, budget=30000)
    _, name, _ = source.hear()
    source.say(f"{name} UNAVAILABLE us=1 retry_ms=20")
    _, name, _ = source.hear()
    source.say(f"{name} OK us=1\n7")
    equal(client.hear()[:4:3], ("near", 7))


def test_a_source_that_is_not_there(stack):
    north = quotes(stack, "north")[0]
    daemon, feed = over(stack, ["north"], north=north.endpoint, nowhere=nobody(stack))
    client = Client(stack, daemon)
    equal(client.call("any", APPLE).body["source"], "north")
    reply = client.call("partial", APPLE)
    equal(reply.body["$missing"], {"nowhere": "UNAVAILABLE"})
    reply = client.call("all", APPLE)
    equal([(cause["stage"], cause["error"]) for cause in reply.body["causes"]],
          [("all/1.fanout/nowhere", "not connected")])
    equal(counts(feed, "nowhere", "up", "asked", "refused"), [False, 0, 3])


def test_a_source_that_dies_and_comes_back(stack):
    south, asked = quotes(stack, "south", "--hang", "1")
    daemon, feed = over(stack, ["south"], south=south.endpoint)
    client = Client(stack, daemon)
    for n in range(10):
        client.ask("all", n, APPLE)
    equal(wait_stats(asked, "asked", 10)["answered"], 0)
    south.process.kill()
    # What it was asked is lost at once: there is no other end that an answer could come from.
    for reply in client.hear_many(10):
        equal((reply.status, reply.body["causes"][0]["error"]), ("UNAVAILABLE", "connection lost"))
    equal(feed.wait_for("daemon.source_down")["name"], "south")
    south.process.wait()
    equal(client.call("all", APPLE).body["causes"][0]["error"], "not connected")
    quotes(stack, "again", "--bind", south.endpoint)
    equal(feed.wait_for("daemon.source_up")["name"], "south")
    equal(client.call("all", APPLE).body["south"]["source"], "again")


def test_a_source_that_hangs(stack):
    (north, _), (south, asked) = quotes(stack, "north"), quotes(stack, "south", "--hang", "1")
    daemon, _ = over(stack, ["north", "south"], north=north.endpoint, south=south.endpoint)
    client = Client(stack, daemon)
    reply = client.call("hasty", APPLE)
    equal((reply.status, reply.keys["partial"], reply.body["$missing"]), ("OK", "1", {"south": "UNAVAILABLE"}))
    # At the deadline's margin, which is two milliseconds: where the machine took those there is no answer any more.
    replies = [client.call("partial", APPLE, budget=200)]
    while replies[-1].status == "DEADLINE_EXCEEDED" and len(replies) < 100:
        replies.append(client.call("partial", APPLE, budget=200))
    equal((replies[-1].status, replies[-1].keys.get("partial")), ("OK", "1"))
    equal(replies[-1].body["$missing"]["south"], "DEADLINE_EXCEEDED")
    equal(client.call("all", APPLE, budget=30).status, "DEADLINE_EXCEEDED")
    asked_for = len(replies) + 2
    equal(wait_stats(asked, "cancelled", asked_for), {"asked": asked_for, "answered": 0, "cancelled": asked_for})


def test_only_hanging_sources(stack):
    south, _ = quotes(stack, "south", "--hang", "1")
    daemon, _ = over(stack, ["south"], south=south.endpoint)
    reply = Client(stack, daemon).call("hasty", APPLE)
    equal((reply.status, reply.body["causes"]),
          ("UNAVAILABLE", [{"error": "timed out", "status": "UNAVAILABLE", "stage": "hasty/1.fanout/south",
                            "timeout": True}]))


def test_an_answer_after_the_deadline(stack):
    source = Scripted(stack)
    daemon, feed = over(stack, ["north"], north=source.endpoint)
    client = Client(stack, daemon)
    client.ask("all", "late", APPLE, budget=500)
    target, first, budget = source.hear()
    equal(target, "quote")
    assert 0 < int(budget) <= 498, budget
    equal(client.hear()[:2], ("late", "DEADLINE_EXCEEDED"))
    equal(source.hear()[:2], ("$cancel", first))
    client.ask("all", "next", APPLE)
    _, second, _ = source.hear()
    assert second != first
    # The late answer ends nothing, least of all the next request.
    source.say(f"{first} OK us=1\n1")
    feed.stats(lambda stats: stats["sources"]["north"]["late"] == 1)
    client.settle()
    source.say(f"{second} OK us=1\n2")
    equal(client.hear()[:4:3], ("next", {"north": 2}))


def test_an_answer_that_comes_twice(stack):
    north, _ = quotes(stack, "north", "--twice", "1")
    daemon, feed = over(stack, ["north"], north=north.endpoint)
    client = Client(stack, daemon)
    for n in range(100):
        client.ask("all", n, APPLE)
    equal([reply.status for reply in client.hear_many(100)], ["OK"] * 100)
    feed.stats(lambda stats: stats["sources"]["north"]["late"] == 100)
    client.settle()


def test_garbage(stack):
    source = Scripted(stack)
    daemon, feed = over(stack, ["north"], north=source.endpoint)
    client = Client(stack, daemon)
    for body, error in [('{"a":', "its answer is not JSON"), ("{} {}", "its answer is not JSON"),
                        ('{"a":1,"a":2}', "its answer is not JSON"), ("[" * 100 + "]" * 100, "its answer is not JSON"),
                        ('"' + "x" * 1100000 + '"', "its answer is too large")]:
        client.ask("all", "bad", APPLE)
        _, name, _ = source.hear()
        source.say(f"{name} OK us=1\n{body}")
        reply = client.hear()
        equal((reply.status, reply.body["causes"][0]["error"].split(":")[0]), ("INTERNAL", error))
    # What has a readable id ends the request that it names; what has none ends nothing.
    client.ask("all", "wrong", APPLE)
    _, name, _ = source.hear()
    for frames in (["nonsense"], [""], ["- OK us=1"], ["\x00\x01"], [f"{name} OK", "two frames"], [f"0{name} OK us=1"],
                   ["18446744073709551616 OK us=1"], [f"{int(name) + 1} OK us=1"]):
        source.say(*frames)
    client.settle()
    source.say(f"{name} FINE us=1")
    reply = client.hear()
    equal((reply.id, reply.status, reply.body["causes"][0]["error"].split(":")[0]),
          ("wrong", "INTERNAL", "its answer is no reply"))
    garbage = feed.stats()["sources"]["north"]
    equal((garbage["garbage"] + garbage["late"], garbage["pending"]), (9, 0))


def test_each(stack):
    north = quotes(stack, "north")[0]
    daemon, _ = over(stack, ["north"], nowhere=nobody(stack), north=north.endpoint)
    client = Client(stack, daemon)
    reply = client.call("each", {"symbols": ["MSFT", "AAPL", "MSFT", "X" * 100]})
    equal((reply.status, reply.keys["partial"], list(reply.body)), ("OK", "1", ["MSFT", "AAPL", "$missing"]))
    equal(reply.body["AAPL"]["symbol"], "AAPL")
    equal(reply.body["$missing"], {"X" * 100: "UNAVAILABLE"})
    equal(client.call("each", {"symbols": []}).body, {})
    equal(client.call("each", {"symbols": [str(n) for n in range(101)]}).status, "INVALID_ARGUMENT")


REQUIRED = """
start_timeout: 60s
sources:
  north: {zmq: "%s", required: true}
pipelines:
  quote: {steps: [{fanout: {to: [north], body: {}}}]}
"""


def check_ready(stack, daemon, source):
    """It becomes ready, and serves."""
    daemon.wait_ready()
    client = Client(stack, daemon)
    client.ask("quote", "a")
    target, name, _ = source.hear()
    source.say(f"{name} OK us=1\n7")
    equal((target, client.hear().body), ("quote", {"north": 7}))


def test_a_required_source_that_is_late(stack):
    path = folder(stack) / "north"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        daemon = Sluiced(stack, SLUICED, REQUIRED % f"ipc://{path}", ready=False)
        # It tries in vain, for what takes the connection does not keep it.
        listener.accept()[0].close()
    path.unlink()
    source = Scripted(stack, f"ipc://{path}")
    name = source.hear_ping()
    daemon.log.wait_for('msg="source_up"')
    equal(any("READY" in message for message in daemon.manager.heard()), False)
    source.say(f"{name} OK us=1")
    check_ready(stack, daemon, source)


def test_a_required_source_is_asked_until_it_answers(stack):
    source = Scripted(stack)
    daemon = Sluiced(stack, SLUICED, REQUIRED % source.endpoint, ready=False)
    # It is silent, then it drains, then it is silent again: each time it is asked once more.
    for _ in range(3):
        source.hear_ping()
    name = source.hear_ping()
    for _ in range(3):
        source.say(f"{name} UNAVAILABLE us=1")
        last, name = name, source.hear_ping()
        while name == last:
            name = source.hear_ping()
    source.hear_ping()
    equal(any("READY" in message for message in daemon.manager.heard()), False)
    source.say(f"{name} OK us=1")
    check_ready(stack, daemon, source)


def chained(stack, source):
    """A daemon over a daemon over a source."""
    inner, _ = over(stack, ["north"], north=source.endpoint)
    outer = Sluiced(stack, SLUICED, f"""
limits: {{deadline: 60s, max_deadline: 60s}}
sources:
  inner: {{zmq: '{inner.endpoint}', target: all}}
pipelines:
  quote:
    takes: {{symbol: string}}
    steps: [{{fanout: {{to: [inner]}}}}]
""")
    Feed(stack, outer).wait_up(["inner"])
    return Client(stack, outer)


def test_a_daemon_is_a_source(stack):
    source = Scripted(stack)
    client = chained(stack, source)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.ask("quote", "a", APPLE, budget=30000, trace=trace)
    _, name, budget = source.hear()
    equal(source.keys, [f"trace={trace}"])
    # Each daemon keeps two milliseconds for the way back.
    assert 0 < int(budget) <= 30000 - 4, budget
    source.say(f'{name} OK us=1\n{{"price":7}}')
    equal(client.hear()[:4:3], ("a", {"inner": {"north": {"price": 7}}}))
    client.ask("quote", "b", APPLE, budget=30000)
    _, name, _ = source.hear()
    source.say(f'{name} NOT_FOUND us=1\n{{"error":"no such symbol"}}')
    reply = client.hear()
    equal((reply.id, reply.status, reply.body["causes"][0]["error"]), ("b", "NOT_FOUND", "too few good answers"))


def test_what_is_partial_below_is_partial_above(stack):
    source = Scripted(stack)
    inner, _ = over(stack, ["north"], north=source.endpoint, nowhere=nobody(stack))
    outer = Sluiced(stack, SLUICED, f"""
limits: {{deadline: 60s, max_deadline: 60s}}
sources:
  inner: {{zmq: '{inner.endpoint}', target: partial}}
caches:
  hot: {{memory: 1MiB}}
pipelines:
  quote:
    takes: {{symbol: string}}
    steps:
      - cache:
          in: hot
          key: "${{symbol}}"
          ttl: 1h
          miss: [{{fanout: {{to: inner, wait: any, body: {{symbol: "${{symbol}}"}}}}}}]
""")
    Feed(stack, outer).wait_up(["inner"])
    client = Client(stack, outer)
    for n in range(2):
        client.ask("quote", n, APPLE)
        _, name, _ = source.hear()
        source.say(f"{name} OK us=1\n{n}")
        reply = client.hear()
        equal((reply.status, reply.keys["cache"], reply.keys.get("partial")), ("OK", "miss", "1"))
        equal(reply.body, {"north": n, "$missing": {"nowhere": "UNAVAILABLE"}})


def test_a_deadline_and_a_cancel_run_down(stack):
    source = Scripted(stack)
    client = chained(stack, source)
    client.ask("quote", "slow", APPLE, budget=500)
    _, name, budget = source.hear()
    assert 0 < int(budget) <= 496, budget
    equal(client.hear()[:2], ("slow", "DEADLINE_EXCEEDED"))
    equal(source.hear()[:2], ("$cancel", name))
    client.ask("quote", "unwanted", APPLE)
    _, name, _ = source.hear()
    client.cancel("unwanted")
    equal(client.hear()[:2], ("unwanted", "CANCELLED"))
    equal(source.hear()[:2], ("$cancel", name))
    client.ask("quote", "closing", APPLE)
    _, name, _ = source.hear()
    client.close()
    equal(source.hear()[:2], ("$cancel", name))


tap.run([
    test_all, test_any_cancels_its_losers, test_some_failures, test_all_failures, test_a_common_status_passes_through,
    test_a_source_that_asks_to_be_left_alone,
    test_a_source_that_is_not_there, test_a_source_that_dies_and_comes_back, test_a_source_that_hangs,
    test_only_hanging_sources, test_an_answer_after_the_deadline, test_an_answer_that_comes_twice, test_garbage,
    test_a_required_source_that_is_late, test_a_required_source_is_asked_until_it_answers, test_each,
    test_a_daemon_is_a_source, test_what_is_partial_below_is_partial_above, test_a_deadline_and_a_cancel_run_down,
])
