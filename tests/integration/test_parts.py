#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Answers in parts over real sockets: they leave as they come, all of them are the whole, and who does not read is
asked for no further and harms nobody."""
import pathlib
import re
import sys
import time

from quotes import Quotes
from scripted import Scripted
from sluice import Client, Feed, Sluiced, TIMEOUT
import tap
from tap import equal

SLUICED, QUOTES = sys.argv[1:]
EXAMPLE = pathlib.Path(__file__).parents[2] / "conf/examples/streaming.yaml"
SYMBOLS = [f"S{number}" for number in range(60)]

LARGE = 200000  # bytes of an answer
ELEMENTS = 200  # so that all together are more than the kernel's buffers hold
AHEAD = 4


def merge(into, part):
    for name, value in part.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            assert name not in into, (name, into)
            into[name] = value
    return into


def hear_parts(client, name, count=None):
    """All that comes for a request: its parts merged, and its last reply. With a count: so many parts."""
    whole, seq = {}, 0
    while seq != count:
        reply = client.hear()
        equal(reply.id, name)
        if reply.status != "MORE":
            equal(reply.keys.get("parts"), str(seq) if seq else None)
            return whole, reply
        seq += 1
        equal(reply.keys["seq"], str(seq))
        merge(whole, reply.body)
    return whole, None


def example(stack):
    """The example as it is shipped, but for its addresses."""
    sources = [Quotes(stack, QUOTES, "--name", "north"), Quotes(stack, QUOTES, "--name", "south", "--latency", "5", "--jitter", "40")]
    text = re.sub(r"^(listen|telemetry): .*\n", "", EXAMPLE.read_text(), flags=re.M)
    for number, source in enumerate(sources):
        text = text.replace(f"tcp://127.0.0.1:600{number + 1}", source.endpoint)
    daemon = Sluiced(stack, SLUICED, text)
    feed = Feed(stack, daemon, "request.")
    feed.wait_up()
    return daemon, feed


def test_all_parts_are_the_whole(stack):
    daemon, feed = example(stack)
    client, body = Client(stack, daemon), {"symbols": SYMBOLS}
    plain = client.call("board", body)
    equal(plain.status, "OK")
    for target in "board", "impatient":
        client.ask(target, "parts", body, stream=1)
        whole, last = hear_parts(client, "parts")
        equal((whole, last.status, last.body, last.keys["parts"]), (plain.body, "OK", {}, str(2 * len(SYMBOLS))))
        record = feed.wait_for(f"request.{target}.OK", lambda event: event["id"] == "parts")
        equal(record["parts"], 2 * len(SYMBOLS))
    client.ask("ticker", "ticker", body, stream=1)
    whole, last = hear_parts(client, "ticker")
    equal((list(sorted(whole)), last.keys["parts"]), (sorted(SYMBOLS), str(len(SYMBOLS))))
    assert all(quote in plain.body[symbol].values() for symbol, quote in whole.items()), whole
    report = client.call("report", body, stream=1)
    equal((report.status, report.body, report.keys.get("parts")), ("OK", {"board": plain.body}, None))
    equal(feed.stats()["parts"], 5 * len(SYMBOLS))


CONFIG = """
limits: {deadline: 60s, max_deadline: 60s, per_client: %d, client_stall: %s}
sources:
  slow: {zmq: "%s"}
  quick: {zmq: "%s"}
pipelines:
  both:
    takes: {symbol: string}
    steps: [{fanout: {to: [slow, quick]}}]
  each:
    takes: {symbols: [string]}
    steps: [{fanout: {each: {symbol: "${symbols}"}, max: 1000, to: [slow], ahead: %d}}]
