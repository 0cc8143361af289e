# SPDX-License-Identifier: Apache-2.0
"""Hit ratios of the memory cache (S3-FIFO) beside an LRU of the same bytes."""
import json
import subprocess

from servers import Failure

LOADS = {
    "zipf": "by Zipf's law (1.0)",
    "scans": "the same, a quarter in scans",
    "moving": "the same, the popular keys move 15 times",
}


def add_options(parser):
    pass


def run(arguments):
    done = subprocess.run([arguments.build / "tests/bench/eviction"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failure("the caches could not be compared")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    print(f"Hits of a cache for some of {results[0]['keys']:,} keys, of all requests")
    print(f"  {'':42}{'room for':>9}{'LRU':>9}{'S3-FIFO':>9}")
    for result in results:
        print(f"  {LOADS[result['load']]:42}{result['entries']:>9,}{result['lru'] * 100:>8.1f}%{result['ours'] * 100:>8.1f}%"
              f"  {(result['ours'] - result['lru']) * 100:+.1f}", flush=True)
    print("The LRU pays nothing for its table; the cache pays for its own out of the same bytes.")
