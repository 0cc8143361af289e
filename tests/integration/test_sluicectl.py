#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sluicectl against sockets that the test holds itself, and against the quote source, which speaks the same wire."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

import zmq

import tap
from quotes import Quotes, TIMEOUT_MS
from tap import equal

SLUICECTL, QUOTES = sys.argv[1:]


def run(*arguments, **options):
    return subprocess.run([SLUICECTL, *arguments], capture_output=True, text=True, timeout=60, **options)


def start(stack, *arguments, **options):
    process = stack.enter_context(subprocess.Popen([SLUICECTL, *arguments], stdout=subprocess.PIPE,
                                                   stderr=subprocess.PIPE, text=True, **options))
    stack.callback(process.kill)
    return process


def bound(stack, kind, endpoint="tcp://127.0.0.1:*"):
    """A socket of ours and its endpoint."""
    socket = stack.enter_context(stack.enter_context(zmq.Context()).socket(kind))
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVTIMEO, TIMEOUT_MS)
    socket.bind(endpoint)
    return socket, socket.getsockopt_string(zmq.LAST_ENDPOINT)


def exchange(stack, answer, *arguments, stdin=None):
    """What call sends, and how it ends when it hears that answer."""
    router, endpoint = bound(stack, zmq.ROUTER)
    process = start(stack, "--endpoint", endpoint, *arguments, stdin=stdin)
    client, request = router.recv_multipart()
    router.send_multipart([client, answer])
    out, err = process.communicate(timeout=TIMEOUT_MS / 1000)
    return request, process.returncode, out, err


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        return True
    return False


def test_over_ipv6(stack):
    if not has_ipv6():
        return
    router = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.ROUTER))
    router.ipv6 = True
    router.bind("tcp://[::1]:*")
    process = start(stack, "--endpoint", router.last_endpoint.decode(), "ping", "--id", "p")
    router.send_multipart([router.recv_multipart()[0], b"p OK us=1"])
    equal(process.communicate(timeout=TIMEOUT_MS / 1000), ("p OK us=1\n", ""))


def test_what_is_sent(stack):
    request, code, out, err = exchange(stack, b"7 OK us=12", "call", "product", '{"sku":"x"}', "--budget", "250",
                                       "--id", "7")
    equal(request, b'product 7 250\n{"sku":"x"}')
    equal((code, out, err), (0, "7 OK us=12\n", ""))
    request, *_ = exchange(stack, b"- OK us=12", "call", "product")
    target, name, budget = request.decode().split(" ")
    equal((target, budget), ("product", "-"))
    assert name.startswith("sluicectl-")
    request, *_ = exchange(stack, b"p OK us=1", "ping", "--id", "p")
    equal(request, b"$ping p -")


def test_a_body_on_stdin(stack):
    for body in b'{"sku": "x"}\n', b"", b"{" + b" " * 200000 + b"}":
        file = stack.enter_context(tempfile.TemporaryFile())
        file.write(body)
        file.seek(0)
        request, code, _, err = exchange(stack, b"7 OK us=12", "call", "product", "-", "--id", "7", stdin=file)
        equal((request, code, err), (b"product 7 -\n" + body if body else b"product 7 -", 0, ""))
    directory = os.open(tempfile.gettempdir(), os.O_RDONLY)
    stack.callback(os.close, directory)
    done = run("call", "product", "-", stdin=directory)
    equal((done.returncode, done.stderr), (2, "sluicectl: cannot read the body from stdin: Is a directory\n"))


def test_a_body_on_stdin_without_an_end(stack):
    if not os.environ.get("SLUICE_SLOW"):
        raise tap.Skipped("it takes two gigabytes (--slow)")
    done = run("call", "product", "-", stdin=stack.enter_context(open("/dev/zero", "rb")))
    equal((done.returncode, done.stderr),
          (2, "sluicectl: the body on stdin is over 1073741824 bytes, more than limits.message can be\n"))


def test_a_fresh_answer(stack):
    request, *_ = exchange(stack, b"7 OK us=12 cache=miss", "call", "product", "{}", "--id", "7", "--fresh")
    equal(request, b"product 7 - fresh=1\n{}")
    request, *_ = exchange(stack, b"7 OK us=12", "call", "product", "--fresh", "--id", "7", "--stream")
    equal(request, b"product 7 - stream=1 fresh=1")


def test_what_is_printed(stack):
    body = '{"a":[1,{"b":"x, {\\"y\\": 2}"}], "c":{},"d":[ ],"e":null}'
    pretty = '{\n  "a": [\n    1,\n    {\n      "b": "x, {\\"y\\": 2}"\n    }\n  ],\n  "c": {},\n  "d": [],\n  "e": null\n}'
    answer = f"7 OK us=12 cache=hit\n{body}".encode()
    equal(exchange(stack, answer, "call", "p")[1:], (0, f"7 OK us=12 cache=hit\n{pretty}\n", ""))
    equal(exchange(stack, answer, "call", "p", "--raw")[1:], (0, f"7 OK us=12 cache=hit\n{body}\n", ""))
    equal(exchange(stack, b"7 OK us=12\nno JSON", "call", "p")[1:], (0, "7 OK us=12\nno JSON\n", ""))


