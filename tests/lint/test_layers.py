#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the layers are guarded: test_layers.py SOURCE_ROOT. In a copy of the tree, base is made to include a header
of wire, to call a function of wire and to ask the clock. Each must be refused, for its own reason."""
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PLANT = """
#include <time.h>
#include "pipeline/wire/status.h"
struct text planted(struct timespec *now)
{
	clock_gettime(CLOCK_MONOTONIC, now);
	return status_text(STATUS_OK);
}
"""
VICTIM = "pipeline/base/arena.c"


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def lint(copy, build):
    return output(copy / "tests/lint/layers.py", copy, build)


def unit_tests_of_base(copy, build):
    targets = json.loads(output("meson", "introspect", "--targets", build))
    return [str(Path(target["filename"][0]).relative_to(build)) for target in targets
            if target["defined_in"].startswith(str(copy / "tests/unit/base")) and target["type"] == "executable"]


def main(source):
    with tempfile.TemporaryDirectory() as folder:
        copy, build = Path(folder).resolve() / "copy", Path(folder).resolve() / "build"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("build", ".git", "node_modules"))
        before = lint(copy, build)
        with open(copy / VICTIM, "a", encoding="utf-8") as victim:
            victim.write(PLANT)
        configured = output("meson", "setup", "-Db_sanitize=none", build, copy)
        linked = output("ninja", "-k0", "-C", build, *unit_tests_of_base(copy, build))
        after = lint(copy, build)
    results = {
        "base includes nothing from above": "ok 1 - pipeline/base includes" in before.splitlines()[1],
        "an include that runs up is refused": f"{VICTIM}" in after and "includes pipeline/wire/status.h" in after,
        "a call that runs up does not link": "undefined reference to `status_text'" in linked,
        "a call of the clock is refused": "arena.c: calls clock_gettime" in after,
    }
    print(f"1..{len(results)}")
    for number, (title, passed) in enumerate(results.items(), 1):
        print(f"{'ok' if passed else 'not ok'} {number} - {title}")
    if not all(results.values()):
        print(before, configured, linked, after, sep="\n", file=sys.stderr)
        return 1
    return 0


sys.exit(main(Path(sys.argv[1])))
