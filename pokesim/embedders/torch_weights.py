"""Read the weights of a PyTorch file without PyTorch, and without running code from the file.

PyTorch's old format (before 1.6) is a sequence of pickles: a magic number, a protocol version, the
byte order, the state dictionary, and the keys of its storages. The storages follow, each an int64
count and its raw numbers. A pickle may name any function to call, so the reader here accepts only
the few names that a state dictionary needs. Source: ``torch.serialization._legacy_load``.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage: ``offset`` and ``strides`` count numbers, not bytes."""

    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(path: Path, sha256: str) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file by name, float32 or int64 in C order.

    Args:
        path: the file, in PyTorch's old format.
        sha256: its SHA-256 in hexadecimal, compared before anything is parsed.

    Raises:
        ValueError: the file is not the one with this hash, or is not a state dictionary.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is not the expected file (its SHA-256 differs)")
    file = io.BytesIO(content)
    try:
        return _parse(file)
    except Exception as error:  # a pickle can raise nearly any
        raise ValueError(f"{path} is not a PyTorch state dictionary ({error})") from error


def _parse(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    if _load(file) != _MAGIC or _load(file) != _PROTOCOL or not _load(file)["little_endian"]:
        raise ValueError("not in PyTorch's old format")
    reader = _Unpickler(file)
    tensors = reader.load()
    storages = {key: _storage(file, *reader.storages[key]) for key in _load(file)}
    return {name: _array(storages[one.key], one) for name, one in tensors.items()}


def _load(file: IO[bytes]) -> Any:
    return _Unpickler(file).load()


def _storage(file: IO[bytes], kind: str, count: int) -> NDArray[Any]:
    (stored,) = struct.unpack("<q", file.read(8))
    if stored != count:
        raise ValueError("the length of a storage is wrong")
    dtype = _DTYPES[kind]
    numbers: NDArray[Any] = np.frombuffer(file.read(count * dtype.itemsize), dtype, count)
    return numbers


def _array(storage: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    """Copy a tensor out of its storage, which it must not exceed."""
    last = tensor.offset + sum(
        (length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if min(tensor.offset, *tensor.strides, 0) < 0 or min(tensor.shape, default=1) < 1:
        raise ValueError("a tensor has a negative or empty extent")
    if last >= len(storage):
        raise ValueError("a tensor lies outside its storage")
    strides = [stride * storage.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(
        storage[tensor.offset :], tensor.shape, strides, writeable=False
    )
    return np.array(view, order="C")


class _Unpickler(pickle.Unpickler):
    """Accepts ordered dictionaries, float and long storages, and tensors that view them."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, tuple[str, int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return an accepted name; raise UnpicklingError for any other."""
        known: dict[tuple[str, str], Callable[..., Any] | str] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
            **{("torch", kind): kind for kind in _DTYPES},
        }
        try:
            return known[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}") from None

    def persistent_load(self, pid: Any) -> str:
        """Record a storage, whose numbers follow later in the file, and return its key."""
        what, kind, key, _, count, view = pid
        if what != "storage" or kind not in _DTYPES or view is not None:
            raise pickle.UnpicklingError("it refers to something other than a storage")
        self.storages[key] = kind, count
        return str(key)


def _rebuilt(
    key: str, offset: int, shape: Sequence[int], strides: Sequence[int], *_: object
) -> _Tensor:
    return _Tensor(key, offset, tuple(shape), tuple(strides))
