"""Weights in PyTorch's old format are read without PyTorch, and nothing else is."""

import hashlib
import io
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest

from pokesim.embedders.torch_weights import read_state_dict

MAGIC = 0x1950A86A20F9469CFC6C
FACTS = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}


class Storage:
    """What PyTorch pickles as a reference to raw numbers."""

    def __init__(self, key: str, numbers: np.ndarray) -> None:
        self.key, self.numbers = key, numbers


class Tensor:
    """What PyTorch pickles as a call of ``_rebuild_tensor_v2``."""

    def __init__(self, storage, offset, shape, strides) -> None:
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        kind = {"f": "FloatStorage", "i": "LongStorage"}[value.numbers.dtype.kind]
        kind = getattr(sys.modules["torch"], kind)
        return "storage", kind, value.key, "cpu", len(value.numbers), None


@pytest.fixture
def torch(monkeypatch):
    """Modules with the names that PyTorch's pickles refer to."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*_):
        raise AssertionError("PyTorch's own function was called")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        "torch._utils",
        ("_rebuild_tensor_v2"),
    )
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def content_of(state: object, storages: list[Storage], magic: int = MAGIC) -> bytes:
    """The bytes of a file as PyTorch before 1.6 writes it."""
    file = io.BytesIO()
    for value in (magic, 1001, FACTS):
        pickle.dump(value, file, 2)
    Pickler(file, 2).dump(state)
    pickle.dump([one.key for one in storages], file, 2)
    for one in storages:
        file.write(struct.pack("<q", len(one.numbers)) + one.numbers.tobytes())
    return file.getvalue()


def read(tmp_path, content: bytes):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return read_state_dict(path, hashlib.sha256(content).hexdigest())


def test_tensors_are_views_with_offsets_and_strides(torch, tmp_path):
    numbers = np.arange(24, dtype="<f4")
    floats, steps = Storage("a", numbers), Storage("b", np.array([7], "<i8"))
    state = OrderedDict(
        plain=Tensor(floats, 0, (2, 3, 4), (12, 4, 1)),
        turned=Tensor(floats, 0, (4, 3, 2), (1, 4, 12)),
        later=Tensor(floats, 5, (2, 2), (4, 1)),
        scalar=Tensor(steps, 0, (), ()),
    )
    found = read(tmp_path, content_of(state, [floats, steps]))
    cube = numbers.reshape(2, 3, 4)
    np.testing.assert_array_equal(found["plain"], cube)
    np.testing.assert_array_equal(found["turned"], cube.transpose(2, 1, 0))
    np.testing.assert_array_equal(found["later"], [[5, 6], [9, 10]])
    assert (found["scalar"].shape, found["scalar"].dtype, int(found["scalar"])) == ((), "<i8", 7)
    assert all(array.flags.c_contiguous for array in found.values())


def test_another_file_is_not_even_parsed(torch, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(content_of(OrderedDict(), []))
    with pytest.raises(ValueError, match="SHA-256 differs"):
        read_state_dict(path, "0" * 64)


class Command:
    """Runs a command when a plain unpickler reads it."""

    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize("at", ["magic", "state"])
def test_a_pickle_that_names_a_function_is_refused(torch, tmp_path, monkeypatch, at):
    monkeypatch.chdir(tmp_path)
    content = content_of(Command(), []) if at == "state" else pickle.dumps(Command(), 2)
    with pytest.raises(ValueError, match=r"it names (posix|nt)\.system"):
        read(tmp_path, content)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(20, (5,), (1,)), (0, (25,), (1,)), (0, (2, 2), (1, 30)), (-1, (2,), (1,)), (8, (4,), (-2,))],
)
def test_a_tensor_outside_its_storage_is_refused(torch, tmp_path, offset, shape, strides):
    storage = Storage("a", np.arange(24, dtype="<f4"))
    state = OrderedDict(x=Tensor(storage, offset, shape, strides))
    with pytest.raises(ValueError, match="tensor"):
        read(tmp_path, content_of(state, [storage]))


def test_what_is_not_such_a_file_is_an_error(torch, tmp_path):
    storage = Storage("a", np.arange(24, dtype="<f4"))
    good = content_of(OrderedDict(x=Tensor(storage, 0, (24,), (1,))), [storage])
    for content in (b"", b"PK\3\4", good[:40], good[:-5], content_of(OrderedDict(), [], magic=1)):
        with pytest.raises(ValueError, match=r"weights\.pth|old format|storage|buffer"):
            read(tmp_path, content)
