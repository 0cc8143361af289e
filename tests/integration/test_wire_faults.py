#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What clients do that they should not. Each fault has a clear answer where one is due, and harms nobody else: others
are served afterwards, and the daemon comes to a clean end with counts that add up."""
import contextlib
import itertools
import re
import signal
import socket
import struct
import sys

from catalog import Catalog
from quotes import Quotes
from sluice import TIMEOUT, Client, Feed, Reply, Sluiced, folder
import tap
from tap import equal

SLUICED, QUOTES = sys.argv[1:]

MESSAGE = 1024  # the limit of a body
MESSAGE_READ = 2 * MESSAGE + 64 * 1024  # what libzmq still reads
REFUSAL = "expected one frame, or an envelope and one frame"

CONFIG = """
limits: {message: 1KiB, depth: 8, values: 100, deadline: 30s%s}
drain: 200ms
databases:
  catalog: {sqlite: catalog.db}
caches:
  hot: {memory: 8MiB}
sources:
  silent: {zmq: "%s", required: true}
pipelines:
  product:
    takes: {sku: string}
    steps:
    - cache:
        in: hot
        key: product/${sku}
        ttl: 1h
        miss:
        - lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}
  large:
    takes: {size: number}
    steps:
    - cache:
        in: hot
        key: large/${size}
        ttl: 1h
        miss:
        - lookup: {in: catalog, max_bytes: 64MiB, query: "SELECT printf('%%.*c', :size, 'x') AS text"}
  free:
    steps:
    - lookup: {in: catalog, query: "SELECT :a AS a", params: {a: "${a.b}"}}
  each:
    takes: {symbols: any}
    steps:
    - fanout: {each: {symbol: "${symbols}"}, max: 3, to: [silent]}
  typed:
    takes: {text: string, flag: boolean, many: [number], thing: object}
    steps:
    - lookup: {in: catalog, query: "SELECT :text AS text"}
  wait:
    steps:
    - fanout: {to: [silent], body: {symbol: none}}
