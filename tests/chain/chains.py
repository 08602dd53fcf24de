"""A running chain for tests, GWA, aEMT, SMGW, meters and a DICAMM, and what to ask it.

Knows how to switch, what the event log has gained, and what "it still works" means.
"""

import asyncio
import contextlib
import os
import ssl
import uuid as uuidlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from quarter import no_quarter_hour

from clsbench.bench.chain import Chain, ChainOptions
from clsbench.bench.observer import DeviceObserver
from clsbench.bench.plant import PIN_RELAY
from clsbench.device.link import LinkClient
from clsbench.device.provision import record_key
from clsbench.device.records import ENDS, check_chain
from clsbench.errors import PeerRefused
from clsbench.eventlog import EventReader
from clsbench.net.listener import open_tls_streams
from clsbench.net.tls import Identity, han_client
from clsbench.pki.layout import Pki

LATE_S = 40.0


def events(chain: Chain) -> list[dict[str, Any]]:
    """Everything in the chain's event log."""
    return EventReader(chain.events_path).poll()


async def until(condition: Callable[[], Any], seconds: float = LATE_S, what: str = "") -> Any:
    """The first true value of `condition()`; fails the test after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := condition()):
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{what or 'it'} did not come within {seconds:g} s")
        await asyncio.sleep(0.02)
    return found


async def status_when(
    link: LinkClient, claim: Callable[[dict[str, Any]], bool], seconds: float = LATE_S
) -> dict[str, Any]:
    """The device's first status of which `claim` is true; fails the test after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not claim(status := await link.status()):
        assert asyncio.get_running_loop().time() < deadline, status
        await asyncio.sleep(0.1)
    return status


