#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The simulator's teeth: each fault of faults.py is planted, and must be found within so many seeds. What it says of the
unchanged engine is the business of sim/histories.

usage: test_faults.py SOURCE_ROOT BUILD_DIRECTORY
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import faults
import mutant

SEEDS = 300
SECONDS = 20  # of the processor, for one history: what needs more hangs
PATIENCE = 1200
PROGRAM = "tests/sim/sim"
FAILED = re.compile(r"# seed (\d+) failed at step (\d+), \S+ ms: (.*)")


def plant(root, source, old, new):
    text = (root / source).read_text()
    if text.count(old) != 1:
        raise LookupError(f"what is to be changed stands {text.count(old)} times in {source}: {old!r}")
    return text.replace(old, new)


def explore(program):
    """How the simulator found it, or None."""
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}
    done = subprocess.run(["prlimit", f"--cpu={SECONDS}", program, "--seeds", str(SEEDS), "--no-shrink"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=PATIENCE, env=environment)
    found = FAILED.search(done.stdout)
    if done.returncode == 0 or not found:
        return None
    return f"at seed {found[1]}, step {found[2]}: {found[3]}"


def try_fault(build, fault):
    """Whether it was found, and what is to be said of that."""
    name, source, old, new = fault
    try:
        with tempfile.TemporaryDirectory() as folder:
            scratch = pathlib.Path(folder)
            changed = build.compile(source, plant(build.root, source, old, new), scratch)
            found = explore(build.link(PROGRAM, source, changed, scratch))
    except subprocess.TimeoutExpired:
        return False, f"{name}: not known after {PATIENCE} seconds"
    except (LookupError, mutant.NotCompiled) as problem:
        return False, f"{name}: not planted # {problem}"
    return found is not None, f"{name}: " + (found or f"not found in {SEEDS} seeds")


def main():
    root, directory = sys.argv[1:3]
    build = mutant.Build(directory, root)
    failed = False
    print(f"1..{len(faults.FAULTS)}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda fault: try_fault(build, fault), faults.FAULTS)
        for number, (found, text) in enumerate(results, 1):
            failed |= not found
            print(f"{'ok' if found else 'not ok'} {number} - {' '.join(text.split())}", flush=True)
    sys.exit(failed)


main()
