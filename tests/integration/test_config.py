#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a person sees who wrote a configuration, or a command line, wrong."""
import os
import subprocess
import sys

from sluice import DOORS, TIMEOUT, WRAPPER, folder, run
import tap
from tap import equal

SLUICED = sys.argv[1]

LISTEN = "listen: tcp://127.0.0.1:*\n"
PIPELINE = "pipelines: {p: {steps: [{lookup: {in: d, query: SELECT 1}}]}}\n"
DATABASE = "databases: {d: {sqlite: catalog.db}}\n"


def check(stack, text):
    """The first line that --check says about a file, without the file's name, and its exit code."""
    directory = folder(stack)
    data = text if isinstance(text, bytes) else text.encode()
    (directory / "sluice.yaml").write_bytes(data)
    done = run(SLUICED, "--check", "--config", "sluice.yaml", cwd=directory)
    equal(done.stdout == "", done.returncode != 0)
    first = done.stderr[0].removeprefix("sluice.yaml:") if done.stderr else None
    return first, done.returncode


def check_all(stack, cases):
    for text, first in cases:
        equal((text[:200], *check(stack, text)), (text[:200], first, 1))


def test_right(stack):
    directory = folder(stack)
    (directory / "sluice.yaml").write_text(DOORS + DATABASE + PIPELINE)
    done = run(SLUICED, "--check", "--config", "sluice.yaml", cwd=directory)
    # The database is not there, and need not be: nothing is opened.
    equal((done.returncode, done.stdout, done.stderr), (0, "sluice.yaml is right; pipelines: 1, resources: 1\n", []))


def test_right_and_nowhere_to_say_it(stack):
    directory = folder(stack)
    (directory / "sluice.yaml").write_text(DOORS + DATABASE + PIPELINE)
    with open("/dev/full", "w") as full:
        done = subprocess.run([*WRAPPER, os.path.abspath(SLUICED), "--check", "--config", "sluice.yaml"], cwd=directory,
                              stdout=full, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT)
    equal((done.returncode, done.stderr), (1, "sluiced: cannot say so: No space left on device\n"))


def test_what_is_no_configuration(stack):
    check_all(stack, [
        ("", "1:1: error: is empty; expected a map of options"),
        ("# nothing\n", "1:1: error: is empty; expected a map of options"),
        ("hello\n", '1:1: error: expected a map of options, not "hello"'),
        ("- listen\n", "1:1: error: expected a map of options, not a list"),
        (bytes(range(256)), "1:1: error: not UTF-8 text: control characters are not allowed"),
        (b"listen: \xff\xfe\n", "1:9: error: not UTF-8 text: invalid leading UTF-8 octet"),
    ])


def test_what_cannot_be_read(stack):
    for path, why in [("missing.yaml", "No such file or directory"), (str(folder(stack)), "Is a directory")]:
        for arguments in (["--check", "--config", path], ["--config", path]):
            done = run(SLUICED, *arguments)
            equal((done.returncode, done.stdout, done.stderr), (1, "", [f"{path}: error: cannot be read: {why}"]))


def test_yaml_that_is_refused(stack):
    rest = DATABASE + PIPELINE
    check_all(stack, [
        (LISTEN + "limits:\n\tin_flight: 10\n" + rest, "3:1: error: a tab where only spaces may indent"),
        (LISTEN + LISTEN + rest, '2:1: error: "listen" is given twice, first at line 1'),
        (LISTEN + "limits: {depth: 3, values: 4, depth: 3}\n" + rest,
         '2:31: error: "depth" is given twice, first at line 2'),
        ("listen: &door tcp://127.0.0.1:*\n" + rest, "1:9: error: an anchor, &door: write each value where it is used"),
        ("listen: *door\n" + rest, "1:9: error: an alias, *door: write the value here"),
        ("listen: !!str tcp://127.0.0.1:*\n" + rest, "1:9: error: a tag: what a value is follows from its key"),
        (LISTEN + rest + "---\n", "4:1: error: a second document begins here; expected only one"),
    ])


