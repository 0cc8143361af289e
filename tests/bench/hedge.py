# SPDX-License-Identifier: Apache-2.0
"""Hedged fan-outs: what `hedge: p95` does to the slowest answers, and for how many more questions.

One source is asked, and another only as a hedge. Both are slow now and then: first rarely, which hedges are for, and
then so often that the budget must stop them. With and without hedging take turns in rounds, of which the table gives
the medians; what the hedges cost is read from `stats`.
"""
import contextlib
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import zmq

from servers import WAIT_SECONDS, Failure, start_program, start_sluiced

LATENCY_MS, JITTER_MS, SLOWER = 10, 5, 10
CLIENTS, WINDOW = 4, 4
ROUNDS = 3
ID = "@" * 10
AIM_P99, AIM_EXTRA = 0.4, 0.07  # with rare slow ones: of the p99 without hedges, and more questions
CONFIG = """\
listen: "tcp://127.0.0.1:*"
telemetry: {publish: "tcp://127.0.0.1:*", every: 200ms}
sources:
  north: {zmq: "$north", required: true}
  south: {zmq: "$south", required: true}
pipelines:
  plain:
    deadline: 5s
    steps: [fanout: {to: north, wait: any, body: {symbol: A}}]
  hedged:
    deadline: 5s
    steps: [fanout: {to: [north, south], wait: any, hedge: p95, body: {symbol: A}}]
"""


def add_options(parser):
    parser.add_argument("--hedge-seconds", type=float, default=30, help="that each line is measured, in all (30)")


def start(stack, build, directory, slow):
    text = CONFIG
    for number, name in enumerate(("north", "south")):
        source = start_program(stack, build / "tests/quotes/quotes", "--bind", "tcp://127.0.0.1:*", "--latency", LATENCY_MS,
                               "--jitter", JITTER_MS, "--slow", slow, "--slower", SLOWER, "--seed", number + 1)
        text = text.replace(f"${name}", source.endpoint)
    path = directory / "sluice.yaml"
    path.write_text(text)
    return start_sluiced(stack, build / "daemon/sluiced", path, directory)


def ask(build, server, target, seconds):
    command = [build / "tests/bench/load", "--connect", server.endpoint, "--pid", server.process.pid, "--clients", CLIENTS,
               "--window", WINDOW, "--keys", 1, "--request", f"{target} {ID} -\n{{}}", "--reply", f"{ID} OK ", "--seconds",
               seconds]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failure(f"{target}: {done.stderr or done.returncode}")
    return json.loads(done.stdout)


def counts(server):
    """What the hedged fan-out has counted until now."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, WAIT_SECONDS * 1000)
        socket.setsockopt(zmq.SUBSCRIBE, b"stats")
        socket.connect(server.telemetry)
        return json.loads(socket.recv_multipart()[1])["pipelines"]["hedged"]["stages"]["hedged/1.fanout"]


def measure(arguments, slow):
    """The p50 and p99 of both, in milliseconds, and what the hedged fan-out has counted."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-bench-")))
        server = start(stack, arguments.build, directory, slow)
        rounds = {"plain": [], "hedged": []}
        for _ in range(ROUNDS):
            for target, results in rounds.items():
                results.append(ask(arguments.build, server, target, arguments.hedge_seconds / ROUNDS))
        times = {target: [statistics.median(result[key] for result in results) / 1000 for key in ("p50_us", "p99_us")]
                 for target, results in rounds.items()}
        return times, counts(server)


def print_row(slow, times, count):
    extra = count["hedges"] / (count["asked"] - count["hedges"])
    print(f"  {slow * 100:4.0f} % slow"
          f"{times['plain'][0]:>10.1f}{times['plain'][1]:>9.1f}{times['hedged'][0]:>11.1f}{times['hedged'][1]:>9.1f}"
          f"{times['hedged'][1] / times['plain'][1]:>9.2f}{extra * 100:>9.1f} %{count['hedges_won']:>8}"
          f"{count['hedges_refused']:>9}", flush=True)
    return times["hedged"][1] / times["plain"][1], extra


def run(arguments):
    print(f"hedge: a source that takes {LATENCY_MS} to {LATENCY_MS + JITTER_MS} ms, some of its answers {SLOWER} times as "
          f"long, and another\nlike it that is asked as a hedge; {CLIENTS} clients with {WINDOW} in flight each\n")
    print("              without: p50   p99 ms   with: p50   p99 ms   x p99  questions    won  refused")
    rare = print_row(0.03, *measure(arguments, 0.03))
    often = print_row(0.2, *measure(arguments, 0.2))
    print(f"\nThe aim: with 3 % slow at most {AIM_P99} of the p99: {rare[0]:.2f}, {'met' if rare[0] <= AIM_P99 else 'missed'};"
          f" for at most {AIM_EXTRA * 100:.0f} % more questions: {rare[1] * 100:.1f} %, "
          f"{'met' if rare[1] <= AIM_EXTRA else 'missed'}.\nWith 20 % slow the budget stops them at "
          f"{often[1] * 100:.1f} % more, and the p99 is {often[0]:.2f} of that without.")
