# SPDX-License-Identifier: Apache-2.0
"""Runs sluiced and stands around it as everybody who has to do with it: its clients, the readers of its feed, its
service manager and the reader of its log. What a test waits for is an event; the timeout is for what will not come."""
import collections
import contextlib
import itertools
import json
import os
import pathlib
import re
import select
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
import time

import zmq

from tap import equal

TIMEOUT = 60  # seconds

# Doors of its own, and `stats` often enough to wait for.
DOORS = """\
listen: tcp://127.0.0.1:*
telemetry: {publish: "tcp://127.0.0.1:*", every: 10ms}
"""

# Milliseconds: not in this test. Never, -1, would make libzmq drop what has come and was not heard yet.
RECONNECT = 3600000

NUMBERS = itertools.count()

# How a line of a report begins or what it holds: of valgrind, and of the sanitizers.
REPORT = re.compile(r"==\d+==|.*Sanitizer|.*runtime error:")

# What sluiced is run under, such as valgrind.
WRAPPER = shlex.split(os.environ.get("SLUICE_WRAPPER", ""))

# For a sluiced that ends while a thread of its own still holds on to what is its.
NO_LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=0", "VALGRIND_OPTS": "--leak-check=no"}


def folder(stack):
    return pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-")))


def check_sanitizers(lines):
    if any(REPORT.match(line) for line in lines):
        raise AssertionError("\n".join(lines))


HOLD = "hold"


