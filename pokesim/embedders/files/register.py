"""Copy a network that somebody gave into the cache, once it has been checked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from pokesim.cache import cache_error
from pokesim.embedders.embedder import Model
from pokesim.embedders.files.cache import CARD, add_network, cached_network, networks_folder
from pokesim.embedders.files.source import ENDINGS, Source, find_source
from pokesim.embedders.network import HubOrigin, Network, NetworkFile, files_sha256
from pokesim.errors import ModelError
from pokesim.files import sha256_of

CHECK_SECONDS = 180
"""Time limit for loading, converting and trying a network."""

_BASE_MEMORY, _TIMES = 4 << 30, 6
"""The memory that this may take: so much, and so many times the size of the files."""

log = logging.getLogger(__name__)


def is_path(name: str) -> bool:
    """Return whether an embedder's name is that of a file or folder, not one of the catalogue."""
    if os.sep in name or "/" in name or name.lower().endswith(ENDINGS):
        return True
    with contextlib.suppress(OSError, ValueError):  # it is no path
        return Path(name).exists()
    return False


def register_network(path: Path) -> Model:
    """Copy a network into the cache, unless it is there, once another process has tried it.

    Args:
        path: an ONNX, LiteRT, OpenVINO or Keras file, or a folder as hubs publish them.

    Raises:
        ModelError: there is none, or it is none that pokesim takes; the message says why.
    """
    return register_source(find_source(path))


def register_source(
    source: Source, name: str | None = None, origin: HubOrigin | None = None, licence: str = ""
) -> Model:
    """Copy the files of a network into the cache; see `register_network`.

    Args:
        source: the files.
        name: of the embedder, in place of that of the file.
        origin: where on the hub they came from.
        licence: of the weights, where the settings do not say it.
    """
    with _draft() as draft:
        names = _copied(source, draft)
        files = {one: _file(draft / one) for one in names}
        name = name or _name(source)
        settings = json.dumps(asdict(source.settings), sort_keys=True)
        known = cached_network(files_sha256(files))
        asked = hashlib.sha256(f"{settings} {name} {origin} {licence}".encode()).hexdigest()
        if known and known.network and _asked(known) == asked:
            return known
        log.info("Trying %s … (once)", name)
        network, kept, note = _checked(source, draft, names, files)
        network = replace(network, origin=origin, licence=network.licence or licence)
        if note:
            log.info("%s: %s.", name, note)
        for one in set(names) - set(kept):
            (draft / one).unlink()
        return add_network(name, network, draft, kept, asked)


def _asked(model: Model) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError):
        return str(json.loads(model.path.with_name(CARD).read_text(encoding="utf-8"))["asked"])
    return ""


@contextlib.contextmanager
def _draft() -> Iterator[Path]:
    """Yield a new folder in the cache, which is removed if it is still there at the end."""
    folder = networks_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=".draft-", dir=folder, ignore_cleanup_errors=True
        ) as draft:
            # Its content moves into the cache; the folder itself stays to be removed.
            inner = Path(draft, "network")
            inner.mkdir()
            yield inner
    except OSError as error:
        raise cache_error(folder, error.strerror) from error


def _copied(source: Source, draft: Path) -> list[str]:
    try:
        return source.copy_to(draft)
    except ModelError as error:
        text = str(error)
        inside = text.startswith(source.path.name)
        raise ModelError(f"{source.path.parent / text}" if inside else text) from error


def _file(path: Path) -> NetworkFile:
    return NetworkFile(path.stat().st_size, sha256_of(path))


def _name(source: Source) -> str:
    """Return the embedder's name: that of the file or folder, with an ending, in plain letters.

    The ending tells it from the names of the catalogue, which have none.
    """
    plain = re.sub(r"[^a-z0-9_-]+", "-", (source.settings.name or source.title).lower()).strip("-")
    return f"{plain[:50] or 'network'}{source.path.suffix.lower()}"


def _checked(
    source: Source, draft: Path, names: list[str], files: dict[str, NetworkFile]
) -> tuple[Network, list[str], str]:
    """Check a network in a separate process. Raises ModelError with the reason to refuse it."""
    memory = _BASE_MEMORY + _TIMES * sum(one.bytes for one in files.values())
    request = {
        "folder": os.fspath(draft),
        "names": names,
        "settings": asdict(source.settings),
        "files": {name: asdict(one) for name, one in files.items()},
        "memory": memory,
    }
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "pokesim.embedders.files.check", json.dumps(request)]
    try:
        done = subprocess.run(
            command,
            env=os.environ | quiet,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHECK_SECONDS,
            check=False,
        )
        log.debug("%s", done.stderr.decode(errors="replace"))
        found = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        found = {"reason": f"trying it took over {CHECK_SECONDS} s"}
    except ValueError:
        found = {
            "reason": f"loading it ended the process that tried it, with code {done.returncode}"
        }
    if "reason" in found:
        raise ModelError(f"{source.path} cannot be used: {found['reason']}.")
    return Network.from_fields(found["network"]), list(found["kept"]), str(found["note"])
