"""The gateway as a whole: makes the parts, ties them together, runs them, ends them.

Holds no rule of its own. Order matters in two places: quarter-hour series are taken up
before any meter is read, and the store is closed last.
"""

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clsbench.clock import BenchClock
from clsbench.errors import BadInput, ClsbenchError
from clsbench.eventlog import EventLog
from clsbench.net import tls
from clsbench.net.tls import Identity
from clsbench.smgw.archive import Archive
from clsbench.smgw.cls.building import ClsChannels
from clsbench.smgw.commands import CommandDesk
from clsbench.smgw.config import SmgwConfig
from clsbench.smgw.core import cms
from clsbench.smgw.core.profiles import Endpoint, Profiles, TafProfile
from clsbench.smgw.core.rights import Caller, Refusal, Rights, Target
from clsbench.smgw.exchange import Exchange
from clsbench.smgw.han.announcement import Announcement
from clsbench.smgw.han.building import build_han
from clsbench.smgw.han.resources import ClsResources
from clsbench.smgw.history import ProfileHistory
from clsbench.smgw.journal import LANE_OF_ROLE, SMGW, Journal
from clsbench.smgw.lmn.readers import Counters, line_readers
from clsbench.smgw.recorder import Recorder, Sign
from clsbench.smgw.store import Store
from clsbench.smgw.tariffs import Tariffs
from clsbench.smgw.wan.channels import Channel, EmtChannels
from clsbench.smgw.wan.delivery import Delivery
from clsbench.smgw.wan.resources import EmtResources, GwaResources
from clsbench.smgw.worker import StoreWorker

PROFILES_FACT = "profiles-digest"
SMGW_ID_FACT = "smgw-id"


