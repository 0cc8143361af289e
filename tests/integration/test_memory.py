#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Memory that is out, at any of the daemon's own allocations: it serves, or it says in one line why it doesn't start;
it never hangs, crashes or leaks. Each of them fails with SLUICE_SLOW set, else some."""
import contextlib
import os
import re
import signal
import sys

import zmq

from catalog import Catalog, locked_catalog
from quotes import Quotes
from sluice import Client, DOORS, Feed, Sluiced, folder, run
import tap
from tap import equal

FAILING, QUOTES = sys.argv[1:]

CONFIG = """
limits: {deadline: 30s}
databases: {catalog: {sqlite: catalog.db, connections: 1}}
caches: {hot: {memory: 1MiB}}
sources: {north: {zmq: "ENDPOINT", required: true}}
pipelines:
  product:
    takes: {sku: string}
    steps:
    - cache: {in: hot, key: "product/${sku}", ttl: 60s, miss: [
        {lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}}]}
  quote:
    takes: {symbol: string}
    steps: [{fanout: {to: [north], wait: any, body: {symbol: "${symbol}"}}}]
"""

RUNS = 20  # of each kind, where not all are made
ANSWERS = {"OK", "NOT_FOUND", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "UNAVAILABLE"}
NO_MEMORY = 'level=error msg="no memory for a log line"'
ONE, ALL = "SLUICE_FAIL_ONE", "SLUICE_FAIL_ALL_FROM"  # read by failing.c


def prepared(stack):
    """A folder with what the configuration names, and the configuration."""
    directory = folder(stack)
    Catalog(stack, directory / "catalog.db")
    return directory, CONFIG.replace("ENDPOINT", Quotes(stack, QUOTES, "--name", "north").endpoint)


def asked(directory):
    """How many allocations the run that has just ended asked for."""
    return int((directory / "allocations").read_text())


def spread(count):
    return range(0, count, 1 if os.environ.get("SLUICE_SLOW") else max(1, count // RUNS))


def check_refusal(kind, code, lines):
    """It says that memory is out, and nothing else; where that goes on, perhaps of several things."""
    equal((code, [line for line in lines if "memory" not in line]), (1, []))
    assert len(lines) == 1 or (lines and kind == ALL), lines


def find_door(daemon):
    """Whether the log says where it is; its lines are that the source is up, and `ready`."""
    if any(re.search(' msg="ready" ', line) for line in daemon.log.wait_count(2)):
        daemon.wait_doors()
        return True
    return False


def ask_all(client):
    """Sends one of each kind, and how many of them are counted. `$ping` comes twice, because the answer to one of them
    may be what there is no memory for."""
    for name, sku in enumerate(["s1", "s1", "none", 1]):
        client.ask("product", name, {"sku": sku})
    client.ask("quote", 4, {"symbol": "AAPL"})
    client.ask("nothing", 5)
    client.cancel("nobody")
    client.ask("$ping", "ping")
    client.ask("$ping", "ping")
    return 8


def hear_ping(client):
    """All that comes until a `$ping` is answered: what was sent before has been read."""
    replies = [client.hear()]
    while replies[-1].id != "ping":
        replies.append(client.hear())
    return replies


def use(stack, daemon, kind):
    """Asks all. Where only one allocation fails, all is answered but for one request at most."""
    if kind == ALL:
        ask_all(Client(stack, daemon, immediate=1))  # it waits until it is connected
        return
    client = Client(stack, daemon)
    sent = ask_all(client)
    replies = hear_ping(client)
    daemon.signal(signal.SIGTERM)
    replies += client.hear_rest()
    assert {reply.status for reply in replies} <= ANSWERS, replies
    assert sent - 1 <= len(replies) <= sent, replies


def serve(stack, directory, text, kind, successes):
    """Starts it, asks it and stops it."""
    daemon = Sluiced(stack, FAILING, text, directory, environment={kind: str(successes)}, ready=False)
    if not daemon.comes_up():
        check_refusal(kind, daemon.process.returncode, daemon.log.lines)
        return
    if find_door(daemon):
        use(stack, daemon, kind)
    daemon.signal(signal.SIGTERM)
    daemon.wait_end()
    equal(daemon.process.returncode, 0)
    if NO_MEMORY not in daemon.log.lines:
        daemon.end()


def with_each(stack, act, *kinds):
    """Does it once, and then again for many an allocation that fails then, or from which on memory is out."""
    directory, text = prepared(stack)
    with contextlib.ExitStack() as inner:
        act(inner, directory, text, ONE, 1 << 30)
    count = asked(directory)
    assert count > 50, count
    problems = []
    for kind in kinds:
        for successes in spread(count):
            try:
                with contextlib.ExitStack() as inner:
                    act(inner, directory, text, kind, successes)
            except (AssertionError, zmq.ZMQError) as error:
                problems.append(f"{kind}={successes}: {error}")
    equal(problems, [])


def test_one_allocation_fails(stack):
    with_each(stack, serve, ONE)


def test_memory_is_out_from_then_on(stack):
    with_each(stack, serve, ALL)


def test_a_check(stack):
    directory, text = prepared(stack)
    (directory / "sluice.yaml").write_text(DOORS + text)

    def check(**environment):
        return run(FAILING, "--check", "--config", "sluice.yaml", cwd=directory, env={**os.environ, **environment})

    equal((check().returncode, check().stderr), (0, []))
    count = asked(directory)
    for kind in (ONE, ALL):
        for successes in range(count):
            done = check(**{kind: str(successes)})
            if done.returncode != 0:
                check_refusal(kind, done.returncode, done.stderr)


def reload(stack, directory, text, kind, successes):
    """Starts it, reloads it with a pipeline more, asks it and stops it. It is taken or refused, and serves on."""
    daemon = Sluiced(stack, FAILING, text, directory, environment={kind: str(successes)}, ready=False)
    if not daemon.comes_up():
        check_refusal(kind, daemon.process.returncode, daemon.log.lines)
        return
    daemon.begin_reload(text + "  more: {steps: [{call: product}]}\n")
    status = daemon.end_reload()
    taken = "serving generation 2"
    assert status == taken or re.match("serving generation 1; reload refused: .*memory", status), status
    if kind == ONE and find_door(daemon):
        client = Client(stack, daemon)
        client.ask("$ping", "ping")  # what fails once may be what makes it known, or answers it
        client.ask("$ping", "ping")
        hear_ping(client)
        for name in "first", "second", "third":
            client.ask("product", name, {"sku": "s1"})
        client.ask("$ping", "end")
        client.ask("$ping", "end")
        replies = [client.hear()]
        while replies[-1].id != "end":
            replies.append(client.hear())
        daemon.signal(signal.SIGTERM)
        replies += client.hear_rest()
        # A row that there is no memory for is one for all who wait for it; a reply is one's own.
        statuses = [reply.status for reply in replies if reply.id in ("first", "second", "third")]
        assert len(statuses) >= 2 and {*statuses} <= {"OK", "RESOURCE_EXHAUSTED"}, replies
    daemon.signal(signal.SIGTERM)
    daemon.wait_end()
    equal(daemon.process.returncode, 0)


def test_a_reload(stack):
    with_each(stack, reload, ONE, ALL)


# What is not there is tried again by a timer, for which there may be no memory. Without a feed it is known how many
# allocations there are before it.
NO_TIMER = "out of memory or descriptors"
LISTEN = "listen: tcp://127.0.0.1:*\n"
COMES_LATER = """
databases: {catalog: {sqlite: catalog.db, connections: 1, required: false}}
pipelines:
  product:
    takes: {sku: string}
    steps: [{lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}}]
