"""The HAN side of the gateway: TLS with pinned certificates or a log-in, HTTP behind it.

Knows who may connect (a certificate that a profile pins; without one only where log-ins are)
and tells of everyone who may not; what is served is behind `front`.
Source: BSI TR-03109-1 (the SMGW is the TLS server).
"""

import asyncio
import ssl

from aiohttp import web

from clsbench.errors import PeerRefused
from clsbench.net.listener import TlsListener
from clsbench.pki.names import Peer
from clsbench.smgw.core.rights import ROLE_CLS, Refusal, Rights
from clsbench.smgw.han.connection import GUEST, HanServer, VisitorHandler
from clsbench.smgw.han.old_hello import OldHelloListener
from clsbench.smgw.han.visitors import Identify
from clsbench.smgw.journal import LANE_OF_ROLE, SMGW, Journal
from clsbench.smgw.rest import HttpRefusal

CLOSE_WITHIN_S = 0.5
PERSON_LANE = "operator"


class HanInterface:
    """Listens in the HAN. handler: answers each request of a visitor. old_hello: a quirk."""

    def __init__(
        self,
        context: ssl.SSLContext,
        authority: Rights,
        handler: VisitorHandler,
        identify: Identify,
        journal: Journal,
        old_hello: bool = False,
    ):
        self._rights = authority
        self._journal = journal
        self._guests = context.verify_mode != ssl.CERT_REQUIRED
        self._server = HanServer(handler, self._http_refused)
        if old_hello:
            self._listener = OldHelloListener(self._tls_refused)
        else:
            self._listener = TlsListener(
                context, self._accept, self._tls_refused, identify=identify
            )

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises EnvironmentProblem."""
        return await self._listener.start(host, port)

    async def close(self) -> None:
        """Ends listening and all connections."""
        await self._server.close(CLOSE_WITHIN_S)
        await self._listener.close()

    def look(self) -> None:
        """Ends the connections of control boxes that may not connect any more."""
        self._server.close_unless(
            lambda peer: (
                peer.role != ROLE_CLS or not isinstance(self._rights.admit_cls(peer), Refusal)
            )
        )

    def _accept(self, peer: Peer) -> asyncio.BaseProtocol:
        if peer is GUEST:
            if not self._guests:
                raise PeerRefused("no certificate shown")
            return self._server.connection(peer)
        if peer.role not in ("CON", "SRV"):
            verdict = self._rights.admit_cls(peer)
            if isinstance(verdict, Refusal):
                raise PeerRefused(verdict.reason)
        self._journal.event(
            _lane(peer),
            SMGW,
            "state",
            "tls.accepted",
            detail={"interface": "han", "peer": peer.cn, "fingerprint": peer.fingerprint},
        )
        return self._server.connection(peer)

    def _tls_refused(self, reason: str, address: str) -> None:
        detail = {"interface": "han"}
        self._journal.refused("DICAMM", "tls.refused", address, reason, detail=detail)

    def request_refused(self, peer: Peer, request: web.BaseRequest, refusal: HttpRefusal) -> None:
        """Tells of a request that was refused."""
        detail = {"method": request.method, "path": request.path, "status": refusal.status}
        self._journal.refused(
            _lane(peer), "han.refused", peer.name, str(refusal), refusal.uuid, detail
        )

    def _http_refused(self, peer: Peer, status: int, reason: str) -> None:
        self._journal.refused(
            _lane(peer), "han.refused", peer.name, reason, detail={"status": status}
        )


def _lane(peer: Peer) -> str:
    return LANE_OF_ROLE[ROLE_CLS] if peer.role == ROLE_CLS else PERSON_LANE
