#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The lint of layers: layers.py SOURCE_ROOT PLAIN_BUILD. Prints TAP; exit status 1 if a room breaks a rule.

1. A file includes only what is in its own room or in one below it, by the full path from the root.
2. No object of the lower layers of the pipeline calls a clock, a source of randomness, threads or an engine: they are
   handed the time and all events, so that a simulator can run them."""
import re
import subprocess
import sys
from pathlib import Path

LAYERS = [f"pipeline/{name}" for name in
          ("base", "wire", "async", "resources", "stages", "requests", "loop", "drivers")]
PURE = LAYERS[:LAYERS.index("pipeline/requests") + 1]
MAY_INCLUDE = {layer: LAYERS[:i + 1] for i, layer in enumerate(LAYERS)} | {
    "conf": ["conf", "pipeline/base"],
    "systemd": ["systemd", "pipeline/base"],
    "client": ["client", "pipeline/base", "pipeline/wire"],
    "daemon": ["daemon", "conf", "systemd", *LAYERS],
}
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
IMPURE = re.compile(r"(zmq_|sd_|sqlite3_|pthread_|curl_)"
                    r"|(clock_gettime|gettimeofday|time|rand|random|getrandom)$")


def is_allowed(root, room, quote, path):
    if quote == "<" and not (root / path).exists():
        return True
    return ".." not in Path(path).parts and any(Path(path).parent.is_relative_to(other) for other in MAY_INCLUDE[room])


def bad_includes(root, room):
    for file in sorted((root / room).rglob("*.[ch]")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            found = INCLUDE.match(line)
            if found and not is_allowed(root, room, *found.groups()):
                yield f"{file.relative_to(root)}:{number}: includes {found.group(2)}, which is not below {room}"


def bad_calls(build, room, sources):
    objects = {path.name: path for path in (build / room).rglob("*.o")}
    for source in sources:
        if f"{source.name}.o" not in objects:
            yield f"{room}/{source.name}: has no object in {build}"
            continue
        command = ["nm", "--undefined-only", "--format=posix", objects[f"{source.name}.o"]]
        for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
            symbol = line.split()[0]
            if IMPURE.match(symbol):
                yield f"{room}/{source.name}: calls {symbol}, which {room} must not know"


def checks(root, build):
    """Each check as (what it shows, why it was skipped or None, what is wrong)."""
    for room in MAY_INCLUDE:
        yield f"{room} includes only what is below it", None, bad_includes(root, room)
    for room in PURE:
        sources = sorted((root / room).rglob("*.c"))
        skip = None if sources else "no C file"
        yield f"{room} calls no clock, thread or engine", skip, bad_calls(build, room, sources)


def main(root, build):
    print(f"1..{len(MAY_INCLUDE) + len(PURE)}")
    failed = False
    for number, (title, skip, found) in enumerate(checks(root, build), 1):
        complaints = list(found)
        failed = failed or bool(complaints)
        print(f"{'not ok' if complaints else 'ok'} {number} - {title}" + (f" # SKIP {skip}" if skip else ""))
        for complaint in complaints:
            print(f"# {complaint}")
    return failed


sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
