#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sources over HTTP: what they are asked, how they fail, and that who is not wanted any more is cut off."""
import json
import socket
import sys

from sluice import Client, DOORS, Feed, Sluiced, TIMEOUT, folder, knows_http, run
import tap
from tap import equal
from web import Web

SLUICED = sys.argv[1]

LIMITS = "limits: {deadline: 60s, max_deadline: 60s}\n"
APPLE = {"symbol": "AAPL"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

QUOTE = """
  quote: {takes: {symbol: string}, steps: [{fanout: {to: [NAMES], wait: any}}]}
"""


def over(stack, options="", path="/quote?symbol=${symbol}", pipelines=QUOTE, up=True, **webs):
    """A daemon over these servers, its client, and a reader of its feed."""
    sources = "".join(f"  {name}: {{http: '{web.url}{path}'{options}}}\n" for name, web in webs.items())
    text = f"{LIMITS}sources:\n{sources}pipelines:{pipelines.replace('NAMES', ', '.join(webs))}"
    daemon = Sluiced(stack, SLUICED, text)
    feed = Feed(stack, daemon, "daemon.")
    if up:
        feed.wait_up(webs)
    return Client(stack, daemon), feed


def counts(feed, name, *counters):
    source = feed.stats()["sources"][name]
    return [source[counter] for counter in counters]


def cause(reply):
    """How its only source failed: status and text."""
    first, = reply.body["causes"]
    return first["status"], first["error"]


def test_what_is_asked(stack):
    web = Web(stack)
    client, _ = over(stack, ", headers: {x-market: 'of ${market | AU}', authorization: Bearer t0k3n, x-none: ''}",
                     pipelines="\n  quote: {steps: [{fanout: {to: [NAMES], wait: any}}]}\n", south=web)
    client.ask("quote", "a", {"symbol": "A&B/ü +%"}, budget=30000, trace=TRACE)
    connection, request = web.hear()
    equal((request.method, request.target, request.body), ("GET", "/quote?symbol=A%26B%2F%C3%BC%20%2B%25", ""))
    budget, agent = int(request.headers.pop("sluice-budget")), request.headers.pop("user-agent")
    assert 0 < budget <= 30000 - 2 and agent.startswith("sluiced/"), (budget, agent)
    equal(request.headers, {"host": f"127.0.0.1:{web.port}", "accept": "application/json", "traceparent": TRACE,
                            "x-market": "of AU", "authorization": "Bearer t0k3n"})
    connection.answer({"price": 7})
    equal(client.hear()[:4:3], ("a", {"price": 7}))


def test_a_body_that_is_posted(stack):
    web = Web(stack)
    client, _ = over(stack, ", method: POST, body: {of: '${symbol}', n: 1}", path="/", south=web)
    client.ask("quote", "a", {"symbol": 'A"\n'})
    connection, request = web.hear()
    equal((request.method, request.target, request.headers["content-type"], json.loads(request.body)),
          ("POST", "/", "application/json", {"of": 'A"\n', "n": 1}))
    assert "expect" not in request.headers
    connection.answer("[1]", code=201)
    equal(client.hear().body, [1])
    # A body of half a megabyte, which libcurl would ask leave for, and whose answer is longer than its buffer.
    client.ask("quote", "b", {"symbol": "x" * 500000})
    request = connection.hear()
    equal(len(json.loads(request.body)["of"]), 500000)
    assert "expect" not in request.headers
    connection.answer(json.dumps("y" * 500000))
    equal(client.hear().body, "y" * 500000)


def test_each_element_has_a_url_of_its_own(stack):
    web = Web(stack)
    client, _ = over(stack, south=web, pipelines="""
  quotes: {takes: {symbols: [string]}, steps: [{fanout: {each: {symbol: "${symbols}"}, to: [NAMES], wait: any}}]}
""")
    client.ask("quotes", "a", {"symbols": ["x", "y z"]})
    asked = [web.hear() for _ in range(2)]
    for connection, request in asked:
        connection.answer({"at": request.target})
    equal(client.hear().body, {"x": {"at": "/quote?symbol=x"}, "y z": {"at": "/quote?symbol=y%20z"}})


def test_a_connection_is_used_again(stack):
    web = Web(stack)
    client, feed = over(stack, south=web)
    connection = None
    for n in range(20):
        client.ask("quote", n, APPLE)
        connection = connection or web.accept()
        equal(connection.hear().target, "/quote?symbol=AAPL")
        connection.answer(str(n))
        equal(client.hear().body, n)
    equal(counts(feed, "south", "asked", "answered", "failed", "connected", "pending"), [20, 20, 0, 1, 0])
    # One that is closed while nobody uses it is not missed.
    connection.close()
    client.ask("quote", "next", APPLE)
    connection, _ = web.hear()
    connection.answer("7")
    equal(client.hear().body, 7)
    equal(counts(feed, "south", "answered", "lost", "connected"), [21, 0, 2])


def test_a_connection_that_is_closed_just_as_it_is_used_again(stack):
    web = Web(stack)
    client, feed = over(stack, south=web)
    client.ask("quote", "a", APPLE)
    connection, _ = web.hear()
    connection.answer("1")
    equal(client.hear().body, 1)
    client.ask("quote", "b", APPLE)
    connection.hear()
    connection.close()
    # Nothing has come of it, so it is asked again, over a new connection.
    connection, request = web.hear()
    equal(request.target, "/quote?symbol=AAPL")
    connection.answer("2")
    equal(client.hear().body, 2)
    equal(counts(feed, "south", "asked", "answered", "lost"), [2, 2, 0])
    # On that one, which is new, nothing is tried twice.
    client.ask("quote", "c", APPLE)
    connection.hear()
    connection.say("HTTP/1.1 200 OK\r\n")
    connection.close()
    equal(cause(client.hear()), ("UNAVAILABLE", "connection lost within its answer"))
    assert not web.waits()


STATUSES = {
    201: "OK", 204: "OK", 400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    405: "UNIMPLEMENTED", 406: "INTERNAL", 410: "NOT_FOUND", 413: "INVALID_ARGUMENT", 418: "INTERNAL",
    422: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "UNAVAILABLE", 501: "UNIMPLEMENTED", 502: "UNAVAILABLE",
    503: "UNAVAILABLE", 599: "UNAVAILABLE",
}


def test_statuses(stack):
    web = Web(stack)
    client, feed = over(stack, south=web)
    client.ask("quote", "a", APPLE)
    connection, _ = web.hear()
    connection.answer("0")
    client.hear()
    for code, status in STATUSES.items():
        client.ask("quote", code, APPLE)
        connection.hear()
        connection.say(f"HTTP/1.1 {code} X\r\nContent-Length: 0\r\n\r\n" if code != 204 else "HTTP/1.1 204 X\r\n\r\n")
        reply = client.hear()
        equal((code, reply.status), (code, status))
        if status != "OK":
            equal(cause(reply), (status, f"it answered {code}"))
        client.ask("quote", f"{code}-why", APPLE)
        connection.hear()
        if status != "OK":
            connection.answer({"error": f"because {code}"}, code)
            equal(cause(client.hear()), (status, f"because {code}"))
        else:
            connection.answer({"error": "none"})
            equal(client.hear().body, {"error": "none"})
    for code in (408, 504):
        client.ask("quote", code, APPLE)
        connection.hear()
        connection.answer("<html>no</html>", code)
        first, = client.hear().body["causes"]
        equal((first["status"], first["error"], first["timeout"]), ("UNAVAILABLE", f"it answered {code}", True))
    good = sum(status == "OK" for status in STATUSES.values())
    asked = 1 + 2 * len(STATUSES) + 2
    equal(counts(feed, "south", "asked", "answered", "failed"), [asked, asked, asked - 1 - 2 * good])


def test_a_redirect_is_not_followed(stack):
    web, other = Web(stack), Web(stack)
    client, _ = over(stack, south=web)
    for code in (301, 302, 303, 307, 308):
        client.ask("quote", code, APPLE)
        connection, _ = web.hear()
        connection.answer("", code, f"Location: {other.url}/\r\nConnection: close\r\n")
        equal(cause(client.hear()), ("INTERNAL", f"it redirects ({code}), which is not followed"))
    assert not other.waits()


CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LOST = ("UNAVAILABLE", "connection lost")
WITHIN = ("UNAVAILABLE", "connection lost within its answer")
NOT_HTTP = ("INTERNAL", "its answer is not HTTP")
TOO_LARGE = ("INTERNAL", "its answer is too large")

BAD = [
    ("", ("UNAVAILABLE", "connection lost without an answer")),
    ("HTTP/1.1 200 OK\r\nContent-Le", WITHIN),
    ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1,", WITHIN),
    (CHUNKED + "2\r\n[1", WITHIN),
    (CHUNKED + "zz\r\n[1]", LOST),
    ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n[1]", TOO_LARGE),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", TOO_LARGE),
    ("hello", NOT_HTTP),
    ("[1,2,3]", NOT_HTTP),
    ("\x00\x01\x02\x03", NOT_HTTP),
    ("SSH-2.0-OpenSSH_9.2p1\r\n", NOT_HTTP),
]

