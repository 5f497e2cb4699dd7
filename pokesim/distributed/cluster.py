"""Worker processes that read and embed in place of this one: here, or on a dask cluster."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pokesim.errors import PokesimError, UsageError

if TYPE_CHECKING:
    from pokesim.distributed.embedder import DaskWorkers

SECONDS = 5
"""Time that a scheduler may take to answer."""

_HERE = "127.0.0.1"

log = logging.getLogger(__name__)


@contextlib.contextmanager
def open_workers(where: str | int) -> Iterator[DaskWorkers]:
    """Start worker processes on this machine, or take those of a dask scheduler.

    Give what it yields to `pokesim.build_index`. A script of one's own does so below
    ``if __name__ == "__main__":``, because the processes that it starts read it too.

    Args:
        where: how many processes, which share this machine's cores; or a scheduler's address.

    Raises:
        UsageError: it is neither.
        PokesimError: dask is not installed, or no scheduler answers.
    """
    number = int(where) if str(where).isdecimal() else None
    if number == 0 or not (number or re.fullmatch(r"((tcp|tls|ws|wss)://)?[^/]+:\d+", str(where))):
        raise UsageError(
            f"Workers are a number, or a scheduler's address such as tcp://HOST:8786, not {where}."
        )
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise PokesimError(
            "dask.distributed is not installed here; `pip install 'pokesim[dask]'` brings it."
        ) from error
    from pokesim.distributed.embedder import DaskWorkers

    if not log.isEnabledFor(logging.DEBUG):  # dask tells of each worker that it loses
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as opened:
        scheduler: Any = where
        if number:
            scheduler = opened.enter_context(
                LocalCluster(
                    n_workers=number,
                    host=_HERE,
                    dashboard_address=f"{_HERE}:0",
                    worker_dashboard_address=f"{_HERE}:0",
                    silence_logs=logging.CRITICAL,
                )
            )
        try:
            if not number:
                _greet(str(where))
            client = Client(scheduler, timeout=SECONDS, set_as_default=False)
        except (OSError, TypeError, ValueError) as error:  # TypeError: TLS is not set up
            raise PokesimError(
                f"No dask scheduler answers at {where}{f' ({error})' if str(error) else ''}."
            ) from error
        yield DaskWorkers(opened.enter_context(client), str(where))


def _greet(scheduler: str) -> None:
    """See that a scheduler answers; dask's own client waits on where something else listens.

    Raises:
        OSError: it does not.
    """
    from distributed import Security
    from distributed.core import rpc

    async def greet() -> None:
        secured = Security().get_connection_args("client")
        async with rpc(scheduler, connection_args=secured) as asked:
            await asyncio.wait_for(asked.identity(), SECONDS)

    with ThreadPoolExecutor(1) as pool:  # a notebook has a loop of its own in this thread
        pool.submit(asyncio.run, greet()).result()
