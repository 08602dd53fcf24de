"""Watches a DICAMM through its bench link: its log and its records become events of the one log.

Only reads: acknowledges nothing, commands nothing.
"""

import asyncio
from typing import Any

from clsbench.bench.plant import BenchPlant
from clsbench.device.link import LinkClient
from clsbench.device.link_inbox import restarted
from clsbench.device.records import TIME_STATES, DeviceRecord, SealBroken, open_record
from clsbench.errors import ClsbenchError, PeerSilent
from clsbench.eventlog import EventLog
from dicamm import code_texts

_POLL_S = 0.4


class DeviceObserver:
    """port: console of the board; key: the device's HMAC key.

    records: all verified records seen so far, by number.
    """

    def __init__(self, port: str, key: bytes, events: EventLog):
        self._port = port
        self.key = key
        self._events = events
        self._link: LinkClient | None = None
        self._task: asyncio.Task[None] | None = None
        self._hello: dict[str, Any] | None = None
        self._logged: set[tuple[int, int, str]] = set()
        self.records: dict[int, DeviceRecord] = {}
        self.broken: list[str] = []

    @property
    def link(self) -> LinkClient:
        """The open link; only after `start`."""
        assert self._link is not None
        return self._link

    async def start(self) -> dict[str, Any]:
        """Opens the link and returns the device's hello."""
        self._hello = None
        self._link = await LinkClient.open(self._port)
        self._link.on_log = self._on_log
        hello = await self._say_hello(tries=10)
        self._task = asyncio.create_task(self._watch())
        return hello

    async def stop(self) -> None:
        """Closes the link."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._link is not None:
            await self._link.close()

    async def wait_ready(self, timeout_s: float = 20.0) -> dict[str, Any]:
        """Waits until the device has a healthy meter and legal time; returns its status.

        Raises PeerSilent saying which of the two is missing.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            status = await self.link.status()
            meter, time = status["meter"], status["time"]
            if meter["healthy"] and time["state"] == 1:
                return status
            if asyncio.get_running_loop().time() > deadline:
                error = code_texts.describe(meter["error"])
                raise PeerSilent(
                    f"DICAMM on {self._port} is not ready after {timeout_s:g} s: "
                    f"meter {'good' if meter['healthy'] else error}, "
                    f"time {TIME_STATES[time['state']]}, restarts {status['restarts']}. "
                    "`clsbench log` on its port tells more."
                )
            await asyncio.sleep(0.1)

    async def collect(self) -> list[DeviceRecord]:
        """Fetches what is new now; returns all records in order of their numbers."""
        newest = max(self.records, default=0)
        for seq, sealed in await self.link.records(newest + 1):
            if seq not in self.records:
                self._take(seq, sealed)
        return [self.records[seq] for seq in sorted(self.records)]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            try:
                await self.collect()
                await self._say_hello()
            except ClsbenchError as error:
                self._events.event(
                    "operator",
                    "DICAMM",
                    "fault",
                    "link.silent",
                    ok=False,
                    detail={"reason": str(error).splitlines()[0]},
                )

    async def _say_hello(self, tries: int = 5) -> dict[str, Any]:
        """A restarted device sends its log only from the next hello on: asks for the rest."""
        hello = await self.link.hello(tries=tries)
        before, self._hello = self._hello, hello
        if before is None or restarted(before, hello):
            self._logged.clear()
            await self.link.logs()
        return hello

    def _take(self, seq: int, sealed: bytes) -> None:
        try:
            record = open_record(sealed, self.key)
        except SealBroken as error:
            self.broken.append(f"record {seq}: {error}")
            self._events.event(
                "DICAMM",
                "DICAMM",
                "fault",
                "record.broken",
                ok=False,
                detail={"seq": seq, "reason": str(error)},
                raw=sealed,
            )
            return
        self.records[seq] = record
        self._events.event(
            "DICAMM",
            "DICAMM",
            "record",
            f"device.taf{record.taf}",
            uuid=record.uuid,
            detail=record.document(),
            raw=sealed,
            t_ns=record.captured_ms * 1_000_000 if record.captured_ms is not None else None,
        )

    def _on_log(self, mono_ms: int, code: int, arguments: list[Any]) -> None:
        entry = (mono_ms, code, repr(arguments))
        if entry in self._logged:
            return  # sent unasked and once more with the rest
        self._logged.add(entry)
        name, severity, _text = code_texts.entry(code)
        fault = severity != code_texts.INFO
        self._events.event(
            "DICAMM",
            "DICAMM",
            "fault" if fault else "state",
            f"device.{name.lower()}",
            ok=not fault,
            detail={
                "mono_ms": mono_ms,
                "code": code,
                "text": code_texts.describe(code, arguments),
            },
        )


def log_load(events: EventLog, plant: BenchPlant) -> None:
    """Writes the load's power history into the event log, for the time axis of the report."""
    for t_ms, closed, power_w in plant.plant.history():
        events.event(
            "load",
            "load",
            "state",
            "load.power",
            detail={"power_w": power_w, "relay_closed": closed},
            t_ns=t_ms * 1_000_000,
        )
