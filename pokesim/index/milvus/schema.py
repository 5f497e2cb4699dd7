"""How an index lies in Milvus's collections; indexes/README.md describes it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any, TypeAlias

from pokesim.errors import IncompatibleIndexError
from pokesim.index.item import Item
from pokesim.index.metadata.table import Value
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.filter_expression import cell_name

Row: TypeAlias = dict[str, Any]
"""A row of a collection, by its fields."""

FORMAT = 1
"""Version of the layout; a newer one is refused with a sentence."""

MOST = 16_384
"""Neighbours, or rows, that Milvus can be asked for at a time."""

ITEM_FIELDS = ("id", "path", "label", "size", "mtime_ns", "sha256")

_MARK = "pokesim index, format "

_NAME_BYTES, _PART_BYTES = 16_384, 65_000

_ODD, _ESCAPE = re.compile(r"\\|[\udc80-\udcff]"), re.compile(r"\\x([0-9a-f]{2})")


def files_of(collection: str) -> str:
    """Return the collection with the files of a snapshot."""
    return f"{collection}_files"


def plain_of(collection: str) -> str:
    """Return the collection with the vectors of a tuned snapshot before its metric."""
    return f"{collection}_plain"


def check_mark(address: Address, description: str) -> None:
    """Look whether a collection is a snapshot of an index.

    Raises:
        OtherIndexError: it is not, or of a newer format.
    """
    if not description.startswith(_MARK):
        raise IncompatibleIndexError(
            f"{address} is a collection that pokesim did not make; name another."
        )
    if description != f"{_MARK}{FORMAT}":
        raise IncompatibleIndexError(f"{address} was written by a newer pokesim; update pokesim.")


def schema(dimension: int, *, with_items: bool) -> Any:  # noqa: ANN401 - pymilvus is untyped
    """Return the fields of a collection of vectors, with what each is a picture of or without."""
    from pymilvus import DataType, MilvusClient

    made: Any = MilvusClient.create_schema(description=f"{_MARK}{FORMAT}")
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    if with_items:
        made.add_field("path", DataType.VARCHAR, max_length=_NAME_BYTES)
        made.add_field("label", DataType.VARCHAR, max_length=_NAME_BYTES)
        made.add_field("size", DataType.INT64)
        made.add_field("mtime_ns", DataType.INT64)
        made.add_field("sha256", DataType.VARCHAR, max_length=64)
        made.add_field("metadata", DataType.JSON)
    return made


def files_schema() -> Any:  # noqa: ANN401
    """Return the fields of the collection of files; Milvus wants a vector in each."""
    from pymilvus import DataType, MilvusClient

    made: Any = MilvusClient.create_schema(description=f"{_MARK}{FORMAT}")
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    made.add_field("name", DataType.VARCHAR, max_length=64)
    made.add_field("data", DataType.VARCHAR, max_length=65_535)
    return made


def file_rows(files: dict[str, bytes]) -> Iterator[Row]:
    """Yield the rows of some files: base64, in parts, numbered through."""
    parts = (
        (name, text[at : at + _PART_BYTES])
        for name, data in files.items()
        for text in [base64.b64encode(data).decode("ascii")]
        for at in range(0, len(text), _PART_BYTES)
    )
    for number, (name, part) in enumerate(parts):
        yield {"id": number, "vector": [0.0, 0.0], "name": name, "data": part}


def file_of(rows: Sequence[Row]) -> bytes:
    """Return a file from its rows."""
    return base64.b64decode("".join(row["data"] for row in sorted(rows, key=lambda row: row["id"])))


def item_row(item: Item, cells: dict[str, Value]) -> Row:
    """Return the row of a picture but for its vector; empty cells are left out."""
    told = {cell_name(at): cell for at, cell in enumerate(cells.values()) if cell is not None}
    values = (item.id, text_of(item.path), text_of(item.label), *astuple(item)[3:])
    return dict(zip(ITEM_FIELDS, values, strict=True)) | {"metadata": told}


def item_of(row: Row) -> Item:
    """Return the picture of a row."""
    item_id, path, label, *others = (row[name] for name in ITEM_FIELDS)
    return Item(item_id, _name_of(path), _name_of(label), *others)


def cells_of(row: Row, columns: Sequence[str]) -> dict[str, Value]:
    """Return what the table tells of the picture of a row, by column."""
    told = row["metadata"]
    return {column: told.get(cell_name(at)) for at, column in enumerate(columns)}


def line_of(row: Row) -> bytes:
    """Return the row of a picture, its vector left out, as a line to make a checksum of."""
    told = [row[name] for name in (*ITEM_FIELDS, "metadata")]
    return json.dumps(told, sort_keys=True).encode("ascii") + b"\n"


def text_of(name: str) -> str:
    r"""Return a file's name as text, which it need not be: an odd byte, and a "\", becomes \xNN."""
    return _ODD.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", name)


def _name_of(text: str) -> str:
    """Return the file's name that `text_of` made text of."""
    return _ESCAPE.sub(lambda found: _byte(int(found[1], 16)), text)


def _byte(number: int) -> str:
    return chr(number if number < 0x80 else 0xDC00 + number)  # as os.fsdecode has an odd byte
