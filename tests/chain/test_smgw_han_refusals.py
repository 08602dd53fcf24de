"""Whom and what the HAN refuses: certificates, rights, bodies, paths, bytes that are no HTTP."""

import asyncio
import json
import ssl
import time

import aiohttp
import pytest
from smgw_bench import OTHER_CLS, STRANGE_CLS, announce, event_body, running

from clsbench.net.listener import open_tls_streams
from clsbench.net.tls import han_client
from clsbench.pki.layout import DEFAULT_CLS, DEFAULT_SMGW


@pytest.fixture
async def bench(pki, tmp_path):
    async with running(pki, tmp_path) as running_bench:
        yield running_bench


async def test_a_box_may_not_announce_for_another(bench):
    async with bench.box() as box:
        status, said = await announce(box, bench, cls_id=OTHER_CLS)
    assert status == 403 and OTHER_CLS in said["error"]


async def test_a_box_in_no_taf16_profile_may_not_announce(bench):
    async with bench.box(OTHER_CLS) as box:
        status, said = await announce(box, bench, cls_id=OTHER_CLS)
    assert status == 403 and "TAF16" in said["error"]


async def test_a_certificate_in_no_profile_is_refused_before_http(bench):
    async with bench.box(STRANGE_CLS) as box:
        with pytest.raises(aiohttp.ClientError):
            await box.get(bench.url("rts/time"))
    refused = bench.events("tls.refused")[0]
    assert STRANGE_CLS in refused["detail"]["reason"] and refused["ok"] is False
    assert bench.events("tls.accepted") == []


async def test_a_second_certificate_of_the_same_name_is_refused(bench, tmp_path):
    forged = bench.pki.issue_han_to(tmp_path / "forged", f"{DEFAULT_CLS.lower()}.cls")
    async with bench.box(identity=forged) as box:
        with pytest.raises(aiohttp.ClientError):
            await box.get(bench.url("rts/time"))
    assert "no CLS profile pins" in bench.events("tls.refused")[0]["detail"]["reason"]


async def test_without_a_certificate_nobody_gets_in(bench):
    context = ssl.create_default_context(cafile=str(bench.pki.han_trust))
    context.check_hostname = False
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as nobody:
        with pytest.raises(aiohttp.ClientError):
            await nobody.get(bench.url("rts/time"))
    assert bench.events("tls.refused")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "not parseable"),
        (b"\xff", "not parseable"),
        (b"[" * 30_000, "not parseable"),
        (b"[]", "object"),
        (json.dumps(event_body(event="explode")).encode(), "event"),
        (json.dumps({k: v for k, v in event_body().items() if k != "uuid"}).encode(), "uuid"),
        (json.dumps(event_body(event_ms=float("nan"))).encode(), "not parseable"),
        (json.dumps(event_body(text="\ud800")).encode(), "text"),
    ],
)
async def test_a_body_that_cannot_be_read_is_answered_422(bench, body, named):
    async with bench.box() as box, box.post(bench.url("fas/event"), data=body) as answer:
        said = await answer.json()
    assert answer.status == 422 and named in said["error"]
    assert bench.events("han.refused")[0]["detail"]["status"] == 422


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "rts/time", 405),
        ("DELETE", "fas/event", 405),
        ("GET", "rts/unheard-of", 404),
        ("GET", "", 404),
        ("POST", "rts/command/not-an-id", 404),
    ],
)
async def test_a_wrong_path_or_method_has_its_status(bench, method, path, status):
    async with bench.box() as box, box.request(method, bench.url(path)) as answer:
        assert answer.status == status and (await answer.json())["error"]


async def test_a_body_too_large_is_answered_413(bench):
    too_large = bytes(70_000)
    async with bench.box() as box, box.post(bench.url("fas/event"), data=too_large) as answer:
        assert answer.status == 413


async def raw_exchange(bench, data: bytes) -> bytes:
    """What the gateway answers to these bytes before it closes the connection."""
    context = han_client(bench.pki.cls(DEFAULT_CLS), bench.pki.han_trust)
    reader, writer = await open_tls_streams("127.0.0.1", bench.port, context, "SMGW", DEFAULT_SMGW)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"complete nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"GET /smgw/cls/v1/rts/time HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"\x16\x03\x01" + bytes(range(200)) + b"\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"431"),
    ],
)
async def test_bytes_that_are_no_http_are_answered_and_told(bench, data, status):
    answer = await raw_exchange(bench, data)
    assert answer.startswith((b"HTTP/1.1 " + status, b"HTTP/1.0 " + status))
    assert b'"error"' in answer
    (refused,) = bench.events("han.refused")
    assert str(refused["detail"]["status"]).encode() == status
    assert (await bench.log("system"))[-1].outcome == "FAILURE"


async def test_a_box_that_sends_half_a_request_is_cut_in_time(bench, monkeypatch):
    monkeypatch.setattr("clsbench.smgw.han.connection.IDLE_S", 0.2)
    monkeypatch.setattr("clsbench.smgw.rest.BODY_WITHIN_S", 0.2)
    assert await raw_exchange(bench, b"GET /smgw/cls/v1/rts/ti") == b""
    head = b"POST /smgw/cls/v1/fas/event HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"
    assert (await raw_exchange(bench, head)).startswith(b"HTTP/1.1 408")


async def test_a_box_that_says_nothing_is_cut_in_time(bench, monkeypatch):
    monkeypatch.setattr("clsbench.smgw.han.connection.IDLE_S", 0.2)
    assert await raw_exchange(bench, b"") == b""


async def test_every_refusal_is_in_the_system_log_with_consecutive_numbers(bench):
    async with bench.box() as box:
        await announce(box, bench, cls_id=OTHER_CLS)
        await box.get(bench.url("rts/unheard-of"))
    await asyncio.sleep(0.05)
    entries = await bench.log("system")
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    refused = [entry for entry in entries if entry.event == "han.refused"]
    assert len(refused) == 2 and all(entry.outcome == "FAILURE" for entry in refused)
    assert refused[0].subject == DEFAULT_CLS


async def test_a_session_is_cut_when_it_has_lasted_long_enough(bench, monkeypatch):
    monkeypatch.setattr("clsbench.smgw.han.connection.MAX_SESSION_S", 0.2)
    head = b"GET /smgw/cls/v1/rts/command/?wait_ms=400 HTTP/1.1\r\nHost: a\r\n\r\n"
    began = time.monotonic()
    answer = await raw_exchange(bench, head)
    assert answer.startswith(b"HTTP/1.1 204")  # the answer in hand is still given
    assert time.monotonic() - began >= 0.4
