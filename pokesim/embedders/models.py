"""From an embedder's name to a model file that runs: weights found, hashed, exported once, cached.

An exported model is ``$CACHE/models/NAME-WEIGHTSHASH-vN.tflite`` with a small ``.json`` beside it
that holds its own size and hash. The bundled embedder is a file of this package.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pokesim.cache import cache_dir, sha256_of
from pokesim.embedders.catalog import AUTO, BUNDLED, CATALOG, PREFERRED, EmbedderSpec, spec_of
from pokesim.errors import ModelError

EXPORT_VERSION = 1
"""Raised when `keras_export` writes a different graph for the same weights."""

BUNDLED_FILE = Path(__file__).parent / "compact" / "model.tflite"
PROBE_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Model:
    """A model file at hand, and what it is.

    Attributes:
        embedder: name in the catalogue.
        weights_sha256: of the weights it was made from; two indexes match if theirs do.
        export_version: `EXPORT_VERSION` when it was made.
        bytes, sha256: of the model file.
        published: made from the weights that Keras publishes (not from a file someone gave).
        path: the model file.
        weights: the file it was made from, if that is still at hand.
    """

    embedder: str
    weights_sha256: str
    export_version: int
    bytes: int
    sha256: str
    published: bool
    path: Path
    weights: Path | None = None


@dataclass(frozen=True, slots=True)
class Shelved:
    """An embedder of the catalogue and what of it is on this machine.

    Attributes:
        spec: the catalogue's row.
        state: are its weights at hand: "yes"; "yes, to export" (in Keras' cache); "own weights"
            (exported from a file that was given; such files are not taken unasked); "no".
        bytes: of the model file, or of the weights if it is yet to be exported; 0 if neither.
    """

    spec: EmbedderSpec
    state: str
    bytes: int


def prepare(name: str, weights: Path | None = None) -> Model:
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
        return bundled()
    if weights is None:
        return published(spec) or _export(spec, _published_weights(spec), is_published=True)
    if not weights.is_file():
        raise ModelError(f"There is no weights file {weights}.")
    return _export(spec, weights, is_published=False)


def _prepare_auto(weights: Path | None) -> Model:
    spec = spec_of(PREFERRED)
    if weights or weights_at_hand(spec):
        return _announced(prepare(PREFERRED, weights), "its weights are at hand")
    if not _downloadable(spec):
        why = f"{PREFERRED}'s weights are neither on this machine nor can they be downloaded"
        return _announced(bundled(why), why)
    try:
        return _announced(prepare(PREFERRED), "its weights could be downloaded")
    except ModelError as error:
        log.info("%s", error)
        return _announced(bundled(), f"{PREFERRED}'s weights could not be downloaded")


def _announced(model: Model, why: str) -> Model:
    log.info("Embedder: %s (%s; --embedder chooses another).", model.embedder, why)
    return model


def bundled(why: str = "") -> Model:
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


def find(name: str, weights_sha256: str, export_version: int) -> Model:
    """Return the model an index was built with, without making it.

    Raises:
        ModelError: it is not on this machine, or is damaged; the message says how to get it.
    """
    if name == BUNDLED:
        model = bundled()
        if model.weights_sha256 != weights_sha256:
            raise ModelError(
                f"The index was built with another version of {BUNDLED} "
                f"({weights_sha256[:12]}…, here {model.weights_sha256[:12]}…); build it again."
            )
        return model
    path = _model_path(name, weights_sha256, export_version)
    found = _read_card(path)
    if found is None:
        raise ModelError(
            f"The index was built with {name} from weights {weights_sha256[:12]}…, whose model is "
            f"not in {path.parent}; make it there with `pokesim embedders --prepare {name}` "
            "(and --weights FILE, if the weights were your own)."
        )
    return found


def receive(model: Model, content: bytes) -> Model:
    """Put a model that another machine has exported into the cache.

    Args:
        model: what it is there.
        content: the bytes of the model file.

    Raises:
        ModelError: they are not the model's, or the cache cannot be written.
    """
    if hashlib.sha256(content).hexdigest() != model.sha256:
        raise ModelError(f"The model of {model.embedder} did not arrive whole.")
    path = _model_path(model.embedder, model.weights_sha256, model.export_version)
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


def exported(name: str) -> list[Model]:
    """List the exported models of an embedder in the cache."""
    cards = sorted((cache_dir() / "models").glob(f"{name}-*-v{EXPORT_VERSION}.json"))
    found = [_read_card(card.with_suffix(".tflite")) for card in cards]
    return [model for model in found if model and model.embedder == name]


def inventory() -> list[Shelved]:
    """List every embedder of the catalogue with what of it is on this machine."""
    return [_shelved(spec) for spec in CATALOG.values()]


def _shelved(spec: EmbedderSpec) -> Shelved:
    if spec.keras is None:
        size = BUNDLED_FILE.stat().st_size if BUNDLED_FILE.is_file() else 0
        return Shelved(spec, "yes" if size else "no", size)
    if model := published(spec):
        return Shelved(spec, "yes", model.bytes)
    if _keras_cache(spec).is_file():
        return Shelved(spec, "yes, to export", _keras_cache(spec).stat().st_size)
    if own := exported(spec.name):
        return Shelved(spec, "own weights", own[0].bytes)
    return Shelved(spec, "no", 0)


def published(spec: EmbedderSpec) -> Model | None:
    """Return the model exported from the published weights, if it is in the cache."""
    found = next((model for model in exported(spec.name) if model.published), None)
    at_hand = _keras_cache(spec).is_file()
    return replace(found, weights=_keras_cache(spec)) if found and at_hand else found


def weights_at_hand(spec: EmbedderSpec) -> bool:
    """Say whether an embedder can be used at once, without a network."""
    if spec.keras is None:
        return BUNDLED_FILE.is_file()
    return published(spec) is not None or _keras_cache(spec).is_file()


def _keras_cache(spec: EmbedderSpec) -> Path:
    assert spec.keras is not None
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home) / "models" / spec.keras.weights_file


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
    reason = _run_export_room("download", spec.name, progress=True)
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
    reason = _run_export_room("export", spec.name, os.fspath(weights), os.fspath(path))
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


def _no_cache(folder: Path, reason: str | None) -> ModelError:
    return ModelError(f"The cache {folder} cannot be written ({reason}).")


def _run_export_room(*arguments: str, progress: bool = False) -> str:
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


def _model_path(name: str, weights_sha256: str, export_version: int) -> Path:
    return cache_dir() / "models" / f"{name}-{weights_sha256[:16]}-v{export_version}.tflite"


def _write_card(model: Model) -> None:
    card = asdict(model)
    del card["path"], card["weights"]
    part = model.path.with_name(f".{model.path.stem}.{os.getpid()}.json")
    part.write_text(json.dumps(card, indent=1) + "\n")
    part.replace(model.path.with_suffix(".json"))


def _read_card(path: Path) -> Model | None:
    """Return the model at ``path``, or None if it is not there or not whole."""
    try:
        model = Model(**json.loads(path.with_suffix(".json").read_text()), path=path)
        return model if path.stat().st_size == model.bytes else None
    except (OSError, ValueError, TypeError):
        return None
