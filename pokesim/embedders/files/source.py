"""Which files a path to a network stands for; they are opened only if they are what they seem."""

from __future__ import annotations

import re
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pokesim.embedders.files.onnx_format import external_files
from pokesim.embedders.files.settings import (
    SETTINGS_FILE,
    Settings,
    SettingsError,
    of_config,
    of_preprocessor,
    of_tokenizer,
    of_toml,
)
from pokesim.embedders.network import TOKENIZER
from pokesim.errors import ModelError
from pokesim.files import open_regular

ENDINGS = (".onnx", ".tflite", ".xml", ".keras")
"""The files that pokesim takes, by their endings."""

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".safetensors")
"""Weights without a network, most of them pickles."""

PLACES = (
    "onnx/vision_model.onnx",
    "vision_model.onnx",
    "onnx/model.onnx",
    "model.onnx",
    "model.tflite",
    "openvino_model.xml",
    "model.xml",
    "model.keras",
)
"""Where hubs put the network in a folder; the first that is there is taken."""

MAX_BYTES = 4 << 30
"""The largest network, with its weights: 4 GiB, a billion of them."""

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+ -]{0,89}")
"""A name that every system takes, and a manifest."""

MAX_TOKENIZER = 64 << 20
"""The largest tokenizer; that of SigLIP 2, with 256,000 tokens, has half as many bytes."""

TEXT_FILE = "text_model.onnx"
"""What hubs call the part for text, beside that for pictures."""

_MAX_CONFIG = 8 << 20

_MAX_EXTERNAL = 16
"""The most files with the weights of one ONNX file."""

_CONFIGS = {
    SETTINGS_FILE: of_toml,
    "preprocessor_config.json": of_preprocessor,
    "tokenizer_config.json": of_tokenizer,
    "config.json": of_config,
}
"""The configuration files, those that decide first."""


@dataclass(frozen=True, slots=True)
class Source:
    """The files of a network that somebody gave.

    Attributes:
        path: the file that a runtime opens.
        beside: those with its weights, in the same folder.
        settings: what the configuration files say.
        title: what the network is called if they do not say it.
        follow: whether ``path`` may be a link, because the user named it.
        text: the file with the part for text and its tokenizer, if there are both.
    """

    path: Path
    settings: Settings
    title: str
    follow: bool
    beside: list[Path] = field(default_factory=list)
    text: tuple[Path, Path] | None = None

    def copy_to(self, folder: Path) -> list[str]:
        """Copy the files into a folder; return their names there, that of ``path`` first.

        What is copied is what is used: nobody can exchange a file between a check and its use.

        Raises:
            ModelError: one is missing, a link, too large, or not of its format.
            OSError: the folder cannot be written.
        """
        ending = self.path.suffix.lower()
        stem = self.path.stem if _PLAIN.fullmatch(self.path.stem) else "model"
        main = folder / f"{stem}{ending}"
        _copy(self.path, main, self.follow, MAX_BYTES)
        names = [main.name]
        beside = {one: f"{stem}{one.suffix}" for one in self.beside}
        beside |= {one: one.name for one in _external(main, self.path)}
        if self.text:
            model, tokenizer = self.text
            _copy(tokenizer, folder / TOKENIZER, False, MAX_TOKENIZER)
            _copy(model, folder / TEXT_FILE, False, MAX_BYTES)
            names += [TOKENIZER, TEXT_FILE]
            beside |= {one: one.name for one in _external(folder / TEXT_FILE, model)}
        for other, name in beside.items():
            _copy(other, folder / name, False, MAX_BYTES)
            names.append(name)
        if main.suffix == ".keras":
            _check_archive(main)
        return names


def find_source(path: Path) -> Source:
    """Find the files of a network.

    Args:
        path: a file, or a folder as hubs publish them.

    Raises:
        ModelError: there is none that pokesim takes.
    """
    try:
        if path.is_dir():
            return _in_folder(path)
        if not path.exists():
            raise ModelError(f"There is no file or folder {path} with a network.")
    except (OSError, ValueError) as error:  # or it is no path
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"{path} cannot be read ({reason}).") from error
    _check_ending(path)
    title = path.stem
    if title in ("model", "vision_model"):  # its folder says more
        folders = path.absolute().parents
        title = folders[folders[0].name == "onnx"].name
    folder = path.parent
    return _source(path, folder.parent if folder.name == "onnx" else folder, title, follow=True)


