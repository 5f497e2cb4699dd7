"""A connection to a Milvus server: the calls that pokesim makes, and their errors."""

from __future__ import annotations

import logging
import logging.config
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pokesim.errors import IndexFolderError, PokesimError
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.schema import MAX_ROWS, Row
from pokesim.timing import span

TOKEN = "POKESIM_MILVUS_TOKEN"
"""The environment variable that holds the server's token, such as ``user:password``."""

_ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"  # gRPC's own environment variable

_CONNECT_SECONDS, _SECONDS = 10, 60

_ANSWER_BYTES = 256 << 20
"""The largest answer; 1024 rows with 64 KiB of metadata, the most that we request, are smaller."""

_LIMIT = b"grpc.max_receive_message_length"  # in bytes, as pymilvus's own, which it replaces

_SHOWN = 300  # characters of a server's message

_NO_CONNECTION, _NO_COLLECTION, _NOT_LOADED = 2, 100, 101  # pymilvus's codes

# A snapshot's collections never change once they are filled, so any replica has all their rows.
_EVENTUALLY = "Eventually"

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


class NoCollectionError(IndexFolderError):
    """The server has no collection of this name."""


def _imported() -> Any:
    """Import pymilvus without its configuration of logging, which closes all handlers there are."""
    configure = logging.config.dictConfig
    logging.config.dictConfig = lambda config: None
    try:
        import pymilvus
    finally:
        logging.config.dictConfig = configure
    return pymilvus


