"""Orders of the administrator at work: profiles change while the gateway runs.

An order is taken as a whole or not at all, is in the store before it is answered, and takes
effect at once: what is no longer allowed is closed. The same happens when a validity ends. What
holds a profile elsewhere registers in `listeners`, called whenever what is in force may have
changed. Source: BSI TR-03109-1 (the administrator alone configures profiles).
"""

import asyncio
import hashlib
from collections.abc import Callable

from clsbench.clock import BenchClock
from clsbench.smgw.administered import (
    Administered,
    Order,
    Overlay,
    changed_by,
    merged,
)
from clsbench.smgw.config import SmgwConfig
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.rights import Rights
from clsbench.smgw.history import ProfileHistory, ProfileVersion
from clsbench.smgw.journal import SMGW, Journal
from clsbench.smgw.lmn.lines import Lines
from clsbench.smgw.store import Store
from clsbench.smgw.tariffs import Tariffs
from clsbench.smgw.wan.channels import EmtChannels
from clsbench.smgw.wan.deliveries import Deliveries
from clsbench.smgw.worker import StoreWorker
from clsbench.store.database import transaction

PROFILES_FACT = "profiles-digest"
SMGW_ID_FACT = "smgw-id"
LONGEST_SLEEP_MS = 3_600_000

Listener = Callable[[], object]


class Administration:
    """Changes `profiles`, the object that every part of the gateway holds.

    config: as in the file; overlay: what the administrator had ordered before this start.
    """

    def __init__(
        self,
        config: SmgwConfig,
        overlay: Overlay,
        profiles: Profiles,
        rights: Rights,
        store: Store,
        worker: StoreWorker,
        journal: Journal,
        clock: BenchClock,
    ):
        self.listeners: list[Listener] = []
        self._config = config
        self._overlay = overlay
        self._profiles = profiles
        self._rights = rights
        self._store = store
        self._worker = worker
        self._journal = journal
        self._clock = clock
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._parts: tuple[Lines, Tariffs, Deliveries, EmtChannels] | None = None

    async def start(
        self, lines: Lines, tariffs: Tariffs, deliveries: Deliveries, channels: EmtChannels
    ) -> None:
        """Notes the profiles in force in the history and starts what they ask for."""
        self._parts = (lines, tariffs, deliveries, channels)
        await self._worker.run(self._store.remember, SMGW_ID_FACT, self._profiles.smgw_id)
        for change in await self._worker.run(self._note, self._profiles, {}, self._clock.now_ms()):
            self._journal.system("profile.changed", self._config.gwa.name, change)
        sections = merged(self._config, self._overlay).lmn
        await lines.adopt(sections, lines.prepared(sections))
        await deliveries.adopt(self._profiles.emts)

    async def order(self, order: Order, by: str) -> list[str]:
        """Takes an order of `by`; returns what changed, one sentence each. Raises BadInput."""
        async with self._lock:
            now_ms = self._clock.now_ms()
            overlay = changed_by(order, self._overlay, self._config, now_ms)
            config = merged(self._config, overlay)
            profiles = config.profiles()
            assert self._parts is not None
            lines, tariffs, deliveries, channels = self._parts
            readers = lines.prepared(config.lmn)
            changed = {key: overlay[key] for key in (*order.put, *order.remove)}
            changes = await self._worker.run(self._note, profiles, changed, now_ms)
            concerned = _consumers(self._profiles, order) | _consumers(profiles, order)
            self._overlay = overlay
            await tariffs.adopt(profiles)
            await lines.adopt(config.lmn, readers)
            await deliveries.adopt(profiles.emts)
            await self._enforce(channels)
        self._changed.set()
        for change in changes:
            self._journal.event("GWA", SMGW, "state", "profile.changed", detail={"what": change})
            self._journal.system("profile.changed", by, change)
        for consumer, name in sorted(concerned):
            self._journal.consumer(consumer, "profile.changed", by, f"taf profile '{name}'")
        return changes

    async def run(self) -> None:
        """Closes what a validity that ends no longer allows, for ever."""
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(self._sleep_s()):
                    await self._changed.wait()
            except TimeoutError:
                async with self._lock:
                    assert self._parts is not None
                    await self._enforce(self._parts[3])

    @property
    def smgw_id(self) -> str:
        """The gateway's id."""
        return self._profiles.smgw_id

    def versions(self) -> list[ProfileVersion]:
        """Every version of every profile; in the store's thread."""
        return ProfileHistory(self._store.database).versions()

    async def _enforce(self, channels: EmtChannels) -> None:
        for name in channels.states():
            emt = self._profiles.emt(name)
            reason = f"no EMT profile '{name}'" if emt is None else self._rights.no_channel(emt)
            if reason:
                await channels.disconnect(name)
                self._journal.event(SMGW, "aEMT", "state", "channel.ended", detail={"why": reason})
                self._journal.system("channel.ended", name, reason)
            elif emt is not None:
                await channels.moved(emt)
        for listener in self.listeners:
            listener()

    def _sleep_s(self) -> float:
        """Real seconds until some validity begins or ends."""
        now_ms = self._clock.now_ms()
        held = self._profiles
        instants = [
            instant
            for group in (held.emts, held.cls, held.tafs, held.proxies, held.consumers)
            for profile in group
            for instant in (profile.validity.from_ms, profile.validity.to_ms)
            if instant is not None and instant > now_ms
        ]
        left_ms = min([LONGEST_SLEEP_MS * self._clock.speed, *(i - now_ms for i in instants)])
        return left_ms / 1000 / self._clock.speed + 0.001

    def _note(self, profiles: Profiles, changed: Overlay, now_ms: int) -> list[str]:
        """In the store's thread: order, history and digest together."""
        with transaction(self._store.database):
            Administered(self._store.database).save(changed, changed, now_ms)
            changes = ProfileHistory(self._store.database).note(profiles, now_ms)
            digest = hashlib.sha256(repr(profiles).encode()).hexdigest()
            fresh = digest != self._store.fact(PROFILES_FACT)
            if fresh:
                self._store.remember(PROFILES_FACT, digest)
        if fresh:
            message = f"profiles in force, SHA-256 {digest}"
            self._journal.calibration("profiles.changed", self._config.gwa.name, message)
        return changes


def _consumers(profiles: Profiles, order: Order) -> set[tuple[str, str]]:
    """(final consumer, evaluation profile) of the profiles that an order names."""
    named = {name for kind, name in (*order.put, *order.remove) if kind == "taf"}
    return {(t.final_consumer, t.profile_id) for t in profiles.tafs if t.profile_id in named}