BAD_JSON = ['{"a":', "{} {}", '{"a":1,"a":2}', "nul", "[" * 100 + "]" * 100, '"\\ud800"', '"\t"']


def test_answers_that_are_none(stack):
    web = Web(stack)
    client, feed = over(stack, ", max_body: 1KiB", south=web)
    for said, expected in BAD:
        client.ask("quote", "bad", APPLE)
        connection, _ = web.hear()
        connection.say(said)
        connection.close()
        equal((said, cause(client.hear())), (said, expected))
    for body in BAD_JSON:
        client.ask("quote", "bad", APPLE)
        connection, _ = web.hear()
        connection.answer(body, headers="Connection: close\r\n")
        status, error = cause(client.hear())
        equal((body, status, error.split(":")[0]), (body, "INTERNAL", "its answer is not JSON"))
    # Without a length an answer ends with its connection.
    client.ask("quote", "rest", APPLE)
    connection, _ = web.hear()
    connection.say("HTTP/1.0 200 OK\r\n\r\n[1")
    connection.say(",2]")
    connection.close()
    equal(client.hear().body, [1, 2])
    equal(counts(feed, "south", "asked", "answered", "lost", "garbage", "pending"),
          [len(BAD) + len(BAD_JSON) + 1, len(BAD) + len(BAD_JSON) + 1 - 5, 5, 4, 0])


