"""Load an unknown network, find out how it is used, and try it.

`register` runs this module in a separate process, ``python -m pokesim.embedders.files.check``,
whose memory is limited: a file that was made to crash a runtime, or to make it allocate without
end, ends that process and not the one of the user. It prints what it found as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pokesim.embedders.catalog import Compute
from pokesim.embedders.files.ports import (
    Ports,
    Tensor,
    litert_ports,
    names_of,
    openvino_ports,
    rewritten,
    shape_of,
)
from pokesim.embedders.files.runner import compute_of, open_run, pooled, prepared
from pokesim.embedders.files.settings import IMAGENET, SETTINGS_FILE, Settings
from pokesim.embedders.files.text_check import checked_text
from pokesim.embedders.network import (
    LAYOUTS,
    MAX_DIMENSION,
    MAX_SIDE,
    TOKENIZER,
    FileFormat,
    Network,
    NetworkFile,
    Pooling,
)
from pokesim.errors import ModelError

READY_LITERT = "ready.tflite"

_OUTPUTS = ("image_embeds", "pooler_output", "embeddings", "features")
"""Outputs that are vectors already, those that are preferred first."""

_USUAL_CUT = 256 / 224
"""How much larger a picture is scaled than what is cut out of it, where nothing else is said."""

_RUNNING_CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")

_IN = f"{SETTINGS_FILE}, beside the network"

_HUB_INPUT = "pixel_values"
"""What hubs call the input of any network for pictures, which is NCHW."""

_FLOATS = ("f32", "f16")

_DEFAULTS = (
    f"neither preprocessor_config.json nor {SETTINGS_FILE} says how it takes pictures, so they are "
    "read as most networks for ImageNet take them"
)


def check(
    folder: Path, names: Sequence[str], settings: Settings, files: Mapping[str, NetworkFile]
) -> tuple[Network, list[str], str]:
    """Convert the network in a folder into what is quick to load, and try it.

    Args:
        folder: holds copies of its files, and gets what is made of them.
        names: the files; the first is the one that a runtime opens.
        settings: what its publisher says.
        files: the sizes and hashes of the files.

    Returns:
        what is known of it, the files to keep, and a note about what had to be assumed.

    Raises:
        ModelError: it is damaged, takes no pictures, or something about it must be said.
    """
    main = folder / names[0]
    kind = main.suffix.lower()
    if kind == ".onnx":
        found = FileFormat.ONNX
        kept, ports = rewritten(main, "ready")
    elif kind == ".xml":
        kept, found, ports = [*names], FileFormat.OPENVINO, openvino_ports(main)
    else:
        kept, found = [names[0]], FileFormat.LITERT
        if kind == ".keras":
            _from_keras(main, folder / READY_LITERT)
            kept = [READY_LITERT]
        ports = litert_ports(folder / kept[0])
    network, note = _resolved(found, files, ports, settings)
    network = _tried(folder / kept[0], network)
    if TOKENIZER in names:
        text, more = checked_text(folder, settings, network.dimension)
        network, kept = replace(network, text=text), [*kept, *more]
    return network, kept, note


def _from_keras(path: Path, out: Path) -> None:
    """Export a Keras file. Raises ModelError if it holds code."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    for layer in _layers(config):
        name, registered = str(layer["class_name"])[:60], layer.get("registered_name")
        if name in _RUNNING_CODE:
            raise ModelError(f"it has a layer of the kind {name}, which runs code of the file")
        module = str(layer.get("module") or "keras").partition(".")[0]
        if module not in ("keras", "builtins") or registered not in (None, layer["class_name"]):
            raise ModelError(f"it has a layer of its own ({name}), whose code is not in the file")
    from pokesim.embedders.keras_export import export_file

    export_file(path, out)


def _layers(config: Any) -> Any:
    """Yield every object of a configuration that names a class."""
    waiting = [config]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "class_name" in one:
                yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _resolved(
    kind: FileFormat, files: Mapping[str, NetworkFile], ports: Ports, settings: Settings
) -> tuple[Network, str]:
    """Return what is known of a network, but for its dimension; and what was assumed."""
    given, wanted = _input(ports[0], settings), _output(ports[1], settings)
    layout = _layout(given, settings)
    side = _side(given, layout, settings)
    is_told = settings.is_published or settings.mean is not None or settings.resize is not None
    pooling = settings.pooling or _pooling(wanted, settings)
    resize = round(side * _USUAL_CUT) if settings.resize is None else settings.resize
    if settings.resize and settings.resize < side:
        raise ModelError(
            f"resize, {resize} px, is less than the input, {side} px: see resize in {_IN}"
        )
    network = Network(
        format=kind,
        files=files,
        side=side,
        dimension=1,
        resize=resize,
        interpolation=settings.interpolation or "bilinear",
        scale=1 / 255 if settings.scale is None else settings.scale,
        mean=settings.mean or IMAGENET[0],
        std=settings.std or IMAGENET[1],
        layout=layout,
        input=given.name,
        output=wanted.name,
        pooling=pooling,
        prefix=settings.prefix or 0,
        licence=settings.licence or "",
    )
    return network, "" if is_told else _DEFAULTS


