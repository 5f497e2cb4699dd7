"""``milvus://HOST:PORT/COLLECTION``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pokesim.errors import UsageError

PORT = 19530
"""Milvus's own, where an address names none."""

_ADDRESS = re.compile(
    r"milvus(?P<tls>\+https)?://(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\])(:(?P<port>\d{1,5}))?"
    r"/(?P<name>[A-Za-z_]\w{0,199})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an index is.

    Attributes:
        host, port: of the server; an IPv6 host in brackets.
        name: the collection's; an alias.
        secure: by TLS.
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
        """Read an address.

        Raises:
            UsageError: it is none.
        """
        found = _ADDRESS.fullmatch(text)
        if not found:
            raise UsageError(
                f"{text} is no address of an index; write milvus://HOST:PORT/COLLECTION, or "
                "milvus+https:// for TLS, the collection in up to 200 letters, digits and _."
            )
        return Address(found["host"], int(found["port"] or PORT), found["name"], bool(found["tls"]))
