"""GWA, aEMT and gateway in this process, every port demanding a server name, and who tries them.

`Ports`: sins of clients at our servers. `Calls`: sins of servers at our clients. Both read the
reason of each refusal from the event log, where the roles wrote it.
"""

import asyncio
import json
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from matrix_certs import Forge
from smgw_bench import OTHER_CLS, Meter, smgw_config
from wan_edge import CLS, EMT, GWA, SMGW, emt_config, gwa_config

from clsbench.clock import BenchClock
from clsbench.emt.service import EmtService
from clsbench.eventlog import EventReader
from clsbench.gwa.service import GwaService
from clsbench.net import tls_openssl
from clsbench.net.tls import Crl, Identity, han_client, wan_client
from clsbench.net.tls_context import Material, Plan, build, tls_13_possible
from clsbench.net.tls_policy import HAN_SECP256R1, WAN
from clsbench.pki.layout import Pki
from clsbench.roleconfig import Endpoint as Listening
from clsbench.smgw.core.parties import EmtProfile
from clsbench.smgw.core.profiles import Endpoint
from clsbench.smgw.service import Gateway
from clsbench.smgw.store import Outgoing
from clsbench.smgw.wan.channels import Channel
from clsbench.smgw.wan.delivery import Delivery

HOST, SNI = "127.0.0.1", "matrix.example"
PORTS = ("han", "management", "service", "channel", "delivery")
CALLS = ("smgw-gwa", "smgw-emt", "smgw-delivery", "emt-gwa")
_REFUSED = {
    *("tls.refused", "gwa.tls-refused", "emt.tls-refused"),
    *("gwa.refused", "delivery.role", "cls-record.sender"),
}
_CONNECT = json.dumps({"smgw_id": SMGW, "emt_id": EMT}).encode()
_HEAD = "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n"
# ports that let any certificate of the WAN in and judge each request
_ORDERS = {
    "service": _HEAD.format("/gwa/v1/connect", len(_CONNECT)).encode() + _CONNECT,
    "delivery": _HEAD.format(f"/emt/v1/cls-records/{CLS}", 1).encode() + b"x",
}
_FAILED = {"channel.failed", "channel.closed", "delivery.failed", "switch.step"}


class Log:
    """The event log as it grows."""

    def __init__(self, path: Path):
        self._reader = EventReader(path)
        self._path = path
        self.refusals = 0

    async def reason(self, names: set[str], seconds: float = 8.0) -> str:
        """The reason of the next event of these names that is not good, or tells of an end."""
        for _ in range(int(seconds / 0.004)):
            for event in self._poll():
                if event["name"] in names and "reason" in event["detail"]:
                    self.refusals += 1
                    return event["detail"]["reason"]
            await asyncio.sleep(0.004)
        return f"nothing told within {seconds:g} s"

    async def state(self, name: str, seconds: float = 8.0) -> bool:
        """True when an event of this name comes."""
        for _ in range(int(seconds / 0.004)):
            if any(event["name"] == name for event in self._poll()):
                return True
            await asyncio.sleep(0.004)
        return False

    def new_refusals(self) -> list[str]:
        """Reasons told since the last look."""
        return [e["detail"].get("reason", "") for e in self._poll() if e["name"] in _REFUSED]

    def _poll(self) -> list[dict]:
        if not self._path.exists():
            return []
        return self._reader.poll()


@dataclass
class Roles:
    """What runs. folder/events is their log."""

    pki: Pki
    folder: Path
    gateway: Gateway
    emt: EmtService
    ports: dict[str, int]
    evil_port: int
    log: Log
    forges: dict[str, Forge]

    def identity(self, port: str) -> Identity:
        """Of the one who is welcome there."""
        if port == "han":
            return self.pki.cls(CLS)
        return self.pki.emt(EMT).tls if port == "service" else self.pki.smgw.tls

    def network(self, port: str) -> str:
        return "HAN" if port == "han" else "WAN"

    def has_13(self, port: str) -> bool:
        return tls_13_possible(HAN_SECP256R1 if port == "han" else WAN)


def _forges(pki: Pki, foreign: Pki, folder: Path) -> dict[str, Forge]:
    names = {"han": f"{CLS.lower()}.cls", "service": f"{EMT}.EMT"}
    servers = {"smgw-emt": f"{EMT}.EMT", "smgw-delivery": f"{EMT}.EMT"}
    made = {}
    for port in PORTS:
        cn = names.get(port, f"{SMGW}.SMGW")
        made[port] = Forge(pki, foreign, folder / port, port != "han", cn)
    for call in CALLS:
        made[call] = Forge(pki, foreign, folder / call, True, servers.get(call, f"{GWA}.GWA"))
    return made


