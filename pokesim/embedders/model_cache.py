"""Model files on this machine: the bundled one and the exported ones.

A *model* is a LiteRT file. An exported one is ``$CACHE/models/NAME-WEIGHTSHASH-vN.tflite``, next to
a ``.json`` file, its *card*, with its size, hash and origin. The bundled one is part of this
package. The model of a pair is the file of its head, which is part of this package too, and the
models of its parts. How weights become a model is the business of `prepare`; `files.cache` keeps
the networks from files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from pokesim.cache import cache_dir, cache_error
from pokesim.embedders.catalog import BUNDLED, CATALOG, EmbedderSpec, PairSource
from pokesim.embedders.embedder import EXPORT_VERSION, Model, ModelKey
from pokesim.embedders.files.cache import find_network, receive_network
from pokesim.errors import ModelError
from pokesim.files import atomic_write, sha256_of

_PACKAGE = Path(__file__).parent

BUNDLED_FILE = _PACKAGE / "compact" / "model.tflite"


def bundled_model() -> Model:
    """Return the model that ships in this package.

    Raises:
        ModelError: this installation does not include it.
    """
    digest, size = _shipped(BUNDLED_FILE)
    return Model(BUNDLED, digest, EXPORT_VERSION, size, digest, True, BUNDLED_FILE)


def pair_model(spec: EmbedderSpec, parts: tuple[Model, ...]) -> Model:
    """Return the model of a pair from those of its parts.

    Raises:
        ModelError: this installation does not include its head.
    """
    assert spec.pair is not None
    path = head_file(spec.pair)
    digest, size = _shipped(path)
    made_from = [f"{part.weights_sha256} v{part.export_version}" for part in parts]
    combined = hashlib.sha256("\n".join([*made_from, digest]).encode()).hexdigest()
    size += sum(part.bytes for part in parts)
    return Model(spec.name, combined, EXPORT_VERSION, size, digest, True, path, parts=parts)


def head_file(pair: PairSource) -> Path:
    """Return the file of a pair's head."""
    return _PACKAGE / pair.head


def find_model(key: ModelKey) -> Model:
    """Return the model that an index was built with; never export it.

    Raises:
        ModelError: it is not on this machine, or is damaged; the message says how to get it.
    """
    if key.network:
        return find_network(key, key.network)
    spec = CATALOG.get(key.name)
    if spec and spec.pair:
        model = pair_model(spec, tuple(_find_part(name, of=key.name) for name in spec.pair.parts))
    elif key.name == BUNDLED:
        model = bundled_model()
    else:
        return _find_exported(key)
    if model.weights_sha256 != key.weights_sha256:
        raise ModelError(
            f"The index was built with another version of {key.name} "
            f"({key.weights_sha256[:12]}…, here {model.weights_sha256[:12]}…); build it again."
        )
    return model


def _find_part(name: str, of: str) -> Model:
    if name == BUNDLED:
        return bundled_model()
    if model := cached_published(name):
        return model
    raise ModelError(
        f"The model of {name}, a part of {of}, is not in {cache_dir() / 'models'}; make it with "
        f"`pokesim embedders --prepare {of}`."
    )


def _find_exported(key: ModelKey) -> Model:
    path = model_path(key)
    found = _read_card(path)
    if found is None:
        raise ModelError(
            f"The index was built with {key.name} from weights {key.weights_sha256[:12]}…, whose "
            f"model is not in {path.parent}; make it with `pokesim embedders --prepare {key.name}` "
            "(and --weights FILE, if you built the index with your own weights)."
        )
    return found


def cached_models(name: str) -> list[Model]:
    """Return the exported models of an embedder that are in the cache."""
    cards = sorted((cache_dir() / "models").glob(f"{name}-*-v{EXPORT_VERSION}.json"))
    found = [_read_card(card.with_suffix(".tflite")) for card in cards]
    return [model for model in found if model and model.name == name]


def cached_published(name: str) -> Model | None:
    """Return the model that was exported from the published weights, if it is in the cache."""
    return next((model for model in cached_models(name) if model.published), None)


def cached_model(name: str, weights_sha256: str) -> Model | None:
    """Return the model that was exported from these weights, if it is in the cache."""
    return _read_card(_path(name, weights_sha256, EXPORT_VERSION))


def model_path(key: ModelKey) -> Path:
    """Return where the cache keeps an exported model."""
    return _path(key.name, key.weights_sha256, key.export_version)


def new_model_path(name: str, weights_sha256: str) -> Path:
    """Return the path for a new export of these weights, in a folder that exists.

    Raises:
        ModelError: the cache cannot be written.
    """
    path = _path(name, weights_sha256, EXPORT_VERSION)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cache_error(path.parent, error.strerror) from error
    return path


def add_to_cache(model: Model) -> None:
    """Write the card of a model whose file is in the cache, so that it can be found.

    Raises:
        ModelError: the cache cannot be written.
    """
    card = asdict(model)
    for name in ("path", "weights", "parts", "network", "beside"):
        del card[name]
    card["embedder"] = card.pop("name")  # the key in the cards of the first versions
    try:
        atomic_write(model.path.with_suffix(".json"), (json.dumps(card, indent=1) + "\n").encode())
    except OSError as error:
        raise cache_error(model.path.parent, error.strerror) from error


def contents_of(model: Model) -> dict[str, bytes]:
    """Return the bytes of a model's files by their names, to send them. Raises OSError."""
    return {path.name: path.read_bytes() for path in model.files}


def receive_model(model: Model, contents: Mapping[str, bytes]) -> Model:
    """Add a model that another machine has prepared to the cache.

    Args:
        model: the model on the other machine.
        contents: the bytes of its files, as `contents_of` returned them.

    Raises:
        ModelError: the bytes are not the model's, or the cache cannot be written.
    """
    for path, sha256 in model.files.items():
        if hashlib.sha256(contents[path.name]).hexdigest() != sha256:
            raise ModelError(f"The model of {model.name} was damaged in transfer.")
    if model.network:
        return receive_network(model, model.network, contents)
    content = contents[model.path.name]
    path = model_path(model)
    received = replace(model, path=path, weights=None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
    except OSError as error:
        raise cache_error(path.parent, error.strerror) from error
    add_to_cache(received)
    return received


def _shipped(path: Path) -> tuple[str, int]:
    """Return the SHA-256 and the size of a file of this package."""
    if not path.is_file():
        raise ModelError(f"This installation lacks {path}; install pokesim again.")
    return sha256_of(path), path.stat().st_size


def _path(name: str, weights_sha256: str, export_version: int) -> Path:
    return cache_dir() / "models" / f"{name}-{weights_sha256[:16]}-v{export_version}.tflite"


def _read_card(path: Path) -> Model | None:
    """Return the model at ``path``, or None if its file or card is missing or incomplete."""
    try:
        card = json.loads(path.with_suffix(".json").read_text())
        model = Model(card.pop("embedder"), **card, path=path)
        return model if path.stat().st_size == model.bytes else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
