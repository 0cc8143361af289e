# SPDX-License-Identifier: Apache-2.0
"""What arming and disarming a deadline costs, with few and with many armed."""
import json
import subprocess

from servers import Failure


def add_options(parser):
    pass


def run(arguments):
    done = subprocess.run([arguments.build / "tests/bench/timers"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failure("the timers could not be measured")
    print("A deadline armed and disarmed, ns of CPU")
    for line in done.stdout.splitlines():
        result = json.loads(line)
        print(f"  {result['armed']:>10,} others armed {result['ns']:>10.1f}", flush=True)
