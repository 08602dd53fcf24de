"""Malformed HTTP, JSON, CBOR and CMS between SMGW, GWA and aEMT: refused, told, survived."""

import asyncio
import json
import uuid as uuidlib
from collections.abc import Callable

import pytest
from chains import LATE_S, until
from wan_edge import device_record, post

from clsbench.net.listener import TlsListener, open_tls_streams
from clsbench.net.reverse import HttpOverStream
from clsbench.net.tls import wan_client, wan_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

MALFORMED = [
    (b"complete nonsense\r\n\r\n", b"400", "malformed HTTP"),
    (b"\x00\xff\x16\x03\x01\r\n\r\n", b"400", "malformed HTTP"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b"400", "malformed HTTP"),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"431", "header line too long"),
]


class FakeEmt:
    """The aEMT's channel port with its own certificate, but a test behind it."""

    def __init__(self, run):
        self.run = run
        self.chain = run.chain
        identity = self.chain.pki.emt(self.chain.names.emt).tls
        context = wan_server(identity, self.chain.pki.wan_trust)
        self._arrived: asyncio.Queue = asyncio.Queue()
        self._listener = TlsListener(context, lambda _peer: self._protocol(), lambda *_: None)

    async def __aenter__(self):
        await self.run.transaction()  # orders the channel
        await self.chain.roles["emt"].kill()
        await self._listener.start("127.0.0.1", self.chain.roles["emt"].ports["channel"])
        return self

    async def __aexit__(self, *_):
        await self._listener.close()
        await self.chain.start_role("emt")

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(
            asyncio.StreamReader(), lambda *streams: self._arrived.put_nowait(streams)
        )

    async def ask(self, request: bytes) -> bytes:
        """The SMGW's answer to these bytes on the next channel it opens."""
        reader, writer = await asyncio.wait_for(self._arrived.get(), LATE_S)
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(65536), LATE_S)
        finally:
            writer.close()

    async def stream(self) -> HttpOverStream:
        """The next channel that the SMGW opens, as the real aEMT uses it."""
        return HttpOverStream(*await asyncio.wait_for(self._arrived.get(), LATE_S))

    def command(self, **changed) -> bytes:
        """A request to switch, with fields changed, or left out where they are None."""
        fields = {
            "id": str(uuidlib.uuid4()),
            "action": "begin",
            "uuid": str(uuidlib.uuid4()),
            "text": "",
            "event_ms": self.chain.clock.now_ms(),
            "taf_profile": self.chain.names.taf16,
        } | changed
        given = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(given).encode()


async def test_what_an_aemt_sends_malformed_over_its_channel_is_answered_and_told(run):
    async with FakeEmt(run) as emt:
        for request, status, reason in MALFORMED:
            run.mark()
            answer = await emt.ask(request)
            assert status in answer.split(b"\r\n")[0] and reason.encode() in answer
            event = await run.fault("wan.refused", reason)
            assert event["lane_from"] == "aEMT"
        run.mark()
        assert not run.relay_closed


async def test_a_command_that_lacks_a_field_or_is_no_json_is_refused_with_its_name(run):
    async with FakeEmt(run) as emt:
        stream, path = await emt.stream(), f"/smgw/emt/v1/cls/{run.chain.names.cls}/command"
        for body, reason in (
            (emt.command(taf_profile=None), "taf_profile: expected a text"),
            (emt.command(uuid="seven"), "uuid: expected a UUID"),
            (emt.command(action="burst"), "action 'burst'"),
            (emt.command(event_ms=-1), "event_ms: expected an integer"),
            (b"{", "not parseable as JSON"),
            (b"[" * 30000, "not parseable as JSON"),
            (b"\xff\xfe", "not parseable as JSON"),
            (b"[]", "expected a JSON object"),
        ):
            run.mark()
            answer = await stream.request("POST", path, body=body)
            assert answer.status == 422 and reason in answer.error_text()
            await run.fault("wan.refused", reason)
            assert not run.told("command.forwarded")
        stream.close()
        assert not run.relay_closed