def test_wrong_keys_and_values(stack):
    rest = DATABASE + PIPELINE
    check_all(stack, [
        ("lisen: tcp://127.0.0.1:*\n" + LISTEN + rest, '1:1: error: unknown key "lisen"; did you mean "listen"?'),
        (LISTEN + "limits: {in_fligth: 3}\n" + rest, '2:10: error: unknown key "in_fligth"; did you mean "in_flight"?'),
        (LISTEN + "drain: 5\n" + rest,
         '2:8: error: "drain": expected a duration such as 250ms (ns, us, ms, s, m or h), not "5"'),
        (LISTEN + "drain: 5MiB\n" + rest,
         '2:8: error: "drain": expected a duration such as 250ms (ns, us, ms, s, m or h), not "5MiB"'),
        (LISTEN + "limits: {message: 1MB}\n" + rest,
         '2:19: error: "message": expected a size such as 64MiB (B, KiB, MiB or GiB), not "1MB"'),
        (LISTEN + "limits: {message: 1s}\n" + rest,
         '2:19: error: "message": expected a size such as 64MiB (B, KiB, MiB or GiB), not "1s"'),
        (LISTEN + "limits: {in_flight: 5, adaptive: {min: 2}}\n" + DATABASE + PIPELINE,
         '2:21: error: "in_flight" and "adaptive" exclude each other'),
        (LISTEN + "limits: {adaptive: {min: 20, max: 10}}\n" + DATABASE + PIPELINE,
         '2:20: error: "max" is less than "min"'),
        (LISTEN + PIPELINE, '2:39: error: there is no database "d"'),
        (LISTEN + DATABASE + "pipelines: {p: {takes: {sku: string}, steps: [{lookup: {in: d, query: SELECT :sk}}]}}\n",
         '3:71: error: nothing gives the name "sk"; did you mean "sku"?'),
        (LISTEN + DATABASE + PIPELINE.replace("{p:", "{'-':"),
         '3:13: error: a pipeline cannot be named "-": that stands for none in records of requests'),
    ])


def all_errors(stack, text, *arguments):
    """What is said of it, with places."""
    directory = folder(stack)
    (directory / "sluice.yaml").write_text(text)
    done = run(SLUICED, *arguments, "--config", "sluice.yaml", cwd=directory)
    equal((done.returncode, done.stdout), (1, ""))
    return [line.removeprefix("sluice.yaml:").replace(": error: ", ": ", 1) for line in done.stderr]


ALL_WRONG = """\
listen: tcp://192.0.2.1:5555
telemetry: {publish: ipc://x, feeds: {odd: {outlier: client}, few: {sample: 0}}}
limits: {in_fligth: 3}
databases:
  d: {sqlite: catalog.db, conections: 3}
sources:
  s: {zmq: 'tcp://127.0.0.1'}
  t: {zmq: 'tcp://127.0.0.1:1'}
pipelines:
  wrong:
    takes: {sku: strin}
    steps: [{lookup: {in: d, query: SELECT 1}}]
  right:
    takes: {sku: string}
    steps:
      - lookup: {in: dd, query: SELECT :sk}
      - lookup: {in: d, query: SELECT :sku, queu: 3}
        as: row
      - call: wrong
      - call: wrng
      - timeout:
          after: 1s
          steps:
            - lookup: {in: d, query: SELECT 1, concurrency: x}
            - lookup: {in: d, query: "SELECT :row, :rw"}
      - fanout: {to: [s, t, u], wait: 4, body: {a: "${row.x}"}}
"""

