"""Puts the gateway's transparent channels together: port, engine, schedule. Holds no rule."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from clsbench.net import tls
from clsbench.net.tls_policy import HAN_SECP256R1, TlsPolicy
from clsbench.roleconfig import PkiDir
from clsbench.roletls import RoleTls
from clsbench.smgw.cls.engine import MAX_SESSION_S, ProxyEngine
from clsbench.smgw.cls.legs import Legs
from clsbench.smgw.cls.resources import ProxyResources
from clsbench.smgw.cls.schedule import Schedule
from clsbench.smgw.cls.settings import SocksSection
from clsbench.smgw.cls.socks import SocksPort
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.rights import Rights
from clsbench.smgw.journal import FAILURE, SMGW, WARNING, Journal
from clsbench.smgw.rest import Router


class ClsChannels:
    """Everything of the gateway that has to do with channels. Raises BadInput.

    socks: its port in the HAN, None for no such port. pki: the gateway's folder; role_tls: its
    TLS, by whose clock channels age. now_ms: its clock. connect_s, retry_max_s: as in the
    section [timing].
    han_policy: of TLS in the HAN; frames of SOCKS-TLS hold TLS 1.2 only.
    """

    def __init__(
        self,
        socks: SocksSection | None,
        pki: PkiDir,
        role_tls: RoleTls,
        profiles: Profiles,
        authority: Rights,
        journal: Journal,
        now_ms: Callable[[], int],
        connect_s: float,
        retry_max_s: float,
        han_policy: TlsPolicy = HAN_SECP256R1,
    ):
        own, boxes, crl = pki.han_identity, pki.dir / "han" / "ca.crt.pem", pki.han_crl
        han = role_tls.told_of(tls.han_client(own, boxes, crl, han_policy))
        legs = Legs(role_tls.client(), han, connect_s)
        limit_s = MAX_SESSION_S if socks is None else socks.max_session_s
        self.engine = ProxyEngine(authority, journal, legs, limit_s, role_tls.age_s)
        self._schedule = Schedule(self.engine, profiles, now_ms, retry_max_s)
        self._journal = journal
        self._at = socks
        self._port = None
        if socks is not None:
            policy = replace(han_policy, tls_13=False)
            served = role_tls.told_of(tls.han_server(own, boxes, crl, socks.sni, policy))
            self._port = SocksPort(served, authority, self.engine, journal)
        self._tasks: list[asyncio.Task[None]] = []

    def add_to(self, router: Router) -> None:
        """The administrator's resource, for the router of the management connection."""
        ProxyResources(self.engine).add_to(router)

    async def start(self) -> dict[str, int]:
        """Starts; returns the port listened on, if any. Raises EnvironmentProblem."""
        for run in (self.engine.run(), self._schedule.run()):
            task = asyncio.create_task(run)
            task.add_done_callback(self._broken)
            self._tasks.append(task)
        if self._port is None or self._at is None:
            return {}
        return {"socks": await self._port.start(self._at.host, self._at.port)}

    async def close(self) -> None:
        """Ends everything."""
        for task in self._tasks:
            task.cancel()
        self.engine.close()
        if self._port is not None:
            await self._port.close()

    def _broken(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        self.engine.close()  # nobody looks after channels any more: none may stand
        detail = {"reason": repr(error)}
        self._journal.event(SMGW, SMGW, "fault", "proxy.broken", ok=False, detail=detail)
        self._journal.system("proxy.broken", SMGW, repr(error), WARNING, FAILURE)