def flood(connection, piece):
    """Says it until nobody listens."""
    try:
        while True:
            connection.socket.sendall(piece)
    except ConnectionError:
        pass


def test_answers_without_an_end(stack):
    web = Web(stack)
    client, _ = over(stack, south=web)
    for head, piece, error in [
            (CHUNKED, b"400\r\n" + b" " * 1024 + b"\r\n", "its answer is too large"),
            ("HTTP/1.1 200 OK\r\n\r\n", b" " * 1024, "its answer is too large"),
            ("HTTP/1.1 500 X\r\n\r\n", b" " * 1024, "its answer is too large"),
            ("HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n", "its headers are too large"),
            ("", b"HTTP/1.1 100 Continue\r\n\r\n", "its headers are too large")]:
        client.ask("quote", "flooded", APPLE)
        connection, _ = web.hear()
        connection.say(head)
        flood(connection, piece)
        equal(cause(client.hear()), ("INTERNAL", error))


def test_what_nobody_asked_for(stack):
    web = Web(stack)
    client, _ = over(stack, south=web)
    client.ask("quote", "a", APPLE)
    connection, _ = web.hear()
    # A second answer on the same connection is none to the next question.
    connection.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2")
    equal(client.hear().body, 1)
    client.ask("quote", "b", APPLE)
    connection, _ = web.hear()
    connection.answer("3")
    equal(client.hear().body, 3)
    connection.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n4")
    client.settle()
    client.ask("quote", "c", APPLE)
    connection, _ = web.hear()
    connection.answer("5")
    equal(client.hear().body, 5)


