#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an installation does to the configuration of one before."""
import os
import subprocess
import sys

from sluice import folder
import tap
from tap import equal

INSTALL, CONFIG = map(os.path.abspath, sys.argv[1:])


def install(target):
    subprocess.run([INSTALL, CONFIG, "/etc/sluice/sluice.yaml"], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "DESTDIR": str(target)})


def test_the_first_brings_one(stack):
    target = folder(stack)
    install(target)
    path = target / "etc/sluice/sluice.yaml"
    equal((path.read_bytes() == open(CONFIG, "rb").read(), path.stat().st_mode & 0o777), (True, 0o644))


def test_the_operators_stays(stack):
    target = folder(stack)
    install(target)
    path = target / "etc/sluice/sluice.yaml"
    path.write_text("listen: tcp://127.0.0.1:1\n")
    path.chmod(0o600)
    install(target)
    equal((path.read_text(), path.stat().st_mode & 0o777), ("listen: tcp://127.0.0.1:1\n", 0o600))


def test_a_link_stays(stack):
    target = folder(stack)
    path = target / "etc/sluice/sluice.yaml"
    path.parent.mkdir(parents=True)
    path.symlink_to("elsewhere.yaml")
    install(target)
    equal(os.readlink(path), "elsewhere.yaml")
    equal(list(path.parent.iterdir()), [path])


tap.run([test_the_first_brings_one, test_the_operators_stays, test_a_link_stays])
