#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plays the scenarios of a file against an endpoint, with one kind of socket, and says how they went in TAP."""
import collections
import contextlib
import json
import re
import sys

import zmq

TIMEOUT_MS = 20000

# Of each kind: the socket, its options, and the envelope that its messages have where the scenario gives none.
KINDS = {
    "dealer": (zmq.DEALER, {}, []),
    "delimited": (zmq.DEALER, {}, [""]),
    "req": (zmq.REQ, {}, []),
    "correlate": (zmq.REQ, {"req_correlate": 1}, []),
    "relaxed": (zmq.REQ, {"req_correlate": 1, "req_relaxed": 1}, []),
}


def connect(stack, context, endpoint, kind):
    socket_type, options, _ = KINDS[kind]
    socket = stack.enter_context(context.socket(socket_type))
    for name, value in {"linger": 0, "rcvtimeo": TIMEOUT_MS, "sndtimeo": TIMEOUT_MS, **options}.items():
        setattr(socket, name, value)
    socket.connect(endpoint)
    return socket


def send(socket, step, envelope):
    message = step["send"]
    if "body" in step:
        message += "\n" + json.dumps(step["body"], ensure_ascii=False)
    frames = [*step.get("envelope", envelope), message]
    socket.send_multipart([frame.encode() for frame in frames])


def fits(expected, envelope, frames):
    """Whether the frames that came are the reply that is expected."""
    header, _, body = frames[-1].partition("\n")
    return (frames[:-1] == expected.get("envelope", envelope) and re.fullmatch(expected["reply"], header)
            and (json.loads(body) if body else None) == expected.get("body"))


def hear(socket, step, envelope):
    """As many replies as the step has, in whatever order they come."""
    expected = list(step["hear"])
    while expected:
        frames = [frame.decode() for frame in socket.recv_multipart()]
        found = next((reply for reply in expected if fits(reply, envelope, frames)), None)
        if not found:
            raise AssertionError(f"heard {frames}, expected {expected}")
        expected.remove(found)


def play(scenario, context, endpoint, kind):
    envelope = KINDS[kind][2]
    with contextlib.ExitStack() as stack:
        sockets = collections.defaultdict(lambda: connect(stack, context, endpoint, kind))
        for step in scenario["steps"]:
            act = send if "send" in step else hear
            act(sockets[step.get("socket", 0)], step, envelope)


def main(endpoint, kind, path):
    with open(path, encoding="utf-8") as file:
        scenarios = [one for one in json.load(file) if kind in one.get("kinds", KINDS)]
    failed = False
    print(f"1..{len(scenarios)}")
    with zmq.Context() as context:
        for number, scenario in enumerate(scenarios, 1):
            try:
                play(scenario, context, endpoint, kind)
                print(f"ok {number} - {scenario['name']}")
            except (AssertionError, ValueError, zmq.ZMQError) as error:
                failed = True
                print(f"# {error!r}\nnot ok {number} - {scenario['name']}")
    return failed


sys.exit(main(*sys.argv[1:]))
