"""From an embedder's name to its model: find or download the weights, export them once."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import replace
from pathlib import Path

from pokesim.embedders.catalog import AUTO, PREFERRED, EmbedderSpec, spec_of
from pokesim.embedders.model_cache import (
    EXPORT_VERSION,
    Model,
    _keras_cache,
    _model_path,
    _no_cache,
    _read_card,
    _write_card,
    bundled_model,
    log,
    published_model,
    weights_at_hand,
)
from pokesim.errors import ModelError
from pokesim.files import sha256_of

PROBE_SECONDS = 5.0


def prepare_model(name: str, weights: Path | None = None) -> Model:
    """Make an embedder's model ready, exporting it if this is its first use.

    Args:
        name: a name of the catalogue, or "auto".
        weights: a local weights file in place of the published ImageNet weights.

    Raises:
        UsageError: no such embedder.
        ModelError: the weights cannot be had, read or used.
    """
    if name == AUTO:
        return _prepare_auto(weights)
    spec = spec_of(name)
    if spec.keras is None:
        if weights:
            raise ModelError(f"{name} ships with its weights; --weights is for Keras networks.")
        return bundled_model()
    if weights is None:
        return published_model(spec) or _export(spec, _published_weights(spec), is_published=True)
    if not weights.is_file():
        raise ModelError(f"There is no weights file {weights}.")
    return _export(spec, weights, is_published=False)


def _prepare_auto(weights: Path | None) -> Model:
    spec = spec_of(PREFERRED)
    if weights or weights_at_hand(spec):
        return _announced(prepare_model(PREFERRED, weights), "its weights are at hand")
    if not _downloadable(spec):
        why = f"{PREFERRED}'s weights are neither on this machine nor can they be downloaded"
        return _announced(bundled_model(why), why)
    try:
        return _announced(prepare_model(PREFERRED), "its weights could be downloaded")
    except ModelError as error:
        log.info("%s", error)
        return _announced(bundled_model(), f"{PREFERRED}'s weights could not be downloaded")


def _announced(model: Model, why: str) -> Model:
    log.info("Embedder: %s (%s; --embedder chooses another).", model.name, why)
    return model


def _published_weights(spec: EmbedderSpec) -> Path:
    """Return the published weights in Keras' cache, downloading them if they are not there."""
    assert spec.keras is not None
    path = _keras_cache(spec)
    if path.is_file():
        return path
    ways_out = (
        f"Either let this machine reach {spec.keras.weights_url}, "
        f"or give a local file: --embedder {spec.name} --weights FILE.h5."
    )
    if not _downloadable(spec):
        raise ModelError(
            f"The weights of {spec.name} are not in {path.parent} and cannot be downloaded. "
            + ways_out
        )
    log.info("Downloading the weights of %s …", spec.name)
    reason = _run_export("download", spec.name, progress=True)
    if reason or not path.is_file():
        raise ModelError(f"The weights of {spec.name} did not arrive ({reason}). {ways_out}")
    return path


def _downloadable(spec: EmbedderSpec) -> bool:
    from pokesim import net

    return spec.keras is not None and net.reachable(spec.keras.weights_url, PROBE_SECONDS)


def _export(spec: EmbedderSpec, weights: Path, is_published: bool) -> Model:
    """Return the cached model of these weights, exported now if need be."""
    try:
        digest = sha256_of(weights)
    except OSError as error:
        raise ModelError(
            f"The weights file {weights} cannot be read ({error.strerror})."
        ) from error
    path = _model_path(spec.name, digest, EXPORT_VERSION)
    if model := _read_card(path):
        return replace(model, weights=weights)
    log.info("Exporting %s to LiteRT; this happens once for these weights …", spec.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_cache(path.parent, error.strerror) from error
    reason = _run_export("export", spec.name, os.fspath(weights), os.fspath(path))
    if (full := os.strerror(errno.ENOSPC)) in reason:
        raise _no_cache(path.parent, full)
    if reason:
        raise ModelError(f"The weights file {weights} cannot be used for {spec.name} ({reason}).")
    model = Model(
        spec.name,
        digest,
        EXPORT_VERSION,
        path.stat().st_size,
        sha256_of(path),
        is_published,
        path,
        weights,
    )
    try:
        _write_card(model)
    except OSError as error:
        raise _no_cache(path.parent, error.strerror) from error
    return model


def _run_export(*arguments: str, progress: bool = False) -> str:
    """Run `keras_export` in a process of its own; return why it failed, or an empty string."""
    import subprocess
    import tempfile

    from pokesim.embedders.keras_export import REASON_MARK

    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "pokesim.embedders.keras_export", *arguments]
    # Keras draws its download bar on standard output; ours is kept for results.
    show = sys.stderr.fileno() if progress and sys.stderr.isatty() else subprocess.DEVNULL
    with tempfile.TemporaryFile() as noise:
        done = subprocess.run(
            command, env=os.environ | quiet, stdout=show, stderr=noise, check=False
        )
        noise.seek(0)
        lines = noise.read().decode(errors="replace").strip().splitlines()
    if done.returncode == 0:
        return ""
    log.debug("%s", "\n".join(lines))
    last = lines[-1] if lines else f"exit code {done.returncode}"
    return last.removeprefix(REASON_MARK).rstrip(" .:")
