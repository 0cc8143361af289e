#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sluiced as a service: what it tells its manager, which signals it minds, and how a start fails."""
import os
import pathlib
import re
import signal
import subprocess
import sys

from catalog import Catalog, locked_catalog
from sluice import TIMEOUT, Client, DOORS, Feed, Manager, Sluiced, folder, run
import tap
from tap import equal

SLUICED = sys.argv[1]

CONFIG = """
drain: 2s
databases:
  catalog: {sqlite: catalog.db, connections: 1}
pipelines:
  product:
    takes: {sku: string}
    steps:
    - lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}
"""


def prepared(stack, **options):
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    return catalog, Sluiced(stack, SLUICED, CONFIG, directory, **options)


def serves(stack, daemon):
    equal(Client(stack, daemon).call("product", {"sku": "s1"}).body, {"name": "product 1"})


def test_ready_and_stopping(stack):
    _, daemon = prepared(stack)
    equal(daemon.manager.messages, [{"READY": "1", "STATUS": "serving"}])
    serves(stack, daemon)
    daemon.signal(signal.SIGTERM)
    message = daemon.manager.wait_for("STOPPING=1", daemon.process)
    # The drain, a worker that does not come back, and what libzmq still does.
    equal(message, {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": str(2000000 + 1000000 + 5000000), "STATUS": "draining"})
    equal(daemon.end(), {"read": 1, "answered": 1, "gone": 0, "undelivered": 0})


def test_sigint_stops_too(stack):
    _, daemon = prepared(stack)
    daemon.signal(signal.SIGINT)
    daemon.manager.wait_for("STOPPING=1", daemon.process)
    daemon.end()


def test_watchdog(stack):
    _, daemon = prepared(stack, environment={"WATCHDOG_USEC": "100000"})
    for _ in range(3):
        daemon.manager.wait_for("WATCHDOG=1", daemon.process)
    serves(stack, daemon)


def test_no_manager(stack):
    _, daemon = prepared(stack, environment={"NOTIFY_SOCKET": ""}, ready=False)
    daemon.wait_doors()
    serves(stack, daemon)
    equal(daemon.stop()["answered"], 1)


def test_without_standard_descriptors(stack):
    directory = folder(stack)
    Catalog(stack, directory / "catalog.db")
    (directory / "sluice.yaml").write_text(DOORS + CONFIG)
    manager = Manager(stack)
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", os.path.abspath(SLUICED), "--config", "sluice.yaml"],
        cwd=directory, env={**os.environ, "NOTIFY_SOCKET": manager.address})
    stack.callback(process.wait, TIMEOUT)
    stack.callback(process.terminate)
    manager.wait_for("READY=1", process)
    equal([os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)], ["/dev/null"] * 3)
    process.terminate()
    equal(process.wait(TIMEOUT), 0)


def test_sigpipe(stack):
    _, daemon = prepared(stack)
    daemon.signal(signal.SIGPIPE)
    serves(stack, daemon)


def test_ready_waits_for_what_is_required(stack):
    directory, catalog = locked_catalog(stack)
    daemon = Sluiced(stack, SLUICED, CONFIG, directory, ready=False)
    daemon.log.wait_for('msg="waiting for a locked database" database=catalog file=catalog.db')
    daemon.log.wait_for('msg="waiting" name=catalog reason="it is locked"')
    waiting = daemon.manager.wait_for('STATUS=waiting for "catalog": it is locked', daemon.process)
    equal(int(waiting["EXTEND_TIMEOUT_USEC"]) > 10000000, True)
    catalog.unlock()
    daemon.wait_ready()
    serves(stack, daemon)


def test_stopped_before_it_is_ready(stack):
    directory, _ = locked_catalog(stack)
    daemon = Sluiced(stack, SLUICED, CONFIG, directory, ready=False)
    daemon.log.wait_for("waiting for a locked database")
    equal(daemon.stop(), {"read": 0, "answered": 0, "gone": 0, "undelivered": 0})


