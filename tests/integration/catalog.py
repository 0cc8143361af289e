# SPDX-License-Identifier: Apache-2.0
"""A small SQLite file for sluiced to look things up in, and the means to hold it up."""
import json
import sqlite3

from sluice import folder


def put_in_place(stack, path, *statements):
    """Another catalog, made and changed beside the one that stands there, takes its place all at once."""
    beside = path.with_name("new.db")
    new = Catalog(stack, beside)
    for statement in statements:
        new.connection.execute(statement)
    new.connection.close()
    beside.rename(path)


def locked_catalog(stack):
    """A catalog that nobody can read until it is unlocked, and the folder in which it is `catalog.db`."""
    directory = folder(stack)
    catalog = Catalog(stack, directory / "catalog.db")
    catalog.lock()
    return directory, catalog


class Catalog:
    """Products s0, s1, … with their names, prices and symbols."""

    def __init__(self, stack, path, products=10):
        self.connection = sqlite3.connect(path, isolation_level=None)
        stack.callback(self.connection.close)
        self.connection.execute("CREATE TABLE product (sku TEXT PRIMARY KEY, name TEXT, price REAL, symbols TEXT)")
        self.connection.executemany(
            "INSERT INTO product VALUES (?, ?, ?, ?)",
            [(f"s{n}", f"product {n}", n + 0.5, json.dumps(["AAPL", "MSFT"])) for n in range(products)])

    def lock(self):
        """From here on nobody can read."""
        self.connection.execute("BEGIN EXCLUSIVE")

    def unlock(self):
        self.connection.execute("ROLLBACK")

    def rename(self, old, new):
        self.connection.execute(f"ALTER TABLE {old} RENAME TO {new}")