ALL_ERRORS = [
    "1:9: tcp://192.0.2.1:5555 can be reached from other machines, and there is no protection: bind it to 127.0.0.1, "
    "or say `insecure: true`",
    "2:22: expected tcp://ADDRESS:PORT, such as tcp://127.0.0.1:5555",
    '2:54: "client" is no number, so it has no mean',
    '2:77: "sample": expected 1 to 1000000000, not 0',
    '3:10: unknown key "in_fligth"; did you mean "in_flight"?',
    '5:27: unknown key "conections"; did you mean "connections"?',
    '7:12: expected tcp://HOST:PORT or ipc://PATH, not "tcp://127.0.0.1"',
    '11:18: "sku": expected a type (string, number, boolean, object, any, or one in brackets), not "strin"; did you '
    'mean "string"?',
    '16:22: there is no database "dd"; did you mean "d"?',
    '16:33: nothing gives the name "sk"; did you mean "sku"?',
    '17:45: unknown key "queu"; did you mean "queue"?',
    '20:15: there is no pipeline "wrng"; did you mean "wrong"?',
    '24:61: "concurrency": expected a whole number such as 100, not "x"',
    '25:38: nothing gives the name "rw"; did you mean "row"?',
    '26:29: there is no source "u"; did you mean "s"?',
    '26:39: "wait" is 4, but there are only 3 sources',
]


def test_all_that_is_wrong_is_said_at_once(stack):
    """And nothing that is not: what is wrong is there, and has a name."""
    for arguments in (["--check"], []):
        equal(all_errors(stack, ALL_WRONG, *arguments), ALL_ERRORS)


WARNED = LISTEN + """\
limits: {deadline: 2001ms, max_deadline: 2s}
databases: {d: {sqlite: catalog.db}, e: {sqlite: other.db}}
caches: {c: {memory: 1MiB}}
sources:
  s: {zmq: "ipc://s"}
  t: {zmq: "ipc://t"}
pipelines:
  long:
    deadline: 3s
    steps: [{timeout: {after: 4s, steps: [{lookup: {in: d, query: SELECT 1}}]}}]
  short:
    deadline: 2s
    steps: [{fanout: {to: [s], timeout: 2001ms}}]
"""
TOO_LONG = 'is longer than the "deadline" of its pipeline, which comes first: shorten it, or raise that'
WARNINGS = [
    '2:20: warning: "deadline" is longer than "max_deadline", which comes first: shorten it, or raise that',
    '3:38: warning: no pipeline uses the database "e": take it out, or name it in a stage',
    '4:10: warning: no pipeline uses the cache "c": take it out, or name it in a stage',
    '7:3: warning: no pipeline uses the source "t": take it out, or name it in a stage',
    '10:15: warning: "deadline" is longer than "max_deadline" in "limits", which comes first: shorten it, or raise that',
    f'11:31: warning: "after" {TOO_LONG}',
    f'14:41: warning: "timeout" {TOO_LONG}',
]


def test_what_is_right_and_hardly_meant(stack):
    directory = folder(stack)
    (directory / "sluice.yaml").write_text(WARNED)
    done = run(SLUICED, "--check", "--config", "sluice.yaml", cwd=directory)
    equal((done.returncode, done.stdout), (0, "sluice.yaml is right; pipelines: 2, resources: 5\n"))
    equal([line.removeprefix("sluice.yaml:") for line in done.stderr], WARNINGS)
    # What is wrong may be why something seems not to be used.
    equal(check(stack, WARNED.replace("in: d", "in: f").replace("deadline: 2001ms, ", "")),
          ('10:15: warning: "deadline" is longer than "max_deadline" in "limits", which comes first: shorten it, or '
           "raise that", 1))


def test_a_deadline_that_is_nobodys_choice_is_not_warned_of(stack):
    equal(check(stack, LISTEN + "limits: {max_deadline: 10ms}\n" + DATABASE + PIPELINE), (None, 0))


