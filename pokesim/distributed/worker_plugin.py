"""What a worker of a dask cluster has while a build lasts: one network, loaded once.

This module runs on the workers. A `Station` comes to each of them as a dask plugin, also to those
that join later.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Worker, WorkerPlugin, get_worker

from pokesim.build.batches import Batch, embed_locally
from pokesim.build.loader import FileLoader
from pokesim.embedders.catalog import Compute, Runtime
from pokesim.embedders.model_cache import Model, find_model, receive_model
from pokesim.embedders.runtimes import Embedder, open_embedder
from pokesim.errors import ModelError, PokesimError
from pokesim.threads import use_cores


class EmbedderPlugin(WorkerPlugin):
    """Checks a worker and loads its network, before it looks into the first files."""

    def __init__(
        self,
        model: Model,
        compute: Compute,
        content: bytes | None,
        sizes: Sequence[tuple[Path, int]],
    ) -> None:
        """Say what is to run.

        Args:
            model: the network's model, as it is on the machine that builds.
            compute: what runs it.
            content: the model file, for workers that lack it; None: they have it.
            sizes: some of the files, and the bytes that each has on the machine that builds.
        """
        self._model = model
        self._compute = compute
        self._content = content
        self._sizes = sizes
        self._network: Embedder | None = None

    def setup(self, worker: Worker) -> None:
        """Arrive on a worker. Loading would keep it from answering, so it is left for later."""
        self._lock = threading.Lock()
        self._address = worker.address
        self._cores = worker.state.nthreads

    def network(self) -> Embedder:
        """Return the network; only after this worker has turned out to be fit for the build.

        Raises:
            PokesimError: it is not.
        """
        if self._network is None:
            try:
                self._check_files()
                use_cores(self._cores)
                self._network = open_embedder(self._own_model(), self._compute)
            except PokesimError as error:
                told = f"The worker {self._address} cannot embed: {error}"
                raise PokesimError(told) from error
        return self._network

    def embed(self, reader: FileLoader, paths: Sequence[str], batch_size: int) -> Batch:
        """Look into some files; one call at a time, which has all threads of the worker."""
        with self._lock:
            network = self.network()
            reads, vectors = [], [np.empty((0, network.dimension), np.float32)]
            for batch in embed_locally(lambda: network, reader, paths, batch_size):
                reads += [replace(read, pixels=None) for read in batch.reads]
                vectors.append(batch.vectors)
        return Batch(reads, np.concatenate(vectors))

    def _check_files(self) -> None:
        for path, size in self._sizes:
            try:
                found = readable_size(path)
            except OSError as error:
                raise PokesimError(
                    f"it cannot read {path} ({error.strerror}); the pictures must be at the same "
                    "path on every worker, as on a shared disk."
                ) from error
            if found != size:
                raise PokesimError(
                    f"{path} has {found:,} bytes there and {size:,} here; the pictures must be the "
                    "same on every worker."
                )

    def _own_model(self) -> Model:
        """Return the model on this worker, put into its cache if it was sent."""
        model = self._model
        try:
            found = find_model(model)
        except ModelError:
            if self._content is None:
                raise
            found = receive_model(model, self._content)
        if self._compute.runtime is Runtime.KERAS and model.weights and not model.weights.is_file():
            raise ModelError(f"Keras needs the weights file, and there is no {model.weights}.")
        return replace(found, weights=model.weights)


def readable_size(path: Path) -> int:
    """Return the bytes of a regular file that can be read. Raises OSError."""
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe may wait for ever
        raise OSError(None, "not a regular file", os.fspath(path))
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size


def embed_chunk(plugin: str, reader: FileLoader, paths: Sequence[str], batch_size: int) -> Batch:
    """Look into some files on this worker.

    Raises:
        PokesimError: whatever went wrong. Other errors might not survive the way back, and dask
            would wait for them in vain.
    """
    worker = get_worker()
    try:
        return _plugin_of(worker, plugin).embed(reader, paths, batch_size)
    except PokesimError as error:
        told = str(error)
    except Exception as error:
        told = f"The worker {worker.address} failed ({type(error).__name__}: {error})."
    raise PokesimError(told)


def check_worker(plugin: str, dask_worker: Worker) -> None:
    """Load the network of a worker. Raises PokesimError."""
    _plugin_of(dask_worker, plugin).network()


def lacks_model(model: Model) -> bool:
    """Say whether a worker is without a model."""
    try:
        find_model(model)
    except ModelError:
        return True
    return False


def everything_known(_: Any) -> bool:  # noqa: ANN401
    """Say that the vector of any picture is at hand: a reader then looks, and decodes nothing."""
    return True


def _plugin_of(worker: Worker, plugin: str) -> EmbedderPlugin:
    station = worker.plugins[plugin]
    assert isinstance(station, EmbedderPlugin)
    return station
