#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a newcomer sees of sluice first: each request of the demo ends as the demo says, and however the demo itself
ends, nothing of it is left."""
import contextlib
import ctypes
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile

import tap
from tap import equal

DEMO, BUILD = sys.argv[1:]
CATALOG = pathlib.Path(DEMO).with_name("catalog.sql")
SERVING = "What you ask shows up here.\n"
LAST_WORDS = "\nsluiced has read 8 requests, answered 8, and ended.\n"
TIMEOUT = 100
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h

# How each request of the demo ends: its pipeline, its status, and the keys of its reply but for its time.
ENDS = [
    ("product", "OK", ["cache=miss"]),
    ("product", "OK", ["cache=hit"]),
    ("product", "NOT_FOUND", ["cache=miss"]),
    ("quotes", "OK", []),
    ("quotes", "OK", ["partial=1"]),
    ("fastest", "OK", []),
    ("offer", "OK", ["cache=hit"]),
    ("quotes", "DEADLINE_EXCEEDED", []),
]


def start(stack, *options):
    """The demo, on free ports. Should the test fail it is killed, and what it started goes with it."""
    demo = stack.enter_context(subprocess.Popen([DEMO, BUILD, "--any-ports", *options], text=True,
                                                stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    stack.callback(demo.kill)
    return demo


def serving(stack):
    demo = start(stack)
    assert SERVING in iter(demo.stdout.readline, ""), demo.stderr.read()
    return demo


def end(demo, status=0):
    """Waits for its end; gives what it still wrote."""
    out, err = demo.communicate(timeout=TIMEOUT)
    equal((demo.returncode, err if status == 0 else ""), (status, ""))
    nothing_is_left()
    return out, err


def nothing_is_left():
    """No file, and no process: orphans of the demo are children of this one."""
    equal(os.listdir(os.environ["TMPDIR"]), [])
    with contextlib.suppress(ChildProcessError):
        raise AssertionError(f"left behind: {os.waitpid(-1, os.WNOHANG)}")


def children(demo):
    """The programs that it runs, by name."""
    found = {}
    for task in pathlib.Path(f"/proc/{demo.pid}/task").iterdir():
        for pid in (task / "children").read_text().split():
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            name = words[words.index("--name") + 1] if "--name" in words else pathlib.Path(words[0]).name
            found[name] = int(pid)
    return found


def test_the_catalog(stack):
    catalog = stack.enter_context(contextlib.closing(sqlite3.connect(":memory:")))
    catalog.executescript(CATALOG.read_text())
    rows = catalog.execute("SELECT sku, name, price, symbols FROM product").fetchall()
    equal((len(rows), len({sku for sku, *_ in rows}), len({name for _, name, *_ in rows})), (10000, 10000, 10000))
    assert all(10 <= price < 500 for _, _, price, _ in rows)
    symbols = [json.loads(symbols) for *_, symbols in rows]
    equal({len(some) for some in symbols}, {1, 2, 3, 4})
    equal(len({symbol for some in symbols for symbol in some}), 80)
    # The seed decides: these are the ones that the demo shows.
    equal(rows[8], ("P-00009", "Gold bar 1 mm", 84.64, '["AU-SPOT","AU-3M","AU-6M"]'))


def check_ends(out):
    asked = re.findall(r"^   \$ \S+/sluicectl call (\w+) ", out, re.M)
    replies = [line.split() for line in re.findall(r"^   sluicectl-\d+ (.*)$", out, re.M)]
    for _, us, *_ in replies:
        assert re.fullmatch(r"us=\d+", us), us
    equal([(name, status, keys) for name, (status, _, *keys) in zip(asked, replies, strict=True)], ENDS)
    equal(re.findall(r"^   telemetry: (request\.\S+)", out, re.M),
          [f"request.{name}.{status}" for name, status, _ in ENDS])


def check_bodies(out):
    bodies = [json.loads(body) for body in re.findall(r"^   sluicectl-.*\n((?:   [ {}[\]].*\n)+)", out, re.M)]
    cold, warm, missing, quotes, partial, fastest, offer, late = bodies
    equal((cold["sku"], warm), ("P-00009", cold))
    equal(missing["stage"], "product/1.cache/1.lookup")
    equal(list(quotes), ["north", "south", "east"])
    equal((list(partial), partial["$missing"]), (["north", "south", "$missing"], {"east": "UNAVAILABLE"}))
    equal(fastest, quotes[fastest["source"]])
    equal((offer["product"], list(offer["quotes"])), (cold, cold["symbols"]))
    # On a busy machine the request itself may be late before its sources are, and has no causes then.
    assert {cause["status"] for cause in late.get("causes", [])} <= {"DEADLINE_EXCEEDED"}, late
    assert late["error"], late


def test_each_request_ends_as_told(stack):
    out, _ = end(start(stack, "--once"))
    check_ends(out)
    check_bodies(out)
    assert out.endswith(LAST_WORDS), out


def test_it_serves_until_a_signal(stack):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        demo = serving(stack)
        equal(sorted(children(demo)), ["east", "north", "sluicectl", "sluiced", "south"])
        demo.send_signal(number)
        equal(end(demo)[0], LAST_WORDS)


def test_what_is_asked_while_it_serves_shows(stack):
    demo = start(stack)
    lines = iter(demo.stdout.readline, "")
    command = next(line for line in lines if "sluicectl call find" in line)
    assert SERVING in lines
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=TIMEOUT)
    equal((done.returncode, done.stderr), (0, ""))
    assert any(line.startswith("   telemetry: request.find.OK ") for line in lines)
    demo.terminate()
    end(demo)


def test_it_ends_where_nobody_reads(stack):
    demo = start(stack)
    demo.stdout.readline()
    demo.stdout.close()
    equal((demo.stderr.read(), demo.wait(TIMEOUT)), ("", 0))
    nothing_is_left()


def test_it_ends_with_its_terminal(stack):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(DEMO, [DEMO, BUILD, "--any-ports"])
    said = b""
    while SERVING.strip().encode() not in said:
        said += os.read(terminal, 4096)
    os.close(terminal)
    equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
    nothing_is_left()


def test_it_ends_when_a_program_dies(stack):
    for name in ("sluiced", "north"):
        demo = serving(stack)
        os.kill(children(demo)[name], signal.SIGKILL)
        _, err = end(demo, status=1)
        assert err.startswith(f"demo: {name} has ended by itself, by signal 9"), err


def test_killed_it_takes_all_with_it(stack):
    demo = serving(stack)
    demo.kill()
    demo.wait(TIMEOUT)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    # Files that it had are what remains.
    for left in pathlib.Path(os.environ["TMPDIR"]).iterdir():
        shutil.rmtree(left)


def test_a_port_that_is_taken(stack):
    # Whoever has it: this test, or somebody who was here before.
    taken = stack.enter_context(socket.socket())
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with contextlib.suppress(OSError):
        taken.bind(("127.0.0.1", 6002))
        taken.listen()
    done = subprocess.run([DEMO, BUILD, "--once"], capture_output=True, text=True, timeout=TIMEOUT)
    equal((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1))
    assert re.match(r"demo: port .*\b6002\b.*: already in use; stop who has it, or .*--any-ports$", done.stderr)
    nothing_is_left()


def test_nothing_was_built(stack):
    done = subprocess.run([DEMO, "/nowhere", "--any-ports"], capture_output=True, text=True, timeout=TIMEOUT)
    equal((done.returncode, done.stderr),
          (1, "demo: /nowhere/tests/quotes/quotes cannot be started: No such file or directory\n"))
    nothing_is_left()


ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
with tempfile.TemporaryDirectory() as os.environ["TMPDIR"]:
    tap.run([
        test_the_catalog, test_each_request_ends_as_told, test_it_serves_until_a_signal,
        test_what_is_asked_while_it_serves_shows, test_it_ends_where_nobody_reads, test_it_ends_with_its_terminal,
        test_it_ends_when_a_program_dies, test_killed_it_takes_all_with_it, test_a_port_that_is_taken,
        test_nothing_was_built,
    ])