"""


def scripted(stack, per_client=1000, client_stall="60s"):
    """A daemon over a source that the test plays, and a real one."""
    slow, quick = Scripted(stack), Quotes(stack, QUOTES, "--name", "quick")
    daemon = Sluiced(stack, SLUICED, CONFIG % (per_client, client_stall, slow.endpoint, quick.endpoint, AHEAD))
    feed = Feed(stack, daemon, "request.", "daemon.")
    feed.wait_up()
    return slow, daemon, feed


def test_a_part_waits_for_no_other(stack):
    slow, daemon, _ = scripted(stack)
    client = Client(stack, daemon)
    client.ask("both", "a", {"symbol": "AAPL"}, stream=1)
    part = client.hear()
    equal((part.status, part.keys["seq"], part.body["quick"]["source"]), ("MORE", "1", "quick"))
    # Only now the other answers.
    _, name, _ = slow.hear()
    slow.say(f"{name} OK\n2")
    part, last = client.hear_many(2)
    equal((part.status, part.keys["seq"], part.body), ("MORE", "2", {"slow": 2}))
    equal((last.status, last.keys["parts"], last.body), ("OK", "2", {}))


def test_a_cancel_ends_the_parts(stack):
    slow, daemon, _ = scripted(stack)
    client = Client(stack, daemon)
    client.ask("both", "a", {"symbol": "AAPL"}, stream=1)
    equal(client.hear().status, "MORE")
    _, name, _ = slow.hear()
    client.cancel("a")
    last = client.hear()
    equal((last.status, last.keys["parts"]), ("CANCELLED", "1"))
    equal(slow.hear()[:2], ("$cancel", name))
    client.settle()


class Source:
    """What the slow source has been asked, and answers at length."""

    def __init__(self, scripted):
        self.scripted = scripted
        self.asked = 0

    def answer(self, wait_ms=0):
        """Whether there was a question."""
        if not self.scripted.socket.poll(wait_ms):
            return False
        target, name, _ = self.scripted.hear_any()
        if target == "quote":
            self.asked += 1
            self.scripted.say(f'{name} OK\n"{"x" * LARGE}"')
        return True

    def answer_until(self, done):
        end = time.monotonic() + TIMEOUT
        while not done():
            assert time.monotonic() < end
            self.answer(10)


def ask_for_much(stack, daemon):
    """A client that has asked, and does not read."""
    client = Client(stack, daemon, rcvhwm=1, rcvbuf=4096)
    client.ask("each", "a", {"symbols": [f"s{number}" for number in range(ELEMENTS)]}, stream=1)
    return client


def wait_for_standstill(feed, source):
    """Answers until nothing more is asked, because a part is not taken; gives the daemon's counters then."""
    latest = {}

    def stands():
        while source.answer():
            pass
        latest.update(feed.stats())
        return latest["outboxes"] == 1 and latest["sources"]["slow"]["pending"] == 0

    source.answer_until(stands)
    return latest


def stream_of_another(stack, daemon, source):
    client = Client(stack, daemon)
    client.ask("each", "b", {"symbols": ["x", "y", "z"]}, stream=1)
    source.answer_until(lambda: client.socket.poll(0))
    parts = []
    while not parts or parts[-1].status == "MORE":
        source.answer_until(lambda: client.socket.poll(0))
        parts.append(client.hear())
    equal([(part.status, part.keys.get("seq"), part.keys.get("parts")) for part in parts],
          [("MORE", "1", None), ("MORE", "2", None), ("MORE", "3", None), ("OK", None, "3")])


def test_who_does_not_read_is_asked_for_no_further(stack):
    slow, daemon, feed = scripted(stack, per_client=1)
    source = Source(slow)
    client = ask_for_much(stack, daemon)
    taken = wait_for_standstill(feed, source)["parts"]
    assert taken < ELEMENTS and source.asked < ELEMENTS, (source.asked, taken)
    # One part waits in the outbox, the others in the fan-out.
    assert source.asked <= taken + 1 + AHEAD, (source.asked, taken)
    stream_of_another(stack, daemon, source)
    # It reads again, and misses nothing.
    seq = 0
    while True:
        source.answer_until(lambda: client.socket.poll(0))
        reply = client.hear()
        if reply.status != "MORE":
            break
        equal((reply.keys["seq"], list(reply.body)), (str(seq + 1), [f"s{seq}"]))
        seq += 1
    equal((seq, reply.status, reply.keys["parts"], reply.body), (ELEMENTS, "OK", str(ELEMENTS), {}))
    equal(source.asked, ELEMENTS + 3)


def test_who_never_reads_is_gone(stack):
    slow, daemon, feed = scripted(stack, per_client=1, client_stall="500ms")
    source, events = Source(slow), {}
    client = ask_for_much(stack, daemon)

    def is_gone():
        while feed.socket.poll(0):
            topic, event = feed.next()
            events[topic] = event
        return "daemon.client_stalled" in events

    source.answer_until(is_gone)
    stats = feed.stats(lambda stats: stats["in_flight"] + stats["reaping"] + stats["outboxes"] == 0)
    equal((stats["read"], stats["gone"]), (1, 1))
    # One part had waited in the outbox.
    record = events["request.each.CANCELLED"]
    equal((record["reason"], record["parts"]), ("gone", stats["parts"] + 1))
    stream_of_another(stack, daemon, source)
    # What the connection had taken is there, in order, and ends where it was cut off.
    whole, _ = hear_parts(client, "a", stats["parts"])
    equal(list(whole), [f"s{number}" for number in range(stats["parts"])])
    client.settle()


tap.run([
    test_all_parts_are_the_whole, test_a_part_waits_for_no_other, test_a_cancel_ends_the_parts,
    test_who_does_not_read_is_asked_for_no_further, test_who_never_reads_is_gone,
])
