"""Model files on this machine: the bundled one, the exported ones, and networks from files.

A *model* is a LiteRT file. An exported one is ``$CACHE/models/NAME-WEIGHTSHASH-vN.tflite``, next to
a ``.json`` file, its *card*, with its size, hash and origin. The bundled one is part of this
package. The model of a pair is the file of its head, which is part of this package too, and the
models of its parts. A network from a file has a folder of its own, ``$CACHE/models/files/HASH``,
with its files and a card. How weights become a model is the business of `prepare`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from pokesim.cache import cache_dir
from pokesim.embedders.catalog import (
    BUNDLED,
    CATALOG,
    EmbedderSpec,
    PairSource,
    spec_of,
    spec_of_network,
)
from pokesim.embedders.network import Network, NetworkFile
from pokesim.errors import ModelError
from pokesim.files import atomic_write, publish_folder, remove, sha256_of

EXPORT_VERSION = 1
"""Raised when `keras_export` writes a different graph for the same weights."""

_PACKAGE = Path(__file__).parent

CARD = "card.json"
"""The file, beside those of a network, that says what they are."""

BUNDLED_FILE = _PACKAGE / "compact" / "model.tflite"


@dataclass(frozen=True, slots=True)
class Model:
    """A model file on this machine, and its origin.

    Attributes:
        name: name of the embedder, in the catalogue.
        weights_sha256: hash of the weights it was made from; equal hashes give equal vectors. For
            a pair, the hash of its parts' weights and of its head.
        export_version: `EXPORT_VERSION` when it was made.
        bytes, sha256: size and hash of the model file; `bytes` of a pair includes its parts.
        published: whether it was made from the weights that Keras publishes, not from a user's.
        path: the model file; that of the head, for a pair.
        weights: the weights file it was made from, if that is still on this machine.
        parts: the models of a pair's parts.
        network: what is known of a network from a file; None for those of the catalogue.
        beside: further files in the folder of ``path`` that the model needs, by name.
    """

    name: str
    weights_sha256: str
    export_version: int
    bytes: int
    sha256: str
    published: bool
    path: Path
    weights: Path | None = None
    parts: tuple[Model, ...] = ()
    network: Network | None = None
    beside: Mapping[str, NetworkFile] = field(default_factory=dict)

    @property
    def files(self) -> dict[Path, str]:
        """The SHA-256 of its file and of those beside it."""
        others = {self.path.with_name(name): one.sha256 for name, one in self.beside.items()}
        return {self.path: self.sha256, **others}

    @property
    def networks(self) -> tuple[Model, ...]:
        """The models of networks: the parts of a pair, or the model itself."""
        return self.parts or (self,)


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

    @property
    def network(self) -> Network | None:
        """What is known of a network from a file; None for those of the catalogue."""


def spec_for(key: ModelKey) -> EmbedderSpec:
    """Return what the catalogue says of a model, or would say of a network from a file."""
    return spec_of_network(key.name, key.network) if key.network else spec_of(key.name)


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
        return _find_network(key, key.network)
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


def _find_network(key: ModelKey, network: Network) -> Model:
    found = cached_network(network.sha256)
    if found is None or found.network is None or found.network.format != network.format:
        again = key.name if network.origin else "PATH"
        raise ModelError(
            f"The index was built with {key.name} (SHA-256 {network.sha256[:12]}…), which is not "
            f"in {networks_folder()}; put it there with `pokesim embedders --prepare {again}`."
        )
    return replace(found, name=key.name, network=network)


def networks_folder() -> Path:
    """Return the folder of the cache with the networks from files."""
    return cache_dir() / "models" / "files"


def cached_networks() -> list[Model]:
    """Return the networks from files that are in the cache, by name."""
    found = (cached_network(card.parent.name) for card in networks_folder().glob("*/card.json"))
    return sorted((model for model in found if model), key=lambda one: one.name)


def cached_network(sha256: str) -> Model | None:
    """Return the network whose files have this hash, if it is in the cache and complete."""
    folder = networks_folder() / sha256
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        network = Network.from_fields(card["network"])
        files = {name: NetworkFile(**one) for name, one in card["files"].items()}
        if any((folder / name).stat().st_size != one.bytes for name, one in files.items()):
            return None
        main, *others = files
        size = sum(one.bytes for one in files.values())
        beside = {name: files[name] for name in others}
        path, digest = folder / main, files[main].sha256
        return Model(
            card["embedder"],
            sha256,
            EXPORT_VERSION,
            size,
            digest,
            True,
            path,
            None,
            (),
            network,
            beside,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def add_network(
    name: str, network: Network, draft: Path, files: Sequence[str], asked: str
) -> Model:
    """Move a draft folder with the files of a network into the cache, and write its card.

    Args:
        name: the name of the embedder.
        network: what is known of it.
        draft: a folder in the cache with these files and no others.
        files: their names; the first is the one that a runtime opens.
        asked: a hash of what the network was given with.

    Raises:
        ModelError: the cache cannot be written.
    """
    target = networks_folder() / network.sha256
    card: dict[str, Any] = {"embedder": name, "asked": asked, "network": network.to_fields()}
    is_new = cached_network(network.sha256) is None
    if is_new:
        card["files"] = {
            one: {"bytes": (draft / one).stat().st_size, "sha256": sha256_of(draft / one)}
            for one in files
        }
    else:  # only what is known of it has changed
        card["files"] = json.loads((target / CARD).read_text(encoding="utf-8"))["files"]
    text = (json.dumps(card, indent=1) + "\n").encode()
    try:
        if is_new:
            remove(target)  # incomplete
            (draft / CARD).write_bytes(text)
            publish_folder(draft, target)
        else:
            atomic_write(target / CARD, text)
    except OSError as error:
        if not cached_network(network.sha256):  # or another process has just put it there
            raise cache_error(target.parent, error.strerror) from error
    model = cached_network(network.sha256)
    assert model
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
        return _receive_network(model, model.network, contents)
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


def _receive_network(model: Model, network: Network, contents: Mapping[str, bytes]) -> Model:
    folder = networks_folder()
    draft = folder / f".draft-{secrets.token_hex(8)}"
    try:
        draft.mkdir(parents=True)
        for name, content in contents.items():
            (draft / name).write_bytes(content)
        return add_network(model.name, network, draft, [*contents], "")
    except OSError as error:
        raise cache_error(folder, error.strerror) from error
    finally:
        remove(draft)


def cache_error(folder: Path, reason: str | None) -> ModelError:
    """Return the error for a cache that cannot be written."""
    return ModelError(f"The cache {folder} cannot be written ({reason}).")


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
