#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The quote source itself: what other tests rely on it for."""
import json
import signal
import subprocess
import sys

import tap
from quotes import Quotes, Wire
from tap import equal

PROGRAM = sys.argv[1]


def connected(stack, *options):
    source = Quotes(stack, PROGRAM, *options)
    return source, Wire(stack, source.endpoint)


def price(stack, symbol, *options):
    _, wire = connected(stack, *options)
    wire.quote("q", symbol)
    return json.loads(wire.hear()[2])["price"]


def test_quotes_and_counts(stack):
    _, wire = connected(stack, "--name", "north")
    wire.quote("a")
    name, status, body = wire.hear()
    equal((name, status), ("a", "OK"))
    quote = json.loads(body)
    equal(list(quote), ["source", "symbol", "price"])
    equal((quote["source"], quote["symbol"]), ("north", "AAPL"))
    assert 10 <= quote["price"] < 500
    equal(wire.stats(), {"asked": 1, "answered": 1, "cancelled": 0})


def test_a_price_is_fixed_by_symbol_and_seed(stack):
    first = price(stack, "AAPL", "--seed", "7")
    equal(price(stack, "AAPL", "--seed", "7", "--fail", "0"), first)
    assert price(stack, "AAPL", "--seed", "8") != first
    assert price(stack, "MSFT", "--seed", "7") != first


def test_what_is_no_quote(stack):
    _, wire = connected(stack)
    for body in ("{}", "[]", "x", '{"symbol":3}', json.dumps({"symbol": "A" * 100})):
        wire.say("quote a -", body)
        equal(wire.hear()[:2], ("a", "INVALID_ARGUMENT"))
    wire.say("price b -")
    equal(wire.hear()[:2], ("b", "UNIMPLEMENTED"))
    wire.say("price c")
    equal(wire.hear()[:2], ("c", "INVALID_ARGUMENT"))
    wire.say("price")
    equal(wire.hear()[:2], ("-", "INVALID_ARGUMENT"))
    wire.say("$unknown d -")
    wire.say("$ping e -")
    equal(wire.hear(), ("e", "OK", None))


def test_cancel_drops_the_answer(stack):
    _, wire = connected(stack, "--hang", "1")
    wire.quote("a")
    wire.quote("b")
    wire.say("$cancel a -")
    wire.say("$cancel a -")
    wire.say("$cancel unknown -")
    equal(wire.stats(), {"asked": 2, "answered": 0, "cancelled": 1})


def test_cancel_can_be_ignored(stack):
    _, wire = connected(stack, "--latency", "50", "--ignore-cancel")
    wire.quote("a")
    wire.say("$cancel a -")
    equal(wire.hear()[:2], ("a", "OK"))


def test_many_at_once(stack):
    _, wire = connected(stack, "--latency", "20", "--jitter", "20")
    for number in range(100):
        wire.quote(number)
    equal(sorted(int(wire.hear()[0]) for _ in range(100)), list(range(100)))


def test_twice(stack):
    _, wire = connected(stack, "--twice", "1")
    wire.quote("a")
    first = wire.hear()
    equal(first[:2], ("a", "OK"))
    equal(wire.hear()[::2], first[::2])
    equal(wire.stats()["answered"], 1)


def test_garbage_and_failures(stack):
    _, wire = connected(stack, "--garbage", "1")
    wire.quote("a")
    equal(wire.hear(), ("a", "OK", '{"source":'))
    _, wire = connected(stack, "--fail", "1")
    wire.quote("a")
    equal(wire.hear()[:2], ("a", "UNAVAILABLE"))


def test_moods_are_fixed_by_the_seed(stack):
    def statuses():
        _, wire = connected(stack, "--fail", "0.5", "--seed", "3")
        for number in range(40):
            wire.quote(number)
        return dict(wire.hear()[:2] for _ in range(40))

    first = statuses()
    equal(statuses(), first)
    equal(set(first.values()), {"OK", "UNAVAILABLE"})


def test_ends_at_a_signal(stack):
    source, wire = connected(stack, "--hang", "1")
    wire.quote("a")
    equal(wire.stats()["asked"], 1)
    equal(source.stop(), 0)
    source, _ = connected(stack)
    source.process.send_signal(signal.SIGINT)
    equal(source.process.wait(20), 0)


def test_wrong_options(stack):
    for options in (["--fail", "2"], ["--fail", "x"], ["--latency", "-1"], ["--seed", ""], ["--no"], ["no"]):
        done = subprocess.run([PROGRAM, *options], capture_output=True, text=True)
        equal((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1))


tap.run([
    test_quotes_and_counts, test_a_price_is_fixed_by_symbol_and_seed, test_what_is_no_quote,
    test_cancel_drops_the_answer, test_cancel_can_be_ignored, test_many_at_once, test_twice,
    test_garbage_and_failures, test_moods_are_fixed_by_the_seed, test_ends_at_a_signal, test_wrong_options,
])