"""


def served(stack, *topics, limits="", config=CONFIG):
    """A daemon with something to serve, and its feed."""
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    silent = Quotes(stack, QUOTES, "--hang", "1").endpoint
    daemon = Sluiced(stack, SLUICED, config % (limits, silent), directory)
    daemon.catalog = catalog
    return daemon, Feed(stack, daemon, *topics)


def check_served(stack, daemon):
    """Somebody else asks, and is answered at once."""
    other = Client(stack, daemon)
    equal(other.call("product", {"sku": "s1"}).body, {"name": "product 1"})
    equal(other.call("product", {"sku": "s1"}).keys["cache"], "hit")
    other.settle()


def check_unharmed(stack, daemon):
    """The same, and then a clean end; gives the counts."""
    check_served(stack, daemon)
    return daemon.stop()


def say(client, *frames):
    client.socket.send_multipart([frame if isinstance(frame, bytes) else frame.encode() for frame in frames])


def refused(client, message):
    """Says that, and gives the error of what must be INVALID_ARGUMENT, and its id."""
    say(client, message)
    reply = client.hear()
    equal((message, reply.status), (message, "INVALID_ARGUMENT"))
    return reply.id, reply.body["error"]


TARGET = "the target must be 1 to 64 of A-Z a-z 0-9 _ -"
ID = "the id must be 1 to 64 of A-Z a-z 0-9 _ . : -, and not - alone"
BUDGET = "the budget must be 1 to 9 digits (milliseconds), or -"
SPACE = "tokens are separated by exactly one space, and none stands at the end"
CR = "a header ends with LF alone, without CR"
KEY = "a key must be 1 to 32 of a-z _, followed by ="
VALUE = "a value must be at most 128 of visible ASCII"
OVER = "the header is over 512 bytes"

HEADERS = [
    ("", "-", TARGET),
    ("\n", "-", TARGET),
    ("\n{}", "-", TARGET),
    ("{\"sku\": 1}", "-", TARGET),
    (" product a -", "-", TARGET),
    ("$ a -", "a", TARGET),
    ("$$ping a -", "a", TARGET),
    ("pro/duct a -", "a", TARGET),
    ("pro\0duct a -", "a", TARGET),
    ("prodüct a -", "a", TARGET),
    (b"\xff\xfe a -", "a", TARGET),
    ("p" * 65 + " a -", "a", TARGET),
    ("product", "-", "the id is missing"),
    ("product\n{}", "-", "the id is missing"),
    ("product ", "-", SPACE),
    ("product  a -", "-", SPACE),
    ("product\ta -", "-", TARGET),
    ("product - -", "-", ID),
    ("product a/b -", "-", ID),
    ("product ä -", "-", ID),
    ("product " + "a" * 65 + " -", "-", ID),
    ("product a", "a", "the budget is missing"),
    ("product a ", "a", SPACE),
    ("product a  -", "a", SPACE),
    ("product a\r\n{}", "-", CR),
    ("product a x", "a", BUDGET),
    ("product a --", "a", BUDGET),
    ("product a -1", "a", BUDGET),
    ("product a +1", "a", BUDGET),
    ("product a 1.5", "a", BUDGET),
    ("product a 1ms", "a", BUDGET),
    ("product a 1234567890", "a", BUDGET),
    ("product a -\r\n{}", "a", CR),
    ("product a - ", "a", SPACE),
    ("product a -  trace=x", "a", SPACE),
    ("product a - trace", "a", KEY),
    ("product a - =x", "a", KEY),
    ("product a - Trace=x", "a", KEY),
    ("product a - " + "k" * 33 + "=x", "a", KEY),
    ("product a - trace=" + "x" * 129, "a", VALUE),
    ("product a - trace=ü", "a", VALUE),
    ("product a - trace=x\ty", "a", VALUE),
    ("product a - " + "k=v " * 124 + "k=vwxy", "a", OVER),
    ("x" * 513, "-", OVER),
    ("product a -" + " " * 600, "a", SPACE),
]


def test_malformed_headers(stack):
    daemon, _ = served(stack)
    client = Client(stack, daemon)
    for message, name, error in HEADERS:
        equal((message, *refused(client, message)), (message, name, error))
    # The longest header that may be.
    longest = "$ping a - " + "k=v " * 124 + "k=vwxy"
    equal(len(longest), 512)
    say(client, longest)
    equal(client.hear()[:2], ("a", "OK"))
    equal(check_unharmed(stack, daemon)["answered"], len(HEADERS) + 4)


def test_unknown_targets_and_keys(stack):
    daemon, _ = served(stack)
    client = Client(stack, daemon)
    for target in "products", "PRODUCT", "-", "$pong", "$PING", "$status", "$reload", "$drain", "$purge":
        equal((target, client.call(target, {"sku": "s1"}).status), (target, "UNIMPLEMENTED"))
    # What nobody knows is ignored, and so is a value that a known key can't have.
    for key, value in ("later", "1"), ("stream", "2"), ("fresh", "yes"):
        equal(client.call("product", {"sku": "s1"}, **{key: value}).status, "OK")
    check_unharmed(stack, daemon)


ENVELOPES = [  # frames, and how many of them come back before the reply; None: a request that is in order
    ([""], 0, None),
    (["", ""], 1, None),
    (["", "", "$ping a -"], 1, REFUSAL),
    (["a", "$ping a -"], 0, REFUSAL),
    (["a", "b", "$ping a -"], 0, REFUSAL),
    (["a", ""], 2, REFUSAL),
    (["a", "", "$ping a -", "$ping b -"], 2, REFUSAL),
    (["a", "", "$ping a -", ""], 2, REFUSAL),
    (["e"] * 8 + ["", "$ping a -"], 0, REFUSAL),
    (["e"] * 12 + [""], 0, REFUSAL),
    (["e"] * 500 + ["", "$ping a -"], 0, REFUSAL),
    (["", *["$ping a -"] * 500], 1, REFUSAL),
    (["e" * 513, "", "$ping a -"], 0, "the envelope is over its limit of 512 bytes"),
    (["e" * 74] * 7 + ["", "$ping a -"], 0, "the envelope is over its limit of 512 bytes"),
    (["e" * 60000, "", "$ping a -"], 0, "the envelope is over its limit of 512 bytes"),
]


def test_envelopes(stack):
    daemon, _ = served(stack)
    client = Client(stack, daemon)
    for frames, kept, error in ENVELOPES:
        say(client, *frames)
        *envelope, reply = [frame.decode() for frame in client.socket.recv_multipart()]
        equal((frames, envelope), (frames, frames[:kept]))
        equal(Reply(reply)[:2], ("-", "INVALID_ARGUMENT"))
        equal((frames, Reply(reply).body["error"]), (frames, error or TARGET))
    # As much as may be: eight frames, 512 bytes.
    for envelope in ["e"] * 7 + [""], ["e" * 512, ""], ["e" * 73] * 7 + [""]:
        say(client, *envelope, "$ping a -")
        *returned, reply = [frame.decode() for frame in client.socket.recv_multipart()]
        equal((returned, Reply(reply).status), (envelope, "OK"))
    equal(check_unharmed(stack, daemon)["answered"], len(ENVELOPES) + 6)


NOT_JSON = [
    (b" ", "expected a value at byte 1"),
    (b"{", "expected a name at byte 1"),
    (b"}", "expected a value at byte 0"),
    (b"{}}", "expected the end at byte 2"),
    (b"{} {}", "expected the end at byte 3"),
    (b"{/**/}", "expected a name at byte 1"),
    (b"{sku:1}", "expected a name at byte 1"),
    (b"{'sku':'s1'}", "expected a name at byte 1"),
    (b'{"sku"}', "expected ':' at byte 6"),
    (b'{"sku":}', "expected a value at byte 7"),
    (b'{"sku":"s1",}', "expected a name at byte 12"),
    (b'{"sku":"s1"}\0', "expected the end at byte 12"),
    (b'{"sku":NaN}', "expected a value at byte 7"),
    (b'{"sku":True}', "expected a value at byte 7"),
    (b'{"sku":+1}', "expected a value at byte 7"),
    (b'{"sku":.5}', "expected a value at byte 7"),
    (b'{"sku":1.}', "expected a digit at byte 9"),
    (b'{"sku":01}', "expected ',' or '}' at byte 8"),
    (b'{"sku":"\\x"}', "expected a known escape at byte 8"),
    (b'{"sku":"\\ud800"}', "expected a known escape at byte 8"),
    (b'{"sku":"a\nb"}', "expected no control character in a string at byte 9"),
    (b'{"sku":"\xff"}', "expected UTF-8 at byte 8"),
    (b'{"sku":"\xc0\x80"}', "expected UTF-8 at byte 8"),
    (b'{"sku":"\xed\xa0\x80"}', "expected UTF-8 at byte 8"),
    (b"\xef\xbb\xbf{}", "expected a value at byte 0"),
    (b"\xff" * MESSAGE, "expected a value at byte 0"),
    (b'{"x":' + b"[" * 8 + b"]" * 8 + b"}", "nested too deeply at byte 12"),
    (b"[" * MESSAGE, "nested too deeply at byte 8"),
    (b'{"x":[' + b"1," * 98 + b"1]}", "too many values at byte 200"),
    (b'{"sku":"a","sku":"a"}', "duplicate name at byte 11"),
    (b'{"sku":"a","\\u0073ku":"b"}', "duplicate name at byte 11"),
    (b'{"x":{"y":1,"y":2}}', "duplicate name at byte 12"),
    (b"{%s}" % b",".join(b'"%d":0' % (number % 20) for number in range(21)), "duplicate name at byte 131"),
]


def test_bodies_that_are_not_json(stack):
    daemon, _ = served(stack)
    client = Client(stack, daemon)
    for body, error in NOT_JSON:
        equal((body, *refused(client, b"product a -\n" + body)), (body, "a", f"the body is not JSON: {error}"))
    for body in b"[]", b"[{}]", b"null", b"true", b"1", b'"{}"':
        equal((body, *refused(client, b"product a -\n" + body)), (body, "a", "the body must be a JSON object"))
    # The deepest, and the most values, that may be.
    for body in b'{"sku":"s1","x":' + b"[" * 7 + b"]" * 7 + b"}", b'{"sku":"s1","x":[' + b"1," * 94 + b"1]}":
        say(client, b"product a -\n" + body)
        equal(client.hear().body, {"name": "product 1"})
    check_unharmed(stack, daemon)


RIGHT = {"text": "x", "flag": True, "many": [1, 2.5], "thing": {}}

WRONG = [
    ("text", "string", [1, True, None, [], {}, ["x"]]),
    ("flag", "boolean", ["true", 1, 0, None, []]),
    ("many", "[number]", ["1", 1, None, {}, ["1"], [1, None], [[1]]]),
    ("thing", "object", ["{}", [], None, 1, True]),
]

UNBOUND = [
    *[(body, '"a.b" is missing') for body in ({}, {"a": 1}, {"a": {}}, {"a": [1]})],
    ({"a": {"b": []}}, '":a" can\'t be bound to an array'),
    ({"a": {"b": {}}}, '":a" can\'t be bound to an object'),
]

NOT_EACH = [
    *[(symbols, '"each" needs an array of strings or numbers') for symbols in (1, "a", None, {}, [[]], [None], [True])],
    (["a", "b", "c", "d"], '"each" has more than 3 elements'),
]


def test_values_of_wrong_types(stack):
    daemon, _ = served(stack)
    client = Client(stack, daemon)
    equal(client.call("typed", RIGHT).body, {"text": "x"})
    for name, kind, values in WRONG:
        for value in values:
            reply = client.call("typed", {**RIGHT, name: value})
            equal((reply.status, reply.body),
                  ("INVALID_ARGUMENT", {"error": f'"{name}" must be of type {kind}'}))
        reply = client.call("typed", {other: value for other, value in RIGHT.items() if other != name})
        equal((reply.status, reply.body), ("INVALID_ARGUMENT", {"error": f'"{name}" is missing ({kind})'}))
    for body, error in UNBOUND:
        reply = client.call("free", body)
        equal((reply.status, reply.body), ("INVALID_ARGUMENT", {"error": error, "stage": "free/1.lookup"}))
    for symbols, error in NOT_EACH:
        reply = client.call("each", {"symbols": symbols})
        equal((reply.status, reply.body), ("INVALID_ARGUMENT", {"error": error, "stage": "each/1.fanout"}))
    check_unharmed(stack, daemon)


def sized(size, name="a"):
    """A request that is so many bytes long."""
    start = f'product {name} -\n{{"sku":"'
    return start + "x" * (size - len(start) - 2) + '"}'


def test_bodies_over_their_limit(stack):
    daemon, _ = served(stack)
    client = Client(stack, daemon)
    header = len("product a -\n")
    say(client, sized(header + MESSAGE))
    equal(client.hear().status, "NOT_FOUND")
    for size in header + MESSAGE + 1, 10 * MESSAGE, MESSAGE_READ:
        say(client, sized(size))
        reply = client.hear()
        equal((reply.status, reply.keys["max"], reply.body),
              ("INVALID_ARGUMENT", str(MESSAGE), {"error": "the body is over its limit"}))
    check_unharmed(stack, daemon)


def test_many_messages_far_over_the_limit(stack):
    """Each is told of on the feed. The log can't be filled with them, and what is left out there is counted."""
    daemon, feed = served(stack, "daemon.")
    many = [Client(stack, daemon) for _ in range(50)]
    for one in many:
        one.settle()
    for one in many:
        say(one, sized(MESSAGE_READ + 1))
    told = [feed.wait_for("daemon.oversize")["client"] for _ in many]
    equal({*told}, {f"c{number}" for number in range(1, 51)})
    daemon.log.wait_for("oversize")
    # Until the log speaks of another.
    while len([line for line in daemon.log.lines if "oversize" in line]) < 2:
        assert len(told) < 10000, daemon.log.lines
        with contextlib.ExitStack() as visit:
            one = Client(visit, daemon)
            one.settle()
            say(one, sized(MESSAGE_READ + 1))
            told.append(feed.wait_for("daemon.oversize")["client"])
    check_unharmed(stack, daemon)
    lines = [re.search(r"oversize.* client=(\w+)(?: left_out=(\d+))?$", line) for line in daemon.log.lines
             if "oversize" in line]
    left_out = [int(line[2] or 0) for line in lines]
    assert sum(left_out) > 0, daemon.log.lines
    equal([line[1] for line in lines], [told[index + sum(left_out[:index + 1])] for index in range(len(lines))])