class Gateway:
    """One gateway. `start`, then `run_until`, then `stop`, whatever happened."""

    def __init__(self, config: SmgwConfig):
        self._config = config
        self._clock = BenchClock.from_spec(config.smgw.clock)
        self.profiles = config.profiles()
        self._events = EventLog(config.smgw.event_log or None, self._clock, "smgw")
        self.store = Store(config.smgw.state())
        self.archive = Archive(self.store.database)
        self._history = ProfileHistory(self.store.database)
        self.worker = StoreWorker(asyncio.get_running_loop())
        self._journal = Journal(self._events, self.store, self.worker, self._clock)
        self._tasks: list[asyncio.Task[None]] = []
        try:
            self._build()
        except ClsbenchError:
            self.worker.close()
            self.store.close()
            self._events.close()
            raise

    async def start(self) -> dict[str, int]:
        """Starts everything; returns the ports listened on. Raises EnvironmentProblem."""
        await self.worker.run(self._exchange.expire_open_commands)
        await self._note_profiles()
        await self.tariffs.start()
        han = self._config.han
        port = await self._han.start(han.host, han.port)
        runs = [reader.run() for reader in self._readers]
        runs += [self._management.run(), self.tariffs.run()]
        runs += [delivery.run() for delivery in self._deliveries.values()]
        self._tasks = [asyncio.create_task(run) for run in runs]
        ports = await self.cls_channels.start()
        await self._announcement.start(port)
        self._journal.system("start", self.profiles.smgw_id, "gateway started")
        self._journal.event("SMGW", "SMGW", "state", "start", detail={"han_port": port})
        return {"han": port} | ports

    async def run_until(self, stop: asyncio.Event) -> None:
        """Returns when `stop` is set. Raises what a part that broke raised."""
        stopped = asyncio.create_task(stop.wait())
        waiting = {stopped, self.worker.broken, *self._tasks}
        try:
            while not stopped.done():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for part in done:
                    part.result()
        finally:
            stopped.cancel()

    async def stop(self) -> None:
        """Ends everything; what was taken on is written before this returns."""
        await self._announcement.close()
        await self._han.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
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
        common = (self.worker, self._journal, clock)
        self._exchange = Exchange(self.store)
        self.rights = Rights(profiles, config.gwa.name, clock.now_ms, self._tell_refused)
        self.desk = CommandDesk(self._exchange, *common, config.timing.command_s)
        sign = self._signer()
        recorder = Recorder(profiles.smgw_id, sign, config.time_state())
        self.tariffs = Tariffs(
            profiles,
            recorder,
            self.store,
            self.archive,
            *common,
            config.timing.event_s,
            self._record_written,
        )
        self._build_wan(self.rights)
        resources = ClsResources(
            self.rights,
            self.tariffs,
            self.desk,
            self._exchange,
            *common,
            config.time_state(),
            self._device_records_stored,
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
            config.time_state(),
            sign,
        )
        self._announcement = Announcement(config.han.mdns, config.han.host, profiles.smgw_id)
        self._readers = line_readers(
            config.lmn,
            clock,
            self._journal,
            self.tariffs.take,
            Counters(self.store, self.worker),
        )
        self.tariffs.ask_meter = self._ask_meter

    def _build_wan(self, authority: Rights) -> None:
        config, journal = self._config, self._journal
        context = tls.wan_client(self._identity("smgw/tls"), self._path("wan-trust.pem"))
        emt = EmtResources(authority, journal, self.desk, self.tariffs)
        self.channels = EmtChannels(context, emt.router.answer, journal, config.timing.retry_max_s)
        gwa = GwaResources(
            authority, journal, self.channels, self._status, config.timing.connect_s
        )
        timing = config.timing
        self.cls_channels = ClsChannels(
            config.socks,
            config.pki,
            self.profiles,
            authority,
            journal,
            self._clock.now_ms,
            timing.connect_s,
            timing.retry_max_s,
        )
        self.cls_channels.add_to(gwa.router)
        self._management = Channel(
            "management",
            Endpoint(config.gwa.host, config.gwa.port),
            context,
            "GWA",
            config.gwa.name,
            gwa.router.answer,
            journal,
            config.timing.retry_max_s,
        )
        self._deliveries = {
            emt.name: Delivery(
                emt,
                context,
                self.store,
                self._exchange,
                self.worker,
                journal,
                self._clock,
                config.timing.retry_max_s,
            )
            for emt in self.profiles.emts
        }

    def _record_written(self, taf: TafProfile) -> None:
        for emt in taf.emts:
            self._deliveries[emt].wake()

    def _tell_refused(self, caller: Caller, action: str, target: Target, no: Refusal) -> None:
        self._journal.refused(
            LANE_OF_ROLE.get(caller.role, SMGW), f"{action}.refused", caller.name, no.reason
        )

    def _ask_meter(self, meter: str) -> None:
        for reader in self._readers:
            reader.ask(meter)

    def _device_records_stored(self, cls_id: str) -> None:
        for emt in self.profiles.emts:
            if cls_id in emt.cls_ids:
                self._deliveries[emt.name].wake()

    async def _status(self) -> dict[str, Any]:
        state = self._config.time_state()
        last = {key: at for reader in self._readers for key, at in reader.last.items()}
        return {
            "smgw_id": self.profiles.smgw_id,
            "utc_ms": self._clock.now_ms(),
            "time_state": state.state,
            "bound_ms": state.bound_ms,
            "channels": self.channels.states(),
            "meters": {
                key: {"meter_id": reading.meter_id, "captured_ms": reading.captured_ms}
                for key, reading in last.items()
            },
            "last_seq": await self.worker.run(self.store.last_seqs),
            "undelivered": await self.worker.run(self.store.undelivered_count),
        }

    async def _note_profiles(self) -> None:
        changes = await self.worker.run(self._history.apply, self.profiles, self._clock.now_ms())
        for change in changes:
            self._journal.system("profile.changed", self._config.gwa.name, change)
        await self.worker.run(self.store.remember, SMGW_ID_FACT, self.profiles.smgw_id)
        digest = _digest(self.profiles)
        if digest == await self.worker.run(self.store.fact, PROFILES_FACT):
            return
        await self.worker.run(self.store.remember, PROFILES_FACT, digest)
        message = f"profiles in force, SHA-256 {digest}"
        self._journal.calibration("profiles.changed", self._config.gwa.name, message)

    def _signer(self) -> Sign:
        identity = self._identity("smgw/sig")
        try:
            cert, key = identity.cert.read_bytes(), identity.key.read_bytes()
        except OSError as error:
            raise BadInput(
                f"{error.filename}: {error.strerror}. Make a test PKI: clsbench pki init --out DIR"
            ) from error

        def sign(content: bytes) -> bytes:
            now = datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC)
            return cms.sign(content, cert, key, now)

        sign(b"")  # a wrong key is found at start, not at the first record
        return sign

    def _identity(self, stem: str) -> Identity:
        return Identity(self._path(f"{stem}.crt.pem"), self._path(f"{stem}.key.pem"))

    def _path(self, name: str) -> Path:
        return self._config.pki.dir / name


def _digest(profiles: Profiles) -> str:
    return hashlib.sha256(repr(profiles).encode()).hexdigest()
