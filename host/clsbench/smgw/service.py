"""The gateway as a whole: makes the parts, ties them together, runs them, ends them.

Holds no rule of its own. Order matters in two places: quarter-hour series are taken up
before any meter is read, and the store is closed last.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clsbench.clock import BenchClock
from clsbench.errors import ClsbenchError
from clsbench.eventlog import EventLog
from clsbench.net.tls_policy import HAN_PROFILES
from clsbench.pki.live import LivePair
from clsbench.pki.staging import recover
from clsbench.roletls import RoleTls
from clsbench.smgw.administered import Administered, merged
from clsbench.smgw.administration import Administration
from clsbench.smgw.archive import Archive
from clsbench.smgw.cls.building import ClsChannels
from clsbench.smgw.commands import CommandDesk
from clsbench.smgw.config import SmgwConfig
from clsbench.smgw.core import cms
from clsbench.smgw.core.profiles import EmtProfile, Endpoint
from clsbench.smgw.core.rights import Caller, Refusal, Rights, Target
from clsbench.smgw.exchange import Exchange
from clsbench.smgw.han.announcement import Announcement
from clsbench.smgw.han.building import build_han
from clsbench.smgw.han.facts import Facts
from clsbench.smgw.han.resources import ClsResources
from clsbench.smgw.journal import (
    FAILURE,
    INFO,
    LANE_OF_ROLE,
    SMGW,
    SUCCESS,
    WARNING,
    Journal,
)
from clsbench.smgw.lmn.lines import Lines
from clsbench.smgw.lmn.readers import Counters
from clsbench.smgw.parts import Parts
from clsbench.smgw.recorder import Recorder, Sign
from clsbench.smgw.store import Store
from clsbench.smgw.tariffs import Tariffs
from clsbench.smgw.wan.building import build_admin, build_time, build_wake_up, protector
from clsbench.smgw.wan.certificates import CertificateRenewal
from clsbench.smgw.wan.channels import Channel, EmtChannels
from clsbench.smgw.wan.deliveries import Deliveries
from clsbench.smgw.wan.delivery import Delivery
from clsbench.smgw.wan.gwa_resources import GwaResources
from clsbench.smgw.wan.resources import EmtResources
from clsbench.smgw.worker import StoreWorker


class Gateway:
    """One gateway. `start`, then `run_until`, then `stop`, whatever happened."""

    def __init__(self, config: SmgwConfig):
        self._config = config
        self._clock = config.clock()
        config.profiles()  # a mistake in the file is told before anything is opened
        self._events = EventLog(
            config.smgw.event_log or None, BenchClock.from_spec(config.smgw.clock), "smgw"
        )
        self.store = Store(config.smgw.state())
        self.archive = Archive(self.store.database)
        self.worker = StoreWorker(asyncio.get_running_loop())
        self._journal = Journal(self._events, self.store, self.worker, self._clock)
        self._parts = Parts()
        try:
            administered = Administered(self.store.database)
            administered.forget_passwords(config.smgw.id)
            self._overlay = administered.load()
            self.profiles = merged(config, self._overlay).profiles()
            self._build()
        except ClsbenchError:
            self.worker.close()
            self.store.close()
            self._events.close()
            raise

    async def start(self) -> dict[str, int]:
        """Starts everything; returns the ports listened on. Raises EnvironmentProblem."""
        await self.worker.run(self._exchange.expire_open_commands)
        await self.tariffs.start()
        han = self._config.han
        port = await self._han.start(han.host, han.port)
        await self.administration.start(self._lines, self.tariffs, self._deliveries, self.channels)
        for part in (self._management, self.tariffs, self.administration):
            self._parts.add(part, part.run())
        if self.time_sync is not None:
            self._parts.add(self.time_sync, self.time_sync.run())
        ports = await self.cls_channels.start()
        if self.wake_up is not None:
            ports["wakeup"] = await self.wake_up.start()
            self._parts.add(self.wake_up, self.wake_up.run())
        await self._announcement.start(port)
        self._tls.start()
        self._journal.system("start", self.profiles.smgw_id, "gateway started")
        self._journal.event("SMGW", "SMGW", "state", "start", detail={"han_port": port})
        return {"han": port} | ports

    async def run_until(self, stop: asyncio.Event) -> None:
        """Returns when `stop` is set. Raises what a part that broke raised."""
        await self._parts.watch(stop, self.worker.broken)

    async def stop(self) -> None:
        """Ends everything; what was taken on is written before this returns."""
        self._tls.close()
        await self._announcement.close()
        await self._han.close()
        if self.wake_up is not None:
            await self.wake_up.close()
        await self._parts.close()
        await self.cls_channels.close()
        await self.channels.close()
        await self.tariffs.close()
        self._journal.event("SMGW", "SMGW", "state", "stop")
        self._journal.system("stop", self.profiles.smgw_id, "gateway stopped")
        await asyncio.to_thread(self.worker.close)
        self.store.close()
        self._events.close()

    def _build(self) -> None:
        config, profiles, clock = self._config, self.profiles, self._clock
        recover(config.pki.dir / "smgw")  # a renewal that a kill cut off
        common = (self.worker, self._journal, clock)
        self._exchange = Exchange(self.store)
        self.rights = Rights(profiles, config.gwa.name, clock.now_ms, self._tell_refused)
        self.desk = CommandDesk(self._exchange, *common, config.timing.command_s)
        self._tls = RoleTls(
            config.pki, "smgw", self._told_tls, BenchClock.from_spec(config.smgw.clock).speed
        )
        sign = self._signer()
        recorder = Recorder(profiles.smgw_id, sign, clock)
        self.tariffs = Tariffs(
            profiles,
            recorder,
            self.store,
            self.archive,
            *common,
            config.timing.event_s,
            lambda taf: self._deliveries.record_written(taf),
        )
        self.administration = Administration(
            config, self._overlay, profiles, self.rights, self.store, *common
        )
        self._build_wan(self.rights)
        resources = ClsResources(
            self.rights,
            self.tariffs,
            self.desk,
            self._exchange,
            *common,
            clock,
            self._deliveries.device_records_stored,
        )
        self._han = build_han(
            config.han,
            config.pki,
            profiles,
            self.rights,
            resources,
            self.archive,
            self.worker,
            self._journal,
            clock.now_ms,
            clock,
            sign,
            self._tls.told_of,
        )
        self.administration.listeners.append(self._han.look)
        self._announcement = Announcement(config.han.mdns, config.han.host, profiles.smgw_id)
        self._lines = Lines(
            clock,
            self._journal,
            self.tariffs.take,
            Counters(self.store, self.worker),
            self._parts,
        )
        self._lines.prepared(merged(config, self._overlay).lmn)  # mistakes are told at start
        self.tariffs.ask_meter = self._lines.ask

    def _build_wan(self, authority: Rights) -> None:
        config, journal = self._config, self._journal
        context = self._tls.client()
        emt = EmtResources(authority, journal, self.desk, self.tariffs)
        self.channels = EmtChannels(context, emt.router.answer, journal, config.timing.retry_max_s)
        gwa = GwaResources(
            authority,
            journal,
            self.channels,
            self._status,
            config.timing.connect_s,
            self.administration,
            self.archive,
            self.worker,
            Facts(config.pki.dir),
            CertificateRenewal(
                config.pki.dir / "smgw", config.pki.wan_trust, self.profiles.smgw_id
            ),
        )
        timing = config.timing
        self.cls_channels = ClsChannels(
            config.socks,
            config.pki,
            self._tls,
            self.profiles,
            authority,
            journal,
            self._clock.now_ms,
            timing.connect_s,
            timing.retry_max_s,
            HAN_PROFILES[config.han.profile],
        )
        self.cls_channels.add_to(gwa.router)
        self.administration.listeners.append(self.cls_channels.engine.look)
        management = Channel(
            "management",
            Endpoint(config.gwa.host, config.gwa.port, config.gwa.wan_tls_sni),
            context,
            "GWA",
            config.gwa.name,
            build_admin(config, gwa.router, self._clock, journal),
            journal,
            config.timing.retry_max_s,
        )

        self._management, self.wake_up = build_wake_up(
            config, management, self.store, self.worker, journal, self._clock
        )
        self.time_sync = build_time(
            config, context, self._clock, journal, self.tariffs.clock_jumped
        )

        def delivery(emt: EmtProfile) -> Delivery:
            return Delivery(
                emt,
                context,
                self.store,
                self._exchange,
                self.worker,
                journal,
                self._clock,
                config.timing.retry_max_s,
                protector(config, emt, self._clock),
            )

        self._deliveries = Deliveries(delivery, self._parts)

    def _tell_refused(self, caller: Caller, action: str, target: Target, no: Refusal) -> None:
        self._journal.refused(
            LANE_OF_ROLE.get(caller.role, SMGW), f"{action}.refused", caller.name, no.reason
        )

    async def _status(self) -> dict[str, Any]:
        state = self._clock.time_state()
        return {
            "smgw_id": self.profiles.smgw_id,
            "utc_ms": self._clock.now_ms(),
            "time_state": state.state,
            "bound_ms": state.bound_ms,
            "channels": self.channels.states(),
            "cls_channels": self.cls_channels.engine.states(),
            "meters": {
                key: {"meter_id": reading.meter_id, "captured_ms": reading.captured_ms}
                for key, reading in self._lines.last().items()
            },
            "last_seq": await self.worker.run(self.store.last_seqs),
            "undelivered": await self.worker.run(self.store.undelivered_count),
        }

    def _signer(self) -> Sign:
        pair = LivePair(self._path("smgw/sig.crt.pem"), self._path("smgw/sig.key.pem"))

        def sign(content: bytes) -> bytes:
            now = datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC)
            return cms.sign(content, *pair.current(), now)

        sign(b"")  # a wrong key is found at start, not at the first record
        return sign

    def _told_tls(self, name: str, good: bool, text: str, detail: dict[str, Any]) -> None:
        self._journal.event(SMGW, SMGW, "state" if good else "fault", name, ok=good, detail=detail)
        level, outcome = (INFO, SUCCESS) if good else (WARNING, FAILURE)
        self._journal.system(name, detail.get("subject", "TLS"), text, level, outcome)

    def _path(self, name: str) -> Path:
        return self._config.pki.dir / name
