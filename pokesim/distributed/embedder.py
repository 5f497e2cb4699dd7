"""A build's files to the workers of a dask cluster: what is checked first, and what is sent."""

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
from pokesim.build.loader import FileLoader, LoadedFile, nothing_known
from pokesim.distributed.dispatch import Dispatcher
from pokesim.distributed.worker_plugin import (
    EmbedderPlugin,
    check_worker,
    everything_known,
    lacks_model,
    readable_size,
)
from pokesim.embedders.catalog import BUNDLED, Compute, spec_of
from pokesim.embedders.model_cache import Model
from pokesim.errors import PokesimError

_BATCHES = 4
"""Batches in a chunk: enough that sending it costs little, few enough to do again."""

_SAMPLE = 16
"""So many of the files are looked at on each worker before the work begins."""

_SECONDS = 5
"""Time that the first worker may take to be there."""

_Seen: TypeAlias = tuple[str, LoadedFile, bool]
"""A file, what it is, and whether it is to be embedded."""

log = logging.getLogger(__name__)


class DaskWorkers:
    """The workers of one cluster.

    Attributes:
        count: how many there were when last looked at.
    """

    def __init__(self, client: Client, where: str) -> None:
        self._client = client
        self._where = where
        self.count = len(client.nthreads())

    def embedder(self, model: Model, compute: Compute) -> EmbedBatches:
        """Return what has them embed with a model."""
        return partial(self._embed, model, compute)

    def _embed(
        self,
        model: Model,
        compute: Compute,
        reader: FileLoader,
        paths: Sequence[str],
        batch_size: int,
    ) -> Generator[Batch, None, None]:
        there = replace(reader, root=reader.root.absolute(), is_known=nothing_known)
        size = _BATCHES * batch_size
        parts = ((None, paths[at : at + size]) for at in range(0, len(paths), size))
        self._check_versions()
        content = self._content_for(model)
        station = EmbedderPlugin(model, compute, content, list(_sizes(there.root, paths)))
        with self._stationed(station) as plugin:
            dimension = spec_of(model.name).dimension
            chunks = Dispatcher(self._client, plugin, batch_size, dimension, self._counted)
            if reader.is_known is nothing_known:
                for _, batch in chunks.in_order(there, parts):
                    yield batch
                return
            # Only this process knows which pictures it has, by their content. So the workers look
            # at all files first, and embed what is new among them in a second round.
            looked = chunks.in_order(replace(there, is_known=everything_known), parts)
            reads = (read for _, batch in looked for read in batch.reads)
            for seen, batch in chunks.in_order(there, _unknown(reader, paths, reads, size)):
                fresh = iter(batch.reads)
                yield Batch([next(fresh) if new else read for _, read, new in seen], batch.vectors)

    def _check_versions(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_SECONDS)
        except TimeoutError as error:
            raise PokesimError(
                f"The dask scheduler at {self._where} has no workers; start one, or more, with "
                f"`dask worker {self._where}`."
            ) from error
        own = metadata.version("pokesim")
        for address, found in self._asked(metadata.version, "pokesim").items():
            if found != own:
                has = "no pokesim" if isinstance(found, Exception) else f"pokesim {found}"
                raise PokesimError(
                    f"The worker {address} has {has}, and this machine {own}; "
                    f"`pip install 'pokesim[dask]=={own}'` there."
                )

    def _content_for(self, model: Model) -> bytes | None:
        """Return the model file, if a worker lacks the model."""
        if model.name == BUNDLED or not any(self._asked(lacks_model, model).values()):
            return None
        log.info("Sending the model of %s to the workers.", model.name)
        return model.path.read_bytes()

    @contextlib.contextmanager
    def _stationed(self, station: EmbedderPlugin) -> Iterator[str]:
        """Have a station on each worker, also on those that come later; yield its name."""
        name = f"pokesim-{uuid.uuid4().hex}"
        self._client.register_plugin(station, name=name)
        try:
            for address, problem in self._asked(check_worker, name).items():
                if isinstance(problem, PokesimError):
                    raise problem
                if isinstance(problem, Exception):
                    raise PokesimError(
                        f"The worker {address} failed when it loaded the network ({problem})."
                    )
            yield name
        finally:
            with contextlib.suppress(Exception):  # what ends the build is told, not this
                self._client.unregister_worker_plugin(name)

    def _asked(self, call: Callable[..., object], *args: object) -> dict[str, object]:
        """Call something on every worker; return what it gave or raised, by address."""
        found: dict[str, object] = self._client.run(call, *args, on_error="return")
        self._counted(len(found))
        return found

    def _counted(self, count: int) -> None:
        self.count = count


def _unknown(
    reader: FileLoader, paths: Sequence[str], reads: Iterable[LoadedFile], size: int
) -> Iterator[tuple[list[_Seen], list[str]]]:
    """Yield files that were looked at, some at a time, and those of them to be embedded."""
    files = (
        (path, read, read.item is not None and not reader.is_known(read.item))
        for path, read in zip(paths, reads, strict=True)
    )
    for seen in batches(files, size, itemgetter(2)):
        yield seen, [path for path, _, new in seen if new]


def _sizes(root: Path, paths: Sequence[str]) -> Iterator[tuple[Path, int]]:
    """Yield some of the files that can be read here, and their bytes."""
    for path in paths[:: math.ceil(len(paths) / _SAMPLE)]:
        with contextlib.suppress(OSError):
            yield root / path, readable_size(root / path)