def _input(inputs: Sequence[Tensor], settings: Settings) -> Tensor:
    named = [one for one in inputs if one.name == settings.input]
    if settings.input and not named:
        raise ModelError(
            f"it has no input {settings.input}, only {names_of(inputs)}: see input in {_IN}"
        )
    if len(inputs) != 1:
        raise ModelError(
            f"it needs {names_of(inputs)} at once; give the part for pictures alone, which hubs "
            "call vision_model.onnx"
        )
    (found,) = named or inputs
    if len(found.shape) != 4 or found.kind not in _FLOATS:
        raise ModelError(
            f"its input {found.name} is {found.kind} {shape_of(found)}, and not pictures as four "
            "dimensions of float numbers"
        )
    return found


def _output(outputs: Sequence[Tensor], settings: Settings) -> Tensor:
    if settings.output:
        found = next((one for one in outputs if one.name == settings.output), None)
        if not found:
            raise ModelError(
                f"it has no output {settings.output}, only {names_of(outputs)}: see output in {_IN}"
            )
        return found
    by_name = {one.name: one for one in outputs}
    names = [*_OUTPUTS, "last_hidden_state"]
    found = next((by_name[name] for name in names if name in by_name), None)
    if not found and len(outputs) == 1:
        found = outputs[0]
    if not found:
        raise ModelError(f"it returns {names_of(outputs)}; name the one to use as output in {_IN}")
    return found


def _layout(given: Tensor, settings: Settings) -> str:
    fits = [layout for layout in LAYOUTS if given.shape[layout.index("C")] in (3, None)]
    likely = [layout for layout in LAYOUTS if given.shape[layout.index("C")] == 3]
    if settings.layout in fits and (settings.layout in likely or not likely):
        return str(settings.layout)
    if len(likely) == 1:
        return likely[0]
    if given.name == _HUB_INPUT and LAYOUTS[0] in fits:
        return LAYOUTS[0]
    raise ModelError(
        f"its input {given.name} is {shape_of(given)}, so which dimension is the colours cannot be "
        f'told; set layout = "NCHW" or "NHWC" in {_IN}'
    )


def _side(given: Tensor, layout: str, settings: Settings) -> int:
    height, width = (given.shape[layout.index(at)] for at in "HW")
    fixed = height or width
    if (height or fixed) != (width or fixed):
        raise ModelError(f"its input is {height} × {width} pixels, and not a square")
    side = fixed or settings.size
    if not side:
        raise ModelError(f"its input may have any size; set size in {_IN}")
    if fixed and settings.size and settings.size != fixed:
        raise ModelError(f"its input is {fixed} px, and not {settings.size}: see size in {_IN}")
    if side > MAX_SIDE:
        raise ModelError(f"its input is {side:,} px; at most {MAX_SIDE:,} are possible")
    return int(side)


def _pooling(wanted: Tensor, settings: Settings) -> Pooling:
    rank = len(wanted.shape)
    if rank == 2 or wanted.name in _OUTPUTS:
        return Pooling.VECTOR
    if rank == 4:
        return Pooling.MAP
    if rank == 3 and settings.first_token is not None:
        return Pooling.CLS if settings.first_token else Pooling.MEAN
    raise ModelError(
        f"its output {wanted.name} is {shape_of(wanted)}, so how it becomes a vector cannot be "
        f'told; set pooling = "cls" or "mean" in {_IN}'
    )


def _tried(path: Path, network: Network) -> Network:
    """Run a network on random pictures, two at once and one; return it with what that shows."""
    run = open_run(path, network, compute_of(network, Compute()))
    shape = (2, network.side, network.side, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    single = pooled(run(prepared(pixels[:1], network)), network, "the network")
    try:
        both = pooled(run(prepared(pixels, network)), network, "the network")
        batch = 0 if both.shape == (2, single.shape[-1]) else 1
    except (RuntimeError, ValueError, ModelError):  # made for one picture at a time
        batch = 1
    if not np.isfinite(single).all():
        raise ModelError("it returns numbers that are not finite")
    if single.shape[-1] > MAX_DIMENSION:
        raise ModelError(
            f"its vectors have {single.shape[-1]:,} dimensions; at most {MAX_DIMENSION:,}"
        )
    return replace(network, dimension=single.shape[-1], batch=batch)


def main() -> int:
    """Check the network that the arguments name; print the result, or the reason, as JSON."""
    request = json.loads(sys.argv[1])
    _limit(request["memory"])
    settings = Settings(**request["settings"])
    settings = replace(settings, pooling=settings.pooling and Pooling(settings.pooling))
    files = {name: NetworkFile(**one) for name, one in request["files"].items()}
    answer = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # where libraries print
        try:
            network, kept, note = check(Path(request["folder"]), request["names"], settings, files)
            found: dict[str, Any] = {"network": network.to_fields(), "kept": kept, "note": note}
        except ModelError as error:
            found = {"reason": str(error).rstrip(".")}
        except ImportError as error:
            found = {"reason": f"{error.name} is not installed"}
        except MemoryError:
            found = {"reason": "it takes more memory than its size explains"}
        except Exception as error:
            found = {"reason": " ".join(str(error).split())[:200] or type(error).__name__}
    print(json.dumps(found), file=answer, flush=True)
    os._exit(0)  # libraries may crash when they end


def _limit(memory: int) -> None:
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    raise SystemExit(main())
