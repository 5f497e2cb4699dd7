"""Send chunks of files to the workers of a dask cluster, and return the results in order.

A chunk is a list of files and a dask task. Only a few chunks for each worker are in flight at a
time, and the next is sent when the first one in the order of the files is done, so memory is
bounded. If a worker is lost, dask runs its chunks again on another. If a chunk has killed several
workers, dask gives up on it (`KilledWorker`). Then the chunk is tried again while no other is in
flight, because another chunk on the same worker may be to blame; and if it kills workers again, it
is bisected until the file is found, which is skipped.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import TypeVar

import numpy as np
from distributed import Client, Future, KilledWorker, wait

from pokesim.build.batches import Batch
from pokesim.build.loader import FileLoader, LoadedFile
from pokesim.distributed.worker_plugin import embed_chunk
from pokesim.errors import PokesimError
from pokesim.index.manifest import Skipped

CHUNKS_PER_WORKER = 3
"""Chunks in flight for each worker, which bounds the memory that their results take."""

NO_WORKER_SECONDS = 60.0
"""How long to wait while there is no worker."""

_RETRIES = 2
"""How often dask runs a chunk again that has raised an error on a worker."""

MAX_KILLERS = 8
"""Files in a row that kill their workers; then the files are hardly to blame."""

Label = TypeVar("Label")

log = logging.getLogger(__name__)


class Dispatcher:
    """Sends the chunks of one build."""

    def __init__(
        self,
        client: Client,
        plugin: str,
        batch_size: int,
        dimension: int,
        on_worker_count: Callable[[int], None],
    ) -> None:
        """Set what all chunks have in common.

        Args:
            client: the cluster.
            plugin: name of the `EmbedderPlugin` on each worker.
            batch_size: pictures that a worker embeds at a time.
            dimension: length of a vector.
            on_worker_count: called with the number of workers, from time to time.
        """
        self._client = client
        self._plugin = plugin
        self._batch_size = batch_size
        self._dimension = dimension
        self._on_worker_count = on_worker_count
        self._in_flight: set[Future[Batch]] = set()
        self._killers = 0

    def map_chunks(
        self, loader: FileLoader, chunks: Iterable[tuple[Label, Sequence[str]]]
    ) -> Generator[tuple[Label, Batch], None, None]:
        """Load and embed chunks of files on the workers; yield the results in the same order.

        Args:
            loader: loads the files.
            chunks: a label, which is returned with the result, and the files' paths.

        Raises:
            PokesimError: the scheduler or all workers are lost, or a worker cannot embed.
        """
        sent: deque[tuple[Label, Sequence[str], Future[Batch]]] = deque()

        def first_result() -> tuple[Label, Batch]:
            label, paths, future = sent[0]
            batch = self._result(loader, paths, future)
            sent.popleft()
            return label, batch

        try:
            with _translated_errors():
                for label, paths in chunks:
                    sent.append((label, paths, self._send(loader, paths)))
                    while len(sent) >= CHUNKS_PER_WORKER * max(1, self._count_workers()):
                        yield first_result()
                while sent:
                    yield first_result()
        finally:
            with contextlib.suppress(Exception):  # the error that ended the build matters more
                self._client.cancel([future for *_, future in sent])

    def _send(self, loader: FileLoader, paths: Sequence[str]) -> Future[Batch]:
        future = self._client.submit(
            embed_chunk,
            self._plugin,
            loader,
            paths,
            self._batch_size,
            pure=False,
            retries=_RETRIES,
        )
        self._in_flight.add(future)
        return future

    def _result(self, loader: FileLoader, paths: Sequence[str], future: Future[Batch]) -> Batch:
        """Return the result of a chunk, which is sent again if its workers were killed."""
        try:
            return self._wait_for_result(future)
        except KilledWorker:
            # Another chunk on the same worker may have killed it. When no other is in flight, it is
            # clear which one does.
            self._wait(self._in_flight)
            return self._embed_alone(loader, paths)

    def _embed_alone(self, loader: FileLoader, paths: Sequence[str]) -> Batch:
        """Send a chunk while no others are in flight; bisect it if it kills its workers."""
        try:
            batch = self._wait_for_result(self._send(loader, paths))
        except KilledWorker as error:
            return self._bisect(loader, paths, error)
        self._killers = 0
        return batch

    def _bisect(self, loader: FileLoader, paths: Sequence[str], error: KilledWorker) -> Batch:
        """Embed a chunk that kills its workers in two halves; skip it if it is a single file."""
        if len(paths) > 1:
            log.info("One of %s files kills its workers; looking for it.", len(paths))
            middle = len(paths) // 2
            halves = [self._embed_alone(loader, half) for half in (paths[:middle], paths[middle:])]
            return Batch(
                [read for half in halves for read in half.reads],
                np.concatenate([half.vectors for half in halves]),
            )
        self._killers += 1
        if self._killers == MAX_KILLERS:
            raise PokesimError(
                f"Every file kills its workers, most recently {paths[0]}; see the workers' logs. "
                "They probably have too little memory. What is embedded is kept."
            )
        reason = f"{error.allowed_failures + 1} workers died while reading it"
        return Batch(
            [LoadedFile(skipped=Skipped(paths[0], reason))],
            np.empty((0, self._dimension), np.float32),
        )

    def _wait_for_result(self, future: Future[Batch]) -> Batch:
        self._wait([future])
        self._in_flight.discard(future)
        return future.result()

    def _wait(self, futures: Iterable[Future[Batch]]) -> None:
        """Wait until futures are done or have failed.

        Raises:
            PokesimError: there has been no worker for `NO_WORKER_SECONDS`.
        """
        last_seen = time.monotonic()
        while True:
            try:
                with self._client.as_current():
                    wait(list(futures), timeout=1)
            except TimeoutError:
                if self._count_workers():
                    last_seen = time.monotonic()
                elif time.monotonic() - last_seen > NO_WORKER_SECONDS:
                    raise PokesimError(
                        f"There has been no worker for {NO_WORKER_SECONDS:g} s; what is embedded "
                        "is kept, and the same command continues from there."
                    ) from None
            else:
                return

    def _count_workers(self) -> int:
        count = len(self._client.nthreads())
        self._on_worker_count(count)
        return count


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (CancelledError, OSError) as error:
        raise PokesimError(
            "The connection to the dask scheduler is lost; what is embedded is kept, and the same "
            "command continues from there."
        ) from error
