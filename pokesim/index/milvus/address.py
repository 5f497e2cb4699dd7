"""The address of an index on a Milvus server: ``milvus://HOST:PORT/COLLECTION``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pokesim.errors import UsageError

PORT = 19530
"""Milvus's default port, used if an address names none."""

_LAST_PORT = 65535

_ADDRESS = re.compile(
    r"milvus(?P<tls>\+https)?://(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\])(:(?P<port>\d{1,5}))?"
    r"/(?P<name>[A-Za-z_]\w{0,199})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an index is.

    Attributes:
        host, port: of the server; an IPv6 host is in brackets.
        name: the collection, which is an alias.
        secure: connect over TLS.
    """

    host: str
    port: int
    name: str
    secure: bool = False

    def __str__(self) -> str:
        return f"milvus{'+https' if self.secure else ''}://{self.server}/{self.name}"

    @property
    def server(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    @staticmethod
    def of(text: str) -> Address:
        """Parse an address.

        Raises:
            UsageError: it is not valid.
        """
        found = _ADDRESS.fullmatch(text)
        port = int(found["port"] or PORT) if found else 0
        if not found or not 0 < port <= _LAST_PORT:
            raise UsageError(
                f"{text} is not a valid index address; write milvus://HOST:PORT/COLLECTION, or "
                "milvus+https:// for TLS; a port is at most 65535, and a collection's name has "
                "up to 200 letters, digits and _."
            )
        return Address(found["host"], port, found["name"], bool(found["tls"]))
