"""A real gateway in this process: test PKI, meter on a pty, control box as HTTPS client."""

import asyncio
import os
import time
import tty
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from quarter import no_quarter_hour

from clsbench.eventlog import read_events
from clsbench.meters.device_id import server_id
from clsbench.meters.sml_encode import obis_bytes, telegram
from clsbench.net.tls import Identity, han_client
from clsbench.pki.layout import DEFAULT_CLS, DEFAULT_EMT, DEFAULT_GWA, DEFAULT_SMGW, Pki
from clsbench.smgw.config import SmgwConfig
from clsbench.smgw.service import Gateway

METER = "1EMH0098765432"
OTHER_CLS = "ETST0020000018"  # has a CLS profile, is in no TAF16 profile
STRANGE_CLS = "ETST0020000099"  # has a certificate of the HAN CA, but no profile
UUID = "0190c0de-0000-7000-8000-000000000001"
PUSH_S = 0.02
IMPORT = "1-0:1.8.0*255"


def smgw_config(
    pki: Pki, folder: Path, lmn_port: str, more_tafs: Sequence[dict] = (), **changed: dict
) -> SmgwConfig:
    """A gateway of one meter, one TAF7 and one TAF16 profile. changed: fields by section.

    more_tafs: fields of further profiles on the same meter.
    """
    sections: dict[str, dict] = {
        "smgw": {
            "id": DEFAULT_SMGW,
            "state_dir": folder / "smgw",
            "event_log": str(folder / "events"),
        },
        "pki": {"dir": pki.directory},
        "han": {"port": 0},
        "gwa": {"name": DEFAULT_GWA, "port": 1},
        "timing": {"command_s": 20, "event_s": 20, "connect_s": 20},  # a busy machine is no fault
        "emt": {
            "name": DEFAULT_EMT,
            "channel_port": 1,
            "delivery_port": 1,
            "cls_ids": [DEFAULT_CLS],
        },
        "lmn": {"port": lmn_port, "meter_id": METER},
        "taf": {
            "id": "taf16-1",
            "number": 16,
            "meter_id": METER,
            "final_consumer": "consumer1",
            "emt": DEFAULT_EMT,
            "event_sources": [DEFAULT_CLS],
            "wan_source": True,
        },
    }
    content = changed | {n: section | changed.get(n, {}) for n, section in sections.items()}
    taf7 = content["taf"] | {"id": "taf7-1", "number": 7, "event_sources": [], "wan_source": False}
    tafs = [content["taf"], taf7, *(taf7 | more for more in more_tafs)]
    content |= {"emt": [content["emt"]], "lmn": [content["lmn"]], "taf": tafs}
    content["cls"] = [{"cls_id": DEFAULT_CLS}, {"cls_id": OTHER_CLS}]
    return SmgwConfig.model_validate(content)


class Meter:
    """A base meter on a pty. `port`: what the gateway opens; `push(raw)`: one telegram."""

    def __init__(self, meter_id: str = METER):
        self.meter_id = meter_id
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._number = 0

    def telegram(self, raw: int) -> bytes:
        """A telegram whose import register stands at `raw` tenths of a watt-hour."""
        self._number += 1
        values = [(obis_bytes(IMPORT), raw, -1, 30, 0x1C0104)]
        return telegram(server_id(self.meter_id), values, int(time.monotonic()), self._number)

    def push(self, raw: int) -> bytes:
        """Sends a telegram and returns its bytes."""
        data = self.telegram(raw)
        self.write(data)
        return data

    def write(self, data: bytes) -> None:
        """Sends any bytes."""
        os.write(self._master, data)

    async def run(self, first_raw: int = 1000) -> None:
        """Sends a telegram every PUSH_S, the register rising by one each time."""
        raw = first_raw
        while True:
            self.push(raw)
            raw += 1
            await asyncio.sleep(PUSH_S)

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)


class Bench:
    """A running gateway, its meter, and sessions of control boxes."""

    def __init__(self, pki: Pki, folder: Path, meter: Meter, gateway: Gateway, port: int):
        self.pki = pki
        self.folder = folder
        self.meter = meter
        self.gateway = gateway
        self.port = port

    def url(self, path: str) -> str:
        """Of a resource for control boxes."""
        return f"https://127.0.0.1:{self.port}/smgw/cls/v1/{path}"

    def box(self, cls_id: str = DEFAULT_CLS, identity: Identity | None = None):
        """An HTTP session with the certificate of a control box."""
        context = han_client(identity or self.pki.cls(cls_id), self.pki.han_trust)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

    def events(self, name: str) -> list[dict]:
        """What the event log has of this name."""
        return [event for event in read_events(self.folder / "events") if event["name"] == name]

    async def until(self, name: str, count: int = 1, seconds: float = 20.0) -> None:
        """Returns when the event log has `count` of this name; fails the test otherwise."""
        deadline = time.monotonic() + seconds
        while len(self.events(name)) < count:
            assert time.monotonic() < deadline, f"{count} of {name} not within {seconds:g} s"
            await asyncio.sleep(0.01)

    async def log(self, log: str) -> list:
        """A log of the gateway, with everything told until now."""
        return await self.gateway.worker.run(self.gateway.store.read_log, log)

    async def undelivered(self) -> list:
        """The gateway records that no market participant has acknowledged."""
        return await self.gateway.worker.run(self.gateway.store.undelivered, DEFAULT_EMT, 0, 100)


@asynccontextmanager
async def running(
    pki: Pki,
    folder: Path,
    *,
    meter: Meter | None = None,
    pushing: bool = True,
    more_tafs: Sequence[dict] = (),
    **changed: dict,
) -> AsyncIterator[Bench]:
    """A started gateway with its meter, which pushes by itself unless told otherwise."""
    await no_quarter_hour(20)
    own = meter or Meter()
    gateway = Gateway(smgw_config(pki, folder, own.port, more_tafs, **changed))
    pusher = asyncio.create_task(own.run()) if pushing else None
    try:
        ports = await gateway.start()
        bench = Bench(pki, folder, own, gateway, ports["han"])
        await bench.until("lmn.open")  # opening a port throws away what it has received
        yield bench
    finally:
        if pusher is not None:
            pusher.cancel()
        await gateway.stop()
        if meter is None:
            own.close()


def event_body(**changed) -> dict:
    """The announcement of a begin."""
    return {
        "uuid": UUID,
        "cls_id": DEFAULT_CLS,
        "event": "begin",
        "text": "Ladevorgang 1",
        "event_ms": 1_780_000_000_000,
        "device_seq": 1,
    } | changed


async def announce(box: aiohttp.ClientSession, bench: Bench, **changed) -> tuple[int, dict]:
    """Announces an event for a control box: HTTP status and body of the gateway's answer."""
    async with box.post(bench.url("fas/event"), json=event_body(**changed)) as answer:
        return answer.status, await answer.json()
