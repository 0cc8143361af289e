#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every configuration that is shipped is right, without so much as a warning."""
import pathlib
import sys

from sluice import run
import tap
from tap import equal

SLUICED = sys.argv[1]
CONF = pathlib.Path(__file__).parents[2] / "conf"


def check(path):
    done = run(SLUICED, "--config", path.name, "--check", cwd=path.parent)
    equal((path.name, done.returncode, done.stderr), (path.name, 0, []))
    assert done.stdout.startswith(f"{path.name} is right; "), done.stdout


def test_the_examples(stack):
    examples = sorted((CONF / "examples").iterdir())
    equal([path.name for path in examples], ["demo.yaml", "edge.yaml", "smallest.yaml", "streaming.yaml"])
    for path in examples:
        check(path)


def test_what_is_installed(stack):
    check(CONF / "sluice.yaml")


tap.run([test_the_examples, test_what_is_installed])