def test_what_is_not_known_is_not_missing(stack):
    for text, errors in [
            (LISTEN + "databases: 3\n" + PIPELINE, ['2:12: "databases": expected a map of names, not "3"']),
            (LISTEN + DATABASE + "pipelines: {}\n", ['3:12: "pipelines": expected at least 1 of them, not 0']),
            ("listen: tcp://*:5555\ninsecure: ture\n" + DATABASE + PIPELINE,
             ['2:11: "insecure": expected true or false, not "ture"']),
            (DATABASE + PIPELINE, ['1:1: "listen" is missing: where clients connect: tcp://ADDRESS:PORT'])]:
        equal((text, all_errors(stack, text, "--check")), (text, errors))


def test_what_is_not_in_this_version(stack):
    rest = DATABASE + PIPELINE
    check_all(stack, [
        (LISTEN + "control: ipc:///run/sluice/control\n" + rest, '2:1: error: "control" is not in this version'),
        (LISTEN + "databases: {d: {postgres: host}}\n" + PIPELINE, '2:17: error: "postgres" is not in this version'),
        (LISTEN + "caches: {c: {redis: host}}\n" + rest, '2:14: error: "redis" is not in this version'),
    ])


def test_doors_that_others_can_reach(stack):
    rest = DATABASE + PIPELINE
    reached = ("can be reached from other machines, and there is no protection: bind it to 127.0.0.1, or say "
               "`insecure: true`")
    check_all(stack, [
        ("listen: tcp://*:5555\n" + rest, f"1:9: error: tcp://*:5555 {reached}"),
        ("listen: tcp://192.0.2.1:5555\n" + rest, f"1:9: error: tcp://192.0.2.1:5555 {reached}"),
        (LISTEN + "telemetry: {publish: 'tcp://0.0.0.0:5556'}\n" + rest,
         f"2:22: error: tcp://0.0.0.0:5556 {reached}"),
        ("listen: ipc:///run/sluice/front\n" + rest,
         "1:9: error: expected tcp://ADDRESS:PORT, such as tcp://127.0.0.1:5555"),
    ])
    equal(check(stack, "listen: tcp://*:5555\ninsecure: true\n" + rest), (None, 0))


def test_addresses_of_doors(stack):
    rest = DATABASE + PIPELINE
    check_all(stack, [
        *[(f"listen: 'tcp://127.0.0.1:{port}'\n" + rest,
           f'1:9: error: "{port}" is no port: expected 1 to 65535, or `*` for any')
          for port in ("99999", "65536", "-1", "75x", "7555x", "**", "0x50")],
        (LISTEN + "telemetry: {publish: 'tcp://127.0.0.1:99999'}\n" + rest,
         '2:22: error: "99999" is no port: expected 1 to 65535, or `*` for any'),
        ("listen: tcp://127.0.0.1\n" + rest,
         "1:9: error: expected tcp://ADDRESS:PORT, such as tcp://127.0.0.1:5555"),
        ("listen: tcp://localhost:5555\n" + rest,
         "1:9: error: expected an address, such as 127.0.0.1, not a name"),
    ])
    equal(check(stack, "listen: tcp://[::1]:5555\n" + rest), (None, 0))
    for port in "1", "65535", "*", "0":
        equal(check(stack, f"listen: 'tcp://127.0.0.1:{port}'\n" + rest), (None, 0))


def test_two_doors_at_one_address(stack):
    def doors(listen, publish):
        return f"listen: {listen}\ntelemetry: {{publish: '{publish}'}}\n" + DATABASE + PIPELINE

    one = "tcp://127.0.0.1:5555"
    check_all(stack, [
        (doors(one, one), f'2:22: error: {one} is the address of "listen" (line 1): each door needs one of its own'),
    ])
    for listen, publish in (one, "tcp://127.0.0.1:5556"), (one, "tcp://127.0.0.2:5555"), *[
            [f"tcp://127.0.0.1:{port}"] * 2 for port in "*0"]:
        equal((listen, *check(stack, doors(listen, publish))), (listen, None, 0))


