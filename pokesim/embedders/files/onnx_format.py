"""Find the files that an ONNX file names, without loading it.

ONNX is a protocol buffer (github.com/onnx/onnx, ``onnx.proto``): fields of a number and a type,
most of them lengths of bytes that may be messages in turn. Large tensors may lie in other files,
whose names a tensor holds. Weights are skipped by their length, so this takes milliseconds.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_INNER = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""The messages of interest inside each message, by their field."""

_DEEPEST = 64

_MOST_FIELDS = 5_000_000
"""A network of a thousand layers has some hundred thousand."""


def external_files(path: Path) -> set[str]:
    """Return the names of the files that hold tensors of an ONNX file, as it gives them.

    Raises:
        ValueError: it is not a protocol buffer, is nested too deeply, or has too many parts.
        OSError: it cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        entries = _Messages(data).entries(0, len(data), "model", 0)
        try:
            return {value.decode("utf-8") for key, value in entries if key == b"location"}
        except IndexError as error:
            raise ValueError("it ends too early") from error


class _Messages:
    """Walks through the messages of a file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._left = _MOST_FIELDS

    def entries(self, start: int, end: int, kind: str, depth: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys and values that say where the external tensors of a message are."""
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        inner = _INNER[kind]
        for field, begin, stop in self._fields(start, end):
            found = inner.get(field)
            if found == "entry":
                texts = {one: self._data[at:to] for one, at, to in self._fields(begin, stop)}
                yield texts.get(1, b""), texts.get(2, b"")
            elif found:
                yield from self.entries(begin, stop, found, depth + 1)

    def _fields(self, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the number of each field of a message that has a length, and where it is."""
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError("it has too many parts")
            tag, at = self._varint(at)
            kind = tag & 7
            if kind == _BYTES:
                length, at = self._varint(at)
                if at + length > end:
                    raise ValueError("a part is longer than the whole")
                yield tag >> 3, at, at + length
                at += length
            elif kind == _VARINT:
                _, at = self._varint(at)
            elif kind in (_FIXED64, _FIXED32):
                at += 8 if kind == _FIXED64 else 4
            else:
                raise ValueError("it is not a protocol buffer")

    def _varint(self, at: int) -> tuple[int, int]:
        value = shift = 0
        while shift < 64:
            byte = self._data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
            shift += 7
        raise ValueError("it is not a protocol buffer")