class Log:
    """The lines that a process writes to a pipe, read as they come. After a line that says HOLD nothing more is read
    until go_on is set."""

    def __init__(self, pipe):
        self.lines = []
        self.go_on = threading.Event()
        self.ended = False
        self.changed = threading.Condition()
        threading.Thread(target=self._read, args=[pipe], daemon=True).start()

    def _read(self, pipe):
        with pipe:
            for line in pipe:
                self._note(lines=[line.rstrip("\n")])
                if line == HOLD + "\n":
                    self.go_on.wait(TIMEOUT)
        self._note(ended=True)

    def _note(self, lines=(), ended=False):
        with self.changed:
            self.lines.extend(lines)
            self.ended = ended
            self.changed.notify_all()

    def wait_for(self, text):
        """The first line that holds text."""
        def find():
            return next((line for line in self.lines if text in line), None) or self.ended
        with self.changed:
            found = self.changed.wait_for(find, TIMEOUT)
        if not isinstance(found, str):
            raise AssertionError(f"no line with {text!r} in {self.lines}")
        return found

    def wait_count(self, count):
        """The lines, once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.lines) >= count, TIMEOUT), self.lines
            return list(self.lines)

    def wait_end(self):
        with self.changed:
            assert self.changed.wait_for(lambda: self.ended, TIMEOUT)


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, stack):
        self.socket = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.socket.bind("")  # the kernel chooses an abstract name
        self.address = "@" + self.socket.getsockname()[1:].decode()
        self.messages = []

    def wait_for(self, assignment, process):
        """The next message that holds the assignment, as a dict. Fails when the process ends without it."""
        pidfd = os.pidfd_open(process.pid)
        try:
            while True:
                ready, _, _ = select.select([self.socket, pidfd], [], [], TIMEOUT)
                if self.socket not in ready:
                    raise AssertionError(f"no {assignment}, only {self.messages}")
                message = self._take()
                if assignment.split("=", 1) in [list(item) for item in message.items()]:
                    return message
        finally:
            os.close(pidfd)

    def heard(self):
        """All messages up to now."""
        while select.select([self.socket], [], [], 0)[0]:
            self._take()
        return self.messages

    def _take(self):
        message = dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())
        self.messages.append(message)
        return message


class Sluiced:
    """A daemon that is ready, in a folder of its own, which `directory` may have filled. It is stopped with the stack,
    and held to what a clean end looks like, if the test has not done so itself."""

    def __init__(self, stack, program, text, directory=None, doors=DOORS, environment=None, ready=True):
        self.directory = directory or folder(stack)
        (self.directory / "sluice.yaml").write_text(doors + text)
        self.context = stack.enter_context(zmq.Context())
        self.manager = Manager(stack)
        self.process = subprocess.Popen(
            [*WRAPPER, os.path.abspath(program), "--config", "sluice.yaml"], cwd=self.directory, text=True,
            stderr=subprocess.PIPE, env={**os.environ, "NOTIFY_SOCKET": self.manager.address, **(environment or {})})
        self.log = Log(self.process.stderr)
        self.ended = False
        stack.callback(self._end_unless_ended)
        if ready:
            self.wait_ready()

    def wait_ready(self):
        try:
            self.manager.wait_for("READY=1", self.process)
        except AssertionError as error:
            raise AssertionError(f"{error}; log: {self.log.lines}") from None
        self.wait_doors()

    def comes_up(self):
        """Whether it gets ready; False: it has ended before."""
        try:
            self.manager.wait_for("READY=1", self.process)
        except AssertionError:
            self.wait_end()
            return False
        return True

    def wait_doors(self):
        """Reads in its log where its doors are."""
        line = self.log.wait_for('msg="ready"')
        self.endpoint, self.feed_endpoint = re.search(r" listen=(\S+) telemetry=(\S+)", line).groups()

    def signal(self, number):
        self.process.send_signal(number)

    def begin_reload(self, text, doors=DOORS):
        (self.directory / "sluice.yaml").write_text(doors + text)
        self.signal(signal.SIGHUP)

    def end_reload(self):
        """What the manager is told at the end of it."""
        return self.manager.wait_for("READY=1", self.process)["STATUS"]

    @contextlib.contextmanager
    def held_up(self):
        """Its loop stands still, in a line for the log that nobody reads, while libzmq goes on. What is sent from here
        on it finds all at once. Whom libzmq cuts off meanwhile sees it when the loop goes on (daemon/arrivals.c)."""
        pipe = os.open(f"/proc/{self.process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
        self.log.go_on.clear()
        try:
            os.write(pipe, f"{HOLD}\n".encode())
            self.log.wait_for(HOLD)
            for filling in b"#" * 4095 + b"\n", b"\n":
                with contextlib.suppress(BlockingIOError):
                    while True:
                        os.write(pipe, filling)
            # Signals go before messages, and this one is told of in the log.
            self.signal(signal.SIGHUP)
            yield
        finally:
            self.log.go_on.set()
            os.close(pipe)

    def stop(self):
        """Asks it to end; gives its counts."""
        self.signal(signal.SIGTERM)
        return self.end()

    def end(self):
        """Waits for its end, which must be a clean one; gives its counts."""
        self.wait_end()
        stopped = [line for line in self.log.lines if 'msg="stopped"' in line]
        equal((self.process.returncode, self.log.lines[-1:]), (0, stopped))
        counts = {name: int(count) for name, count in re.findall(r" (\w+)=(\d+)", self.log.lines[-1])}
        equal(list(counts), ["read", "answered", "gone", "undelivered"])
        equal(counts["read"], counts["answered"] + counts["gone"] + counts["undelivered"])
        return counts

    def wait_end(self):
        """Waits for its end, whatever it says about it."""
        self.ended = True
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end; log: {self.log.lines}") from None
        finally:
            self.log.wait_end()
        check_sanitizers(self.log.lines)

    def _end_unless_ended(self):
        if not self.ended:
            self.stop()


def run(program, *arguments, **options):
    """Runs it to an end that comes by itself. The result is a CompletedProcess, whose stderr is a list of lines."""
    done = subprocess.run([*WRAPPER, os.path.abspath(program), *arguments], capture_output=True, text=True,
                          timeout=TIMEOUT, **options)
    done.stderr = done.stderr.splitlines()
    check_sanitizers(done.stderr)
    return done


def knows_http(program):
    """Whether it was built with libcurl."""
    with contextlib.ExitStack() as stack:
        path = folder(stack) / "sluice.yaml"
        path.write_text("listen: tcp://127.0.0.1:*\nsources: {s: {http: 'http://a'}}\n"
                        "pipelines: {p: {steps: [{fanout: {to: [s]}}]}}\n")
        return not any("not in this build" in line for line in run(program, "--check", "--config", str(path)).stderr)


class Reply(collections.namedtuple("Reply", "id status keys body")):
    """What a door answered: keys as a dict of strings, body parsed, or None where there is none."""

    def __new__(cls, message):
        header, _, body = message.partition("\n")
        name, status, *keys = header.split(" ")
        return super().__new__(cls, name, status, dict(key.split("=", 1) for key in keys),
                               json.loads(body) if body else None)


class Client:
    """One connection, DEALER or REQ, that speaks the wire; options are those of the socket. It queues without bounds
    and does not connect again, so no test ever speaks with another one's daemon."""

    def __init__(self, stack, daemon, kind=zmq.DEALER, **options):
        self.socket = daemon.context.socket(kind)
        stack.callback(self.close)
        options = {"linger": 0, "rcvtimeo": TIMEOUT * 1000, "sndtimeo": TIMEOUT * 1000, "sndhwm": 0, "rcvhwm": 0,
                   "reconnect_ivl": RECONNECT, **options}
        for name, value in options.items():
            setattr(self.socket, name, value)
        # pyzmq would name it by a descriptor, whose number is used again.
        address = f"inproc://client-{next(NUMBERS)}"
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED, address)
        self.monitor.rcvtimeo = TIMEOUT * 1000
        self.socket.connect(daemon.endpoint)

    def close(self):
        """May be called again. libzmq's thread would wait for ever for a monitor that is closed first to hear of the
        connection's end."""
        if not self.socket.closed:
            self.socket.disable_monitor()
            self.monitor.close()
            self.socket.close()

    def ask(self, target, name, body=None, budget="-", **keys):
        """Sends a request, or a command without arguments; body is what JSON is made of, or the text as it is."""
        line = " ".join([target, str(name), str(budget), *(f"{key}={value}" for key, value in keys.items())])
        if body is not None:
            line += "\n" + (body if isinstance(body, str) else json.dumps(body))
        self.socket.send_string(line)

    def cancel(self, name):
        self.ask("$cancel", name)

    def hear(self):
        return Reply(self.socket.recv_string())

    def hear_many(self, count):
        return [self.hear() for _ in range(count)]

    def hear_rest(self):
        """All that still comes until the daemon closes the connection."""
        self.monitor.recv_multipart()
        replies = []
        while self.socket.poll(0):
            replies.append(self.hear())
        return replies

    def call(self, target, body=None, name="call", **options):
        """Asks, and hears the answer."""
        self.ask(target, name, body, **options)
        reply = self.hear()
        equal(reply.id, str(name))
        return reply

    def settle(self):
        """Nothing has come that was not heard, and what was sent has been read: replies keep their order."""
        equal(self.call("$ping", name="settle").status, "OK")


