"""A real gateway for tests of a board: the SMGW emulator in a thread, with a base meter.

Synchronous, for boards in wall time. Can go away and come back, on the same port, with what it
had stored. Knows no board; its clock is the bench's.
"""

import asyncio
import contextlib
import sqlite3
import threading
import uuid as uuidlib
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from clsbench.clock import BenchClock
from clsbench.errors import EnvironmentProblem
from clsbench.eventlog import read_events
from clsbench.meters.pty_meter import PtyMeter
from clsbench.pki.layout import DEFAULT_CLS, DEFAULT_EMT, DEFAULT_GWA, DEFAULT_SMGW, Pki
from clsbench.smgw.config import SmgwConfig
from clsbench.smgw.core.commands import Answer, Command
from clsbench.smgw.service import Gateway

T = TypeVar("T")

LMN_METER = "1EMH0098765432"
CONSUMER, TAF16 = "consumer1", "taf16-1"
CALL_S = 20.0
_PUSH_S = 0.05


class HilGateway:
    """folder: for its state. utc_ms: what its clock shows now.

    settings: what a device is provisioned with to find it.
    """

    def __init__(self, pki: Pki, folder: Path, utc_ms: int):
        clock = BenchClock(utc_ms=utc_ms)
        self._folder = folder
        self._meter = PtyMeter(LMN_METER, clock)
        self._config = _config(pki, folder, self._meter.port, clock)
        self._gateway: Gateway | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._pusher: asyncio.Task[None] | None = None

    @property
    def settings(self) -> dict[str, object]:
        return {
            "gateway_host": "127.0.0.1",
            "gateway_port": self._config.han.port,
            "gateway_name": f"{DEFAULT_SMGW.lower()}.sm",
        }

    def __enter__(self) -> "HilGateway":
        self._thread.start()
        self._call(self._push_for_ever())
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._pusher is not None:
            self._loop.call_soon_threadsafe(self._pusher.cancel)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._meter.close()

    def start(self) -> None:
        """Comes (back), on the port it had."""
        port = self._call(self._start())["han"]
        han = self._config.han.model_copy(update={"port": port})
        self._config = self._config.model_copy(update={"han": han})

    def stop(self) -> None:
        """Goes away; what it stored stays."""
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            self._call(gateway.stop())

    def command(self, action: str, uuid: bytes, text: str = "hil") -> Answer:
        """Has the box do something, as the aEMT would; its answer. Raises PeerSilent."""
        assert self._gateway is not None
        command = Command(
            id=str(uuidlib.uuid4()),
            cls_id=DEFAULT_CLS,
            emt=DEFAULT_EMT,
            action=action,
            uuid=str(uuidlib.UUID(bytes=uuid)),
            text=text,
            event_ms=1_780_000_000_000,
            taf_profile=TAF16,
        )
        return self._call(self._gateway.desk.submit(command, CONSUMER))

    def device_records(self) -> dict[int, bytes]:
        """Number -> sealed record, of all that the device has delivered; read from its store."""
        path = self._folder / "smgw" / "smgw.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return dict(database.execute("SELECT seq, sealed FROM device_records").fetchall())

    def own_records(self, uuid: bytes) -> list[dict[str, Any]]:
        """What its own records say of one transaction: details of `record.written`."""
        text = str(uuidlib.UUID(bytes=uuid))
        return [
            event["detail"]
            for event in read_events(self._folder / "events")
            if event["name"] == "record.written" and event["uuid"] == text
        ]

    def events(self, name: str) -> list[dict[str, Any]]:
        """What its event log has of this name."""
        return [event for event in read_events(self._folder / "events") if event["name"] == name]

    async def _start(self) -> dict[str, int]:
        self._gateway = Gateway(self._config)
        return await self._gateway.start()

    async def _push_for_ever(self) -> None:
        async def run() -> None:
            while True:
                self._meter.push()
                await asyncio.sleep(_PUSH_S)

        self._pusher = asyncio.create_task(run())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        done = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return done.result(CALL_S)
        except TimeoutError as error:
            raise EnvironmentProblem(f"gateway: a call had no end in {CALL_S:g} s") from error


def _config(pki: Pki, folder: Path, lmn_port: str, clock: BenchClock) -> SmgwConfig:
    """One base meter, TAF16 on it, one control box, one market participant who is away."""
    return SmgwConfig.model_validate(
        {
            "smgw": {
                "id": DEFAULT_SMGW,
                "state_dir": folder / "smgw",
                "event_log": str(folder / "events"),
                "clock": clock.spec(),
                "time_bound_ms": 5,
            },
            "pki": {"dir": pki.directory},
            "han": {"port": 0},
            "gwa": {"name": DEFAULT_GWA, "port": 1},
            "timing": {"command_s": 10, "event_s": 2, "connect_s": 5},
            "emt": [
                {
                    "name": DEFAULT_EMT,
                    "channel_port": 1,
                    "delivery_port": 1,
                    "cls_ids": [DEFAULT_CLS],
                }
            ],
            "lmn": [{"port": lmn_port, "meter_id": LMN_METER}],
            "cls": [{"cls_id": DEFAULT_CLS}],
            "taf": [
                {
                    "id": TAF16,
                    "number": 16,
                    "meter_id": LMN_METER,
                    "final_consumer": CONSUMER,
                    "emt": DEFAULT_EMT,
                    "event_sources": [DEFAULT_CLS],
                    "wan_source": True,
                }
            ],
        }
    )
