"""The two connections of a channel that the gateway opens itself: to the WAN peer, to the box.

On both the gateway is TLS client. The peer is who its profile says: on the WAN by role and name
in its certificate, in the HAN by the certificate pinned in the CLS profile (direct trust).
"""

import asyncio
import ssl

from clsbench.errors import PeerRefused, PeerSilent
from clsbench.net.listener import open_tls
from clsbench.net.tls import peer_of
from clsbench.net.tls_reasons import is_timeout
from clsbench.smgw.core.parties import ClsProfile, EmtProfile, Endpoint, ProxyProfile


class LegFailed(Exception):
    """A connection did not come up. timed_out: nobody answered in time, rather than said no."""

    def __init__(self, reason: str, timed_out: bool):
        super().__init__(reason)
        self.timed_out = timed_out


class Legs:
    """wan, han: TLS client contexts. within_s: real time for one connection with its handshake."""

    def __init__(self, wan: ssl.SSLContext, han: ssl.SSLContext, within_s: float):
        self._wan, self._han = wan, han
        self._within_s = within_s

    async def to_wan(self, proxy: ProxyProfile, emt: EmtProfile, half: asyncio.Protocol) -> None:
        """Connects to the first WAN peer of the profile that answers. Raises LegFailed."""
        failed = LegFailed(f"proxy profile '{proxy.name}' names no WAN peer", False)
        for peer in proxy.wan_peers:
            try:
                await self._open(peer, self._wan, "EMT", emt.name, proxy.wan_tls_sni, half)
                return
            except LegFailed as error:
                failed = error
        raise failed

    async def to_box(self, proxy: ProxyProfile, cls: ClsProfile, half: asyncio.Protocol) -> None:
        """Connects to the box where its profile says it listens. Raises LegFailed."""
        if proxy.cls_peer is None:
            raise LegFailed(f"proxy profile '{proxy.name}' has no cls_peer", False)
        transport = await self._open(
            proxy.cls_peer, self._han, "CLS", cls.cls_id, proxy.tls_sni, _Waiting()
        )
        shown = peer_of(transport.get_extra_info("ssl_object")).fingerprint
        if shown != cls.fingerprint:
            transport.close()
            raise LegFailed(f"{cls.cls_id} shows a certificate that is not the pinned one", False)
        if transport.is_closing():
            raise LegFailed(f"{cls.cls_id} closed right behind the handshake", False)
        transport.set_protocol(half)
        half.connection_made(transport)

    async def _open(
        self,
        peer: Endpoint,
        context: ssl.SSLContext,
        role: str,
        name: str,
        sni: str,
        half: asyncio.Protocol,
    ) -> asyncio.Transport:
        try:
            async with asyncio.timeout(self._within_s):
                transport, _ = await open_tls(
                    peer.host,
                    peer.port,
                    context,
                    role,
                    name,
                    lambda: half,
                    self._within_s,
                    server_name=sni,
                )
        except TimeoutError as error:
            place = f"{role} {name} at {peer.host}:{peer.port}"
            raise LegFailed(f"{place}: no TLS within {self._within_s:g} s", True) from error
        except (PeerRefused, PeerSilent) as error:
            cause = error.__cause__
            raise LegFailed(str(error), cause is not None and is_timeout(cause)) from error
        return transport


class _Waiting(asyncio.Protocol):
    """Reads nothing before the certificate was compared."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.pause_reading()