def test_messages_far_over_the_limit(stack):
    daemon, feed = served(stack, "daemon.", "request.wait.")
    client = Client(stack, daemon)
    client.ask("wait", "w")
    client.settle()
    messages = [sized(MESSAGE_READ + 1)], ["e" * (MESSAGE_READ + 1), "", "$ping a -"], ["", "x" * 1000000]
    for number, frames in enumerate(messages, 2):
        one = Client(stack, daemon)
        one.settle()
        say(one, *frames)
        equal(feed.wait_for("daemon.oversize")["client"], f"c{number}")
        equal(one.hear_rest(), [])
    # What was in flight on the connection goes with it.
    say(client, sized(MESSAGE_READ + 1))
    equal(feed.wait_for("daemon.oversize")["client"], "c1")
    equal(feed.wait_for("request.wait.CANCELLED")["reason"], "gone")
    equal(client.hear_rest(), [])
    equal(check_unharmed(stack, daemon)["gone"], 1)


def test_an_id_in_flight(stack):
    daemon, _ = served(stack)
    daemon.catalog.lock()
    client, other = Client(stack, daemon), Client(stack, daemon)
    client.ask("product", "a", {"sku": "s1"})
    for target, body in ("product", {"sku": "s2"}), ("wait", {}), ("typed", {}):
        reply = client.call(target, body, name="a")
        equal((reply.status, reply.keys["duplicate"]), ("INVALID_ARGUMENT", "1"))
    # Neither another id, another envelope, nor another connection is meant by it.
    client.ask("product", "A", {"sku": "s2"})
    say(client, "e", "", 'product a -\n{"sku":"s3"}')
    other.ask("product", "a", {"sku": "s4"})
    client.settle()
    other.settle()
    daemon.catalog.unlock()
    answers = {}
    for *envelope, message in [client.socket.recv_multipart() for _ in range(3)]:
        reply = Reply(message.decode())
        answers[(*envelope, reply.id)] = reply.body["name"]
    equal(answers, {("a",): "product 1", ("A",): "product 2", (b"e", b"", "a"): "product 3"})
    equal(other.hear().body, {"name": "product 4"})
    check_unharmed(stack, daemon)


