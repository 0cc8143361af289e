#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Installs this build beside the system's own /usr, in a container that sees both as one, boots systemd there, and lets
checks.py judge the service. The container has a network, users and a journal of its own, and leaves nothing behind.
Nothing of sluiced runs before the checks, so where they do not begin it is this machine that can't boot a container."""
import contextlib
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid

BUILD, PREFIX, SANITIZERS = sys.argv[1:]
HERE = pathlib.Path(__file__).parent
INSIDE = [HERE / "checks.py", *(HERE.parent / "integration" / f"{name}.py" for name in ("catalog", "sluice", "tap"))]
GROUPS = pathlib.Path("/sys/fs/cgroup")
TIMEOUT = 110  # seconds; checks.service has a shorter one

USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
USER_GROUPS = "root:x:0:\nnogroup:x:65534:\n"


def skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit()


def end(*_):
    """Of a test that is taken back: by an exception, so that all is cleaned up."""
    sys.exit("terminated")


def install(target):
    """What a user's `meson install` puts below the prefix."""
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", target], check=True,
                   stdout=sys.stderr)
    return target / PREFIX.lstrip("/")


def allow_sanitizers(units):
    options = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0",
               "UBSAN_OPTIONS": os.environ.get("UBSAN_OPTIONS", "")}
    (units / "sluiced.service.d").mkdir()
    (units / "sluiced.service.d" / "sanitizers.conf").write_text(
        "[Service]\n" + "".join(f'Environment="{name}={value}"\n' for name, value in options.items()))


def make_root(root):
    """The least that systemd boots from. It is no first boot, at which systemd would ask questions."""
    for name in ("etc/systemd/system", "etc/sluice", "opt", "usr", "var/lib/sluice"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib32", "lib64", "sbin"):
        if os.path.islink(f"/{name}"):
            (root / name).symlink_to(os.readlink(f"/{name}"))
    (root / "etc" / "passwd").write_text(USERS)
    (root / "etc" / "group").write_text(USER_GROUPS)
    (root / "etc" / "machine-id").write_text(uuid.uuid4().hex + "\n")
    shutil.copy("/etc/os-release", root / "etc")
    for path in INSIDE:
        shutil.copy(path, root / "opt")
    units = root / "etc" / "systemd" / "system"
    shutil.copy(HERE / "checks.service", units)
    if SANITIZERS != "none":
        allow_sanitizers(units)


def remove_group(group):
    """A control group can be removed when those below it have been."""
    for path, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def make_groups(stack, name):
    """Control groups for the container, in each hierarchy that systemd would use."""
    groups = []
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, own = line.split(":", 2)
        for hierarchy in {"": [GROUPS, GROUPS / "unified"], "name=systemd": [GROUPS / "systemd"]}.get(controllers, []):
            group = hierarchy / own.lstrip("/") / name
            if (group.parent / "cgroup.procs").exists():
                group.mkdir()
                stack.callback(remove_group, group)
                groups.append(group / "cgroup.procs")
    return groups


def kill(container):
    """With nspawn its container dies; this waits until it has."""
    children = pathlib.Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
    descriptors = [os.pidfd_open(int(child)) for child in children]
    container.kill()
    container.wait()
    for descriptor in descriptors:
        select.select([descriptor], [], [], TIMEOUT)
        os.close(descriptor)


def start_container(stack, root, installed):
    """A service manager on this machine makes the control groups; where there is none, this does."""
    command = ["systemd-nspawn", "--quiet", "--directory", root, f"--overlay-ro=/usr:{installed}:/usr",
               "--private-network", "--register=no", "--console=read-only", "--boot"]
    groups = []
    if not os.path.exists("/run/systemd/system"):
        command.append("--keep-unit")
        groups = make_groups(stack, root.name)

    def enter_groups():
        for group in groups:
            group.write_text("0")

    # Nspawn leaves this behind where /run is no tmpfs, and its lock when it is killed; nobody else knows the root.
    stack.callback(shutil.rmtree, f"/run/systemd/nspawn/propagate/{root.name}", ignore_errors=True)
    return subprocess.Popen([*command, "--", "--unit=checks.service"], preexec_fn=enter_groups, text=True,
                            env={**os.environ, "SYSTEMD_NSPAWN_LOCK": "0"}, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def boot(stack, root, installed):
    """Runs it to its end. What it said on its console is for whom it did not get as far as the checks."""
    container = start_container(stack, root, installed)
    try:
        console, _ = container.communicate(timeout=TIMEOUT)
        return console.splitlines()
    except subprocess.TimeoutExpired:
        return [f"it was not done in {TIMEOUT} s"]
    finally:
        if container.poll() is None:
            kill(container)


def main():
    if os.geteuid() != 0:
        skip("only root can boot a container")
    if not shutil.which("systemd-nspawn"):
        skip("systemd-nspawn is not there (./dev deps --all)")
    signal.signal(signal.SIGTERM, end)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-")))
        root = folder / folder.name  # it becomes the name of the machine
        make_root(root)
        console = boot(stack, root, install(folder / "installed"))
        results = root / "opt" / "results"
        if not results.exists():
            skip(f"this machine can't boot a container: {console[-1] if console else 'no reason given'}")
        print(results.read_text(), end="")


main()