def test_a_deadline_closes_the_connection(stack):
    web = Web(stack)
    client, feed = over(stack, south=web)
    for said in ("", "HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1"):
        client.ask("quote", "slow", APPLE, budget=300)
        connection, request = web.hear()
        assert 0 < int(request.headers["sluice-budget"]) <= 298
        connection.say(said)
        equal(client.hear().status, "DEADLINE_EXCEEDED")
        connection.hear_close()
    equal(counts(feed, "south", "asked", "cancelled", "pending"), [3, 3, 0])


def test_a_cancel_closes_the_connection(stack):
    web = Web(stack)
    client, _ = over(stack, south=web)
    client.ask("quote", "unwanted", APPLE)
    connection, _ = web.hear()
    client.cancel("unwanted")
    equal(client.hear()[:2], ("unwanted", "CANCELLED"))
    connection.hear_close()
    client.ask("quote", "closing", APPLE)
    connection, _ = web.hear()
    client.close()
    connection.hear_close()


def test_a_race(stack):
    north, south = Web(stack), Web(stack)
    client, feed = over(stack, north=north, south=south)
    client.ask("quote", "a", APPLE)
    (fast, _), (slow, _) = north.hear(), south.hear()
    fast.answer("1")
    equal(client.hear().body, 1)
    # The loser is cut off, while the connection to the winner stays.
    slow.hear_close()
    client.ask("quote", "b", APPLE)
    fast.hear()
    slow, _ = south.hear()
    slow.answer("2")
    equal(client.hear().body, 2)
    fast.hear_close()
    equal(counts(feed, "north", "asked", "answered", "cancelled", "connected"), [2, 1, 1, 1])
    equal(counts(feed, "south", "asked", "answered", "cancelled", "connected"), [2, 1, 1, 2])


HEDGED = """
  quote: {takes: {symbol: string}, steps: [{fanout: {to: [NAMES], wait: any, hedge: {after: 1ms, budget: 100%}}}]}
"""


def hedges(feed):
    counted = feed.stats()["pipelines"]["quote"]["stages"]["quote/1.fanout"]
    return [counted[name] for name in ("asked", "hedges", "hedges_won", "hedges_refused")]


def test_a_hedge(stack):
    north, south = Web(stack), Web(stack)
    client, feed = over(stack, pipelines=HEDGED, north=north, south=south)
    fast = None
    for n in range(3):
        client.ask("quote", n, APPLE)
        slow, request = north.hear()
        equal(request.target, "/quote?symbol=AAPL")
        # Only because that one does not answer the other is asked; its answer is taken, and the first is cut off.
        fast = fast or south.accept()
        equal(fast.hear().target, "/quote?symbol=AAPL")
        fast.answer(str(n))
        equal(client.hear().body, n)
        slow.hear_close()
    equal(hedges(feed), [6, 3, 3, 0])
    equal(counts(feed, "north", "asked", "answered", "cancelled", "connected", "pending"), [3, 0, 3, 3, 0])
    equal(counts(feed, "south", "asked", "answered", "cancelled", "connected", "pending"), [3, 3, 0, 1, 0])


def test_the_first_wins_over_its_hedge(stack):
    north, south = Web(stack), Web(stack)
    client, feed = over(stack, pipelines=HEDGED, north=north, south=south)
    client.ask("quote", "a", APPLE)
    (first, _), (hedge, _) = north.hear(), south.hear()
    first.answer("1")
    equal(client.hear().body, 1)
    hedge.hear_close()
    equal(hedges(feed), [2, 1, 0, 0])
    # What is halfway through its answer is cut off as well.
    client.ask("quote", "b", APPLE)
    first.hear()
    hedge, _ = south.hear()
    first.say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1")
    hedge.answer("2")
    equal(client.hear().body, 2)
    first.hear_close()
    equal(hedges(feed), [4, 2, 1, 0])


