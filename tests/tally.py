#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up what meson's test logs say, subtest by subtest. Names what was skipped and what failed; the last line is
'N passed, N failed' with ', N skipped' if there are any. Exit status 1 if anything failed, or if nothing ran."""
import json
import re
import sys
from pathlib import Path

SUBTEST = re.compile(r"(not )?ok\b\s*\d*\s*(?:- )?([^#]*)(?:#\s*skip\S*\s*(.*))?", re.IGNORECASE)
SKIPPED_PLAN = re.compile(r"1\.\.0\s*(?:#\s*skip\S*\s*(.*))?", re.IGNORECASE)


def subtests(entry):
    """Each subtest of one test as (verdict, name, reason for skipping)."""
    for line in (entry["stdout"] or "").splitlines():
        if found := SUBTEST.match(line):
            failed, name, reason = found.groups()
            verdict = "failed" if failed else "passed" if reason is None else "skipped"
            yield verdict, f"{entry['name']}: {name.strip() or reason}", reason
        elif found := SKIPPED_PLAN.match(line):
            yield "skipped", entry["name"], found.group(1)


def verdicts(entry):
    """The same for any test: one that printed no results counts as one, and so does one that failed apart from them
    (it crashed, ran out of time, or leaked)."""
    result = entry["result"]
    found = list(subtests(entry))
    if result not in ("OK", "SKIP") and not any(verdict == "failed" for verdict, _, _ in found):
        found.append(("failed", f"{entry['name']}: {result}", None))
    return found or [("skipped" if result == "SKIP" else "passed", entry["name"], None)]


def read(log):
    """Named by its build directory, and by what it was run under where that is said in the log's own name."""
    where = log.parent.parent.name if log.stem == "testlog" else log.stem
    if not log.exists():
        return [("failed", f"{log.parent.parent}: no test ran", None)]
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return [(verdict, f"{where}/{name}", reason)
            for entry in entries for verdict, name, reason in verdicts(entry)]


def main(logs):
    everything = [found for log in logs for found in read(Path(log))]
    count = {kind: sum(verdict == kind for verdict, _, _ in everything) for kind in ("passed", "failed", "skipped")}
    print()
    for verdict, name, reason in everything:
        if verdict != "passed":
            print(f"{verdict}: {name}" + (f": {reason or 'no reason given'}" if verdict == "skipped" else ""))
    print(f"{count['passed']} passed, {count['failed']} failed"
          + (f", {count['skipped']} skipped" if count["skipped"] else ""))
    return count["failed"] > 0 or count["passed"] == 0


sys.exit(main(sys.argv[1:]))