def test_clients_that_leave(stack):
    daemon, feed = served(stack, "request.wait.")
    for round in range(3):
        with contextlib.ExitStack() as visit:
            for _ in range(10):
                client = Client(visit, daemon)
                for number in range(20):
                    client.ask("wait", number)
            feed.stats(lambda stats: stats["in_flight"] == 200)
        events = [feed.wait_for("request.wait.CANCELLED") for _ in range(200)]
        equal({event["reason"] for event in events}, {"gone"})
        stats = feed.stats(lambda stats: stats["in_flight"] + stats["reaping"] + stats["clients"] == 0)
        equal(stats["sources"]["silent"]["pending"], 0)
    equal(check_unharmed(stack, daemon)["gone"], 600)


def flood(client, feed, size):
    """Asks and does not read until it is treated as gone. Gives how often it asked, and the events by topic."""
    events = {}
    for asked in range(0, 40000, 40):
        for number in range(asked, asked + 40):
            client.ask("large", number, {"size": size})
        topic, event = feed.next()
        events[topic] = event
        if topic == "daemon.client_stalled":
            return asked + 40, events
    raise AssertionError("all replies were taken")


def test_a_client_that_does_not_read(stack):
    limits = ", per_client: 10, client_stall: 200ms, bytes: 16MiB"
    daemon, feed = served(stack, "daemon.", "request.wait.", limits=limits)
    check_served(stack, daemon)
    client, size = Client(stack, daemon, rcvhwm=1, rcvbuf=4096), 100000
    client.ask("wait", "w")
    asked, events = flood(client, feed, size)
    equal((events["daemon.client_stalled"]["client"], events["request.wait.CANCELLED"]["reason"]), ("c2", "gone"))
    check_served(stack, daemon)
    stats = feed.stats(lambda stats: stats["read"] == asked + 7 and stats["in_flight"] + stats["outboxes"] == 0)
    equal(stats["read"], stats["answered"] + stats["gone"] + stats["undelivered"])
    assert stats["gone"] >= 10
    assert stats["bytes_highest"] < (16 << 20) + 2 * size
    # When it reads at last it gets what libzmq had taken, and is served again.
    client.hear_many(stats["answered"] - 6)
    client.settle()
    check_unharmed(stack, daemon)


