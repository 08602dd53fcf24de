"""mDNS packets for the announcement, by zeroconf (extra `mdns`), on one network interface only.

zeroconf listens on a wildcard address, where Linux hands over what came in on any interface, and
answers there; so every socket is tied to the interface before it is read, or nothing is announced.
"""

import asyncio
import socket
import sys
from collections import deque
from typing import Any

import ifaddr  # pyright: ignore[reportMissingImports]
from zeroconf import (  # pyright: ignore[reportMissingImports]
    IPVersion,
    NonUniqueNameException,
    ServiceInfo,
    Zeroconf,
)

from clsbench.errors import EnvironmentProblem
from clsbench.smgw.han.announcement import Adapter, IpAddress, Place, Service, parse_address

MAX_PER_MIN = 30  # multicast messages (BSI detail specification 2.0 chapter 12)
KEPT_FOR_GOODBYE = 3
_WINDOW_S = 60
_DARWIN_BOUND_IF = {socket.AF_INET: (socket.IPPROTO_IP, 25), socket.AF_INET6: (41, 125)}


def adapters() -> list[Adapter]:
    """The system's network interfaces."""
    found: list[Adapter] = []
    for each in ifaddr.get_adapters():
        texts = [ip.ip if isinstance(ip.ip, str) else ip.ip[0] for ip in each.ips]
        addresses = tuple(a for a in map(parse_address, texts) if a is not None)
        found.append(Adapter(each.name, each.index or 0, addresses))
    return found


class Responder(Zeroconf):
    """Answers for services on one interface."""

    def __init__(self, place: Place):
        """Opens the sockets in the running loop, which reads none of them before `announce`
        waits. Raises EnvironmentProblem."""
        self._adapter = place.adapter
        self._sent_at: deque[float] = deque()
        self._leaving = False
        chosen, version = _choice(place.adapter, place.own)
        try:
            super().__init__(interfaces=[chosen], ip_version=version, use_asyncio=True)
        except (OSError, RuntimeError) as error:
            raise EnvironmentProblem(
                f"[han] mdns: no mDNS on {place.adapter.name}: {error}. Another mDNS service may "
                "hold port 5353"
            ) from error

    async def announce(self, told: tuple[Service, ...]) -> None:
        """Asks whether the names are free, then announces; called at once, and once.

        Raises EnvironmentProblem; `withdraw` is to be called then too.
        """
        self._confine()
        await self.async_wait_for_start()
        try:
            sent = await asyncio.gather(
                *(self.async_register_service(_info(service)) for service in told)
            )
        except NonUniqueNameException as error:
            raise EnvironmentProblem(
                f"[han] mdns: another gateway announces {told[0].name} already. End it, or give "
                "this one another [smgw] id"
            ) from error
        await asyncio.gather(*sent)

    def _confine(self) -> None:
        listening, sending = self.engine._listen_socket, self.engine._respond_sockets
        try:
            if listening is None or not sending:
                raise OSError("it has no multicast")
            for sock in (listening, *sending):
                confine(sock, self._adapter)
            _forget(listening)
        except OSError as error:
            raise EnvironmentProblem(
                f"[han] mdns: cannot announce on {self._adapter.name} alone: {error}"
            ) from error

    async def withdraw(self) -> None:
        """Says goodbye for every name and closes the sockets."""
        self._leaving = True
        await self.async_unregister_all_services()
        await self._async_close()

    def async_send(self, out: Any, addr: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Sends; multicasts beyond the limit of a minute are left out."""
        if addr is None and not self._may_multicast():
            return
        super().async_send(out, addr, *args, **kwargs)

    def _may_multicast(self) -> bool:
        now = asyncio.get_running_loop().time()
        while self._sent_at and self._sent_at[0] <= now - _WINDOW_S:
            self._sent_at.popleft()
        limit = MAX_PER_MIN if self._leaving else MAX_PER_MIN - KEPT_FOR_GOODBYE
        if len(self._sent_at) >= limit:
            return False
        self._sent_at.append(now)
        return True


def confine(sock: socket.socket, adapter: Adapter) -> None:
    """Ties a socket to an interface: nothing comes in or goes out on another. Raises OSError."""
    if sys.platform == "linux":
        device = adapter.name.partition(":")[0].encode() + b"\0"
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
    elif sys.platform == "darwin":
        sock.setsockopt(*_DARWIN_BOUND_IF[sock.family], adapter.index)
    else:
        raise OSError("this system cannot tie a socket to an interface")


def _forget(sock: socket.socket) -> None:
    """Reads away what came in before the socket was confined."""
    sock.setblocking(False)
    try:
        while True:
            sock.recv(65_536)
    except BlockingIOError:
        return


def _choice(adapter: Adapter, own: IpAddress) -> tuple[str | int, IPVersion]:
    if own.version == 4:
        return str(own), IPVersion.V4Only
    return adapter.index, IPVersion.V6Only


def _info(service: Service) -> ServiceInfo:
    return ServiceInfo(
        service.kind,
        service.name,
        port=service.port,
        properties=service.text,
        server=service.host,
        addresses=[service.address.packed],
    )
