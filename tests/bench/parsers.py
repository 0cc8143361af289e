# SPDX-License-Identifier: Apache-2.0
"""What a JSON document costs to read, beside other parsers."""
import json
import subprocess

from servers import Failure

JSON_PARSERS = {
    "sluice": "a table, strict",
    "jansson": "a tree, strict",
    "jsmn": "a table, lenient",
}


def add_options(parser):
    pass


def run(arguments):
    done = subprocess.run([arguments.build / "tests/bench/json"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failure("the JSON parsers could not be compared")
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    print("A JSON document read, ns of CPU" + "".join(f"{document['bytes']:>12,} B" for document in documents))
    for name, checks in JSON_PARSERS.items():
        print(f"  {name:8} {checks:20}" + "".join(f"{document[name]:>14,.0f}" for document in documents), flush=True)