@asynccontextmanager
async def roles(
    folder: Path, prepare: Callable[[Pki], object] | None = None
) -> AsyncIterator[Roles]:
    """All roles, running; prepare(pki): what is done before they start."""
    pki = Pki.init(folder / "pki", cls_ids=(CLS, OTHER_CLS))
    if prepare is not None:
        prepare(pki)
    foreign = Pki.init(folder / "foreign")
    with socket.create_server((HOST, 0)) as free:
        evil_port = free.getsockname()[1]
    named = Listening(sni=SNI)
    gwa_settings = gwa_config(pki, folder)
    gwa_settings = gwa_settings.model_copy(update={"management": named, "service": named})
    meter = Meter()
    async with AsyncExitStack() as stack:
        short = stack.enter_context(tempfile.TemporaryDirectory(prefix="emt"))
        stack.callback(meter.close)
        emt_settings = emt_config(pki, folder, evil_port, f"{short}/op")
        towards = (
            emt_settings.gwa.model_copy(update={"tls_sni": SNI}) if emt_settings.gwa else None
        )
        emt_settings = emt_settings.model_copy(
            update={"channel": named, "delivery": named, "gwa": towards}
        )
        smgw_settings = smgw_config(pki, folder, meter.port, han={"port": 0, "sni": SNI})
        gwa = GwaService(gwa_settings)
        ports = await gwa.start()
        stack.push_async_callback(gwa.stop)
        emt = EmtService(emt_settings)
        ports |= await emt.start()
        stack.push_async_callback(emt.stop)
        gateway = Gateway(smgw_settings)
        ports |= await gateway.start()
        stack.push_async_callback(gateway.stop)
        log = Log(folder / "events")
        await log.reason({"channel.failed"})  # its GWA is away; told once
        forges = _forges(pki, foreign, folder / "forged")
        yield Roles(pki, folder, gateway, emt, ports, evil_port, log, forges)


class Ports:
    """Tries our servers. Each method returns what the role told."""

    def __init__(self, on: Roles):
        self._on = on

    async def hello(self, port: str, data: bytes) -> tuple[str, bytes]:
        """(reason told, first byte of the answer): sends a hello by hand."""
        reader, writer = await asyncio.open_connection(HOST, self._on.ports[port])
        writer.write(data)
        reason = await self._on.log.reason(_REFUSED)
        first = b""
        with suppress(OSError, TimeoutError):
            first = await asyncio.wait_for(reader.read(1), 5)
        writer.close()
        return reason, first

    async def refused(self, port: str, work: Callable[[], bool]) -> tuple[str, bool]:
        """(reason told, whether `work` saw it): work runs in a thread."""
        seen = await asyncio.to_thread(work)
        return await self._on.log.reason(_REFUSED), seen

    async def certificate(self, port: str, identity: Identity | None, newest=False) -> str:
        """Shows a certificate, or none, and asks for something that the right one may have.

        newest: in TLS 1.3, where the port has it; else in TLS 1.2.
        """
        context = self._client(port, identity)
        if not newest:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        with suppress(OSError, ssl.SSLError):
            reader, writer = await asyncio.open_connection(
                HOST, self._on.ports[port], ssl=context, server_hostname=SNI
            )
            writer.write(_ORDERS.get(port, b""))
            with suppress(OSError):
                await asyncio.wait_for(reader.read(1), 5)
            writer.close()
        return await self._on.log.reason(_REFUSED)

    def _client(self, port: str, identity: Identity | None) -> ssl.SSLContext:
        pki = self._on.pki
        trust, make = (pki.han_trust, han_client) if port == "han" else (pki.wan_trust, wan_client)
        if identity is not None:
            return make(identity, trust)
        bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        bare.check_hostname = False
        tls_openssl.set_groups(bare, WAN.groups)
        bare.load_verify_locations(trust)
        return bare


class _OneRecord:
    """A store with one record that is never delivered."""

    def undelivered(self, _emt: str, after_id: int, _count: int) -> list[Outgoing]:
        return [] if after_id else [Outgoing(1, "taf16-1", 1, None, b"cms")]


class _AtOnce:
    """A worker that does what it is told at once."""

    async def run(self, work, *args):
        return work(*args)


class Calls:
    """Lets our clients call `port`, and returns what they told. prefers: a curve, of the
    gateway's calls."""

    def __init__(self, on: Roles, prefers: str = WAN.groups[0]):
        self._on = on
        material = Material(on.pki.smgw.tls, on.pki.wan_trust, Crl(on.pki.wan_crl, True))
        groups = (prefers, *(each for each in WAN.groups if each != prefers))
        self.context = build(Plan(ssl.PROTOCOL_TLS_CLIENT, WAN, material, groups=groups))
        self._tasks: list[asyncio.Task] = []

    async def failing(self, call: str, port: int) -> str:
        """The reason for which the call came to nothing."""
        await self._start(call, port)
        try:
            return await self._on.log.reason(_FAILED)
        finally:
            await self._end()

    async def during(self, call: str, port: int, work: Awaitable[str]) -> str:
        """What `work` gives while the call is made."""
        await self._start(call, port)
        try:
            return await work
        finally:
            await self._end()

    async def _start(self, call: str, port: int) -> None:
        journal = self._on.gateway._journal
        if call == "emt-gwa":
            known = next(iter(self._on.emt._config.cls))
            made = self._on.emt._engine.switch(known, "begin")
        elif call == "smgw-delivery":
            place = Endpoint(HOST, port, SNI)
            profile = EmtProfile(EMT, place, place, (), True)
            made = Delivery(
                profile,
                self.context,
                _OneRecord(),  # type: ignore[arg-type]
                None,  # type: ignore[arg-type]
                _AtOnce(),  # type: ignore[arg-type]
                journal,
                BenchClock(),
                1.0,
            ).run()
        else:
            role, name = ("GWA", GWA) if call == "smgw-gwa" else ("EMT", EMT)
            kind = "management" if role == "GWA" else "emt"
            place = Endpoint(HOST, port, SNI)
            made = Channel(kind, place, self.context, role, name, _nothing, journal, 1.0).run()
        self._tasks.append(asyncio.create_task(made))
        await asyncio.sleep(0)

    async def _end(self) -> None:
        await self._on.emt._engine.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


async def _nothing(*_args):
    raise AssertionError("nobody asks")