def test_large_replies_that_nobody_reads(stack):
    daemon, feed = served(stack, limits=", bytes: 4MiB")
    check_served(stack, daemon)
    client, many, size = Client(stack, daemon, rcvhwm=1, rcvbuf=4096), 500, 100000
    equal(client.call("large", {"size": size}).status, "OK")
    client.ask("wait", "w")
    for number in range(many):
        client.ask("large", number, {"size": size})
    check_served(stack, daemon)
    stats = feed.stats(lambda stats: stats["read"] == many + 8)
    assert stats["ended"]["RESOURCE_EXHAUSTED"] > 0
    assert stats["bytes_highest"] < (4 << 20) + 2 * size
    client.close()
    feed.stats(lambda stats: stats["in_flight"] + stats["reaping"] + stats["bytes"] == 0)
    check_unharmed(stack, daemon)


def test_chosen_routing_ids(stack):
    daemon, feed = served(stack, "request.wait.")
    other = Client(stack, daemon)
    other.settle()
    for routing_id in b"alice", b"a", b"\x01\x02\x03\x04\x05", b"\xff" * 5, b"x" * 255:
        for _ in range(2):
            with contextlib.ExitStack() as visit:
                client = Client(visit, daemon, routing_id=routing_id)
                client.ask("wait", "a")
                client.settle()
            # The next one by that name is another client, with ids of its own.
            equal(feed.wait_for("request.wait.CANCELLED")["reason"], "gone")
            feed.stats(lambda stats: stats["clients"] == 1)
            # libzmq lets go of a name in two steps, each of which has been made when somebody else is answered.
            other.settle()
            other.settle()
    equal(check_unharmed(stack, daemon)["gone"], 10)


def test_two_clients_by_one_routing_id(stack):
    daemon, _ = served(stack)
    first = Client(stack, daemon, routing_id=b"alice")
    first.ask("wait", "a")
    first.settle()
    # libzmq lets nobody take an id over: it does not hear the second one at all.
    second = Client(stack, daemon, routing_id=b"alice")
    for name in "b", "c":
        second.ask("$cancel", "a")
        second.ask("$ping", name)
    check_served(stack, daemon)
    first.settle()
    first.cancel("a")
    equal(first.hear().status, "CANCELLED")
    counts = check_unharmed(stack, daemon)
    equal((counts["read"], second.hear_rest()), (counts["answered"], []))


class Raw:
    """A TCP connection to the front door, without libzmq."""

    def __init__(self, stack, daemon):
        host, port = re.fullmatch(r"tcp://(.*):(\d+)", daemon.endpoint).groups()
        self.socket = stack.enter_context(socket.create_connection((host, int(port)), TIMEOUT))

    def send(self, data):
        with contextlib.suppress(ConnectionError):  # cut off in the middle
            self.socket.sendall(data)

    def read(self, size):
        data = b""
        while len(data) < size:
            data += self.socket.recv(size - len(data)) or self._lost(data)
        return data

    def _lost(self, data):
        raise AssertionError(f"the connection was closed after {data}")

    def wait_end(self):
        """Says no more, and reads until the daemon closes."""
        with contextlib.suppress(OSError):  # it has closed already
            self.socket.shutdown(socket.SHUT_WR)
        self.wait_cut()

    def wait_cut(self):
        """Reads until the daemon closes."""
        with contextlib.suppress(ConnectionError):
            while self.socket.recv(65536):
                pass


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def frame(data, flags=0):
    """A frame of ZMTP 3.0."""
    if len(data) < 256:
        return bytes([flags, len(data)]) + data
    return bytes([flags | 2]) + struct.pack(">Q", len(data)) + data


def ready(routing_id=b""):
    properties = {b"Socket-Type": b"DEALER", b"Identity": routing_id}
    pairs = [bytes([len(name)]) + name + struct.pack(">I", len(value)) + value for name, value in properties.items()]
    return frame(b"\x05READY" + b"".join(pairs), 4)


def shake_hands(raw, routing_id=b""):
    raw.send(GREETING)
    raw.read(64)
    raw.send(ready(routing_id))
    flags, size = raw.read(2)
    equal((flags, raw.read(size)[:6]), (4, b"\x05READY"))


def settle(raw):
    """What was sent to that connection, and what happened to others before, has come as far as libzmq."""
    for _ in range(2):
        raw.send(frame(b"\x04PING\0\0settle", 4))
        equal(hear_frame(raw), (4, b"\x04PONGsettle"))