def test_a_server_that_is_not_there(stack):
    holder = stack.enter_context(socket.socket())
    holder.bind(("127.0.0.1", 0))
    web = Web(stack)
    web.listener.close()
    client, feed = over(stack, up=False, south=web)
    for _ in range(2):
        equal(cause(client.call("quote", APPLE)), ("UNAVAILABLE", "cannot be connected"))
    equal(counts(feed, "south", "up", "asked", "lost"), [False, 2, 2])
    web.listener = stack.enter_context(socket.create_server(("127.0.0.1", web.port)))
    web.listener.settimeout(TIMEOUT)
    web.probed = True
    client.ask("quote", "a", APPLE)
    connection, _ = web.hear()
    connection.answer("1")
    equal(client.hear().body, 1)
    equal(feed.wait_for("daemon.source_up")["reason"], "answered")
    web.listener.close()
    connection.close()
    equal(cause(client.call("quote", APPLE)), ("UNAVAILABLE", "cannot be connected"))
    equal(feed.wait_for("daemon.source_down")["reason"], "cannot be connected")


def test_connections_are_bounded(stack):
    web = Web(stack)
    client, feed = over(stack, ", connections: 2, queue: 1", south=web)
    for n in range(3):
        client.ask("quote", n, APPLE)
    first, second = [web.hear()[0] for _ in range(2)]
    client.settle()
    assert not web.waits()
    reply = client.call("quote", APPLE, name="fourth")
    equal(cause(reply), ("RESOURCE_EXHAUSTED", "its queue is full"))
    second.answer("2")
    # The one that has waited goes over the connection that has become free.
    second.hear()
    client.hear()
    # Who waits for a connection and is not wanted any more is never asked.
    client.ask("quote", "waits", APPLE)
    client.settle()
    client.cancel("waits")
    equal(client.hear()[:2], ("waits", "CANCELLED"))
    first.answer("1")
    second.answer("3")
    equal(sorted(client.hear().body for _ in range(2)), [1, 3])
    equal(counts(feed, "south", "asked", "refused", "connected"), [3, 1, 2])


def test_what_waits_for_a_connection_tells_nothing_of_the_source(stack):
    web = Web(stack)
    client, feed = over(stack, ", connections: 1, breaker: {of: 3}", south=web, pipelines=QUOTE + """
  hurried: {takes: {symbol: string}, steps: [{fanout: {to: [NAMES], wait: any, timeout: 20ms}}]}
""")
    client.ask("quote", "a", APPLE)
    connection, _ = web.hear()
    for n in range(10):
        equal(client.call("hurried", APPLE, name=n).status, "UNAVAILABLE")
    connection.answer("1")
    equal(client.hear().body, 1)
    equal(counts(feed, "south", "asked", "breaker", "opened", "spare"), [1, "closed", 0, 10])


def test_a_required_source(stack):
    web = Web(stack)
    web.listener.close()
    text = f"""{LIMITS}start_timeout: 60s
sources: {{south: {{http: '{web.url}/', required: true}}}}
pipelines: {{quote: {{steps: [{{fanout: {{to: [south], wait: any}}}}]}}}}
"""
    daemon = Sluiced(stack, SLUICED, text, ready=False)
    web.listener = stack.enter_context(socket.create_server(("127.0.0.1", web.port)))
    web.listener.settimeout(TIMEOUT)
    daemon.wait_ready()
    client = Client(stack, daemon)
    client.ask("quote", "a", {})
    connection, request = web.hear()
    equal(request.target, "/")
    connection.answer("1")
    equal(client.hear().body, 1)