class Client:
    """A connection to the server of an address; safe to use from several threads.

    Calls have a minute to answer, except those that move or build data: they may take any time.
    Every method raises NoCollectionError if the collection does not exist, and PokesimError if the
    server is unreachable, or rejects the token or the call.
    """

    def __init__(self, address: Address) -> None:
        """Connect. Raises PokesimError."""
        self._address = address
        with span("import pymilvus"):
            try:
                pymilvus = _imported()
            except ModuleNotFoundError as error:
                raise PokesimError(
                    f"{address} needs pymilvus: pip install 'pokesim[milvus]'."
                ) from error
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs what it raises
        scheme = "https" if address.secure else "http"
        self._error: Any = pymilvus.MilvusException
        with self._translated_errors():
            self._milvus = pymilvus.MilvusClient(
                f"{scheme}://{address.server}",
                token=os.environ.get(TOKEN, ""),
                timeout=_CONNECT_SECONDS,
                grpc_options={_LIMIT: _ANSWER_BYTES},
            )

    def __str__(self) -> str:
        return self._address.server

    def query(
        self, collection: str, expression: str, fields: Sequence[str], limit: int = MAX_ROWS
    ) -> list[Row]:
        """Return fields of up to ``limit`` rows that match an expression, in any order."""

        def query() -> list[Row]:
            rows = self._milvus.query(
                collection,
                filter=expression,
                output_fields=list(fields),
                limit=limit,
                consistency_level=_EVENTUALLY,
                timeout=_SECONDS,
            )
            return [dict(row) for row in rows]  # pymilvus decodes a row when it is first used

        return self._read(collection, query)

    def count(self, collection: str, expression: str = "", *, latest: bool = False) -> int:
        """Return how many rows match an expression; ``latest`` includes rows just inserted."""

        def count() -> int:
            (row,) = self._milvus.query(
                collection,
                filter=expression,
                output_fields=["count(*)"],
                consistency_level="Strong" if latest else _EVENTUALLY,
                timeout=_SECONDS,
            )
            return int(row["count(*)"])

        return self._read(collection, count)

    def search(
        self, collection: str, xq: NDArray[np.float32], k: int, expression: str
    ) -> list[list[Row]]:
        """Return the ``id`` and ``distance`` of the k nearest matching rows of each query (nq, d).

        Distances are squared L2, ascending.
        """

        def search() -> list[list[Row]]:
            found = self._milvus.search(
                collection,
                data=list(xq),
                filter=expression,
                limit=k,
                search_params={"metric_type": "L2"},
                consistency_level=_EVENTUALLY,
                timeout=_SECONDS,
            )
            return [
                [{"id": int(hit["id"]), "distance": float(hit["distance"])} for hit in hits]
                for hits in found
            ]

        return self._read(collection, search)

    def describe(self, name: str) -> Row:
        """Return the ``collection_name`` and ``description`` of a collection or alias."""
        with self._translated_errors():
            described: Row = self._milvus.describe_collection(name, timeout=_SECONDS)
            return {field: str(described[field]) for field in ("collection_name", "description")}

    def collections(self) -> list[str]:
        """Return the names of all collections."""
        with self._translated_errors():
            names: list[str] = self._milvus.list_collections(timeout=_SECONDS)
            return names

    def create_collection(self, collection: str, schema: Any) -> None:
        """Create a collection with a schema of `pokesim.index.milvus.schema`."""
        with self._translated_errors():
            self._milvus.create_collection(collection, schema=schema, timeout=_SECONDS)

    def insert(self, collection: str, rows: Sequence[Row]) -> None:
        """Insert rows."""
        with self._translated_errors():
            self._milvus.insert(collection, rows, timeout=_SECONDS)

    def flush(self, collection: str) -> None:
        """Write inserted rows to the server's disk."""
        with self._translated_errors():
            self._milvus.flush(collection)

    def create_index(self, collection: str, index_params: Any) -> None:
        """Build the search indexes described by `pokesim.index.milvus.schema`."""
        with self._translated_errors():
            self._milvus.create_index(collection, index_params)

    def load(self, collection: str) -> None:
        """Load a collection into the server's memory, where it can be queried."""
        with self._translated_errors():
            self._milvus.load_collection(collection)

    def release(self, collection: str) -> None:
        """Release a collection from the server's memory."""
        with self._translated_errors():
            self._milvus.release_collection(collection)

    def create_alias(self, alias: str, collection: str) -> None:
        """Create an alias of a collection."""
        with self._translated_errors():
            self._milvus.create_alias(collection, alias, timeout=_SECONDS)

    def switch_alias(self, alias: str, collection: str) -> None:
        """Point an existing alias to another collection, in one step."""
        with self._translated_errors():
            self._milvus.alter_alias(collection, alias, timeout=_SECONDS)

    def drop(self, collection: str) -> None:
        """Drop a collection, if it exists."""
        with self._translated_errors():
            self._milvus.drop_collection(collection, timeout=_SECONDS)

    def _read(self, collection: str, call: Callable[[], Answer]) -> Answer:
        """Make a call that needs a collection in memory; load it if it is not there."""
        with self._translated_errors():
            try:
                return call()
            except self._error as error:
                if error.code != _NOT_LOADED:
                    raise
            # A server loads for half a minute after its start; or somebody released the collection.
            log.info("Waiting for the Milvus server %s to load %s.", self, collection)
            self._milvus.load_collection(collection, timeout=_SECONDS)
            return call()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turn an error of pymilvus into one of ours, whose message says what to do."""
        try:
            yield
        except PokesimError:
            raise
        except Exception as error:  # pymilvus does not check what it unpacks
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> PokesimError:
        code = code_of = getattr(error, "code", None)  # gRPC's own errors have a method
        if code == _NO_COLLECTION:
            return NoCollectionError(
                f"The open snapshot of {self._address} has since been removed; open it again."
            )
        if not callable(code):
            code_of = getattr(error.__cause__ or error.__context__, "code", None)
        status = code_of().name if callable(code_of) else ""
        if status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            return PokesimError(
                f"The Milvus server {self} denies access; put its token, "
                f"such as user:password, into {TOKEN}."
            )
        if code == _NO_CONNECTION or status in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
            # pymilvus does not say whether TLS is what failed.
            tls = (
                f"that its certificate is trusted here or named by {_ROOTS}"
                if self._address.secure
                else "write milvus+https:// if it requires TLS"
            )
            return PokesimError(
                f"The Milvus server {self} does not answer; check that it runs and is reachable "
                f"from here, and {tls}."
            )
        if status == "RESOURCE_EXHAUSTED":
            return PokesimError(f"A message to or from the Milvus server {self} is too large.")
        if not isinstance(error, self._error):
            return PokesimError(
                f"The Milvus server {self} gave an answer that cannot be read "
                f"({type(error).__name__})."
            )
        lines = str(getattr(error, "message", "") or error).strip().splitlines() or ["an error"]
        message = "".join(filter(str.isprintable, lines[0]))[:_SHOWN].rstrip(".")
        return PokesimError(f"The Milvus server {self} reports: {message}.")
