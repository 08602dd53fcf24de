"""The HAN side of the gateway: TLS with pinned certificates, HTTP behind it.

Knows who may connect (a certificate that a CLS profile pins) and tells of everyone who may
not; what is served is `resources`. Source: BSI TR-03109-1 (the SMGW is the TLS server).
"""

import asyncio
import ssl

from aiohttp import web

from clsbench.errors import PeerRefused
from clsbench.net.listener import TlsListener
from clsbench.pki.names import Peer
from clsbench.smgw.core.rights import Refusal, Rights
from clsbench.smgw.han.connection import HanServer
from clsbench.smgw.han.resources import ClsResources
from clsbench.smgw.journal import LANE_OF_ROLE, SMGW, Journal
from clsbench.smgw.rest import HttpRefusal, Router

CLOSE_WITHIN_S = 0.5


class HanInterface:
    """Listens for control boxes and serves `resources` to them."""

    def __init__(
        self,
        context: ssl.SSLContext,
        authority: Rights,
        resources: ClsResources,
        journal: Journal,
    ):
        self._rights = authority
        self._journal = journal
        self._router = Router(self._request_refused)
        resources.add_to(self._router)
        self._server = HanServer(self._router.answer, self._http_refused)
        self._listener = TlsListener(context, self._accept, self._tls_refused)

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises EnvironmentProblem."""
        return await self._listener.start(host, port)

    async def close(self) -> None:
        """Ends listening and all connections."""
        await self._server.close(CLOSE_WITHIN_S)
        await self._listener.close()

    def _accept(self, peer: Peer) -> asyncio.BaseProtocol:
        verdict = self._rights.admit_cls(peer)
        if isinstance(verdict, Refusal):
            raise PeerRefused(verdict.reason)
        self._journal.event(
            LANE_OF_ROLE[peer.role],
            SMGW,
            "state",
            "tls.accepted",
            detail={"interface": "han", "peer": peer.cn, "fingerprint": peer.fingerprint},
        )
        return self._server.connection(peer)

    def _tls_refused(self, reason: str, address: str) -> None:
        detail = {"interface": "han"}
        self._journal.refused("DICAMM", "tls.refused", address, reason, detail=detail)

    def _request_refused(self, peer: Peer, request: web.BaseRequest, refusal: HttpRefusal) -> None:
        detail = {"method": request.method, "path": request.path, "status": refusal.status}
        self._journal.refused(
            LANE_OF_ROLE[peer.role], "han.refused", peer.name, str(refusal), refusal.uuid, detail
        )

    def _http_refused(self, peer: Peer, status: int, reason: str) -> None:
        lane = LANE_OF_ROLE[peer.role]
        self._journal.refused(lane, "han.refused", peer.name, reason, detail={"status": status})