def _in_folder(folder: Path) -> Source:
    title = folder.absolute().name
    for place in PLACES:
        if (folder / place).is_symlink() or (folder / place).exists():
            for part in {folder / place, (folder / place).parent} - {folder}:
                if part.is_symlink():
                    raise ModelError(
                        f"{part} cannot be used (it is a link, which is not followed)."
                    )
            return _source(folder / place, folder, title, follow=False)
    others = sorted(one for one in folder.iterdir() if one.suffix.lower() in ENDINGS)
    if len(others) == 1:
        return _source(others[0], folder, title, follow=False)
    if others:
        raise ModelError(f"{folder} holds several networks; name one, such as {others[0]}.")
    pickled = next((one for one in sorted(folder.iterdir()) if one.suffix in PICKLES), None)
    if pickled:
        _check_ending(pickled)
    raise ModelError(f"{folder} holds no network: no {', '.join(PLACES[:4])} or {ENDINGS[1]} file.")


def _source(path: Path, folder: Path, title: str, *, follow: bool) -> Source:
    settings, text = Settings(), _text_part(path, folder)
    for name, read in _CONFIGS.items():
        config = _beside(path, folder, name)
        if config is None or (read is of_tokenizer and text is None):
            continue
        try:
            settings = settings.over(read(_text_of(config)))
        except SettingsError as error:
            raise ModelError(f"{config.parent}: {error}.") from error
    weights = path.with_suffix(".bin")
    beside = [weights] if path.suffix.lower() == ".xml" else []
    return Source(path, settings, title, follow, beside, text)


def _beside(path: Path, folder: Path, name: str) -> Path | None:
    """Return the file of a network with this name: beside an ``onnx`` folder, or in it."""
    places = dict.fromkeys((path.parent / name, folder / name))
    return next((one for one in places if one.is_symlink() or one.exists()), None)


def _text_part(path: Path, folder: Path) -> tuple[Path, Path] | None:
    """Return the file with the part for text beside that for pictures, and its tokenizer."""
    if "vision_model" not in path.name or path.suffix.lower() != ".onnx":
        return None
    name = path.name.replace("vision_model", "text_model")
    model, tokenizer = _beside(path, path.parent, name), _beside(path, folder, TOKENIZER)
    return (model, tokenizer) if model and tokenizer else None


def _check_ending(path: Path) -> None:
    ending = path.suffix.lower()
    if ending in PICKLES:
        raise ModelError(
            f"{path} holds weights without a network, or a pickle, which could run any program; "
            f"pokesim takes {', '.join(ENDINGS)}, so export the network to ONNX."
        )
    if ending not in ENDINGS:
        raise ModelError(f"{path} is no network that pokesim takes ({', '.join(ENDINGS)}).")


def _text_of(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            text = file.read(_MAX_CONFIG + 1)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from error
    if len(text) > _MAX_CONFIG:
        raise ModelError(f"{path} has more than {_MAX_CONFIG >> 20} MiB, too much for settings.")
    return text


def _copy(source: Path, target: Path, follow: bool, most: int) -> None:
    try:
        file = open_regular(source, follow_links=follow)
    except OSError as error:
        raise ModelError(f"{source} cannot be used ({error.strerror}).") from error
    with file, target.open("xb") as copy:
        size = file.seek(0, 2)
        if not 0 < size <= most:
            raise ModelError(f"{source} has {size:,} bytes; from 1 to {most:,} are possible.")
        file.seek(0)
        shutil.copyfileobj(file, copy, 1 << 20)


def _external(copied: Path, source: Path) -> list[Path]:
    """Return the files with the weights of an ONNX file, which must lie beside it."""
    if copied.suffix.lower() != ".onnx":
        return []
    try:
        names = sorted(external_files(copied))
    except ValueError as error:
        raise ModelError(f"{source} is damaged, or not ONNX ({error}).") from error
    if len(names) > _MAX_EXTERNAL:
        raise ModelError(f"{source} has weights in {len(names)} files; at most {_MAX_EXTERNAL}.")
    for name in names:
        plain = PurePosixPath(name).name
        if name != plain or not _PLAIN.fullmatch(name):
            raise ModelError(
                f"{source} has weights in {name[:80]!r}, which is no plain name of a file there."
            )
    return [source.parent / name for name in names]


def _check_archive(path: Path) -> None:
    """Check a ``.keras`` file, which is a zip archive, before anything unpacks it."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(f"{path.name} is damaged, or not a Keras file.") from error
    known = {"config.json", "metadata.json", "model.weights.h5"}
    if {entry.filename for entry in entries} - known or len(entries) != len(known):
        raise ModelError(f"{path.name} holds other files than a Keras network does.")
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise ModelError(f"{path.name} unpacks to more than {MAX_BYTES:,} bytes.")