def test_parts_are_printed_as_they_come(stack):
    router, endpoint = bound(stack, zmq.ROUTER)
    process = start(stack, "--endpoint", endpoint, "call", "quotes", "{}", "--id", "7", "--stream", "--raw")
    client, request = router.recv_multipart()
    equal(request, b"quotes 7 - stream=1\n{}")
    for part in '7 MORE us=5 seq=1\n{"north":1}', '7 MORE us=9 seq=2\n{"south":2}':
        router.send_multipart([client, part.encode()])
        equal(process.stdout.readline() + process.stdout.readline(), part + "\n")
    router.send_multipart([client, b"7 OK us=9 parts=2\n{}"])
    equal(process.communicate(timeout=TIMEOUT_MS / 1000), ("7 OK us=9 parts=2\n{}\n", ""))
    equal(process.returncode, 0)


def test_parts_without_an_end(stack):
    router, endpoint = bound(stack, zmq.ROUTER)
    process = start(stack, "--endpoint", endpoint, "call", "quotes", "--id", "7", "--stream", "--budget", "500")
    client, _ = router.recv_multipart()
    router.send_multipart([client, b"7 MORE us=5 seq=1\n1"])
    out, err = process.communicate(timeout=TIMEOUT_MS / 1000)
    equal((process.returncode, out), (3, "7 MORE us=5 seq=1\n1\n"))
    assert "no answer" in err


def test_other_statuses(stack):
    _, code, out, err = exchange(stack, b'7 NOT_FOUND us=12\n{"error":"no row"}', "call", "p")
    equal((code, out, err), (1, '7 NOT_FOUND us=12\n{\n  "error": "no row"\n}\n', ""))
    _, code, out, err = exchange(stack, b"HTTP/1.1 400 Bad Request", "call", "p")
    equal((code, out), (3, ""))
    assert "is no reply" in err and "front door" in err


def test_a_source_speaks_the_same_wire(stack):
    source = Quotes(stack, QUOTES, "--name", "north")
    done = run("call", "quote", '{"symbol":"AAPL"}', "--endpoint", source.endpoint)
    header, _, body = done.stdout.partition("\n")
    equal((done.returncode, header.split(" ")[1]), (0, "OK"))
    equal(json.loads(body)["source"], "north")
    equal(run("ping", "--endpoint", source.endpoint).returncode, 0)
    done = run("--endpoint", source.endpoint, "call", "nothing")
    equal((done.returncode, done.stdout.split(" ")[1]), (1, "UNIMPLEMENTED"))


def test_no_answer(stack):
    source = Quotes(stack, QUOTES, "--hang", "1")
    done = run("--endpoint", source.endpoint, "call", "quote", '{"symbol":"AAPL"}', "--budget", "1")
    equal((done.returncode, done.stdout), (3, ""))
    equal(done.stderr, f"sluicectl: no answer from {source.endpoint} within 1001 ms; give it more time with --budget\n")


def test_a_connection_that_is_cut(stack):
    """By one who does not read so much; what is asked there is never answered, however long one waits."""
    socket = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.ROUTER))
    socket.linger = 0
    socket.maxmsgsize = 1000
    socket.bind("tcp://127.0.0.1:*")
    endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    body = json.dumps({"sku": "x" * 2000})
    done = run("--endpoint", endpoint, "call", "product", body, "--budget", "600000")
    equal((done.returncode, done.stdout, done.stderr),
          (3, "", f"sluicectl: the connection to {endpoint} was cut: it has ended, or the body is far over its "
           "limits.message\n"))


def test_an_answer_before_the_end(stack):
    """The connection ends right behind it, before sluicectl has come to read it."""
    for _ in range(5):
        context = zmq.Context()
        router = context.socket(zmq.ROUTER)
        router.bind("tcp://127.0.0.1:*")
        process = start(stack, "--endpoint", router.last_endpoint.decode(), "ping", "--id", "p")
        client, _ = router.recv_multipart()
        process.send_signal(signal.SIGSTOP)
        router.send_multipart([client, b"p OK us=1"])
        router.close(linger=TIMEOUT_MS)
        context.term()
        process.send_signal(signal.SIGCONT)
        equal(process.communicate(timeout=TIMEOUT_MS / 1000), ("p OK us=1\n", ""))


def test_nobody_listens(stack):
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    endpoint = f"ipc://{directory}/nobody"
    done = run("--endpoint", endpoint, "ping", "--budget", "1")
    equal((done.returncode, done.stdout), (3, ""))
    equal(done.stderr, f"sluicectl: nobody listens at {endpoint}; start sluiced, or say where it is with --endpoint\n")


