"""A Milvus server in memory, in place of `pokesim.index.milvus.client.Client`.

It has what pokesim uses, and Milvus's arithmetic: an integer is compared with a float as a float.
tests/distributed/test_milvus.py tests the same with a real server.
"""

import copy
import json
import operator
import re

import numpy as np

from pokesim.index.milvus.client import NoCollectionError

_EXISTS = re.compile(r'exists metadata\["(c\d+)"\]')


class Cell:
    """A JSON value in an expression; None if its key is missing."""

    def __init__(self, value):
        self.value = value

    def _compare(self, test, literal):
        value = self.value
        if isinstance(value, str) or isinstance(literal, str):
            if not isinstance(value, str) or not isinstance(literal, str):
                return False
            return test(value.encode(), literal.encode())
        if value is None:
            return False
        if isinstance(value, float) or isinstance(literal, float):
            value, literal = float(value), float(literal)
        return test(value, literal)

    def __eq__(self, literal):
        return self._compare(operator.eq, literal)

    def __lt__(self, literal):
        return self._compare(operator.lt, literal)

    def __le__(self, literal):
        return self._compare(operator.le, literal)

    def __gt__(self, literal):
        return self._compare(operator.gt, literal)

    def __ge__(self, literal):
        return self._compare(operator.ge, literal)

    __hash__ = None


class Cells(dict):
    def __getitem__(self, key):
        return Cell(self.get(key))


class MemoryMilvus:
    """A server, and every connection to it.

    Attributes:
        rows: the rows of each collection, by id.
        aliases: the collection of each alias.
        answer: called with the name of a method and its result; returns what it answers instead.
    """

    def __init__(self):
        self.rows, self.descriptions, self.aliases = {}, {}, {}
        self.answer = lambda method, result: result

    def __str__(self):
        return "127.0.0.1:1"

    def query(self, collection, expression, fields, limit=16_384):
        found = [
            {name: row[name] for name in fields if name in row}
            for row in self._matching(collection, expression)[:limit]
        ]
        return self.answer("query", copy.deepcopy(found))

    def count(self, collection, expression="", *, latest=False):
        return self.answer("count", len(self._matching(collection, expression)))

    def search(self, collection, xq, k, expression):
        rows = self._matching(collection, expression)
        xb = np.array([row["vector"] for row in rows], np.float32).reshape(len(rows), xq.shape[1])
        found = []
        for x in xq:
            distances = ((xb - x) ** 2).sum(axis=1)
            order = np.argsort(distances, kind="stable")[:k].tolist()
            found.append([{"id": rows[at]["id"], "distance": float(distances[at])} for at in order])
        return self.answer("search", found)

    def describe(self, name):
        collection = self.aliases.get(name, name)
        self._rows(collection)
        found = {
            "collection_name": collection,
            "description": self.descriptions[collection],
        }
        return self.answer("describe", found)

    def collections(self):
        return list(self.rows)

    def create_collection(self, collection, schema):
        self.rows[collection] = {}
        self.descriptions[collection] = schema.description

    def insert(self, collection, rows):
        for row in rows:
            if "metadata" in row:
                row["metadata"] = json.loads(json.dumps(row["metadata"]))
            self.rows[collection][row["id"]] = row | {"vector": list(map(float, row["vector"]))}

    def flush(self, collection):
        self._rows(collection)

    load = release = flush

    def create_index(self, collection, index_params):
        self._rows(collection)

    def create_alias(self, alias, collection):
        self.aliases[alias] = collection

    switch_alias = create_alias

    def drop(self, collection):
        self.rows.pop(collection, None)

    def _rows(self, collection):
        if collection not in self.rows:
            raise NoCollectionError(f"no collection {collection}")
        return self.rows[collection]

    def _matching(self, collection, expression):
        rows = list(self._rows(collection).values())
        if not expression:
            return rows
        code = compile(_EXISTS.sub(r'("\1" in metadata)', expression), "expression", "eval")
        return [
            row for row in rows
            if eval(code, {}, row | {"metadata": Cells(row.get("metadata", {}))})
        ]  # fmt: skip