def hear_frame(raw):
    """The next one that is no heartbeat of the daemon's."""
    while True:
        flags, size = raw.read(2)
        data = raw.read(size)
        if (flags, data[:5]) != (4, b"\x04PING"):
            return flags, data


def hear_raw(raw):
    flags, data = hear_frame(raw)
    equal(flags, 0)
    return Reply(data.decode())


HIT = frame(b'product a -\n{"sku":"s1"}')
# It takes a while to find out that this is wrong.
LONG = frame(b'product a -\n{"sku":1,"x":[' + b"1," * 40000 + b"1]}")
AT_ONCE = 16  # messages that the daemon reads before it looks for more, unless they are 1 MiB


def test_a_client_that_leaves_while_its_batch_is_answered(stack):
    config = CONFIG.replace("message: 1KiB, depth: 8, values: 100", "message: 1MiB, values: 1000000")
    daemon, feed = served(stack, "request.product.OK", config=config)
    check_served(stack, daemon)
    leaving, busy, coming = [Raw(stack, daemon) for _ in range(3)]
    for raw in leaving, busy, coming:
        shake_hands(raw)
    leaving.send(HIT)
    equal(hear_raw(leaving).keys["cache"], "hit")
    feed.stats()
    with daemon.held_up():
        leaving.send(HIT * 5)
        busy.send(LONG * (AT_ONCE - 5))
        settle(leaving)
        settle(busy)
    feed.wait_for("request.product.OK")
    # The batch is being answered. The next message in it is somebody's first, so before it the daemon hears of who has
    # come and gone.
    leaving.socket.close()
    settle(coming)
    coming.send(HIT)
    equal(hear_raw(coming).keys["cache"], "hit")
    busy.socket.close()
    # With the one who has come first.
    feed.stats(lambda stats: stats["clients"] == 2)
    counts = check_unharmed(stack, daemon)
    equal((counts["read"], counts["undelivered"]), (13 + AT_ONCE - 5, 0))


LARGE = frame(b'product a -\n{"sku":1,"x":[' + b"1," * 500000 + b"1]}")
LARGES = 24  # so many small ones would be one turn


def test_many_large_messages_at_once(stack):
    """They are no single turn of the loop: others are served in between."""
    config = CONFIG.replace("message: 1KiB, depth: 8, values: 100", "message: 1MiB, values: 1000000")
    daemon, feed = served(stack, config=config)
    raw = Raw(stack, daemon)
    shake_hands(raw)
    before = feed.stats()["read"]
    with daemon.held_up():
        raw.send(LARGE * LARGES)
        settle(raw)
    read = []
    feed.stats(lambda stats: read.append(stats["read"] - before) or read[-1] == LARGES)
    assert any(0 < count < LARGES for count in read), read
    equal([hear_raw(raw).status for _ in range(LARGES)], ["INVALID_ARGUMENT"] * LARGES)
    check_unharmed(stack, daemon)


def test_more_hits_at_once_than_libzmq_takes(stack):
    daemon, feed = served(stack, limits=", per_client: 1")
    check_served(stack, daemon)
    raw = Raw(stack, daemon)
    shake_hands(raw)
    # libzmq takes two replies and the outbox holds one. That there is room again may be told to any call on the socket,
    # and then nothing wakes the daemon: now and then, so it is played many times.
    for _ in range(300):
        raw.send(HIT * 3)
        equal([hear_raw(raw).keys["cache"] for _ in range(3)], ["hit"] * 3)
    stats = feed.stats(lambda stats: stats["in_flight"] + stats["outboxes"] == 0)
    equal((stats["gone"], stats["undelivered"]), (0, 0))
    check_unharmed(stack, daemon)


UNFINISHED = {
    "nothing": b"",
    "one byte": b"\xff",
    "half a greeting": GREETING[:30],
    "a greeting": GREETING,
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
}

NO_HANDSHAKE = {
    "a mechanism that is none": GREETING.replace(b"NULL", b"NONE"),
    "CURVE": GREETING.replace(b"NULL\0", b"CURVE"),
    "a command that is none": GREETING + frame(b"\x03FOO", 4),
    "a message before its time": GREETING + frame(b"$ping a -"),
}

# What does not begin with a greeting libzmq takes for messages of ZMTP 1.0; what comes after one, perhaps for a message
# of any size.
GARBAGE = {
    "zeros": bytes(100000),
    "ones": b"\xff" * 100000,
    "TLS": bytes.fromhex("1603010200010001fc0303") + bytes(range(256)) * 2,
    "SSH": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "text without end": b"GET " + b"x" * 100000,
    "a greeting and garbage": GREETING + b"garbage" * 1000,
    "properties cut off": GREETING + frame(b"\x05READY\x0bSocket-Type\xff\xff\xff\xffDEALER", 4),
    "a socket of another type": GREETING + ready().replace(b"DEALER", b"STREAM"),
    "a routing id of 1.0": b"\xff" + struct.pack(">Q", 301) + b"\0" + b"i" * 300 + b"\x0a\0$ping a -",
    "a routing id of 2.0": b"\xff" + bytes(8) + b"\x7f\x01\x05" + frame(b"i" * 300) + frame(b"x" * 10),
}