def http(method: str, path: str, body: bytes = b"") -> bytes:
    """A whole request, after which the connection is to be closed."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Run:
    """A started chain with an observer on the board's console.

    `mark()` begins a new chapter of the event log: `told` and `fault` look only at what came
    after it.
    """

    def __init__(self, chain: Chain, observer: DeviceObserver):
        self.chain = chain
        self.observer = observer
        self._reader = EventReader(chain.events_path)
        self._chapter: list[dict[str, Any]] = []

    # the event log

    def mark(self) -> None:
        """Everything so far is of the past."""
        self._reader.poll()
        self._chapter = []

    def switched(self) -> list[dict]:
        """The gateway's records of begins and ends: not that of the start, no quarter hours."""
        records = self.told("record.written")
        return [each for each in records if each["detail"].get("event") in ("begin", "end")]

    def told(self, name: str) -> list[dict[str, Any]]:
        """Events of this name since `mark`."""
        self._chapter += self._reader.poll()
        return [event for event in self._chapter if event["name"] == name]

    async def fault(self, name: str, reason: str, seconds: float = LATE_S) -> dict[str, Any]:
        """The event `name` of kind fault, ok false, whose detail holds `reason`."""

        def found() -> dict[str, Any] | None:
            return next(
                (event for event in self.told(name) if reason in str(event["detail"])), None
            )

        event = await until(found, seconds, f"{name} with '{reason}'")
        assert event["kind"] == "fault" and event["ok"] is False, event
        return event

    # switching

    @property
    def relay_closed(self) -> bool:
        """What the relay pin of the board reads."""
        return bool(self.chain.board.pin(PIN_RELAY))

    async def begin(self, uuid: str | None = None) -> str:
        """Begins a transaction through the whole chain; returns its UUID.

        A meter that this process, held up, did not answer for in time is waited for first.
        """
        await self.ready()
        uuid = uuid or str(uuidlib.uuid4())
        answer = await self._switch("begin", uuid)
        assert answer["code"] == 0, answer
        assert self.relay_closed
        return uuid

    async def end(self, uuid: str) -> None:
        """Ends it."""
        answer = await self._switch("end", uuid)
        assert answer["code"] == 0, answer
        assert not self.relay_closed

    async def transaction(self) -> str:
        """A begin and an end, both witnessed by device and gateway at the aEMT."""
        uuid = await self.begin()
        await self.end(uuid)
        await self.witnessed(uuid)
        return uuid

    async def _switch(self, action: str, uuid: str) -> dict[str, Any]:
        chain = self.chain
        now = chain.clock.now_ms()
        return await chain.operator.switch(
            chain.names.cls, action, uuid=uuid, text="chain test", event_ms=now
        )

    async def refused(self, reason: str, **command: Any) -> None:
        """Gives a command that the chain must refuse for `reason`."""
        command = {"cls_id": self.chain.names.cls, "action": "begin"} | command
        with pytest.raises(PeerRefused, match=reason):
            await self.chain.operator.switch(**command)

    async def refused_by_device(self, code: int, action: str, uuid: str) -> None:
        """A command that the device answers with `code`, the relay open afterwards."""
        answer = await self._switch(action, uuid)
        assert answer["code"] == code, answer
        assert not self.relay_closed

    # witnesses

    async def ends_of(self, uuid: str) -> list[str | None]:
        """The events by which the device ended a transaction, by its own records."""
        records = await self.observer.collect()
        return [record.event for record in records if record.uuid == uuid and record.event in ENDS]

    async def witnessed(self, uuid: str, end: str = "end", seconds: float = LATE_S) -> None:
        """Waits until the aEMT holds begin and `end` of both witnesses, once each."""
        deadline = asyncio.get_running_loop().time() + seconds
        wanted = ["begin", end]
        while True:
            gateway = [
                record["content"]["event"]
                for record in await self.chain.operator.records()
                if record["uuid"] == uuid
            ]
            device = [
                record["event"]
                for record in await self.chain.operator.device_records()
                if record["uuid"] == uuid
            ]
            if gateway == wanted and device == wanted:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"{uuid}: gateway has {gateway}, device has {device}")
            await asyncio.sleep(0.1)

    async def delivered(self, seconds: float = LATE_S) -> None:
        """Waits until the aEMT holds every device record, byte for byte; verifies the chain."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            device = await self.observer.collect()
            held = {
                record["seq"]: bytes.fromhex(record["sealed"])
                for record in await self.chain.operator.device_records()
            }
            if {record.seq: record.sealed for record in device} == held:
                break
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"device has {[r.seq for r in device]}, aEMT {sorted(held)}")
            await asyncio.sleep(0.1)
        assert not self.observer.broken
        assert check_chain(device) == []
        assert [record.seq for record in device] == list(range(1, len(device) + 1))

    async def gateway_gapless(self) -> None:
        """The gateway's sequences at the aEMT have no gap and no double."""
        by_profile: dict[str, list[int]] = {}
        for record in await self.chain.operator.records():
            by_profile.setdefault(record["profile_id"], []).append(record["seq"])
        for profile, seqs in by_profile.items():
            assert sorted(seqs) == list(range(1, len(seqs) + 1)), (profile, seqs)

    # the HAN

    async def ask_han(self, request: bytes = b"", identity: Identity | None = None) -> bytes:
        """Whatever the SMGW's HAN port answers to these bytes; empty where it hangs up.

        identity: whose certificate is shown; None: that of the chain's own CLS.
        """
        reader, writer = await self.open_han(identity)
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(65536), LATE_S)
        except (ConnectionError, ssl.SSLError):
            return b""
        finally:
            writer.close()

    async def open_han(
        self, identity: Identity | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TLS connection to the SMGW's HAN port, in TLS 1.2 as a box has it."""
        pki, names = self.chain.pki, self.chain.names
        context = han_client(identity or pki.cls(names.cls), pki.han_trust)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        port = self.chain.roles["smgw"].ports["han"]
        return await open_tls_streams("127.0.0.1", port, context, "SMGW", names.smgw)

    # the board

    async def ready(self) -> dict[str, Any]:
        """Waits until the device has a healthy meter and legal time; returns its status."""
        return await self.observer.wait_ready(LATE_S)

    async def reflash(self) -> None:
        """Provisions the board again, as `Chain.flash` does, and takes the link up again."""
        await self.observer.stop()
        self.chain.flash()
        await self.observer.start()

    def say_on_console(self, data: bytes) -> None:
        """Writes raw bytes to the board's console beside the open link."""
        port = os.open(self.chain.board.path, os.O_WRONLY | os.O_NOCTTY)
        try:
            os.write(port, data)
        finally:
            os.close(port)


@contextlib.asynccontextmanager
async def running(folder: Path, options: ChainOptions | None = None) -> AsyncIterator[Run]:
    """A chain that is up and ready to switch; ended with the context."""
    await no_quarter_hour(60)
    chain = Chain(folder / "work", folder / "events.jsonl", options or ChainOptions())
    observer = DeviceObserver(chain.board.path, b"", chain.events)
    try:
        await chain.start()
        observer.key = chain.key_file.read_bytes()
        await observer.start()
        await observer.wait_ready(LATE_S)
        yield Run(chain, observer)
    finally:
        await observer.stop()
        await chain.close()


@contextlib.asynccontextmanager
async def lone_board(
    folder: Path, options: ChainOptions
) -> AsyncIterator[tuple[Chain, LinkClient]]:
    """Board, meters and nothing else: the device without a gateway, commanded over its link."""
    chain = Chain(folder / "work", folder / "events.jsonl", options)
    names = chain.names
    link = None
    try:
        Pki.init(chain.work / "pki", names.smgw, names.gwa, [names.emt], [names.cls])
        record_key(chain.key_file)
        chain.plant.start()
        chain.board.start()
        chain.flash()
        link = await LinkClient.open(chain.board.path)
        await link.hello(tries=10)
        yield chain, link
    finally:
        if link is not None:
            await link.close()
        await chain.close()
