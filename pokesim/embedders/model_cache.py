"""Model files on this machine: the bundled one, and the exported ones in the cache.

A *model* is a LiteRT file. An exported one is ``$CACHE/models/NAME-WEIGHTSHASH-vN.tflite``, next to
a ``.json`` file, its *card*, with its size, hash and origin. The bundled one is part of this
package. How weights become a model is the business of `prepare`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from pokesim.cache import cache_dir
from pokesim.embedders.catalog import BUNDLED, PREFERRED
from pokesim.errors import ModelError
from pokesim.files import atomic_write, sha256_of

EXPORT_VERSION = 1
"""Raised when `keras_export` writes a different graph for the same weights."""

BUNDLED_FILE = Path(__file__).parent / "compact" / "model.tflite"


@dataclass(frozen=True, slots=True)
class Model:
    """A model file on this machine, and its origin.

    Attributes:
        name: name of the embedder, in the catalogue.
        weights_sha256: hash of the weights it was made from; equal hashes give equal vectors.
        export_version: `EXPORT_VERSION` when it was made.
        bytes, sha256: size and hash of the model file.
        published: whether it was made from the weights that Keras publishes, not from a user's.
        path: the model file.
        weights: the weights file it was made from, if that is still on this machine.
    """

    name: str
    weights_sha256: str
    export_version: int
    bytes: int
    sha256: str
    published: bool
    path: Path
    weights: Path | None = None


class ModelKey(Protocol):
    """The identity of a model: a `Model` itself, or its record in a manifest."""

    @property
    def name(self) -> str:
        """Name of the embedder, in the catalogue."""

    @property
    def weights_sha256(self) -> str:
        """Hash of the weights that the model was made from."""

    @property
    def export_version(self) -> int:
        """`EXPORT_VERSION` when it was made."""


def bundled_model(why: str = "") -> Model:
    """Return the model that ships in this package.

    Args:
        why: the reason for needing it, to begin the error message with.

    Raises:
        ModelError: this installation does not include it.
    """
    if not BUNDLED_FILE.is_file():
        raise ModelError(
            f"{why + ', and t' if why else 'T'}his installation has no {BUNDLED} model. Give "
            f"another embedder's weights: --embedder {PREFERRED} --weights FILE.h5."
        )
    digest = sha256_of(BUNDLED_FILE)
    size = BUNDLED_FILE.stat().st_size
    return Model(BUNDLED, digest, EXPORT_VERSION, size, digest, True, BUNDLED_FILE)


def find_model(key: ModelKey) -> Model:
    """Return the model that an index was built with; never export it.

    Raises:
        ModelError: it is not on this machine, or is damaged; the message says how to get it.
    """
    if key.name == BUNDLED:
        model = bundled_model()
        if model.weights_sha256 != key.weights_sha256:
            raise ModelError(
                f"The index was built with another version of {BUNDLED} "
                f"({key.weights_sha256[:12]}…, here {model.weights_sha256[:12]}…); build it again."
            )
        return model
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
    del card["path"], card["weights"]
    card["embedder"] = card.pop("name")  # the key in the cards of the first versions
    try:
        atomic_write(model.path.with_suffix(".json"), (json.dumps(card, indent=1) + "\n").encode())
    except OSError as error:
        raise cache_error(model.path.parent, error.strerror) from error


def receive_model(model: Model, content: bytes) -> Model:
    """Add a model that another machine has exported to the cache.

    Args:
        model: the model on the other machine.
        content: the bytes of its file.

    Raises:
        ModelError: the bytes are not the model's, or the cache cannot be written.
    """
    if hashlib.sha256(content).hexdigest() != model.sha256:
        raise ModelError(f"The model of {model.name} was damaged in transfer.")
    path = model_path(model)
    received = replace(model, path=path, weights=None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
    except OSError as error:
        raise cache_error(path.parent, error.strerror) from error
    add_to_cache(received)
    return received


def cache_error(folder: Path, reason: str | None) -> ModelError:
    """Return the error for a cache that cannot be written."""
    return ModelError(f"The cache {folder} cannot be written ({reason}).")


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