"""
COMES_NEVER = """
start_timeout: 100ms
sources: {north: {zmq: "ipc://nobody", required: true}}
pipelines:
  quote: {steps: [{fanout: {to: [north], wait: any}}]}
"""
IN_VAIN = '"north" is required and is not ready'


def start(stack, directory, text, successes):
    return Sluiced(stack, FAILING, text, directory, LISTEN, {ONE: str(successes)}, ready=False)


def end(daemon):
    daemon.signal(signal.SIGTERM)
    daemon.wait_end()


def allocations_of_start(directory, text):
    """How many a daemon asks for that comes up, and is ended at once."""
    with contextlib.ExitStack() as stack:
        daemon = start(stack, directory, text, 1 << 30)
        assert daemon.comes_up()
        end(daemon)
    return asked(directory)


def test_a_start_that_can_not_try_again(stack):
    directory = folder(stack)

    def said(successes):
        daemon = start(stack, directory, COMES_NEVER, successes)
        assert not daemon.comes_up()
        equal(daemon.process.returncode, 1)
        return daemon.log.lines

    assert any(IN_VAIN in line for line in said(1 << 30))
    all_said = [said(successes) for successes in range(asked(directory))]
    assert [f"error: {NO_TIMER}"] in all_said, all_said
    equal([lines for lines in all_said if not any("memory" in line or IN_VAIN in line for line in lines)], [])


def test_a_reload_that_can_not_try_again(stack):
    directory = folder(stack)

    def status(successes):
        with contextlib.ExitStack() as inner:
            daemon = start(inner, directory, COMES_NEVER.replace("true", "false"), successes)
            assert daemon.comes_up()
            daemon.begin_reload(COMES_NEVER, LISTEN)
            said = daemon.end_reload()
            end(daemon)
            return said

    started = allocations_of_start(directory, COMES_NEVER.replace("true", "false"))
    assert IN_VAIN in status(1 << 30)
    said = [status(successes) for successes in range(started, asked(directory))]
    assert f"serving generation 1; reload refused: {NO_TIMER}" in said, said
    equal([one for one in said if "memory" not in one and IN_VAIN not in one], [])


def test_a_database_that_can_not_be_tried_again(stack):
    """It is said, and the next reload opens it. The timer is the last thing of a start, but a few come at the end."""
    directory, catalog = locked_catalog(stack)
    for successes in reversed(range(allocations_of_start(directory, COMES_LATER))):
        daemon = start(stack, directory, COMES_LATER, successes)
        assert daemon.comes_up(), daemon.log.lines
        catalog.unlock()
        daemon.begin_reload(COMES_LATER, LISTEN)
        status = daemon.end_reload()
        reply = find_door(daemon) and Client(stack, daemon).call("product", {"sku": "s1"})
        end(daemon)
        catalog.lock()
        if any(NO_TIMER in line for line in daemon.log.lines):
            break
    daemon.log.wait_for(f'level=warning msg="a resource cannot be opened" error="{NO_TIMER}"')
    equal((status, reply.body), ("serving generation 2", {"name": "product 1"}))


def test_a_drain(stack):
    """It needs no memory itself: who waits when it begins is answered, whichever allocation after the start fails."""
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")

    def statuses(successes):
        with contextlib.ExitStack() as inner:
            daemon = start(inner, directory, COMES_LATER, successes)
            assert daemon.comes_up(), daemon.log.lines
            daemon.wait_doors()
            client = Client(inner, daemon)
            catalog.lock()
            for target, name in ("product", "held"), ("$ping", "ping"), ("$ping", "ping"):
                client.ask(target, name, {"sku": "s1"} if name == "held" else None)
            replies = hear_ping(client)
            daemon.signal(signal.SIGTERM)
            daemon.manager.wait_for("STOPPING=1", daemon.process)
            catalog.unlock()
            replies += client.hear_rest()
            daemon.wait_end()
            return [reply.status for reply in replies if reply.id == "held"]

    started = allocations_of_start(directory, COMES_LATER)
    equal(statuses(1 << 30), ["OK"])
    found = [statuses(successes) for successes in range(started, asked(directory))]
    assert ["OK"] in found, found
    equal([one for one in found if not {*one} <= {"OK", "RESOURCE_EXHAUSTED"}], [])


def test_a_database_is_tried_again_when_there_is_memory(stack):
    """It is said once. While it is locked it is tried again and again, and nothing else asks for memory."""
    directory, catalog = locked_catalog(stack)
    text = COMES_LATER + 'telemetry: {publish: "tcp://127.0.0.1:*", every: 10ms}\n'
    daemon = start(stack, directory, text, allocations_of_start(directory, text) + 5)
    assert daemon.comes_up()
    said = r'msg="a resource cannot be opened" error="sluice.yaml:3:31: database \"catalog\": out of memory, threads'
    daemon.log.wait_for(said)
    daemon.wait_doors()
    feed = Feed(stack, daemon, "stats")
    catalog.unlock()
    feed.stats(lambda stats: stats["databases"]["catalog"]["ready"])
    equal(Client(stack, daemon).call("product", {"sku": "s1"}).body, {"name": "product 1"})
    end(daemon)
    equal(len([line for line in daemon.log.lines if said in line]), 1)


tap.run([
    test_one_allocation_fails, test_memory_is_out_from_then_on, test_a_check, test_a_reload,
    test_a_start_that_can_not_try_again, test_a_reload_that_can_not_try_again,
    test_a_database_that_can_not_be_tried_again, test_a_drain,
    test_a_database_is_tried_again_when_there_is_memory,
])
