"""The Milvus server, asked through pymilvus; whatever it refuses becomes one sentence."""

from __future__ import annotations

import logging
import os
from typing import Any

from pokesim.errors import IndexFolderError, PokesimError
from pokesim.index.milvus.address import Address
from pokesim.timing import span

TOKEN = "POKESIM_MILVUS_TOKEN"
"""Names the environment variable with the server's token, such as ``user:password``."""

_ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"  # gRPC's own environment variable

_CONNECT_SECONDS, _SECONDS = 10, 60

_NO_CONNECTION, _NO_COLLECTION, _NOT_LOADED = 2, 100, 101  # pymilvus's codes

log = logging.getLogger(__name__)


class NoCollectionError(IndexFolderError):
    """The server has no collection of this name."""


class Client:
    """A connection to the server of an address; safe to use from several threads."""

    def __init__(self, address: Address) -> None:
        """Connect. Raises PokesimError."""
        self._address = address
        with span("import pymilvus"):
            try:
                import pymilvus
            except ModuleNotFoundError as error:
                raise PokesimError(
                    f"{address} needs pymilvus: pip install 'pokesim[milvus]'."
                ) from error
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs what it raises
        scheme = "https" if address.secure else "http"
        self._failed: Any = pymilvus.MilvusException
        try:
            self._client: Any = pymilvus.MilvusClient(
                f"{scheme}://{address.server}",
                token=os.environ.get(TOKEN, ""),
                timeout=_CONNECT_SECONDS,
            )
        except self._failed as error:
            raise self._told(error) from error

    def __str__(self) -> str:
        return self._address.server

    def ask(self, what: str, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - pymilvus is untyped
        """Call a method of pymilvus's client, which answers within a minute, and as long to load.

        Raises:
            NoCollectionError: the collection is not there.
            PokesimError: the server is away, lets nobody in, or refuses.
        """
        return self.do(what, *args, timeout=_SECONDS, **named)

    def do(self, what: str, *args: Any, **named: Any) -> Any:  # noqa: ANN401
        """Do the same with what may take as long as it takes."""
        try:
            return self._called(what, *args, **named)
        except self._failed as error:
            raise self._told(error) from error

    def _called(self, what: str, *args: Any, **named: Any) -> Any:  # noqa: ANN401
        call = getattr(self._client, what)
        try:
            return call(*args, **named)
        except self._failed as error:
            if error.code != _NOT_LOADED:
                raise
        # A server loads for half a minute after its start; or somebody had it let go.
        log.info("Waiting until the Milvus server %s has loaded %s.", self, args[0])
        self._client.load_collection(args[0], timeout=_SECONDS)
        return call(*args, **named)

    def _told(self, error: Any) -> PokesimError:  # noqa: ANN401
        if error.code == _NO_COLLECTION:
            return NoCollectionError(
                f"What was opened of {self._address} has been cleared away since; open it again."
            )
        cause = error.__cause__ or error.__context__
        status = cause.code().name if hasattr(cause, "code") and callable(cause.code) else ""
        if status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            return PokesimError(
                f"The Milvus server {self} does not let us in; put its token, "
                f"such as user:password, into {TOKEN}."
            )
        if error.code == _NO_CONNECTION or status in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
            # pymilvus tells no more where TLS is what fails.
            tls = (
                f"that its certificate is trusted here or named by {_ROOTS}"
                if self._address.secure
                else "write milvus+https:// if it asks for TLS"
            )
            return PokesimError(
                f"The Milvus server {self} does not answer; see that it runs and can be reached "
                f"from here, and {tls}."
            )
        return PokesimError(f"The Milvus server {self} refuses: {_first_line(error)}.")


def _first_line(error: Any) -> str:  # noqa: ANN401
    return str(error.message or error).strip().splitlines()[0].rstrip(".")