async def test_an_smgw_that_answers_garbage_leaves_the_command_to_the_real_one(run):
    chain = run.chain
    context = wan_client(chain.pki.smgw.tls, chain.pki.wan_trust)
    ports = chain.roles["emt"].ports
    uuid = str(uuidlib.uuid4())
    await chain.roles["smgw"].kill()
    await channel_is(run, False)
    reader, writer = await open_tls_streams(
        "127.0.0.1", ports["channel"], context, "EMT", chain.names.emt
    )
    await channel_is(run, True)
    asking = asyncio.create_task(run.begin(uuid))
    assert b"/command" in await asyncio.wait_for(reader.readline(), LATE_S)
    writer.write(b"\x00 this is no HTTP \r\n\r\n")
    retry = (await until(lambda: run.told("switch.retry")))[0]
    assert retry["ok"] is False and "gave no HTTP answer" in retry["detail"]["reason"]
    assert not run.relay_closed
    writer.close()
    await chain.start_role("smgw")
    await asking
    await run.end(uuid)
    await run.witnessed(uuid)


async def channel_is(run, is_open: bool) -> None:
    for _ in range(500):
        if bool((await run.chain.operator.status())["channels"]) == is_open:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"channel did not become open={is_open}")


async def deliver(run, path: str, body: bytes):
    """A delivery to the aEMT under the SMGW's own certificate."""
    chain = run.chain
    context = wan_client(chain.pki.smgw.tls, chain.pki.wan_trust)
    port = chain.roles["emt"].ports["delivery"]
    return await post("EMT", chain.names.emt, port, context, path, body=body)


async def speak_to(run, role: str, port: str, request: bytes) -> bytes:
    """Bytes to a WAN server port under a certificate that is welcome there."""
    chain = run.chain
    pki, names = chain.pki, chain.names
    peer, identity = {
        "gwa": (("GWA", names.gwa), pki.emt(names.emt).tls),
        "emt": (("EMT", names.emt), pki.smgw.tls),
    }[role]
    reader, writer = await open_tls_streams(
        "127.0.0.1", chain.roles[role].ports[port], wan_client(identity, pki.wan_trust), *peer
    )
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(65536), LATE_S)
    finally:
        writer.close()


@pytest.mark.parametrize(("request_bytes", "status", "reason"), MALFORMED)
@pytest.mark.parametrize(
    ("role", "port", "event"),
    [("gwa", "service", "gwa.refused"), ("emt", "delivery", "delivery.http")],
)
async def test_what_comes_malformed_to_a_wan_port_is_answered_and_told(
    run, role, port, event, request_bytes, status, reason
):
    answer = await speak_to(run, role, port, request_bytes)
    assert status in answer.split(b"\r\n")[0] and reason.encode() in answer
    await run.fault(event, reason)
    assert not run.relay_closed


def tagged_mime(run) -> bytes:
    """A COSE_Mac0 whose payload is a MIME message, which CBOR readers turn into an object."""
    return bytes.fromhex("d18443a10105a104") + b"\x41A" + b"\x44\xd8\x24\x61(" + b"\x41x"


def other_key(run) -> bytes:
    return device_record(999)  # sealed with a key that is not the device's


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda run: b"\xff\x00\x13", "begins no CBOR item"),
        (lambda run: b"\x5b" + b"\xff" * 8, "begins no CBOR item"),
        (lambda run: b"\x9f" * 4000, "begins no CBOR item"),
        (lambda run: b"\x81" * 4000, "begins no CBOR item"),
        (lambda run: b"\xa0", "no tagged COSE_Mac0"),
        (tagged_mime, "payload is no map"),
        (other_key, "seal does not hold"),
    ],
)
async def test_malformed_device_records_are_refused_by_the_aemt(
    run, make: Callable[..., bytes], reason
):
    before = (await run.chain.operator.status())["stored"]
    answer = await deliver(run, f"/emt/v1/cls-records/{run.chain.names.cls}", make(run))
    assert answer.status == 422 and reason in answer.error_text()
    await run.fault("cls-record.refused", reason)
    assert (await run.chain.operator.status())["stored"] == before
    assert not run.relay_closed


@pytest.mark.parametrize("body", [b"", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"\x00" * 500])
async def test_gateway_records_that_are_no_signed_data_are_refused_by_the_aemt(run, body):
    answer = await deliver(run, "/emt/v1/records", body)
    assert answer.status == 422
    await run.fault("record.signature", "")
    assert not run.relay_closed
