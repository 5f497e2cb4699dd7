"""The collections of an index on a Milvus server: their names, fields and rows.

indexes/README.md describes them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any, TypeAlias

from pokesim.errors import IncompatibleIndexError
from pokesim.index.item import Item
from pokesim.index.metadata.table import Value, exact
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.filter_expression import cell_key

Row: TypeAlias = dict[str, Any]
"""A row of a collection, by field."""

FORMAT = 1
"""Version of the collections; newer ones are rejected."""

MAX_ROWS = 16_384
"""The most neighbours, or rows, that Milvus returns for one query."""

ITEM_FIELDS = ("id", "path", "label", "size", "mtime_ns", "sha256")

_MARK = "pokesim index, format "  # of the description of a collection

NAME_BYTES, JSON_BYTES = 16_384, 65_536
"""The most bytes of a path or label, and, set by Milvus, of a picture's metadata as JSON."""

_CHUNK_BYTES = 65_000

_TYPES = {
    "id": int, "path": str, "label": str, "size": int, "mtime_ns": int, "sha256": str,
    "metadata": dict, "name": str, "data": str,
}  # fmt: skip

_UNSAFE, _ESCAPE = re.compile(r"\\|[\udc80-\udcff]"), re.compile(r"\\x([0-9a-f]{2})")


def files_collection(collection: str) -> str:
    """Return the name of the collection with the files of a snapshot."""
    return f"{collection}_files"


def base_collection(collection: str) -> str:
    """Return the name of the collection with the base vectors of a tuned snapshot."""
    return f"{collection}_plain"  # part of format 1, which calls base vectors plain


def check_description(address: Address, description: str) -> None:
    """Check that a collection is a snapshot of an index, by its description.

    Raises:
        IncompatibleIndexError: it is not, or its format is newer.
    """
    if not description.startswith(_MARK):
        raise IncompatibleIndexError(
            f"{address} is a collection that pokesim did not make; choose another name."
        )
    if description != f"{_MARK}{FORMAT}":
        raise IncompatibleIndexError(f"{address} was written by a newer pokesim; update pokesim.")


def items_schema(dimension: int) -> Any:
    """Return the schema of a collection of vectors, items and metadata."""
    from pymilvus import DataType

    schema = vectors_schema(dimension)
    schema.add_field("path", DataType.VARCHAR, max_length=NAME_BYTES)
    schema.add_field("label", DataType.VARCHAR, max_length=NAME_BYTES)
    schema.add_field("size", DataType.INT64)
    schema.add_field("mtime_ns", DataType.INT64)
    schema.add_field("sha256", DataType.VARCHAR, max_length=64)
    schema.add_field("metadata", DataType.JSON)
    return schema


def vectors_schema(dimension: int) -> Any:
    """Return the schema of a collection of vectors alone."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(description=f"{_MARK}{FORMAT}")
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    return schema


def files_schema() -> Any:
    """Return the schema of a collection of files; Milvus requires a vector in every collection."""
    from pymilvus import DataType

    schema = vectors_schema(2)
    schema.add_field("name", DataType.VARCHAR, max_length=64)
    schema.add_field("data", DataType.VARCHAR, max_length=65_535)
    return schema


def index_params(*, items: bool) -> Any:
    """Return the search indexes of a collection; exact search, by squared L2 distance.

    Args:
        items: the collection also holds items, which each query searches for the photo's SHA-256.
    """
    from pymilvus import MilvusClient

    params = MilvusClient.prepare_index_params()
    params.add_index("vector", index_type="FLAT", metric_type="L2")
    if items:
        params.add_index("sha256", index_type="Trie")
    return params


def file_rows(files: dict[str, bytes]) -> Iterator[Row]:
    """Yield the rows of files: base64 in chunks, with consecutive ids."""
    chunks = (
        (name, text[start : start + _CHUNK_BYTES])
        for name, data in files.items()
        for text in [base64.b64encode(data).decode("ascii")]
        for start in range(0, len(text), _CHUNK_BYTES)
    )
    for number, (name, chunk) in enumerate(chunks):
        yield {"id": number, "vector": [0.0, 0.0], "name": name, "data": chunk}


def file_of(rows: Sequence[Row]) -> bytes:
    """Return a file from its rows, which may be in any order."""
    return base64.b64decode("".join(row["data"] for row in sorted(rows, key=lambda row: row["id"])))


def item_row(item: Item, cells: dict[str, Value]) -> Row:
    """Return the row of a picture without its vector; empty cells are left out."""
    filled = {
        cell_key(at): exact(cell) if isinstance(cell, float) else cell
        for at, cell in enumerate(cells.values())
        if cell is not None
    }
    values = (item.id, text_of(item.path), text_of(item.label), *astuple(item)[3:])
    return dict(zip(ITEM_FIELDS, values, strict=True)) | {"metadata": filled}


def is_row(row: Row, fields: Sequence[str]) -> bool:
    """Say whether a row has these fields with values that pokesim may have written.

    A vector may be anything; `pokesim.index.milvus.collection.Collection.vectors_of` checks it.
    """
    if any(type(row.get(name)) is not _TYPES[name] for name in fields if name != "vector"):
        return False
    cells = row["metadata"].values() if "metadata" in fields else ()
    names = [row[name] for name in ("path", "label") if name in fields]
    return all(type(cell) in (str, int, float) for cell in cells) and not any(
        "\0" in _name_of(name) for name in names
    )


def item_of(row: Row) -> Item:
    """Return the item of a row."""
    item_id, path, label, *others = (row[name] for name in ITEM_FIELDS)
    return Item(item_id, _name_of(path), _name_of(label), *others)


def cells_of(row: Row, columns: Sequence[str]) -> dict[str, Value]:
    """Return the metadata of a row, by column; None for an empty cell."""
    filled = row["metadata"]
    return {column: filled.get(cell_key(at)) for at, column in enumerate(columns)}


def checksum_line(row: Row) -> bytes:
    """Return the row of a picture, without its vector, as a line of ``rows_sha256``'s input."""
    values = [row[name] for name in (*ITEM_FIELDS, "metadata")]
    return json.dumps(values, sort_keys=True).encode("ascii") + b"\n"


def text_of(name: str) -> str:
    r"""Return a file name as valid Unicode; a backslash and a non-UTF-8 byte become \xNN."""
    return _UNSAFE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", name)


def _name_of(text: str) -> str:
    """Undo `text_of`."""
    return _ESCAPE.sub(lambda found: _decode_byte(int(found[1], 16)), text)


def _decode_byte(number: int) -> str:
    return chr(number if number < 0x80 else 0xDC00 + number)  # as os.fsdecode does
