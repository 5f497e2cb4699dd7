"""What runs on a worker of a dask cluster: one model, loaded once for a build."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Worker, WorkerPlugin, get_worker

from pokesim.build.batches import Batch, embed_locally
from pokesim.build.loader import FileLoader
from pokesim.embedders.catalog import Compute, Runtime
from pokesim.embedders.embedder import Embedder, Model
from pokesim.embedders.model_cache import find_model, receive_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.errors import ModelError, PokesimError
from pokesim.threads import use_cores


class EmbedderPlugin(WorkerPlugin):
    """A dask plugin that checks its worker, then loads the model and embeds with it.

    dask installs it on each worker, also on those that join later.
    """

    def __init__(
        self,
        model: Model,
        compute: Compute,
        sent: Mapping[str, Mapping[str, bytes]],
        sizes: Sequence[tuple[Path, int]],
    ) -> None:
        """Set what the worker needs.

        Args:
            model: the model, as found on the machine that builds.
            compute: what runs it.
            sent: the files of the models that some worker lacks, by the names of their networks.
            sizes: a sample of the files, with their sizes in bytes on the machine that builds.
        """
        self._model = model
        self._compute = compute
        self._sent = sent
        self._sizes = sizes
        self._embedder: Embedder | None = None

    def setup(self, worker: Worker) -> None:
        """Record the worker; `embedder` loads the model, which would keep it from starting."""
        self._lock = threading.Lock()
        self._address = worker.address
        self._cores = worker.state.nthreads

    def embedder(self) -> Embedder:
        """Return the embedder; the first call checks the worker and loads the model.

        Raises:
            PokesimError: the worker cannot embed.
        """
        if self._embedder is None:
            try:
                self._check_files()
                use_cores(self._cores)
                self._embedder = open_embedder(self._local_model(), self._compute)
            except PokesimError as error:
                message = f"The worker {self._address} cannot embed: {error}"
                raise PokesimError(message) from error
        return self._embedder

    def embed(self, loader: FileLoader, paths: Sequence[str], batch_size: int) -> Batch:
        """Load and embed files, one call at a time, with all threads of the worker."""
        with self._lock:
            embedder = self.embedder()
            files, vectors = [], [np.empty((0, embedder.dimension), np.float32)]
            opened = embedder, self._compute
            for batch in embed_locally(lambda *_: opened, loader, paths, batch_size):
                files += [replace(file, pixels=None) for file in batch.reads]
                if len(batch.vectors):
                    vectors.append(batch.vectors)
        return Batch(files, np.concatenate(vectors))

    def _check_files(self) -> None:
        """Check that the worker sees the same files. Raises PokesimError."""
        for path, size in self._sizes:
            try:
                found = readable_size(path)
            except OSError as error:
                raise PokesimError(
                    f"it cannot read {path} ({error.strerror}); the pictures must be at the same "
                    "path on every worker, for example on a shared disk."
                ) from error
            if found != size:
                raise PokesimError(
                    f"{path} has {found:,} bytes there and {size:,} here; the pictures must be the "
                    "same on every worker."
                )

    def _local_model(self) -> Model:
        """Return the model on this worker; put what was sent into the worker's cache first."""
        for network in self._model.networks:
            if network.name in self._sent and lacks_model(network):
                receive_model(network, self._sent[network.name])
        found = find_model(self._model)
        if self._model.published:  # Keras finds published weights on the worker itself
            return found
        weights = self._model.weights
        if self._compute.runtime is Runtime.KERAS and weights and not weights.is_file():
            raise ModelError(f"Keras needs the weights file, and there is no {weights}.")
        return replace(found, weights=weights)


def readable_size(path: Path) -> int:
    """Return the size in bytes of a regular file that can be read. Raises OSError."""
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe may block without end
        raise OSError(None, "not a regular file", os.fspath(path))
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size


def embed_chunk(plugin: str, loader: FileLoader, paths: Sequence[str], batch_size: int) -> Batch:
    """Load and embed files on this worker.

    Raises:
        PokesimError: for any error. Others might not be picklable, and dask would wait for the
            result without end.
    """
    worker = get_worker()
    try:
        return _plugin_of(worker, plugin).embed(loader, paths, batch_size)
    except PokesimError as error:
        message = str(error)
    except Exception as error:
        message = f"The worker {worker.address} failed ({type(error).__name__}: {error})."
    raise PokesimError(message)


def check_worker(plugin: str, dask_worker: Worker) -> None:
    """Check a worker, and load its model. Raises PokesimError."""
    _plugin_of(dask_worker, plugin).embedder()


def lacks_model(model: Model) -> bool:
    """Return whether this worker lacks a model."""
    try:
        find_model(model)
    except ModelError:
        return True
    return False


def everything_known(_: Any) -> bool:
    """Return True: a loader then hashes files, and decodes no pixels."""
    return True


def _plugin_of(worker: Worker, name: str) -> EmbedderPlugin:
    plugin = worker.plugins[name]
    assert isinstance(plugin, EmbedderPlugin)
    return plugin
