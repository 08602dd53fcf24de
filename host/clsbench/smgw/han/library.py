"""What people may read of the gateway, as values: every look goes through the rights first.

Shared by the BSI resources and the dialects. Knows no format. Ranges are from (inclusive) to
(exclusive), UTC milliseconds.
"""

import zlib
from collections.abc import Callable

from clsbench.pki.names import Peer
from clsbench.smgw.archive import Archive
from clsbench.smgw.core import rights
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.evaluation import BILLED, TafProfile
from clsbench.smgw.core.logs import LogEntry
from clsbench.smgw.core.originals import Original
from clsbench.smgw.core.parties import ANY_METER, MeterProfile
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.rights import Grant, Refusal, Rights, Target
from clsbench.smgw.rest import HttpRefusal
from clsbench.smgw.worker import StoreWorker

WH = 30
FIELD_SCALER = -1  # tenths of a watt-hour, as gateways deliver energy


class Library:
    """Readings, registers, logs and profiles for one asker at a time.

    stale_ms: readings end this long before now (a quirk).
    """

    def __init__(
        self,
        profiles: Profiles,
        authority: Rights,
        archive: Archive,
        worker: StoreWorker,
        now_ms: Callable[[], int],
        stale_ms: int = 0,
    ):
        self.profiles = profiles
        self.now_ms = now_ms
        self._rights = authority
        self._archive = archive
        self._worker = worker
        self._stale_ms = stale_ms

    def granted(self, peer: Peer, action: str, target: Target = rights.NOTHING) -> Grant:
        """What the rights give. Raises HttpRefusal."""
        verdict = self._rights.decide(peer, action, target)
        if isinstance(verdict, Refusal):
            raise HttpRefusal(verdict.http_status, verdict.reason)
        return verdict

    def tafs(self, peer: Peer) -> tuple[TafProfile, ...]:
        """The evaluation profiles of a consumer."""
        return self.granted(peer, rights.READ_INFO).tafs

    def taf(self, peer: Peer, profile_id: str) -> TafProfile:
        """One of them. Raises HttpRefusal."""
        target = Target(taf_profile=profile_id)
        return self.granted(peer, rights.READ_READINGS, target).tafs[0]

    def meter(self, taf: TafProfile) -> MeterProfile:
        """The meter profile behind an evaluation profile."""
        found = self.profiles.meter(taf.meter_id)
        assert found is not None  # Profiles has checked the reference
        return found

    async def meter_id(self, meter: str) -> str:
        """How a meter names itself; for ANY_METER known once it was read."""
        if meter != ANY_METER:
            return meter
        rows = await self._worker.run(self._archive.last_originals, meter)
        return rows[0].meter_id if rows else "unknown"

    async def originals(
        self,
        taf: TafProfile,
        from_ms: int | None,
        to_ms: int | None,
        obis: str | None = None,
        limit: int | None = None,
        gaps: bool = False,
    ) -> list[Original]:
        """Rows of the original list on the profile's grid, gaps left out unless asked for."""
        end_ms = self.now_ms() - self._stale_ms + 1
        end_ms = end_ms if to_ms is None or self._stale_ms and to_ms > end_ms else to_ms
        grid = None if taf.number == 16 else taf.period_ms
        rows = await self._worker.run(
            self._archive.originals, taf.meter_id, obis, from_ms, end_ms, grid, limit
        )
        return [row for row in rows if taf.wants(row.obis) and (gaps or row.raw is not None)]

    async def latest(self, taf: TafProfile) -> list[Original]:
        """The latest row with a value of each register the profile wants."""
        if self._stale_ms:
            end_ms = self.now_ms() - self._stale_ms
            rows = await self.originals(taf, end_ms - 86_400_000, end_ms)
            return list({row.obis: row for row in rows}.values())
        rows = await self._worker.run(self._archive.last_originals, taf.meter_id)
        return [row for row in rows if taf.wants(row.obis)]

    async def registers(self, taf: TafProfile) -> list[tuple[str, int, int]]:
        """(OBIS, scaler, unit) of what the profile measures, one for each OBIS."""
        found: dict[str, tuple[str, int, int]] = {}
        for obis, scaler, unit in await self._worker.run(self._archive.registers, taf.meter_id):
            if taf.wants(obis):
                finest = min(scaler, found.get(obis, (obis, scaler, unit))[1])
                found[obis] = (obis, finest, unit)
        return list(found.values())

    async def derived(
        self, taf: TafProfile, from_ms: int | None, to_ms: int | None, obis: str | None = None
    ) -> list[Derived]:
        """Registers of periods that end in the range."""
        return await self._worker.run(self._archive.derived, taf.profile_id, obis, from_ms, to_ms)

    async def log(
        self,
        peer: Peer,
        log: str,
        from_ms: int | None = None,
        to_ms: int | None = None,
        level: str | None = None,
        count: int | None = None,
        from_number: int = 1,
        newest_first: bool = False,
    ) -> list[LogEntry]:
        """Entries of a log. Raises HttpRefusal."""
        self.granted(peer, rights.READ_LOG, Target(log=log))
        return await self._worker.run(
            self._archive.log_entries,
            log,
            from_ms,
            to_ms,
            from_number,
            None,
            level,
            count,
            newest_first,
        )


def has_periods(taf: TafProfile) -> bool:
    """True for profiles that have a billing period."""
    return taf.number in BILLED


def raised(raw: int, scaler: int, to_scaler: int) -> int:
    """raw * 10**scaler in units of 10**to_scaler, cut where it does not fit exactly."""
    return (
        raw * 10 ** (scaler - to_scaler)
        if scaler >= to_scaler
        else raw // 10 ** (to_scaler - scaler)
    )


def event_number(event: str) -> int:
    """A number for the name of an event, where a format has room for numbers only."""
    return 10_000 + zlib.crc32(event.encode()) % 50_000
