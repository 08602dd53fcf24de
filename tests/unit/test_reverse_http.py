"""HTTP with the opener as server, over real TLS on loopback with certificates of a test PKI."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from clsbench.errors import BadInput, PeerSilent
from clsbench.net import reverse
from clsbench.net.listener import TlsListener
from clsbench.net.reverse import (
    HttpOverStream,
    OpenStreams,
    connect_and_serve,
    http_client_protocol,
)
from clsbench.net.tls import wan_client, wan_server


@dataclass
class Asker:
    """The accepting side: a GWA that keeps the streams of those who connected."""

    port: int
    listener: TlsListener
    streams: "asyncio.Queue[HttpOverStream]"


@dataclass
class Opener:
    """The connecting side: an SMGW that answers; `states` holds what on_state was told."""

    task: "asyncio.Task[bool]"
    states: list[tuple[bool, str]] = field(default_factory=list)


@pytest.fixture
async def asker(pki):
    streams: asyncio.Queue[HttpOverStream] = asyncio.Queue()
    listener = TlsListener(
        wan_server(pki.gwa.tls, pki.wan_trust),
        lambda peer: http_client_protocol(streams.put_nowait, peer.cn),
        lambda reason, address: None,
    )
    port = await listener.start("127.0.0.1", 0)
    yield Asker(port, listener, streams)
    await listener.close()


@pytest.fixture
async def opener(pki, asker):
    made: list[Opener] = []

    def open_with(handler, name="gwa-test", port=None):
        states: list[tuple[bool, str]] = []
        coroutine = connect_and_serve(
            "127.0.0.1",
            port or asker.port,
            wan_client(pki.smgw.tls, pki.wan_trust),
            "GWA",
            name,
            handler,
            lambda is_open, reason: states.append((is_open, reason)),
        )
        made.append(Opener(asyncio.create_task(coroutine), states))
        return made[-1]

    yield open_with
    for one in made:
        one.task.cancel()
    await asyncio.gather(*(one.task for one in made), return_exceptions=True)


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    content = {
        "method": request.method,
        "path": request.path,
        "body": (await request.read()).decode(),
    }
    return web.json_response(content)


async def test_opener_answers_several_requests_on_one_connection(asker, opener):
    one = opener(echo)
    stream = await asker.streams.get()
    for number in range(3):
        answer = await stream.request("POST", f"/a/{number}", json={"n": number})
        assert answer.status == 200
        assert answer.json() == {
            "method": "POST",
            "path": f"/a/{number}",
            "body": json.dumps({"n": number}),
        }
    assert one.states == [(True, "")]
    assert asker.streams.empty()


async def test_concurrent_callers_are_served_one_after_the_other(asker, opener):
    running, most = 0, 0

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return web.Response(text=request.path)

    opener(slow)
    stream = await asker.streams.get()
    answers = await asyncio.gather(*(stream.request("GET", f"/{n}") for n in range(5)))
    assert [answer.body.decode() for answer in answers] == [f"/{n}" for n in range(5)]
    assert most == 1


async def test_error_answers_are_answers_and_carry_their_reason(asker, opener):
    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"error": "no profile"}, status=403)

    opener(refuse)
    stream = await asker.streams.get()
    answer = await stream.request("GET", "/x")
    assert (answer.status, answer.error_text()) == (403, "no profile")
    assert answer.headers["content-type"].startswith("application/json")


async def test_a_silent_opener_times_out_and_its_late_answer_is_never_taken(asker, opener):
    async def late(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return web.Response(text=request.path)

    one = opener(late)
    stream = await asker.streams.get()
    with pytest.raises(PeerSilent, match=r"SMGW did not answer GET /first within 0\.05 s"):
        await stream.request("GET", "/first", timeout_s=0.05)
    assert stream.closed
    with pytest.raises(PeerSilent, match="connection closed before GET /second"):
        await stream.request("GET", "/second")
    assert await asyncio.wait_for(one.task, 30) is True
    assert [is_open for is_open, _ in one.states] == [True, False]


async def test_a_cancelled_caller_waiting_its_turn_leaves_the_connection_usable(asker, opener):
    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(0.05)
        return web.Response(text=request.path)

    opener(slow)
    stream = await asker.streams.get()
    first = asyncio.create_task(stream.request("GET", "/first"))
    second = asyncio.create_task(stream.request("GET", "/second"))
    await asyncio.sleep(0.02)
    second.cancel()
    assert (await first).body == b"/first"
    assert (await stream.request("GET", "/third")).body == b"/third"


async def test_opener_that_vanishes_in_an_exchange_is_silent_at_once(asker, opener):
    async def never(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(60)
        raise AssertionError("unreachable")

    one = opener(never)
    stream = await asker.streams.get()
    asking = asyncio.create_task(stream.request("GET", "/x", timeout_s=600))
    await asyncio.sleep(0.05)
    one.task.cancel()
    with pytest.raises(PeerSilent):
        await asyncio.wait_for(asking, 30)
    await asyncio.gather(one.task, return_exceptions=True)
    assert one.states == [(True, ""), (False, "closed by this side")]


async def test_closing_by_the_asker_ends_the_openers_serving(asker, opener):
    one = opener(echo)
    stream = await asker.streams.get()
    await stream.request("GET", "/x")
    stream.close()
    assert await asyncio.wait_for(one.task, 30) is True
    assert one.states == [(True, ""), (False, "closed by the peer")]


async def test_wrong_name_at_the_other_end_is_no_connection(asker, opener):
    one = opener(echo, name="somebody-else")
    assert await asyncio.wait_for(one.task, 30) is False
    assert len(one.states) == 1 and one.states[0][0] is False
    assert "gwa-test.GWA" in one.states[0][1]


async def test_nobody_listening_is_told_and_not_raised(opener, unused_port):
    one = opener(echo, port=unused_port)
    assert await asyncio.wait_for(one.task, 30) is False
    assert [is_open for is_open, _ in one.states] == [False]


async def test_session_is_cut_when_its_time_is_over(asker, opener, monkeypatch):
    monkeypatch.setattr(reverse, "MAX_SESSION_S", 0.1)
    one = opener(echo)
    stream = await asker.streams.get()
    assert await asyncio.wait_for(one.task, 30) is True
    await asyncio.wait_for(stream.wait_closed(), 30)
    assert one.states[-1][0] is False and "session cut" in one.states[-1][1]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no HTTP answer"),
        (b"\x00\xff" * 50 + b"\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000, "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b"z" * 4_200_000, "more than"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "no HTTP answer"),
        (b"", "no HTTP answer"),
    ],
)
async def test_what_is_no_http_answer_is_silence_and_closes(raw_stream, answer, reason):
    stream = await raw_stream(answer)
    with pytest.raises(PeerSilent, match=reason):
        await stream.request("GET", "/x", timeout_s=5)
    assert stream.closed


async def test_connection_close_in_an_answer_is_obeyed(raw_stream):
    stream = await raw_stream(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    )
    assert (await stream.request("GET", "/x")).body == b"ok"
    assert stream.closed


async def test_a_request_that_is_no_http_is_the_callers_mistake(raw_stream):
    stream = await raw_stream(b"")
    with pytest.raises(BadInput, match="cannot be sent"):
        await stream.request("GET", "/a b\r\n")


async def test_open_streams_know_the_latest_connection_of_a_peer(asker, opener):
    changes: list[tuple[str, bool]] = []
    table = OpenStreams(lambda name, is_open: changes.append((name, is_open)))
    waiting = asyncio.create_task(table.wait("smgw", 5))
    await asyncio.sleep(0)
    opener(echo)
    first = await asker.streams.get()
    table.add("smgw", first)
    assert await waiting is first
    opener(echo)
    second = await asker.streams.get()
    table.add("smgw", second)
    await asyncio.wait_for(first.wait_closed(), 30)
    await asyncio.sleep(0.05)
    assert table.get("smgw") is second and table.names() == ["smgw"]
    assert changes == [("smgw", True), ("smgw", True)]
    second.close()
    await asyncio.wait_for(second.wait_closed(), 30)
    await asyncio.sleep(0.05)
    assert table.get("smgw") is None and changes[-1] == ("smgw", False)
    assert await table.wait("smgw", 0.01) is None
    await table.close()


@pytest.fixture
async def unused_port():
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


@pytest.fixture
async def raw_stream():
    """A HttpOverStream whose other end reads one request, sends `answer` and closes."""
    servers: list[asyncio.Server] = []

    async def connect(answer: bytes) -> HttpOverStream:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            with contextlib.suppress(ConnectionError):  # the client may refuse the rest
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        return HttpOverStream(*await asyncio.open_connection("127.0.0.1", port))

    yield connect
    for server in servers:
        server.close()