class Feed:
    """A reader of the feed. When it is made its subscriptions stand, for they are taken in order, `stats` last."""

    def __init__(self, stack, daemon, *topics):
        self.socket = stack.enter_context(daemon.context.socket(zmq.SUB))
        self.socket.linger = 0
        self.socket.rcvhwm = 0
        self.socket.reconnect_ivl = RECONNECT
        for topic in (*topics, "stats"):
            self.socket.subscribe(topic)
        self.socket.connect(daemon.feed_endpoint)
        self.wait_for("stats")

    def next(self):
        topic, event = self.socket.recv_multipart()
        return topic.decode(), json.loads(event)

    def wait_for(self, topic, predicate=lambda event: True):
        """The next event of that topic for which the predicate holds; what comes before is passed over."""
        end = time.monotonic() + TIMEOUT
        last = None
        while time.monotonic() < end and self.socket.poll(TIMEOUT * 1000):
            found, event = self.next()
            if found == topic:
                last = event
                if predicate(event):
                    return event
        raise AssertionError(f"waited in vain for {topic}; the last was {last}")

    def wait_up(self, names=None):
        """Until these sources are connected, or all."""
        self.stats(lambda stats: all(stats["sources"][name]["up"] for name in (
            stats["sources"] if names is None else names)))

    def stats(self, predicate=lambda stats: True):
        """The first `stats` made from now on for which the predicate holds; older ones may still be on their way."""
        now = time.time_ns() // 1000
        return self.wait_for("stats", lambda stats: stats["t"] > now and predicate(stats))
