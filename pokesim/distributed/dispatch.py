"""Chunks of files go out to the workers of a dask cluster, and come back in order.

A chunk whose worker is lost is done again by another, which is dask's own work. One that has ended
several workers is taken apart until the file is found that does it.
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

AHEAD = 3
"""Chunks under way for each worker; their results take so much memory at most."""

PATIENCE = 60.0
"""Seconds to wait while there is no worker."""

_RETRIES = 2
"""So often a chunk is done again that has failed in a worker which goes on."""

ENOUGH = 8
"""Files one after another that end their workers; then it is hardly the files' fault."""

Part = TypeVar("Part")

log = logging.getLogger(__name__)


class Dispatcher:
    """Files on their way to the workers and back."""

    def __init__(
        self,
        client: Client,
        plugin: str,
        batch_size: int,
        dimension: int,
        counted: Callable[[int], None],
    ) -> None:
        """Begin.

        Args:
            client: the cluster.
            plugin: name of the `Station` on each worker.
            batch_size: pictures that a worker embeds at a time.
            dimension: length of a vector.
            counted: called with the number of workers, now and then.
        """
        self._client = client
        self._plugin = plugin
        self._batch_size = batch_size
        self._dimension = dimension
        self._counted = counted
        self._under_way: set[Future[Batch]] = set()
        self._endings = 0

    def in_order(
        self, reader: FileLoader, parts: Iterable[tuple[Part, Sequence[str]]]
    ) -> Generator[tuple[Part, Batch], None, None]:
        """Yield each part with what came of its files, in order; some are under way at a time.

        Raises:
            PokesimError: the scheduler or all workers are gone, or a worker is not fit.
        """
        waiting: deque[tuple[Part, Sequence[str], Future[Batch]]] = deque()

        def first() -> tuple[Part, Batch]:
            part, paths, future = waiting[0]
            batch = self._result(reader, paths, future)
            waiting.popleft()
            return part, batch

        try:
            with _scheduler_watched():
                for part, paths in parts:
                    waiting.append((part, paths, self._send(reader, paths)))
                    while len(waiting) >= AHEAD * max(1, self._workers()):
                        yield first()
                while waiting:
                    yield first()
        finally:
            with contextlib.suppress(Exception):  # what ends the build is told, not this
                self._client.cancel([future for *_, future in waiting])

    def _send(self, reader: FileLoader, paths: Sequence[str]) -> Future[Batch]:
        future = self._client.submit(
            embed_chunk,
            self._plugin,
            reader,
            paths,
            self._batch_size,
            pure=False,
            retries=_RETRIES,
        )
        self._under_way.add(future)
        return future

    def _result(self, reader: FileLoader, paths: Sequence[str], future: Future[Batch]) -> Batch:
        try:
            return self._taken(future)
        except KilledWorker:
            # Its worker may have ended through another chunk that lay there. Once no other is under
            # way, it is clear which does it.
            self._wait_for(self._under_way)
            return self._alone(reader, paths)

    def _alone(self, reader: FileLoader, paths: Sequence[str]) -> Batch:
        """Look into files while no others are under way."""
        try:
            batch = self._taken(self._send(reader, paths))
        except KilledWorker as error:
            return self._apart(reader, paths, error)
        self._endings = 0
        return batch

    def _apart(self, reader: FileLoader, paths: Sequence[str], error: KilledWorker) -> Batch:
        """Look into files that end their workers: by halves, and a single one is skipped."""
        if len(paths) > 1:
            log.info("Workers end over one of %s files; looking for it.", len(paths))
            middle = len(paths) // 2
            halves = [self._alone(reader, half) for half in (paths[:middle], paths[middle:])]
            return Batch(
                [read for half in halves for read in half.reads],
                np.concatenate([half.vectors for half in halves]),
            )
        self._endings += 1
        if self._endings == ENOUGH:
            raise PokesimError(
                f"The workers end whatever they read, last {paths[0]}; their logs tell why, and "
                "too little memory is likely. What is embedded is kept."
            )
        reason = f"{error.allowed_failures + 1} workers ended while they read it"
        return Batch(
            [LoadedFile(skipped=Skipped(paths[0], reason))],
            np.empty((0, self._dimension), np.float32),
        )

    def _taken(self, future: Future[Batch]) -> Batch:
        self._wait_for([future])
        self._under_way.discard(future)
        return future.result()

    def _wait_for(self, futures: Iterable[Future[Batch]]) -> None:
        """Wait until futures are done, for better or worse; not for ever where nobody works."""
        seen = time.monotonic()
        while True:
            try:
                with self._client.as_current():
                    wait(list(futures), timeout=1)
            except TimeoutError:
                if self._workers():
                    seen = time.monotonic()
                elif time.monotonic() - seen > PATIENCE:
                    raise PokesimError(
                        f"There has been no worker for {PATIENCE:g} s; what is embedded is kept, "
                        "and the same command goes on from there."
                    ) from None
            else:
                return

    def _workers(self) -> int:
        count = len(self._client.nthreads())
        self._counted(count)
        return count


@contextlib.contextmanager
def _scheduler_watched() -> Iterator[None]:
    try:
        yield
    except (CancelledError, OSError) as error:
        raise PokesimError(
            "The dask scheduler is gone; what is embedded is kept, and the same command goes on "
            "from there."
        ) from error
