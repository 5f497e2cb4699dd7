"""Fetch a network by name from the Hugging Face hub.

Only the network, its tokenizer and its configuration are fetched, at one commit, and each file is
compared with the hash that the hub states for it. Nothing of a repository is run, and no pickle is
fetched.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pokesim.cache import cache_error
from pokesim.embedders.catalog import EmbedderSpec, HubSource
from pokesim.embedders.embedder import Model
from pokesim.embedders.files.cache import cached_networks, networks_folder
from pokesim.embedders.files.register import register_source
from pokesim.embedders.files.source import MAX_BYTES, PLACES, TEXT_FILE, find_source
from pokesim.embedders.network import TOKENIZER, HubOrigin
from pokesim.errors import ModelError
from pokesim.files import sha256_of
from pokesim.threads import call_within

ANSWER_SECONDS = 20.0
"""Time limit for what the hub says about a repository."""

LEAST_RATE = 50_000
"""Bytes a second; a download that is slower is given up. It resumes when it is tried again."""

_CONFIGS = ("config.json", "preprocessor_config.json")

_TEXT_CONFIGS = (TOKENIZER, "tokenizer_config.json")

_WEIGHTS = ("_data", ".data")
"""What hubs append to an ONNX file's name for a file with its weights."""

Result = TypeVar("Result")

log = logging.getLogger(__name__)


def hub_network(spec: EmbedderSpec) -> Model:
    """Return the network of a row of the catalogue from the cache, fetching it if it is not there.

    Raises:
        ModelError: the hub is away, slow, or lacks it, or serves something else than it states.
    """
    if found := cached_hub_network(spec.name):
        return found
    assert spec.hub
    try:
        import huggingface_hub
        from huggingface_hub.utils import disable_progress_bars
        from huggingface_hub.utils import logging as hub_logging
    except ImportError as error:
        raise ModelError(
            f"{spec.name} is fetched by huggingface_hub, which is not installed; install it with "
            "`pip install 'pokesim[hub]'`."
        ) from error
    hub_logging.set_verbosity_error()  # it retries by itself, and what fails in the end is raised
    if not sys.stderr.isatty():
        disable_progress_bars()
    api = huggingface_hub.HfApi(os.environ.get("HF_ENDPOINT"), library_name="pokesim")
    log.info("Fetching %s from %s …", spec.name, spec.hub.repository)
    folder = networks_folder().parent / "hub" / spec.name
    commit = _fetch(api, spec.hub, folder)
    origin = HubOrigin(spec.hub.repository, commit)
    model = register_source(find_source(folder), spec.name, origin, spec.licence)
    shutil.rmtree(folder, ignore_errors=True)
    return model


def cached_hub_network(name: str) -> Model | None:
    """Return the network of a row of the catalogue if it is in the cache."""
    own = (one for one in cached_networks() if one.network and one.network.origin)
    return next((one for one in own if one.name == name), None)


def _fetch(api: Any, source: HubSource, folder: Path) -> str:
    """Fetch the files of a repository that are needed into a folder; return the commit."""
    repository = source.repository

    def ask() -> Any:
        return api.model_info(repository, revision=source.revision, files_metadata=True)

    found = _answer(repository, ANSWER_SECONDS, ask)
    if not re.fullmatch("[0-9a-f]{40,64}", str(found.sha)):
        raise ModelError(f"The hub does not say which commit of {repository} it serves.")
    listed = {one.rfilename: one for one in found.siblings or ()}
    wanted = _wanted(repository, listed)
    size = sum(one.size or 0 for one in wanted)
    if size > MAX_BYTES:
        raise ModelError(f"{repository} has {size:,} bytes; at most {MAX_BYTES:,} are fetched.")
    for one in wanted:
        fetch = _download(api, repository, str(found.sha), one.rfilename, folder)
        path = _answer(repository, ANSWER_SECONDS + (one.size or 0) / LEAST_RATE, fetch)
        _check_hash(repository, one, Path(path))
    return str(found.sha)


def _wanted(repository: str, listed: dict[str, Any]) -> list[Any]:
    main = next((place for place in PLACES if place in listed), None)
    if main is None or not main.endswith(".onnx"):
        raise ModelError(f"{repository} has no network in a file that pokesim takes.")
    text = str(PurePosixPath(main).with_name(TEXT_FILE))
    has_text = main.endswith("vision_model.onnx") and {text, TOKENIZER} <= listed.keys()
    networks = [text, main] if has_text else [main]
    configs = [*_CONFIGS, *(_TEXT_CONFIGS if has_text else ())]
    names = [*configs, *(one + ending for one in networks for ending in _WEIGHTS), *networks]
    return [listed[name] for name in names if name in listed]


def _download(api: Any, repository: str, commit: str, name: str, folder: Path) -> Callable[[], str]:
    def fetch() -> str:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cache_error(folder, error.strerror) from error
        path: str = api.hf_hub_download(repository, name, revision=commit, local_dir=folder)
        return path

    return fetch


def _answer(repository: str, seconds: float, ask: Callable[[], Result]) -> Result:
    """Return what the hub answers. Raises ModelError with the reason if it does not."""
    from huggingface_hub import errors

    try:
        return call_within(seconds, ask)
    except ModelError:
        raise
    except errors.GatedRepoError as error:
        reason = "is given only to those whom its owner has approved; log in with `hf auth login`"
        raise ModelError(f"{repository} {reason}.") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ModelError(f"The hub has no {repository}, or not for everybody.") from error
    except TimeoutError as error:
        raise ModelError(
            f"{repository} could not be fetched: the hub took over {seconds:.0f} s; try again, "
            "which resumes."
        ) from error
    except Exception as error:  # of its HTTP library, whose classes change with its versions
        reason = re.sub(r"^\[Errno -?\d+\] ", "", " ".join(str(error).split()))
        reason = reason[:200].rstrip(".") or type(error).__name__
        raise ModelError(
            f"{repository} could not be fetched ({reason}); let this machine reach the hub, or "
            "fetch the folder elsewhere and give it: --embedder ./FOLDER."
        ) from error


def _check_hash(repository: str, stated: Any, path: Path) -> None:
    """Compare a file with the hash that the hub states: of its content, or as Git computes it."""
    if stated.lfs:
        same = sha256_of(path, follow_links=False) == stated.lfs.sha256
    else:
        content = path.read_bytes()
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        same = digest.hexdigest() == stated.blob_id
    if not same:
        path.unlink()
        name = PurePosixPath(stated.rfilename).name
        raise ModelError(
            f"The hub served another {name} of {repository} than it states (its hash differs); it "
            "was removed; try again later."
        )
