# SPDX-License-Identifier: Apache-2.0
"""What sluiced.service is under a systemd that has booted: runs as root in the container of test_systemd.py, where the
service is installed, and neither enabled nor configured."""
import json
import pathlib
import re
import subprocess
import types

import zmq

from catalog import Catalog
import sluice
from sluice import Client, Feed, Log
import tap
from tap import equal

UNIT = "sluiced.service"
EXPOSURE_MAX = 1.5
CONFIG_PATH = pathlib.Path("/etc/sluice/sluice.yaml")
CATALOG_PATH = pathlib.Path("/var/lib/sluice/catalog.db")

CONFIG = """\
listen: tcp://127.0.0.1:5555
telemetry: {publish: "tcp://127.0.0.1:5556", every: 10ms}
databases:
  catalog: {sqlite: /var/lib/sluice/catalog.db, connections: 1}
pipelines:
  product:
    takes: {sku: string}
    steps:
    - lookup: {in: catalog, query: "SELECT name FROM product WHERE sku = :sku"}
"""

WATCHDOG = """\
[Service]
WatchdogSec=1s
LimitCORE=0
"""

# Several may wait in vain before checks.service ends all of this.
sluice.TIMEOUT = 20


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def succeed(*command):
    done = run(*command)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{run('journalctl', '-u', UNIT, '-n', '20').stdout}")
    return done.stdout


def properties(*names):
    shown = succeed("systemctl", "show", UNIT, "--property", ",".join(names))
    found = dict(line.split("=", 1) for line in shown.splitlines())
    return [found[name] for name in names]


def main_pid():
    return int(properties("MainPID")[0])


def follow_journal(stack):
    """What the journal has of the unit from now on."""
    succeed("journalctl", "--sync")
    cursor = succeed("journalctl", "-n", "1", "--show-cursor").splitlines()[-1].removeprefix("-- cursor: ")
    follower = subprocess.Popen(
        ["journalctl", "--unit", UNIT, "--follow", "--no-tail", "--after-cursor", cursor, "--output", "cat"],
        stdout=subprocess.PIPE, text=True)
    stack.callback(follower.wait)
    stack.callback(follower.kill)
    return Log(follower.stdout)


def make_catalog(stack):
    """As an administrator puts it there, who knows nothing of the service's user."""
    CATALOG_PATH.unlink(missing_ok=True)
    return Catalog(stack, CATALOG_PATH)


def configure(stack, text=CONFIG):
    """A service that does not run, and that no test before has given a bad name."""
    CONFIG_PATH.write_text(text)
    run("systemctl", "reset-failed", UNIT)  # of a unit that is not even loaded there is nothing to forget
    stack.callback(run, "systemctl", "stop", UNIT)


def started(stack):
    catalog = make_catalog(stack)
    configure(stack)
    succeed("systemctl", "start", UNIT)
    return catalog


def serves():
    """A request over ZeroMQ, by the client that is installed with the service."""
    header, body = succeed("sluicectl", "call", "product", '{"sku": "s1"}').split("\n", 1)
    equal((header.split(" ")[1], json.loads(body)), ("OK", {"name": "product 1"}))


def clients(stack):
    """The daemon, as clients and readers of its feed see it."""
    return types.SimpleNamespace(context=stack.enter_context(zmq.Context()), endpoint="tcp://127.0.0.1:5555",
                                 feed_endpoint="tcp://127.0.0.1:5556")


def test_the_unit_is_verified(stack):
    equal(succeed("systemd-analyze", "verify", UNIT), "")


def test_exposure(stack):
    judgement = succeed("systemd-analyze", "security", "--no-pager", UNIT).splitlines()[-1]
    exposure = float(re.search(r"exposure level for \S+: ([0-9.]+) ", judgement)[1])
    print(f"# exposure {exposure}")
    assert exposure <= EXPOSURE_MAX, judgement


def test_it_can_be_enabled(stack):
    succeed("systemctl", "enable", UNIT)
    equal(succeed("systemctl", "is-enabled", UNIT), "enabled\n")


def test_active_when_ready(stack):
    catalog = make_catalog(stack)
    configure(stack)
    journal = follow_journal(stack)
    catalog.lock()
    start = subprocess.Popen(["systemctl", "start", UNIT])
    journal.wait_for("waiting for a locked database")
    while properties("StatusText") == [""]:  # until systemd has read what it was told
        equal(properties("ActiveState"), ["activating"])
    equal(properties("Type", "ActiveState", "SubState", "StatusText"),
          ["notify", "activating", "start", 'waiting for "catalog": it is locked'])
    catalog.unlock()
    equal(start.wait(), 0)
    equal(properties("ActiveState", "SubState"), ["active", "running"])


def test_status_text(stack):
    started(stack)
    equal(properties("StatusText"), ["serving"])
    assert 'Status: "serving"' in succeed("systemctl", "status", UNIT)