def test_values_that_may_not_stand_in_a_url(stack):
    web = Web(stack)
    client, feed = over(stack, ", headers: {x-at: '${at | x}'}", path="/a/${symbol}/b/.${symbol}", south=web,
                        pipelines="\n  quote: {steps: [{fanout: {to: [NAMES], wait: any}}]}\n")
    for body, error in [({"symbol": ".."}, "a value may not be . or .. in a URL's path"),
                        ({"symbol": "."}, "a value may not be . or .. in a URL's path"),
                        ({"symbol": "x/.."}, "a value may not be . or .. in a URL's path"),
                        ({"symbol": ""}, "a value may not be . or .. in a URL's path"),
                        ({"symbol": "x" * 10000}, "the URL is too long with these values"),
                        ({"symbol": "x", "at": "a\r\nHost: b"}, "a header can hold only visible ASCII and spaces"),
                        ({"symbol": "x", "at": "ü"}, "a header can hold only visible ASCII and spaces"),
                        ({"symbol": "x", "at": "x" * 10000}, "a header is too long with these values")]:
        equal(cause(client.call("quote", body)), ("INVALID_ARGUMENT", error))
    client.ask("quote", "fine", {"symbol": "..x/y..", "at": "a: b, c"})
    connection, request = web.hear()
    equal((request.target, request.headers["x-at"]), ("/a/..x%2Fy../b/...x%2Fy..", "a: b, c"))
    connection.answer("1")
    equal(client.hear().body, 1)
    equal(counts(feed, "south", "asked"), [1])


def test_the_environment_is_nobodys_proxy(stack):
    web, proxy = Web(stack), Web(stack)
    names = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY")
    text = f"""{LIMITS}sources: {{south: {{http: '{web.url}/'}}}}
pipelines: {{quote: {{steps: [{{fanout: {{to: [south], wait: any}}}}]}}}}
"""
    daemon = Sluiced(stack, SLUICED, text, environment={name: proxy.url for name in names})
    client = Client(stack, daemon)
    client.ask("quote", "a", {})
    connection, _ = web.hear()
    connection.answer("1")
    equal(client.hear().body, 1)
    assert not proxy.waits()


def test_a_reload(stack):
    webs = kept, old, new = [Web(stack) for _ in range(3)]
    text = f"""{LIMITS}sources: {{kept: {{http: '{kept.url}/'}}, south: {{http: '{old.url}/'}}}}
pipelines:
  kept: {{steps: [{{fanout: {{to: [kept], wait: any}}}}]}}
  south: {{steps: [{{fanout: {{to: [south], wait: any}}}}]}}
"""
    daemon = Sluiced(stack, SLUICED, text)
    client = Client(stack, daemon)
    client.ask("kept", "a", {})
    stays, _ = kept.hear()
    stays.answer("1")
    equal(client.hear().body, 1)
    client.ask("south", "before", {})
    leaves, _ = old.hear()
    daemon.begin_reload(text.replace(old.url, new.url))
    daemon.end_reload()
    client.ask("south", "after", {})
    connection, _ = new.hear()
    connection.answer("2")
    equal(client.hear()[:4:3], ("after", 2))
    # What was asked before is answered by whom it was asked of, and then that source is over.
    leaves.answer("3")
    equal(client.hear()[:4:3], ("before", 3))
    leaves.hear_close()
    # What did not change keeps its connection.
    client.ask("kept", "b", {})
    stays.hear()
    stays.answer("4")
    equal(client.hear().body, 4)
    assert not any(web.waits() for web in webs)


def check(stack, source, fanout="to: [south]", takes="symbol: string"):
    """What --check says of a source in line 4 and a fan-out in line 6."""
    directory = folder(stack)
    (directory / "sluice.yaml").write_text(f"""{DOORS}sources:
  south: {{{source}}}
pipelines:
  quote: {{takes: {{{takes}}}, steps: [{{fanout: {{{fanout}}}}}]}}
""")
    done = run(SLUICED, "--check", "--config", "sluice.yaml", cwd=directory)
    equal(done.returncode != 0, done.stderr != [])
    return [line.removeprefix("sluice.yaml:") for line in done.stderr]