# An @ stands where the duration does.
DURATIONS = [
    *[LISTEN + f"limits: {{{name}: @}}\n" + DATABASE + PIPELINE for name in ("max_deadline", "client_stall")],
    LISTEN + "limits: {deadline: @, max_deadline: 8760h}\n" + DATABASE + PIPELINE,
    LISTEN + "limits: {max_deadline: 8760h}\n" + DATABASE
    + "pipelines:\n  p:\n    deadline: @\n    steps: [{lookup: {in: d, query: SELECT 1}}]\n",
    LISTEN + DATABASE + "pipelines: {p: {steps: [{timeout: {after: @, steps: [{lookup: {in: d, query: SELECT 1}}]}}]}}\n",
    LISTEN + "sources: {s: {zmq: 'ipc://s'}}\npipelines: {p: {steps: [{fanout: {to: s, timeout: @}}]}}\n",
]


def test_durations_over_a_year(stack):
    for text in DURATIONS:
        *lines, last = text.partition("@")[0].split("\n")
        place, key = f"{len(lines) + 1}:{len(last) + 1}", last.removesuffix(": ").rpartition(" ")[2].strip("{")
        equal((text, *check(stack, text.replace("@", "8760h"))), (text, None, 0))
        for over in "31536001s", "5124095h":
            check_all(stack, [(text.replace("@", over), f'{place}: error: "{key}": expected 1ms to 8760h, not {over}')])


def test_circles(stack):
    def calls(**pipelines):
        return LISTEN + "pipelines:\n" + "".join(f"  {name}: {{steps: [{{call: {callee}}}]}}\n"
                                                 for name, callee in pipelines.items())
    check_all(stack, [
        (calls(a="a"), '3:22: error: pipelines call each other in a circle: "a" calls "a"'),
        (calls(a="b", b="c", c="a"), '5:22: error: pipelines call each other in a circle: "c" calls "a"'),
    ])


def nested(depth):
    return ("{timeout: {after: 1s, steps: [" * depth + "{lookup: {in: d, query: SELECT 1}}" + "]}}" * depth)


def test_nesting(stack):
    def stages(depth):
        return LISTEN + DATABASE + "pipelines: {p: {steps: [" + nested(depth) + "]}}\n"

    equal(check(stack, stages(31)), (None, 0))
    check_all(stack, [
        (stages(32), "3:984: error: stages are nested deeper than 32"),
        (stages(1000), "3:1265: error: nested more than 128 deep"),
        (stages(10000), " error: is over 256 KiB"),
        (LISTEN + "pipelines: " + "[" * 10000, "2:139: error: nested more than 128 deep"),
        (LISTEN + "pipelines: " + "{p: " * 10000, "2:520: error: nested more than 128 deep"),
        (LISTEN + "".join(" " * depth + "p:\n" for depth in range(500)), "130:129: error: nested more than 128 deep"),
    ])


def test_command_lines(stack):
    done = run(SLUICED, "--help")
    equal((done.returncode, done.stderr, done.stdout.splitlines()[0]),
          (0, [], "Usage: sluiced --config FILE [--check]"))
    equal(run(SLUICED, "-h").stdout, done.stdout)
    done = run(SLUICED, "--version")
    equal((done.returncode, done.stderr, done.stdout.split(" ")[0]), (0, [], "sluiced"))
    for arguments in ([], ["--check"], ["--config"], ["--config", "a", "b"], ["--nothing"], ["sluice.yaml"]):
        done = run(SLUICED, *arguments)
        equal((arguments, done.returncode, done.stdout, done.stderr[-1]), (arguments, 2, "", "Try: sluiced --help"))


tap.run([
    test_right, test_right_and_nowhere_to_say_it, test_what_is_no_configuration, test_what_cannot_be_read,
    test_yaml_that_is_refused, test_wrong_keys_and_values, test_all_that_is_wrong_is_said_at_once,
    test_what_is_right_and_hardly_meant, test_what_is_not_known_is_not_missing, test_what_is_not_in_this_version,
    test_doors_that_others_can_reach, test_addresses_of_doors, test_two_doors_at_one_address,
    test_durations_over_a_year, test_circles, test_nesting, test_command_lines,
])