def test_a_request_is_answered(stack):
    started(stack)
    serves()


def test_confinement(stack):
    started(stack)
    text = pathlib.Path(f"/proc/{main_pid()}/status").read_text()
    status = dict(line.split(":\t", 1) for line in text.splitlines())
    equal({name: status[name] for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")},
          {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"})
    user = int(status["Uid"].split()[0])
    assert 61184 <= user <= 65519, f"user {user} is not dynamic"
    equal(CATALOG_PATH.parent.stat().st_uid, user)


def test_restart(stack):
    started(stack)
    before = main_pid()
    succeed("systemctl", "restart", UNIT)
    assert main_pid() != before
    serves()


def test_reload(stack):
    started(stack)
    before = main_pid()
    journal = follow_journal(stack)
    succeed("systemctl", "reload", UNIT)
    journal.wait_for("reloaded")
    equal(main_pid(), before)
    serves()
    (status,) = properties("StatusText")
    equal(status, "serving generation 2")
    written = CONFIG_PATH.read_text()
    CONFIG_PATH.write_text(written + "\t")
    succeed("systemctl", "reload", UNIT)
    journal.wait_for("reload refused")
    equal(properties("ActiveState", "SubState"), ["active", "running"])
    (status,) = properties("StatusText")
    if not status.startswith(f"serving generation 2; reload refused: {CONFIG_PATH}:"):
        raise AssertionError(status)
    CONFIG_PATH.write_text(written)
    serves()


def test_journal_fields(stack):
    started(stack)
    succeed("journalctl", "--sync")
    line = succeed("journalctl", f"_PID={main_pid()}", "MESSAGE=ready", "-o", "json")
    fields = json.loads(line)
    expected = {"PRIORITY": "5", "SLUICE_LISTEN": "tcp://127.0.0.1:5555", "SLUICE_TELEMETRY": "tcp://127.0.0.1:5556",
                "SYSLOG_IDENTIFIER": "sluiced", "_SYSTEMD_UNIT": UNIT, "_TRANSPORT": "journal"}
    equal({name: fields.get(name) for name in expected}, expected)
    assert fields["SLUICE_VERSION"]


def test_stop_drains(stack):
    catalog = started(stack)
    daemon = clients(stack)
    client = Client(stack, daemon)
    feed = Feed(stack, daemon, "daemon.")
    catalog.lock()
    client.ask("product", "held", {"sku": "s1"}, budget=30000)
    feed.stats(lambda stats: stats["in_flight"] == 1)
    stop = subprocess.Popen(["systemctl", "stop", UNIT])
    equal(feed.wait_for("daemon.draining")["in_flight"], 1)
    equal(client.call("product", {"sku": "s1"}).status, "UNAVAILABLE")
    equal(properties("ActiveState", "SubState", "StatusText"), ["deactivating", "stop-sigterm", "draining"])
    catalog.unlock()
    equal(client.hear()[:2], ("held", "OK"))
    equal(stop.wait(), 0)
    equal(properties("ActiveState", "Result", "ExecMainStatus", "NRestarts"), ["inactive", "success", "0", "0"])


def test_watchdog(stack):
    directory = pathlib.Path(f"/run/systemd/system/{UNIT}.d")
    directory.mkdir(parents=True)
    (directory / "watchdog.conf").write_text(WATCHDOG)
    succeed("systemctl", "daemon-reload")
    started(stack)
    before = main_pid()
    journal = follow_journal(stack)
    succeed("systemctl", "kill", "--signal=STOP", UNIT)
    journal.wait_for("Watchdog timeout (limit 1s)!")
    journal.wait_for("Failed with result 'watchdog'.")
    journal.wait_for("Started sluiced.service")
    assert main_pid() != before
    equal(properties("ActiveState", "NRestarts"), ["active", "1"])
    serves()


def test_a_broken_configuration(stack):
    """The start fails with the daemon's own status and words; systemd tries some more, and gives up."""
    configure(stack, CONFIG.replace("pipelines:", "pipeline:"))
    journal = follow_journal(stack)
    assert run("systemctl", "start", UNIT).returncode != 0
    journal.wait_for(f'{CONFIG_PATH}:5:1: error: unknown key "pipeline"')
    journal.wait_for("Main process exited, code=exited, status=1/FAILURE")
    journal.wait_for("Failed to start sluiced.service")
    journal.wait_for("Start request repeated too quickly.")
    equal(properties("ActiveState", "Result", "ExecMainStatus"), ["failed", "exit-code", "1"])


tap.run([
    test_the_unit_is_verified, test_exposure, test_it_can_be_enabled, test_active_when_ready, test_status_text,
    test_a_request_is_answered, test_confinement, test_restart, test_reload, test_journal_fields, test_stop_drains,
    test_watchdog, test_a_broken_configuration,
])