WHERE = "4:17: error: expected http://HOST:PORT or https://HOST:PORT, then / or ? before the first ${…}"


def test_what_is_wrong_with_a_configuration(stack):
    for source in ("http: 'http://127.0.0.1:1/${symbol}'", "http: 'https://[::1]:8080?q=${symbol}'",
                   "http: 'http://a-b.example'", "http: 'http://a/', method: POST, body: {s: '${symbol}'}"):
        equal((source, check(stack, source)), (source, []))
    for url in ("ftp://a/", "a/b", "http:///x", "http://a:0/", "http://a:65536/", "http://${symbol}/", "http://a${symbol}/",
                "http://a:80${symbol}", "${symbol}", "http://a b/", "http://[::1/", "HTTP://a/"):
        equal((url, check(stack, f"http: '{url}'")), (url, [WHERE]))
    for url, error in [
            ("http://user:secret@a/", "expected no user and password in a URL; put them into `headers`"),
            ("http://a/x y", "expected only characters of a URL; others are written %XX"),
            ("http://a/#x", "expected only characters of a URL; others are written %XX"),
            ("http://a/ü", "expected only characters of a URL; others are written %XX"),
            ("http://a/%${symbol}", "expected two hexadecimal digits after %"),
            ("http://a/x/../${symbol}", "expected no segments . or .. in a URL"),
            ("http://a/${symbol}/%2e", "expected no segments . or .. in a URL")]:
        equal((url, check(stack, f"http: '{url}'")), (url, [f"4:17: error: {error}"]))
    for options, error in [
            ("target: x", '30: error: unknown key "target": it goes with "zmq", not with "http"'),
            ("zmq: 'tcp://127.0.0.1:1'", '30: error: "zmq" and "http" exclude each other'),
            ("body: {a: 1}", "36: error: a GET has no body: say `method: POST` or leave it out"),
            ("headers: {host: a}", "40: error: \"host\": this header is sluiced's own to set"),
            ("ca: /etc/ssl/x.pem", '34: error: certificates are for https: say so in the URL or leave it out'),
            ("method: PUT", '38: error: "method": expected one of GET, POST, not "PUT"')]:
        first, = check(stack, f"http: 'http://a/', {options}")
        equal((options, first[:len(error) + 2]), (options, "4:" + error))
    equal(check(stack, "http: 'http://a/${symbl}'"), [
        '4:17: error: nothing gives the name "symbl"; did you mean "symbol"?',
        '6:59: error: what source "south" is to be asked, by its own templates, does not fit here'])
    equal(check(stack, "http: 'http://a/'", "to: [south], target: quote, body: {a: 1}"), [
        '6:75: error: "target" means nothing to any of these sources: what they are asked for stands where they are '
        'configured',
        "6:88: error: none of these sources is sent a body, as they are configured"])


if not knows_http(SLUICED):
    tap.skip("this build has no HTTP sources")
tap.run([
    test_what_is_asked, test_a_body_that_is_posted, test_each_element_has_a_url_of_its_own,
    test_a_connection_is_used_again, test_a_connection_that_is_closed_just_as_it_is_used_again, test_statuses,
    test_a_redirect_is_not_followed, test_answers_that_are_none, test_answers_without_an_end,
    test_what_nobody_asked_for, test_a_deadline_closes_the_connection, test_a_cancel_closes_the_connection, test_a_race,
    test_a_hedge, test_the_first_wins_over_its_hedge, test_a_server_that_is_not_there, test_connections_are_bounded,
    test_what_waits_for_a_connection_tells_nothing_of_the_source, test_a_required_source,
    test_values_that_may_not_stand_in_a_url, test_the_environment_is_nobodys_proxy,
    test_a_reload, test_what_is_wrong_with_a_configuration,
])
