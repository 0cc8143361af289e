# SPDX-License-Identifier: Apache-2.0
"""Runs test functions one after another and says how they ended in TAP."""
import contextlib
import sys
import traceback


class Skipped(Exception):
    """For a test that can't be run here: why."""


def run(tests):
    """Each test is called with an ExitStack that it may leave things in; they are closed when it ends."""
    failed = False
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        name = test.__name__.removeprefix("test_").replace("_", " ")
        try:
            with contextlib.ExitStack() as stack:
                test(stack)
            print(f"ok {number} - {name}", flush=True)
        except Skipped as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:
            failed = True
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok {number} - {name}", flush=True)
    sys.exit(failed)


def skip(reason):
    """For a file none of whose tests can be run here."""
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")
