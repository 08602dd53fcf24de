"""A gateway gone mad: it shows the SMGW's own certificate and says anything. The device logs it,
closes no relay, loses no record, restarts no task, and works with the real one afterwards.
"""

import asyncio
import json
import uuid as uuidlib

import pytest
from chains import until

from clsbench.net.listener import TlsListener
from clsbench.net.tls import Identity, han_server
from clsbench.pki.layout import Pki

pytestmark = pytest.mark.asyncio(loop_scope="module")

# what an authenticated gateway may say instead of an answer: bytes for the connection
ANSWERS = {
    "no HTTP": b"\x00\xff\x13 nonsense\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
    "body too long": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 9000,
    "length a lie": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n{}",
    "hang up": b"",
}


NOTHING_NEW = b"HTTP/1.1 204 No Content\r\n\r\n"


def ok(body: bytes) -> bytes:
    """A well-formed answer with any body."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


BODIES = {
    "no JSON": b"{",
    "no UTF-8": b'{"utc_ms": "\xff\xfe"}',
    "a list": b"[]",
    "nested": b"[" * 900,
    "texts": b'{"utc_ms": "now", "state": "synchronised", "bound_ms": "0"}',
    "huge time": b'{"utc_ms": 1%s, "state": "synchronised", "bound_ms": 0}' % (b"0" * 400),
    "negative time": b'{"utc_ms": -5, "state": "synchronised", "bound_ms": -5}',
    "true": b'{"utc_ms": true, "state": "synchronised", "bound_ms": true}',
}


def command(**changed) -> bytes:
    """What the long poll gives, with fields changed."""
    fields = {
        "id": str(uuidlib.uuid4()),
        "action": "begin",
        "uuid": str(uuidlib.uuid4()),
        "text": "",
        "event_ms": 1_780_000_000_000,
    } | changed
    return json.dumps(fields).encode()


COMMANDS = {
    "id a list": command(id=[1]),
    "action a list": command(action=["begin"]),
    "action a map": command(action={"begin": 1}),
    "uuid a number": command(uuid=7),
    "text too long": command(text="x" * 65),
    "text a number": command(text=5),
    "time a text": command(event_ms="now"),
    "time before 1970": command(event_ms=-1),
    "time beyond 64 bit": command(event_ms=10**30),
    "time beyond exact JSON": command(event_ms=2**60),
    "nothing": b"{}",
}


class FakeGateway:
    """A TLS server on the SMGW's HAN port that says what the test wants."""

    def __init__(self, run, identity: Identity | None = None):
        self.run = run
        self.chain = run.chain
        context = han_server(identity or self.chain.pki.smgw_han, self.chain.pki.han_trust)
        self._listener = TlsListener(context, lambda _peer: self._protocol(), lambda *_: None)
        self._tasks: set[asyncio.Task] = set()
        self.answers = {"time": b"", "answer": ok(b"{}"), "event": b"", "record": b""}
        self.commands: list[bytes] = []  # said one after the other, nothing new between them
        self.asked: list[str] = []

    async def __aenter__(self):
        await self.chain.roles["smgw"].kill()
        await self._listener.start("127.0.0.1", self.chain.roles["smgw"].ports["han"])
        return self

    async def __aexit__(self, *_):
        for task in self._tasks:
            task.cancel()
        await self._listener.close()
        await self.chain.start_role("smgw")
        await self.run.ready()

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        def serve(reader, writer):
            task = asyncio.create_task(self._serve(reader, writer))
            self._tasks.add(task)

        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), serve)

    async def _serve(self, reader, writer) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(_length(head))
                answer = self._answer(_kind(head.split(b"\r\n")[0]))
                writer.write(answer)
                await asyncio.sleep(0.05)
                if not answer.startswith(b"HTTP/1.1 20"):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, kind: str) -> bytes:
        self.asked.append(kind)
        if kind != "command":
            return self.answers[kind]
        if not self.commands:
            return NOTHING_NEW
        said = self.commands.pop(0)
        if said is not NOTHING_NEW:
            self.commands.insert(0, NOTHING_NEW)  # so that the device's pauses stay short
        return said

    async def say(self, answer: bytes) -> None:
        """Says this to the next long poll; returns when the device has come back for more."""
        self.commands = [answer]
        await until(lambda: not self.commands, 15, "the next long poll")


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def _kind(line: bytes) -> str:
    method, path, _ = line.decode().split(" ")
    name = path.removeprefix("/smgw/cls/v1/").split("/")[1]
    return "answer" if name.startswith("command") and method == "POST" else name


async def restarts(run) -> int:
    """How often a task of the device fell and was started again."""
    return sum((await run.observer.link.status())["restarts"].values())


async def test_a_gateway_that_answers_garbage_costs_the_device_nothing(run):
    before = await restarts(run)
    async with FakeGateway(run) as gateway:
        for name, answer in ANSWERS.items():
            await gateway.say(answer)
            assert await restarts(run) == before, name
        await run.fault("device.han_http", "no HTTP")
        for name, body in BODIES.items():
            await gateway.say(ok(body))
            assert await restarts(run) == before, name
        await run.fault("device.han_content", "")
        assert not run.relay_closed and not run.told("relay.closed")


async def test_a_gateway_with_nonsense_for_commands_closes_no_relay(run):
    before = await restarts(run)
    async with FakeGateway(run) as gateway:
        for name, body in COMMANDS.items():
            await gateway.say(ok(body))
            assert await restarts(run) == before, name
            assert not run.relay_closed
        for event in ("unknown_action", "bad_uuid", "bad_text", "bad_time", "han_content"):
            await run.fault(f"device.{event}", "")
        assert not run.told("relay.closed") and not run.told("device.recorded")


async def test_a_false_acknowledgement_loses_no_record(run):
    before = await restarts(run)
    uuid = await run.begin()
    async with FakeGateway(run) as gateway:
        gateway.answers["record"] = ok(b'{"acknowledged": 1000000}')
        gateway.answers["time"] = ok(b"[]")
        gateway.answers["event"] = ok(b'{"seq": "one"}')
        code, _, _ = await run.observer.link.command("end", uuidlib.UUID(uuid).bytes)
        assert code == 0 and not run.relay_closed
        await until(lambda: gateway.asked.count("event") >= 2, 10, "two announcements")
        assert await restarts(run) == before
    await run.witnessed(uuid)


@pytest.mark.parametrize("who", ["another CA", "another gateway"])
async def test_a_gateway_with_a_wrong_certificate_is_not_talked_to(run, tmp_path, who):
    names, pki = run.chain.names, run.chain.pki
    if who == "another CA":
        identity = Pki.init(tmp_path / "pki", names.smgw).smgw_han
    else:
        identity = pki.issue_han_to(tmp_path / "id", "etst0010000077.smgw")
    async with FakeGateway(run, identity) as gateway:
        await run.fault("device.han_tls", "")
        assert not gateway.asked and not run.relay_closed


async def test_the_relay_state_and_the_transaction_outlast_a_gateway_gone_mad(run):
    uuid = await run.begin()
    async with FakeGateway(run) as gateway:
        await gateway.say(ANSWERS["no HTTP"])
        await gateway.say(ok(BODIES["a list"]))
        await run.fault("device.han_http", "")
        assert run.relay_closed  # nobody commanded the end, and the meter reads
    await run.end(uuid)
    await run.witnessed(uuid)