def refused(directory, text):
    """What a start says that does not succeed."""
    (directory / "sluice.yaml").write_text(text)
    done = run(SLUICED, "--config", "sluice.yaml", cwd=directory)
    equal((done.returncode, done.stdout), (1, ""))
    return done.stderr


def test_start_timeout(stack):
    directory, _ = locked_catalog(stack)
    lines = refused(directory, DOORS + "start_timeout: 250ms\n" + CONFIG)
    errors = [line for line in lines if "error" in line]
    equal(errors, ['sluice.yaml:7:21: error: "catalog" is required and is not ready (it is locked): it was waited for '
                   "as long as `start_timeout` says; start it, or say `required: false`"])
    assert "waiting for a locked database" in lines[0]


def test_a_warning_is_said_once(stack):
    directory, _ = locked_catalog(stack)
    lines = refused(directory, DOORS + "start_timeout: 250ms\n" + CONFIG.replace("query:", "concurrency: 60, query:"))
    equal(len([line for line in lines if "warning" in line]), 1)


def test_a_required_source_that_is_not_there(stack):
    lines = refused(folder(stack), DOORS + """start_timeout: 500ms
sources:
  north: {zmq: "ipc://nobody", required: true}
pipelines:
  quote: {steps: [{fanout: {to: [north]}}]}
""")
    equal(lines[-1], 'sluice.yaml:5:16: error: "north" is required and is not ready: it was waited for as long as '
                     "`start_timeout` says; start it, or say `required: false`")


def test_an_address_in_use(stack):
    _, daemon = prepared(stack)
    why = "can't be bound: Address already in use; another process has it: stop that, or choose another"
    directory = folder(stack)
    lines = refused(directory, f"listen: {daemon.endpoint}\n" + CONFIG)
    equal(lines, [f"sluice.yaml:1:9: error: {daemon.endpoint} {why}"])
    doors = f"listen: tcp://127.0.0.1:*\ntelemetry: {{publish: '{daemon.feed_endpoint}'}}\n"
    lines = refused(directory, doors + CONFIG)
    equal(lines, [f"sluice.yaml:2:22: error: {daemon.feed_endpoint} {why}"])
    serves(stack, daemon)


def test_an_address_of_another_machine(stack):
    for endpoint, why in [("tcp://192.0.2.1:5555", "Cannot assign requested address"),
                          ("tcp://no.such.interface:5555", "No such device")]:
        lines = refused(folder(stack), f"listen: {endpoint}\ninsecure: true\n" + CONFIG)
        equal(lines, [f"sluice.yaml:1:9: error: {endpoint} can't be bound: {why}; this machine has no such address: say "
                      "one of its own, or * for all"])


def test_without_a_feed(stack):
    directory = folder(stack)
    Catalog(stack, directory / "catalog.db")
    daemon = Sluiced(stack, SLUICED, CONFIG, directory, doors="listen: tcp://127.0.0.1:*\n")
    equal(daemon.feed_endpoint, "none")
    serves(stack, daemon)


def test_memory_is_told(stack):
    _, daemon = prepared(stack)
    resident = Feed(stack, daemon).stats()["resident"]
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    highest = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10
    # The kernel's own sum is a few pages behind for each thread.
    assert 1 << 20 < resident < highest + (4 << 20), (resident, highest)


def test_events(stack):
    _, daemon = prepared(stack)
    feed = Feed(stack, daemon, "daemon.")
    daemon.signal(signal.SIGTERM)
    equal(feed.wait_for("daemon.draining")["in_flight"], 0)
    stopped = feed.wait_for("daemon.stopped")
    counts = daemon.end()
    equal({name: stopped[name] for name in counts}, counts)


tap.run([
    test_ready_and_stopping, test_sigint_stops_too, test_watchdog, test_no_manager, test_without_standard_descriptors,
    test_sigpipe, test_ready_waits_for_what_is_required, test_stopped_before_it_is_ready, test_start_timeout,
    test_a_warning_is_said_once, test_a_required_source_that_is_not_there, test_an_address_in_use,
    test_an_address_of_another_machine, test_without_a_feed,
    test_memory_is_told, test_events,
])
