"""The SMGW's WAN side reduced to its edge: connections and canned answers, no metering.

Opens what the real one opens (management, channel, delivery) with the SMGW's certificate.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cbor2
from aiohttp import web

from clsbench.emt.config import EmtConfig
from clsbench.gwa.config import GwaConfig
from clsbench.net.listener import open_tls
from clsbench.net.reverse import (
    HttpAnswer,
    HttpOverStream,
    connect_and_serve,
    http_client_protocol,
)
from clsbench.net.tls import Identity, wan_client
from clsbench.pki.layout import DEFAULT_CLS, DEFAULT_EMT, DEFAULT_GWA, DEFAULT_SMGW, Pki
from clsbench.smgw.core import cms
from clsbench.smgw.core.records import content_bytes

SMGW, CLS, EMT, GWA = DEFAULT_SMGW, DEFAULT_CLS, DEFAULT_EMT, DEFAULT_GWA
UUID = "0190c0de-0000-7000-8000-000000000001"
KEY = bytes(range(32))
BACK_OFF_S = 0.05


async def until(claim: Callable[[], object], seconds: float = 20.0) -> None:
    """Returns when `claim` holds; fails the test where it does not in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not claim():
        assert asyncio.get_running_loop().time() < deadline, "did not come true in time"
        await asyncio.sleep(0.01)


def gwa_config(pki: Pki, folder: Path, ports: dict[str, int] | None = None) -> GwaConfig:
    ports = ports or {}
    return GwaConfig.model_validate(
        {
            "gwa": {"name": GWA, "state_dir": folder / "gwa", "event_log": str(folder / "events")},
            "pki": {"dir": pki.directory},
            "management": {"port": ports.get("management", 0)},
            "service": {"port": ports.get("service", 0)},
            "smgw": [{"id": SMGW}],
            "emt": [{"name": EMT, "smgw_ids": [SMGW]}],
        }
    )


def emt_config(pki: Pki, folder: Path, service_port: int, socket: str) -> EmtConfig:
    key = folder / "device.key"
    key.write_bytes(KEY)
    return EmtConfig.model_validate(
        {
            "emt": {
                "name": EMT,
                "state_dir": folder / "emt",
                "event_log": str(folder / "events"),
                "operator_socket": socket,
            },
            "pki": {"dir": pki.directory},
            "gwa": {"name": GWA, "service_port": service_port},
            "cls": [
                {"cls_id": CLS, "smgw_id": SMGW, "key_file": key, "taf_profile": "taf16-1"},
            ],
        }
    )


class EdgeSmgw:
    """One gateway. `commands`: bodies received; `answers`: (status, content) to give, in turn.

    The last of `answers` repeats; status 0 drops the channel in place of an answer.
    `connect_status`: what a Connect is answered.
    """

    def __init__(self, pki: Pki, management_port: int, channel_port: int, delivery_port: int):
        self.context = wan_client(pki.smgw.tls, pki.wan_trust)
        self.ports = (management_port, channel_port, delivery_port)
        self.told: list[tuple[str, str]] = []  # (connect | disconnect, emt_id)
        self.commands: list[dict] = []
        self.paths: list[str] = []
        self.answers = [(200, {"code": 0, "seq": 7, "text": "done"})]
        self.connect_status = 200
        self.states: list[tuple[str, bool]] = []
        self._tasks: dict[str, asyncio.Task] = {}

    def start(self) -> None:
        self._keep("GWA", GWA, self.ports[0], self._management)

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def deliver(self, path: str, body: bytes) -> HttpAnswer:
        return await post("EMT", EMT, self.ports[2], self.context, path, body=body)

    def _keep(self, role: str, name: str, port: int, handler) -> None:
        async def run() -> None:
            while True:
                await connect_and_serve(
                    "127.0.0.1",
                    port,
                    self.context,
                    role,
                    name,
                    handler,
                    lambda is_open, reason: self.states.append((role, is_open)),
                )
                await asyncio.sleep(BACK_OFF_S)

        if role not in self._tasks:
            self._tasks[role] = asyncio.create_task(run())

    async def _management(self, request: web.BaseRequest) -> web.StreamResponse:
        action = request.path.rsplit("/", 1)[1]
        emt_id = json.loads(await request.read())["emt_id"]
        self.told.append((action, emt_id))
        if self.connect_status != 200:
            return web.json_response({"error": "no EMT profile"}, status=self.connect_status)
        if action == "connect":
            self._keep("EMT", emt_id, self.ports[1], self._command)
        elif "EMT" in self._tasks:
            self._tasks.pop("EMT").cancel()
        return web.json_response({"state": "open"})

    async def _command(self, request: web.BaseRequest) -> web.StreamResponse:
        self.paths.append(request.path)
        self.commands.append(json.loads(await request.read()))
        status, content = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status == 0:
            request.transport.abort()
            await asyncio.sleep(0.05)
        return web.json_response(content, status=status or 500)


async def post(
    role: str, name: str, port: int, context, path: str, body: bytes = b"", content=None
) -> HttpAnswer:
    """One POST to an HTTPS port, with any certificate."""
    opened: list[HttpOverStream] = []
    transport, _ = await open_tls(
        "127.0.0.1", port, context, role, name, lambda: http_client_protocol(opened.append)
    )
    try:
        return await opened[0].request("POST", path, json=content, body=body)
    finally:
        transport.close()


def gateway_record(seq: int = 1, **changes) -> bytes:
    """The content of a TAF16 record."""
    return content_bytes(
        {
            "type": "taf16",
            "smgw_id": SMGW,
            "profile_id": "taf16-1",
            "seq": seq,
            "uuid": UUID,
            "cls_id": CLS,
            "event": "begin",
            "text": "charge",
            "event_ms": 1_777_000_000_000,
            "captured_ms": 1_777_000_000_100,
            "meter_id": "1EMH0098765432",
            "values": [{"obis": "1-0:1.8.0*255", "raw": 12345678, "scaler": -1, "unit": 30}],
            "status": "0000000000000000",
            "time_state": "synchronised",
            "source": "wan",
        }
        | changes
    )


def signed(content: bytes, identity: Identity) -> bytes:
    """CMS by the holder of `identity`, now."""
    now = datetime.now(UTC)
    return cms.sign(content, identity.cert.read_bytes(), identity.key.read_bytes(), now)


def device_record(seq: int, text: str = "charge", key: bytes = KEY) -> bytes:
    """A sealed record, made here with cbor2 and hmac."""
    payload = cbor2.dumps({1: seq, 2: 16, 4: 1, 5: text, 6: CLS})
    protected = bytes.fromhex("a10105")
    covered = cbor2.dumps(["MAC0", protected, b"", payload])
    tag = hmac.new(key, covered, hashlib.sha256).digest()
    return cbor2.dumps(cbor2.CBORTag(17, [protected, {4: CLS.encode()}, payload, tag]))
