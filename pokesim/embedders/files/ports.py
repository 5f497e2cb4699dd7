"""The inputs and outputs of a network, as its file describes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pokesim.embedders.files.runner import onnx_session
from pokesim.errors import ModelError


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a network: its name, its shape (None where it is free), its type."""

    name: str
    shape: tuple[int | None, ...]
    kind: str


Ports = tuple[Sequence[Tensor], Sequence[Tensor]]
"""The inputs and the outputs of a network."""


def rewritten(path: Path, name: str) -> tuple[list[str], Ports]:
    """Write an ONNX file again with its weights apart, from where they are mapped and not copied.

    Args:
        path: the file.
        name: what the new files, beside it, are called, without their endings.

    Returns:
        the names of the new files, and the inputs and outputs.
    """
    import onnxruntime

    ready, weights = path.with_name(f"{name}.onnx"), path.with_name(f"{name}.weights")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = os.fspath(ready)
    for key, value in (("file_name", weights.name), ("min_size_in_bytes", "1024")):
        options.add_session_config_entry(
            f"session.optimized_model_external_initializers_{key}", value
        )
    session = onnx_session(path, is_long=False, options=options)
    kept = [one.name for one in (ready, weights) if one.exists()]
    kinds = {"tensor(float)": "f32", "tensor(float16)": "f16"}
    ports = [
        [
            Tensor(one.name, tuple(map(_extent, one.shape)), kinds.get(one.type, one.type))
            for one in some
        ]
        for some in (session.get_inputs(), session.get_outputs())
    ]
    return kept, (ports[0], ports[1])


def _extent(value: Any) -> int | None:
    """Return the size of a dimension; None if it is free, and has a name at most."""
    return value if isinstance(value, int) and value > 0 else None


def openvino_ports(path: Path) -> Ports:
    """Return those of an OpenVINO file. Raises ModelError if OpenVINO is missing."""
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            "OpenVINO, which runs this network, is not installed; install it with "
            "`pip install 'pokesim[openvino]'`."
        ) from error
    model = openvino.Core().read_model(os.fspath(path))
    inputs, outputs = (
        [
            Tensor(
                next(iter(sorted(one.names)), ""),
                tuple(at.get_length() if at.is_static else None for at in one.partial_shape),
                one.element_type.get_type_name(),
            )
            for one in ports
        ]
        for ports in (model.inputs, model.outputs)
    )
    return inputs, outputs


def litert_ports(path: Path) -> Ports:
    """Return those of a LiteRT file."""
    from pokesim.embedders.litert import open_interpreter, quiet_stderr

    with quiet_stderr():
        interpreter = open_interpreter(path)
    inputs, outputs = (
        [
            Tensor(
                one["name"],
                tuple(int(at) if at >= 0 else None for at in one["shape_signature"]),
                {np.float32: "f32"}.get(one["dtype"], str(np.dtype(one["dtype"]))),
            )
            for one in ports
        ]
        for ports in (interpreter.get_input_details(), interpreter.get_output_details())
    )
    return inputs, outputs


def names_of(tensors: Sequence[Tensor]) -> str:
    """Return the names of the first tensors, for a message."""
    return ", ".join(one.name[:60] for one in tensors[:6]) + (", …" if len(tensors) > 6 else "")


def shape_of(tensor: Tensor) -> str:
    """Return the shape of a tensor, for a message."""
    return " × ".join("?" if at is None else str(at) for at in tensor.shape)
