#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sources whose hosts are named. This sluiced waits for ever for one name (tests/unit/held_name.h), as it would for
half a minute where no server of names answers."""
import sys

from quotes import Quotes
from sluice import NO_LEAK_CHECK, Client, Feed, Sluiced
import tap
from tap import equal

SLUICED, QUOTES = sys.argv[1:]

CONFIG = """
sources:
  held: {zmq: "tcp://held.example:6001"}
  north: {zmq: "%s"}
pipelines:
  any:
    deadline: 30s
    steps: [{fanout: {to: [held, north], wait: any, body: {symbol: AAPL}}}]
"""


def test_a_name_that_nobody_answers_for(stack):
    """Nobody waits for it: no client, no reader of the feed, no other source, no reload and no stop."""
    north = Quotes(stack, QUOTES, "--name", "north").endpoint
    daemon = Sluiced(stack, SLUICED, CONFIG % north, environment=NO_LEAK_CHECK)
    feed = Feed(stack, daemon)
    feed.wait_up(["north"])
    client = Client(stack, daemon)
    equal(client.call("any").body["source"], "north")
    daemon.begin_reload(CONFIG % north + "drain: 1s\n")
    assert "generation 2" in daemon.end_reload()
    equal(Client(stack, daemon).call("any").body["source"], "north")
    equal([source["up"] for source in feed.stats()["sources"].values()], [False, True])
    equal(daemon.stop()["answered"], 2)
    daemon.log.wait_for("libzmq has not ended, and is left: it may be looking up the name of a source")


tap.run([test_a_name_that_nobody_answers_for])