def send_garbage(stack, payloads, wait):
    """Each on a connection of its own, whose end is waited for so, while somebody else waits for an answer. Gives what
    the log says of messages over their limit."""
    daemon, feed = served(stack)
    client = Client(stack, daemon)
    client.ask("wait", "a")
    for data in payloads.values():
        raw = Raw(stack, daemon)
        raw.send(data)
        wait(raw)
        client.settle()
    client.cancel("a")
    equal(client.hear().status, "CANCELLED")
    feed.stats(lambda stats: stats["clients"] == 1)
    check_unharmed(stack, daemon)
    return [line for line in daemon.log.lines if "oversize" in line]


def test_half_a_handshake(stack):
    equal(send_garbage(stack, UNFINISHED, Raw.wait_end), [])


def test_no_handshake(stack):
    equal(send_garbage(stack, NO_HANDSHAKE, Raw.wait_cut), [])


def test_garbage(stack):
    send_garbage(stack, GARBAGE, Raw.wait_end)


AFTER_THE_HANDSHAKE = {
    "flags that are none": b"\xf8\x01x",
    "a command without a name": frame(b"", 4),
    "a command that is none": frame(b"\x03FOO", 4),
    "half a heartbeat": frame(b"\x04PING", 4),
    "another pattern's command": frame(b"\x09SUBSCRIBE" + b"x" * 100, 4),
    "a size beyond all": b"\x02" + struct.pack(">Q", 1 << 62),
    "half a message": frame(b"x" * 10, 1),
    "half a frame": frame(b"x" * 60000)[:30000],
}


def test_garbage_after_the_handshake(stack):
    daemon, feed = served(stack, "daemon.")
    raw = Raw(stack, daemon)
    shake_hands(raw)
    raw.send(frame(b"$ping a -"))
    equal(hear_raw(raw)[:2], ("a", "OK"))
    for data in AFTER_THE_HANDSHAKE.values():
        raw = Raw(stack, daemon)
        shake_hands(raw)
        raw.send(data)
        raw.wait_end()
    feed.stats(lambda stats: stats["clients"] == 1)
    check_unharmed(stack, daemon)


def test_routing_ids_that_libzmq_would_not_set(stack):
    daemon, feed = served(stack)
    for number, routing_id in enumerate((b"i" * 256, b"i" * 300, b"i" * 60000), 1):
        raw = Raw(stack, daemon)
        shake_hands(raw, routing_id)
        for _ in range(10):
            raw.send(frame(b"$ping a -"))
        # Nobody is known by it, and nothing is kept of it.
        equal(feed.stats(lambda stats: stats["read"] == 10 * number)["clients"], 0)
        raw.wait_end()
    equal(check_unharmed(stack, daemon)["gone"], 30)


def test_connections_that_say_nothing(stack):
    daemon, _ = served(stack)
    silent, half = Raw(stack, daemon), Raw(stack, daemon)
    half.send(GREETING[:12])
    greeted = Raw(stack, daemon)
    greeted.send(GREETING)
    check_served(stack, daemon)
    for raw in silent, half, greeted:
        raw.wait_cut()
    check_unharmed(stack, daemon)


KEEPALIVE = "02"  # the timer of a connection on which nothing is under way: proc(5), and tcp_diag of the kernel


def timers(daemon):
    """Of the connections that the daemon has accepted, as the kernel tells of them."""
    port = f"{int(daemon.endpoint.rpartition(':')[2]):04X}"
    rows = [line.split() for line in open("/proc/net/tcp", encoding="ascii")][1:]
    return [row[5][:2] for row in rows if row[1].endswith(":" + port) and row[3] == "01"]


def test_the_kernel_watches_silent_clients(stack):
    daemon, feed = served(stack)
    client = Client(stack, daemon)
    client.settle()
    feed.stats(lambda stats: timers(daemon) == [KEEPALIVE])
    check_unharmed(stack, daemon)


OF_ALL = "too many requests in flight"
OF_ONE_CLIENT = "too many requests in flight from this client"
MEMORY = "too much memory in use"


def ask_waits(client, count, used_up=OF_ALL):
    """Asks for what waits, so often. Gives the ids that were refused, each with what is used up and with the time to
    stay away."""
    for number in range(count):
        client.ask("wait", number)
    client.ask("$ping", "p")
    refused = list(itertools.takewhile(lambda reply: reply.id != "p", iter(client.hear, None)))
    for reply in refused:
        equal((reply.status, reply.body["error"]), ("RESOURCE_EXHAUSTED", used_up))
        assert int(reply.keys["retry_ms"]) >= 5
    return [int(reply.id) for reply in refused]


def check_hits_only(stack, daemon, used_up=OF_ALL):
    """What is there is served, what would have to wait is refused."""
    other = Client(stack, daemon)
    equal(other.call("product", {"sku": "s1"}).keys["cache"], "hit")
    equal(other.call("product", {"sku": "s2"}).status, "RESOURCE_EXHAUSTED")
    equal(ask_waits(other, 3, used_up), [0, 1, 2])