def feed(stack, *endpoint):
    publisher, endpoint = bound(stack, zmq.XPUB, *endpoint)
    publisher.setsockopt(zmq.XPUB_VERBOSE, 1)
    return publisher, endpoint


def test_watch_prints_each_event_at_once(stack):
    publisher, endpoint = feed(stack)
    process = start(stack, "watch", "--telemetry", endpoint, "--count", "2")
    equal(publisher.recv(), b"\x01")
    publisher.send_multipart([b"stats", b'{"seq":1}'])
    equal(process.stdout.readline(), 'stats {"seq":1}\n')
    equal(process.poll(), None)
    publisher.send_multipart([b"daemon.ready", b'{"seq":1}'])
    equal(process.communicate(timeout=20), ('daemon.ready {"seq":1}\n', ""))
    equal(process.returncode, 0)


def test_watch_ends_with_a_signal(stack):
    publisher, endpoint = feed(stack)
    process = start(stack, "watch", "request.", "daemon.", "--telemetry", endpoint)
    equal({publisher.recv(), publisher.recv()}, {b"\x01request.", b"\x01daemon."})
    process.send_signal(signal.SIGINT)
    equal(process.communicate(timeout=20), ("", ""))
    equal(process.returncode, 0)


def test_watch_ends_with_its_time(stack):
    _, endpoint = feed(stack)
    equal(run("watch", "--telemetry", endpoint, "--for", "1").returncode, 0)
    done = run("watch", "--telemetry", endpoint, "--for", "1", "--count", "3")
    equal((done.returncode, done.stdout), (3, ""))
    assert done.stderr.startswith("sluicectl: 0 of 3 events came")


def test_watch_says_that_nobody_listens(stack):
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    endpoint = f"ipc://{directory}/feed"
    process = start(stack, "watch", "--telemetry", endpoint)
    said = (f"sluicectl: nobody listens at {endpoint}; trying until somebody does: start sluiced, or say where it "
            "publishes with --telemetry\n")
    equal(process.stderr.readline(), said)
    for _ in range(2):
        with contextlib.ExitStack() as visit:
            publisher, _ = feed(visit, endpoint)
            equal(publisher.recv(), b"\x01")
            publisher.send_multipart([b"stats", b"{}"])
            equal(process.stdout.readline(), "stats {}\n")
        # Once, each time that it was there and is there no more.
        equal(process.stderr.readline(), said)
    process.send_signal(signal.SIGINT)
    equal(process.communicate(timeout=20), ("", ""))
    equal(process.returncode, 0)


def test_usage(stack):
    wrong = [
        [], ["help"], ["call"], ["call", "a b"], ["call", "$ping"], ["call", "p", "{}", "{}"], ["ping", "p"],
        ["call", "p", "--id", "-"], ["call", "p", "--budget", "1.5"], ["call", "p", "--budget", "1000000000"],
        ["call", "p", "--count", "1"], ["ping", "--stream"], ["ping", "--fresh"], ["watch", "--budget", "1"], ["watch", "--count", "0"], ["watch", "--for", "x"],
        ["--budget"], ["--nothing"], ["call", "p", "--endpoint", "5555"], ["watch", "--telemetry", "nowhere"],
    ]
    for arguments in wrong:
        done = run(*arguments)
        found = (done.returncode, done.stdout, done.stderr.count("\n"), done.stderr.startswith("sluicectl: "))
        equal((arguments, *found), (arguments, 2, "", 1, True))
    for argument, option in ("-xy", "-x"), ("-y", "-y"), ("--nothing", "--nothing"):
        equal(run("ping", argument).stderr, f"sluicectl: there is no option {option}; see sluicectl --help\n")
    equal(run("call", "p", "--fresh=1").stderr, "sluicectl: --fresh takes no value; see sluicectl --help\n")
    done = run("--help")
    equal((done.returncode, done.stderr), (0, ""))
    assert "sluicectl call" in done.stdout
    done = run("--version")
    equal((done.returncode, done.stderr), (0, ""))
    assert done.stdout.startswith("sluicectl ")


tap.run([
    test_over_ipv6, test_what_is_sent, test_a_body_on_stdin, test_a_body_on_stdin_without_an_end, test_a_fresh_answer,
    test_what_is_printed, test_parts_are_printed_as_they_come, test_parts_without_an_end, test_other_statuses,
    test_a_source_speaks_the_same_wire, test_no_answer,
    test_a_connection_that_is_cut, test_an_answer_before_the_end, test_nobody_listens,
    test_watch_prints_each_event_at_once, test_watch_ends_with_a_signal,
    test_watch_ends_with_its_time, test_watch_says_that_nobody_listens, test_usage,
])
