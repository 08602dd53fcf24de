"""Malformed and slow traffic that a CLS sends the SMGW: answered with a reason, told, survived."""

import asyncio

import pytest
import pytest_asyncio
from chains import LATE_S, http

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT, RECORDS, TIME = (
    f"/smgw/cls/v1/{name}" for name in ("fas/event", "rts/record/", "rts/time")
)


def declared(length: int, body: bytes) -> bytes:
    """A request whose Content-Length is not that of its body."""
    head = f"POST {EVENT} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("request_bytes", "status", "reason"),
    [
        (b"complete nonsense\r\n\r\n", b"400", "malformed HTTP"),
        (bytes(range(128, 256)) + b"\r\n\r\n", b"400", "malformed HTTP"),
        (f"GET {TIME} HTTP/1.1\r\nno colon\r\n\r\n".encode(), b"400", "malformed HTTP"),
        (declared(-5, b""), b"400", "malformed HTTP"),
        (declared(70_000, b""), b"413", "body of more than"),
        (declared(2, b"{}garbage instead of a request\r\n\r\n"), b"400", "malformed HTTP"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"431", "header"),
        (http("POST", EVENT, b"{"), b"422", "not parseable as JSON"),
        (http("POST", EVENT, b"[" * 50_000), b"422", "not parseable as JSON"),
        (http("POST", EVENT, b'{"uuid": NaN}'), b"422", "not parseable as JSON"),
        (http("POST", EVENT, b"\xff\xfe\x00"), b"422", "not parseable as JSON"),
        (http("POST", EVENT, b"[]"), b"422", "expected a JSON object"),
        (http("POST", EVENT, b'{"event":"begin"}'), b"422", "uuid: expected a text"),
        (http("POST", RECORDS, b"\xff\x00"), b"422", "no CBOR item"),
        (http("POST", RECORDS, b"\x5b" + b"\xff" * 8), b"422", "no CBOR item"),
        (http("POST", RECORDS, b"\x81" * 4000), b"422", "no CBOR item"),
        (http("POST", RECORDS, b"\xa1\x01\x02"), b"422", "no COSE_Mac0"),
        (http("POST", RECORDS, b"\xd1\x84\x40\xa0\x41\x07\x40"), b"422", "sequence number"),
    ],
)
async def test_what_a_cls_sends_malformed_is_answered_and_told(run, request_bytes, status, reason):
    answer = await run.ask_han(request_bytes)
    heads = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    assert status in heads[-1] and reason.encode() in answer, answer
    await run.fault("han.refused", reason)
    assert not run.switched() and not run.relay_closed


async def test_a_body_that_breaks_off_is_no_event(run):
    _, writer = await run.open_han()
    writer.write(declared(500, b'{"uuid"'))
    await asyncio.sleep(0.2)
    writer.close()
    await run.transaction()
    assert {event["detail"]["event"] for event in run.told("event.announced")} == {"begin", "end"}
    assert len(run.told("event.announced")) == 2 and not run.relay_closed


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def slow(shared):
    """A CLS that sends half a body, and one half a header, and then wait: before all tests."""
    body, header = await shared.open_han(), await shared.open_han()
    body[1].write(declared(500, b'{"uuid"'))
    header[1].write(b"GET /smgw/cls")
    yield body
    body[1].close()
    header[1].close()


async def test_slow_clients_hold_up_nobody_and_are_cut_in_time(run, slow):
    await run.transaction()
    # begun before all other tests
    answer = await asyncio.wait_for(slow[0].read(65536), 20 + LATE_S)
    assert b" 408 " in answer.split(b"\r\n")[0] and b"body not sent within 20 s" in answer
    await run.fault("han.refused", "body not sent within 20 s")