def check_room_again(client, feed, waiting):
    """What waits is cancelled, and then as much may wait again."""
    for _ in range(2):
        for number in waiting:
            client.cancel(number)
        equal([(int(reply.id), reply.status) for reply in client.hear_many(len(waiting))],
              [(number, "CANCELLED") for number in waiting])
        feed.stats(lambda stats: stats["reaping"] == 0)
        equal(ask_waits(client, len(waiting)), [])


def test_too_many_in_flight(stack):
    daemon, feed = served(stack, limits=", in_flight: 5, per_client: 1000")
    check_served(stack, daemon)
    client = Client(stack, daemon)
    equal(ask_waits(client, 8), [5, 6, 7])
    check_hits_only(stack, daemon)
    check_room_again(client, feed, range(5))
    equal(feed.stats()["in_flight_highest"], 5)
    client.close()
    feed.stats(lambda stats: stats["in_flight"] == 0)
    check_unharmed(stack, daemon)


def test_too_many_of_one_client(stack):
    daemon, feed = served(stack, limits=", in_flight: 8, per_client: 5")
    check_served(stack, daemon)
    client, other = Client(stack, daemon), Client(stack, daemon)
    equal(ask_waits(client, 8, OF_ONE_CLIENT), [5, 6, 7])
    equal(client.call("product", {"sku": "s1"}).keys["cache"], "hit")
    # Another has room of its own, as long as there is any at all.
    equal(ask_waits(other, 4), [3])
    check_hits_only(stack, daemon)
    check_room_again(client, feed, range(5))
    other.close()
    client.close()
    feed.stats(lambda stats: stats["in_flight"] == 0)
    check_unharmed(stack, daemon)


def test_too_much_memory(stack):
    daemon, feed = served(stack, limits=", bytes: 32KiB")
    check_served(stack, daemon)
    warm = Client(stack, daemon)
    equal(warm.call("large", {"size": 3000}).status, "OK")
    equal(warm.call("large", {"size": 5000}).status, "OK")
    feed.stats(lambda stats: stats["bytes"] == 0)
    client = Client(stack, daemon)
    refused = ask_waits(client, 100, MEMORY)
    waiting = 100 - len(refused)
    equal(refused, list(range(waiting, 100)))
    assert 3 < waiting < 50
    check_hits_only(stack, daemon, MEMORY)
    # Below 4 KiB a reply is served, from there on it would be held until it is sent.
    equal(warm.call("large", {"size": 3000}).status, "OK")
    equal(warm.call("large", {"size": 5000}).status, "RESOURCE_EXHAUSTED")
    check_room_again(client, feed, range(waiting))
    client.close()
    feed.stats(lambda stats: stats["bytes"] == 0)
    equal(warm.call("large", {"size": 5000}).status, "OK")
    check_unharmed(stack, daemon)


def under_load(stack):
    """A daemon that all kinds of clients are at. Gives it, those that wait, and those that are being served."""
    daemon, feed = served(stack, "daemon.", limits=", per_client: 100, client_stall: 200ms")
    check_served(stack, daemon)
    waiting = [Client(stack, daemon) for _ in range(3)]
    for client in waiting:
        for number in range(20):
            client.ask("wait", number)
    feed.stats(lambda stats: stats["in_flight"] == 60)
    for data in b"", GREETING, GREETING + ready(), b"garbage":
        Raw(stack, daemon).send(data)
    deaf = Client(stack, daemon, rcvhwm=1, rcvbuf=4096)
    flood(deaf, feed, 100000)
    for number in range(400):
        deaf.ask("large", number, {"size": 100000})
    busy = [Client(stack, daemon) for _ in range(10)]
    for client in busy:
        for number in range(100):
            client.ask("product", number, {"sku": "s1"})
    return daemon, waiting, busy


def check_told(waiting, busy):
    """Everybody who was read is answered, once: with what was asked for, or with when to come again. Gives how many
    answers that makes."""
    for client in waiting:
        replies = client.hear_rest()
        equal([(reply.status, reply.body["error"]) for reply in replies], [("UNAVAILABLE", "draining")] * 20)
        equal({int(reply.id) for reply in replies}, set(range(20)))
    told = 20 * len(waiting)
    for client in busy:
        replies = client.hear_rest()
        equal([int(reply.id) for reply in replies], list(range(len(replies))))
        late = list(itertools.dropwhile(lambda reply: reply.status == "OK", replies))
        equal({reply.status for reply in late} - {"UNAVAILABLE"}, set())
        assert all(int(reply.keys["retry_ms"]) > 0 for reply in late)
        told += len(replies)
    return told


def test_a_stop_under_load(stack):
    daemon, waiting, busy = under_load(stack)
    daemon.signal(signal.SIGTERM)
    told = check_told(waiting, busy)
    assert daemon.end()["answered"] >= told


def test_a_stop_under_load_that_does_not_wait(stack):
    daemon, waiting, busy = under_load(stack)
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGINT)
    told = check_told(waiting, busy)
    assert daemon.end()["answered"] >= told


tap.run([value for name, value in list(globals().items()) if name.startswith("test_")])
