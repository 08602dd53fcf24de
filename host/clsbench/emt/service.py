"""The aEMT as a process: its two WAN ports, its operator socket, and what ties them together.

`channel`: SMGWs open it and are asked over it. `delivery`: SMGWs post records to it. What a
command or a delivery means is `emt.engine`'s and `emt.delivery`'s business.
"""

import asyncio
import logging
from collections.abc import Callable

from clsbench.clock import BenchClock
from clsbench.device.signed import read_public_key
from clsbench.emt.cls_channel import ClsChannels
from clsbench.emt.cls_way import ChannelWay
from clsbench.emt.config import ClsEntry, EmtConfig
from clsbench.emt.delivery import Delivery, KnownCls
from clsbench.emt.engine import CommandEngine
from clsbench.emt.gwa_client import Gwas
from clsbench.emt.operator_api import OperatorApi
from clsbench.emt.seal import read_key
from clsbench.emt.signed import body_opener, cms_verifier
from clsbench.emt.store import EmtStore
from clsbench.errors import PeerRefused
from clsbench.eventlog import EventLog
from clsbench.net.listener import TlsListener
from clsbench.net.reverse import OpenStreams, http_client_protocol
from clsbench.net.serving import PeerHttpServer
from clsbench.net.tls import Peer
from clsbench.roleconfig import state_dir
from clsbench.roletls import RoleTls

log = logging.getLogger("clsbench.emt")


class EmtService:
    """One active external market participant. Raises BadInput, EnvironmentProblem."""

    def __init__(self, config: EmtConfig):
        self._config = config
        clock = BenchClock.from_spec(config.emt.clock)
        self._events = EventLog(config.emt.event_log or None, clock, f"emt-{config.emt.name}")
        self._store = EmtStore(state_dir(config.emt.state_dir) / "emt.sqlite")
        self._channels = OpenStreams(self._channel_changed)
        party = f"emt-{config.emt.name}"
        self._tls = RoleTls(config.pki, party, self._told_tls, clock.speed)
        gwa = Gwas(config, self._tls.client())
        known = {entry.cls_id: _known(entry) for entry in config.cls}
        verify = cms_verifier(config.pki)
        demanded = config.emt.content == "enveloped"
        open_body = body_opener(config.pki, config.emt.name, demanded)
        delivery = Delivery(self._store, known, verify, self._events, clock, open_body)
        self._cls = ClsChannels(known, delivery.take, gwa.open_proxy, self._events)
        ways = {
            entry.cls_id: ChannelWay(self._cls, entry.cls_id)
            for entry in config.cls
            if entry.via == "channel"
        }
        self._engine = CommandEngine(
            self._store,
            self._channels,
            gwa.connect,
            self._events,
            clock,
            ways=ways,
            emt_id=config.emt.name,
        )
        self._operator = OperatorApi(config, self._store, self._engine, self._channels, self._cls)
        self._delivery = PeerHttpServer(delivery.handle, delivery.no_http)
        self._channel_port = TlsListener(
            self._tls.server(config.channel.sni), self._accept_channel, self._refused("channel")
        )
        self._delivery_port = TlsListener(
            self._tls.server(config.delivery.sni), self._delivery.accept, self._refused("delivery")
        )
        self._cls_port = TlsListener(self._tls.server(), self._cls.accept, self._refused("cls"))

    async def start(self) -> dict[str, int]:
        """Opens the ports and the operator socket; returns the port numbers."""
        self._tls.start()
        channel, delivery = self._config.channel, self._config.delivery
        ports = {
            "channel": await self._channel_port.start(channel.host, channel.port),
            "delivery": await self._delivery_port.start(delivery.host, delivery.port),
        }
        if (cls := self._config.cls_channel) is not None:
            ports["cls"] = await self._cls_port.start(cls.host, cls.port)
        await self._operator.start()
        return ports

    async def stop(self) -> None:
        """Closes everything; what was stored stays."""
        self._tls.close()
        await self._engine.close()
        await self._operator.stop()
        await self._delivery.close()
        await self._delivery_port.close()
        await self._channel_port.close()
        await self._cls.close()
        await self._cls_port.close()
        await self._channels.close()
        self._store.close()
        self._events.close()

    def _accept_channel(self, peer: Peer) -> asyncio.BaseProtocol:
        if peer.role != "SMGW" or not self._config.knows(peer.name):
            raise PeerRefused(f"{peer.cn} is no SMGW of a CLS configured here")
        return http_client_protocol(
            lambda stream: self._channels.add(peer.name, stream), f"SMGW {peer.name}"
        )

    def _channel_changed(self, smgw_id: str, is_open: bool) -> None:
        state = "up" if is_open else "down"
        detail = {"smgw_id": smgw_id, "state": state}
        self._events.event("SMGW", "aEMT", "state", "channel", detail=detail)
        log.info("channel of %s is %s", smgw_id, state)

    def _told_tls(self, name: str, good: bool, _text: str, detail: dict) -> None:
        kind = "state" if good else "fault"
        self._events.event("aEMT", "aEMT", kind, name, ok=good, detail=detail)

    def _refused(self, port: str) -> Callable[[str, str], None]:
        def refused(reason: str, address: str) -> None:
            log.warning("%s: connection from %s refused: %s", port, address, reason)
            detail = {"port": port, "address": address, "reason": reason}
            self._events.event("aEMT", "aEMT", "fault", "emt.tls-refused", ok=False, detail=detail)

        return refused


def _known(entry: ClsEntry) -> KnownCls:
    key = None if entry.key_file is None else read_key(entry.key_file)
    signs = None if entry.sign_key_file is None else read_public_key(entry.sign_key_file)
    return KnownCls(entry, key, signs)
