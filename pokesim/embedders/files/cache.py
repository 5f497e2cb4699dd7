"""The networks from files that are in the cache, each in a folder of its own, by its hash.

``$CACHE/models/files/HASH`` holds the files of a network and a *card*, which says what they are.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pokesim.cache import cache_dir, cache_error
from pokesim.embedders.embedder import EXPORT_VERSION, Model, ModelKey
from pokesim.embedders.network import Network, NetworkFile
from pokesim.errors import ModelError
from pokesim.files import atomic_write, publish_folder, remove, sha256_of

CARD = "card.json"
"""The file, beside those of a network, that says what they are."""


def find_network(key: ModelKey, network: Network) -> Model:
    """Return the network from a file that an index was built with.

    Raises:
        ModelError: it is not on this machine; the message says how to get it.
    """
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
        return Model(
            name=card["embedder"],
            weights_sha256=sha256,
            export_version=EXPORT_VERSION,
            bytes=sum(one.bytes for one in files.values()),
            sha256=files[main].sha256,
            published=True,
            path=folder / main,
            network=network,
            beside={name: files[name] for name in others},
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


def receive_network(model: Model, network: Network, contents: Mapping[str, bytes]) -> Model:
    """Add a network that another machine has to the cache.

    Args:
        model: its model there.
        network: what is known of it.
        contents: the bytes of its files, by name.

    Raises:
        ModelError: the cache cannot be written.
    """
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
