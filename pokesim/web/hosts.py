"""The host names that a server accepts."""

from __future__ import annotations

import ipaddress
import socket


class AllowedHosts:
    """The host names that a server accepts, depending on the address it is bound to.

    Loopback address: localhost and loopback addresses. All addresses (0.0.0.0, ::): any address,
    localhost and this machine's names. Any other address: that address and this machine's names.
    The name given by the user is always accepted. The port is ignored, as a tunnel may use another.
    """

    def __init__(self, given: str, bound: str) -> None:
        self._bound = ipaddress.ip_address(bound.partition("%")[0])
        machine = socket.gethostname().lower()
        self._names = {given.lower()}
        if self._bound.is_loopback or self._bound.is_unspecified:
            self._names.add("localhost")
        if not self._bound.is_loopback:
            self._names |= {machine, f"{machine.partition('.')[0]}.local"}

    @property
    def only_here(self) -> bool:
        """Whether only this machine can reach the server."""
        return self._bound.is_loopback

    def __contains__(self, host: str) -> bool:
        name = _without_port(host).lower()
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        if self._bound.is_loopback:
            return address.is_loopback
        return self._bound.is_unspecified or address == self._bound


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and (port.isdecimal() or not port) and not name.endswith(":") else host
