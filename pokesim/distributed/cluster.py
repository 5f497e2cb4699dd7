"""Connect to workers that embed instead of this process: on this machine, or on a dask cluster."""

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
"""How long a scheduler may take to answer."""

_LOOPBACK = "127.0.0.1"

_LAST_PORT = 65535

log = logging.getLogger(__name__)


@contextlib.contextmanager
def open_workers(where: str | int) -> Iterator[DaskWorkers]:
    """Start worker processes on this machine, or connect to those of a dask scheduler.

    Pass the result to `pokesim.build_index`. A script must do so under
    ``if __name__ == "__main__":``, because the processes that it starts import the script too.

    Args:
        where: the number of processes, which share this machine's cores; or a scheduler's address.

    Raises:
        UsageError: ``where`` is neither.
        PokesimError: dask is not installed, or no scheduler answers.
    """
    number = int(where) if re.fullmatch(r"[0-9]{1,3}", str(where)) else None
    address = re.fullmatch(r"((tcp|tls|ws|wss)://)?[^/]+:(?P<port>[0-9]{1,5})", str(where))
    if not number and not (address and 0 < int(address["port"]) <= _LAST_PORT):
        raise UsageError(
            "Workers are given as a number of processes, or as a scheduler's address such as "
            f"tcp://HOST:8786, not {where}."
        )
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise PokesimError(
            "dask.distributed is not installed; install it with `pip install 'pokesim[dask]'`."
        ) from error
    from pokesim.distributed.embedder import DaskWorkers

    if not log.isEnabledFor(logging.DEBUG):  # dask logs every worker that it loses
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        scheduler: Any = where
        if number:
            scheduler = stack.enter_context(
                LocalCluster(
                    n_workers=number,
                    host=_LOOPBACK,
                    dashboard_address=f"{_LOOPBACK}:0",
                    worker_dashboard_address=f"{_LOOPBACK}:0",
                    silence_logs=logging.CRITICAL,
                )
            )
        try:
            if not number:
                _check_scheduler(str(where))
            client = Client(scheduler, timeout=SECONDS, set_as_default=False)
        except (OSError, TypeError, ValueError) as error:  # TypeError: TLS is not set up
            raise PokesimError(
                f"No dask scheduler answers at {where}{f' ({error})' if str(error) else ''}."
            ) from error
        yield DaskWorkers(stack.enter_context(client), str(where))


def _check_scheduler(address: str) -> None:
    """Check that a scheduler answers: dask's client waits without end if something else listens.

    Raises:
        OSError: none answers.
    """
    from distributed import Security
    from distributed.core import rpc

    async def identify() -> None:
        connection_args = Security().get_connection_args("client")
        async with rpc(address, connection_args=connection_args) as scheduler:
            await asyncio.wait_for(scheduler.identity(), SECONDS)

    with ThreadPoolExecutor(1) as pool:  # in a notebook, this thread already runs an event loop
        pool.submit(asyncio.run, identify()).result()
