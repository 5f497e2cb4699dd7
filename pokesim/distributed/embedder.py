"""Embed the files of a build on the workers of a dask cluster, after checking the workers."""

from __future__ import annotations

import contextlib
import logging
import math
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib import metadata
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from distributed import Client

from pokesim.build.batches import Batch, EmbedBatches, batches
from pokesim.build.loader import FileLoader, LoadedFile
from pokesim.distributed.dispatch import Dispatcher
from pokesim.distributed.worker_plugin import (
    EmbedderPlugin,
    check_worker,
    everything_known,
    lacks_model,
    readable_size,
)
from pokesim.embedders.catalog import BUNDLED, Compute
from pokesim.embedders.embedder import Model, spec_for
from pokesim.embedders.model_cache import contents_of
from pokesim.errors import PokesimError
from pokesim.index.item import Item

_CHUNK_BATCHES = 4
"""Batches in a chunk: enough that sending it costs little, few enough to embed again."""

_SAMPLE = 16
"""Files whose size each worker compares before the first chunk."""

_SECONDS = 5
"""How long to wait for the first worker."""

_Checked: TypeAlias = tuple[str, LoadedFile, bool]
"""A path, its file, and whether it must be embedded."""

log = logging.getLogger(__name__)


class DaskWorkers:
    """The workers of one cluster; a `pokesim.build.batches.Workers`.

    Attributes:
        count: how many there were at the last count.
    """

    def __init__(self, client: Client, where: str) -> None:
        """Count the workers.

        Args:
            client: the cluster.
            where: the scheduler's address, or the number of local processes, for messages.
        """
        self._client = client
        self._where = where
        self.count = len(client.nthreads())

    def embedder(self, model: Model, compute: Compute) -> EmbedBatches:
        """Return a function that embeds with a model on the workers."""
        return partial(self._embed, model, compute)

    def _embed(
        self,
        model: Model,
        compute: Compute,
        loader: FileLoader,
        paths: Sequence[str],
        batch_size: int,
    ) -> Generator[Batch, None, None]:
        remote = replace(loader, root=loader.root.absolute(), is_known=None)
        size = _CHUNK_BATCHES * batch_size
        chunks = ((None, paths[start : start + size]) for start in range(0, len(paths), size))
        self._check_versions()
        sent = {one.name: contents_of(one) for one in self._lacking(model)}
        plugin = EmbedderPlugin(model, compute, sent, list(_sizes(remote.root, paths)))
        with self._installed(plugin) as name:
            dimension = spec_for(model).dimension
            dispatcher = Dispatcher(self._client, name, batch_size, dimension, self._set_count)
            if loader.is_known is None:
                for _, batch in dispatcher.map_chunks(remote, chunks):
                    yield batch
                return
            # Only this process knows the vectors of the previous snapshot, by the pictures' hashes.
            # So the workers first hash all files, and then embed those that are new.
            hashed = dispatcher.map_chunks(replace(remote, is_known=everything_known), chunks)
            files = (file for _, batch in hashed for file in batch.reads)
            new_chunks = _chunks_to_embed(loader.is_known, paths, files, size)
            for checked, batch in dispatcher.map_chunks(remote, new_chunks):
                embedded = iter(batch.reads)
                yield Batch(
                    [next(embedded) if new else file for _, file, new in checked], batch.vectors
                )

    def _check_versions(self) -> None:
        """Check that there are workers, with the same version of pokesim. Raises PokesimError."""
        try:
            self._client.wait_for_workers(1, timeout=_SECONDS)
        except TimeoutError as error:
            raise PokesimError(
                f"The dask scheduler at {self._where} has no workers; start one or more with "
                f"`dask worker {self._where}`."
            ) from error
        own = metadata.version("pokesim")
        for address, found in self._run_on_all(metadata.version, "pokesim").items():
            if found != own:
                has = "no pokesim" if isinstance(found, Exception) else f"pokesim {found}"
                raise PokesimError(
                    f"The worker {address} has {has}, and this machine {own}; "
                    f"run `pip install 'pokesim[dask]=={own}'` there."
                )

    def _lacking(self, model: Model) -> Iterator[Model]:
        """Yield the exported models, among those of a model's networks, that a worker lacks."""
        for network in model.networks:
            if network.name != BUNDLED and any(self._run_on_all(lacks_model, network).values()):
                log.info("Sending the model of %s to the workers.", network.name)
                yield network

    @contextlib.contextmanager
    def _installed(self, plugin: EmbedderPlugin) -> Iterator[str]:
        """Install a plugin on each worker, also on those that join later; yield its name.

        Raises:
            PokesimError: a worker cannot embed.
        """
        name = f"pokesim-{uuid.uuid4().hex}"
        self._client.register_plugin(plugin, name=name)
        try:
            for address, error in self._run_on_all(check_worker, name).items():
                if isinstance(error, PokesimError):
                    raise error
                if isinstance(error, Exception):
                    raise PokesimError(
                        f"The worker {address} failed to load the model ({error})."
                    ) from error
            yield name
        finally:
            with contextlib.suppress(Exception):  # the error that ended the build matters more
                self._client.unregister_worker_plugin(name)

    def _run_on_all(self, call: Callable[..., object], *args: object) -> dict[str, object]:
        """Call a function on every worker; return its result or its exception, by address."""
        found: dict[str, object] = self._client.run(call, *args, on_error="return")
        self._set_count(len(found))
        return found

    def _set_count(self, count: int) -> None:
        self.count = count


def _chunks_to_embed(
    is_known: Callable[[Item], bool],
    paths: Sequence[str],
    files: Iterable[LoadedFile],
    size: int,
) -> Iterator[tuple[list[_Checked], list[str]]]:
    """Divide hashed files into chunks; yield each with the paths of its files to embed."""
    marked = (
        (path, file, file.item is not None and not is_known(file.item))
        for path, file in zip(paths, files, strict=True)
    )
    for checked in batches(marked, size, itemgetter(2)):
        yield checked, [path for path, _, new in checked if new]


def _sizes(root: Path, paths: Sequence[str]) -> Iterator[tuple[Path, int]]:
    """Yield a sample of the files that can be read here, with their sizes in bytes."""
    for path in paths[:: math.ceil(len(paths) / _SAMPLE)]:
        with contextlib.suppress(OSError):
            yield root / path, readable_size(root / path)
