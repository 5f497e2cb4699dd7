"""From an embedder's name to a model file that runs: weights found, hashed, exported once, cached.

An exported model is ``$CACHE/models/NAME-WEIGHTSHASH-vN.tflite`` with a small ``.json`` beside it
that holds its own size and hash. The bundled embedder is a file of this package.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from pokesim.cache import cache_dir
from pokesim.embedders.catalog import BUNDLED, PREFERRED, EmbedderSpec
from pokesim.errors import ModelError
from pokesim.files import sha256_of

EXPORT_VERSION = 1
"""Raised when `keras_export` writes a different graph for the same weights."""

BUNDLED_FILE = Path(__file__).parent / "compact" / "model.tflite"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Model:
    """A model file at hand, and what it is.

    Attributes:
        name: of the embedder, in the catalogue.
        weights_sha256: of the weights it was made from; two indexes match if theirs do.
        export_version: `EXPORT_VERSION` when it was made.
        bytes, sha256: of the model file.
        published: made from the weights that Keras publishes (not from a file someone gave).
        path: the model file.
        weights: the file it was made from, if that is still at hand.
    """

    name: str
    weights_sha256: str
    export_version: int
    bytes: int
    sha256: str
    published: bool
    path: Path
    weights: Path | None = None


def bundled_model(why: str = "") -> Model:
    """Return the model that ships in this package.

    Raises:
        ModelError: this installation has none.
    """
    if not BUNDLED_FILE.is_file():
        raise ModelError(
            f"{why + ', and t' if why else 'T'}his installation has no {BUNDLED} model. Give "
            f"another embedder's weights: --embedder {PREFERRED} --weights FILE.h5."
        )
    digest = sha256_of(BUNDLED_FILE)
    size = BUNDLED_FILE.stat().st_size
    return Model(BUNDLED, digest, EXPORT_VERSION, size, digest, True, BUNDLED_FILE)


class ModelKey(Protocol):
    """What identifies a model: a `Model` itself, or the record of one in a manifest."""

    @property
    def name(self) -> str:
        """Name of the embedder, in the catalogue."""

    @property
    def weights_sha256(self) -> str:
        """Of the weights that the model was made from."""

    @property
    def export_version(self) -> int:
        """`EXPORT_VERSION` when it was made."""


def find_model(key: ModelKey) -> Model:
    """Return the model an index was built with, without making it.

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
    path = _model_path(key.name, key.weights_sha256, key.export_version)
    found = _read_card(path)
    if found is None:
        raise ModelError(
            f"The index was built with {key.name} from weights {key.weights_sha256[:12]}…, whose "
            f"model is not in {path.parent}; make it with `pokesim embedders --prepare {key.name}` "
            "(and --weights FILE, if the weights were your own)."
        )
    return found


def receive_model(model: Model, content: bytes) -> Model:
    """Put a model that another machine has exported into the cache.

    Args:
        model: what it is there.
        content: the bytes of the model file.

    Raises:
        ModelError: they are not the model's, or the cache cannot be written.
    """
    if hashlib.sha256(content).hexdigest() != model.sha256:
        raise ModelError(f"The model of {model.name} did not arrive whole.")
    path = _model_path(model.name, model.weights_sha256, model.export_version)
    received = replace(model, path=path, weights=None)
    part = path.with_name(f".{path.stem}.{os.getpid()}.tflite")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
        _write_card(received)
    except OSError as error:
        raise _no_cache(path.parent, error.strerror) from error
    return received


def exported_models(name: str) -> list[Model]:
    """List the exported models of an embedder in the cache."""
    cards = sorted((cache_dir() / "models").glob(f"{name}-*-v{EXPORT_VERSION}.json"))
    found = [_read_card(card.with_suffix(".tflite")) for card in cards]
    return [model for model in found if model and model.name == name]


def published_model(spec: EmbedderSpec) -> Model | None:
    """Return the model exported from the published weights, if it is in the cache."""
    found = next((model for model in exported_models(spec.name) if model.published), None)
    at_hand = _keras_cache(spec).is_file()
    return replace(found, weights=_keras_cache(spec)) if found and at_hand else found


def weights_at_hand(spec: EmbedderSpec) -> bool:
    """Say whether an embedder can be used at once, without a network."""
    if spec.keras is None:
        return BUNDLED_FILE.is_file()
    return published_model(spec) is not None or _keras_cache(spec).is_file()


def _keras_cache(spec: EmbedderSpec) -> Path:
    assert spec.keras is not None
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home) / "models" / spec.keras.weights_file


def _no_cache(folder: Path, reason: str | None) -> ModelError:
    return ModelError(f"The cache {folder} cannot be written ({reason}).")


def _model_path(name: str, weights_sha256: str, export_version: int) -> Path:
    return cache_dir() / "models" / f"{name}-{weights_sha256[:16]}-v{export_version}.tflite"


def _write_card(model: Model) -> None:
    card = asdict(model)
    del card["path"], card["weights"]
    card["embedder"] = card.pop("name")  # the key that the first versions wrote
    part = model.path.with_name(f".{model.path.stem}.{os.getpid()}.json")
    part.write_text(json.dumps(card, indent=1) + "\n")
    part.replace(model.path.with_suffix(".json"))


def _read_card(path: Path) -> Model | None:
    """Return the model at ``path``, or None if it is not there or not whole."""
    try:
        card = json.loads(path.with_suffix(".json").read_text())
        model = Model(card.pop("embedder"), **card, path=path)
        return model if path.stat().st_size == model.bytes else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
