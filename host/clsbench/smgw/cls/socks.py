"""The gateway's SOCKS-TLS port in the HAN: a box asks by server name, the engine answers.

Knows the replies that a refusal is worth: no profile 2, WAN partner silent 4, refused 5.
Source: BSI Detailspezifikationen 2.0, chapter 11.
"""

import ssl

from clsbench.errors import PeerRefused
from clsbench.net import socks_tls as socks
from clsbench.net.socks_tls_io import Call, SocksTlsListener
from clsbench.net.tls import Peer
from clsbench.smgw.cls.engine import Channel, NoChannel, ProxyEngine
from clsbench.smgw.core.rights import Refusal, Rights, Target
from clsbench.smgw.journal import Journal


class SocksPort:
    """Listens in the HAN."""

    def __init__(
        self, context: ssl.SSLContext, authority: Rights, engine: ProxyEngine, journal: Journal
    ):
        self._rights = authority
        self._engine = engine
        self._journal = journal
        self._listener = SocksTlsListener(context, self._admit, self._serve, self._refused)

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises EnvironmentProblem."""
        return await self._listener.start(host, port)

    async def close(self) -> None:
        """Ends listening and all connections."""
        await self._listener.close()

    def _admit(self, peer: Peer) -> None:
        verdict = self._rights.admit_cls(peer)
        if isinstance(verdict, Refusal):
            raise PeerRefused(verdict.reason)

    async def _serve(self, call: Call) -> None:
        code = await self._connected(call)
        if code != socks.OK:
            call.refuse(code)

    async def _connected(self, call: Call) -> int:
        asked = call.asked
        if isinstance(asked, socks.Unsupported):
            self._refused(f"{call.peer.cn}: {asked.reason}", call.peer.name)
            return asked.reply
        wanted = asked.host if asked.named else _address(asked)
        if asked.named and not socks.is_server_name(wanted):
            wanted = ascii(wanted)  # no profile can be called so; told as it can be printed
        try:
            channel = self._engine.admit(call.peer, Target(proxy=wanted))
        except NoChannel as no:
            return socks.NO_PROFILE if not no.profile else socks.WAN_REFUSED
        try:
            await self._engine.open_wan(channel)
        except NoChannel as no:
            return socks.WAN_TIMED_OUT if no.timed_out else socks.WAN_REFUSED
        finally:
            if call.gone:
                channel.relay.close("box left before it was opened")
        return self._join(call, channel)

    def _join(self, call: Call, channel: Channel) -> int:
        if channel.relay.ended:
            return socks.WAN_REFUSED
        call.accept(channel.relay.box)
        self._engine.opened(channel)
        return socks.OK

    def _refused(self, reason: str, subject: str) -> None:
        detail = {"interface": "socks-tls"}
        self._journal.refused("DICAMM", "proxy.refused", subject, reason, detail=detail)


def _address(asked: socks.Request) -> str:
    return f"{asked.host}:{asked.port}"
