"""Hostile HTTP in the HAN: answered or cut within limits, while others are served."""

import asyncio
import contextlib
import socket
import ssl
import time
import zlib

import pytest
import pytest_asyncio
from han_kit import Client, han_config, served
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.asyncio(loop_scope="module")
CON = "/smgw/con/v1/"
URL = "/cgi-bin/hanservice.cgi"
WITHIN_S = 30.0
HEAD = b"POST /smgw/m2m HTTP/1.1\r\nHost: gateway\r\n"
HIDDEN = b"GET /smgw/openapi.json HTTP/1.1\r\nHost: gateway\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(pki, tmp_path_factory):
    async with served(han_config(pki, tmp_path_factory.mktemp("hostile"))) as running:
        yield running


def _connect(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), WITHIN_S))


def _exchange(port, data):
    """Everything that comes until the gateway ends the connection, or says no more.

    It says something, or ends the connection, to whatever is sent here, but in its own time.
    """
    got = b""
    with _connect(port) as sock, contextlib.suppress(OSError):
        sock.sendall(data)
        while chunk := sock.recv(65_536):
            got += chunk
            sock.settimeout(0.4)
    return got


def _is_served(port):
    client = Client(port)
    status = client.ask("GET", CON).status
    client.close()
    return status == 200


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"Content-Length: 5, 6\r\n\r\nabcdef",
        b"Content-Length: +5\r\n\r\nabcde",
        b"Content-Length: 0x5\r\n\r\nabcde",
        b"Content-Length : 5\r\n\r\nabcde",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"X: a\r\n b\r\n\r\n",
        b"X\x00Y: a\r\n\r\n",
    ],
)
async def test_a_request_of_two_lengths_is_refused_and_nothing_behind_it_answered(gateway, fields):
    got = await gateway.run(_exchange, gateway.port, HEAD + fields + HIDDEN)
    assert b"openapi" not in got
    assert got == b"" or got.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400", b"HTTP/1.1 401"))
    assert await gateway.run(_is_served, gateway.port)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"x" * 70_000, {}, 413),
        (zlib.compress(b" " * 5_000_000), {"Content-Encoding": "deflate"}, 413),
        (b"not deflate", {"Content-Encoding": "deflate"}, 400),
        (b'{"method": "user-info"', {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"[" * 60_000, {}, 400),
        (zlib.compress(b'{"method": "user-info"}'), {"Content-Encoding": "deflate"}, 200),
    ],
)
async def test_bodies_are_read_within_limits(gateway, body, headers, status):
    def work(port):
        client = Client(port)
        client.ask("GET", CON)
        path = "/smgw/m2m/consumer1.sm/json"
        made = client.authorization("POST", path)
        answer = client.send("POST", path, body, made, headers)
        return answer.status

    assert await gateway.run(work, gateway.port) == status


async def test_a_body_without_an_end_is_cut(gateway, monkeypatch):
    monkeypatch.setattr("clsbench.smgw.rest.BODY_WITHIN_S", 0.2)

    def work(port):
        client = Client(port)
        client.ask("GET", CON)
        path = "/smgw/m2m/consumer1.sm/json"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n"
            f"Authorization: {client.authorization('POST', path)}\r\n\r\n"
        ).encode()
        return _exchange(port, head + b"8000\r\n" + b"x" * 0x8000 + b"\r\n" + b"8000\r\n" * 9)

    got = await gateway.run(work, gateway.port)
    assert got.startswith((b"HTTP/1.1 408", b"HTTP/1.1 413", b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert await gateway.run(_is_served, gateway.port)


async def test_a_length_that_promises_more_than_comes_harms_only_its_sender(gateway, monkeypatch):
    monkeypatch.setattr("clsbench.smgw.rest.BODY_WITHIN_S", 0.2)

    def work(port):
        client = Client(port)
        client.ask("GET", CON)
        made = client.authorization("POST", URL)
        head = f"POST {URL} HTTP/1.1\r\nHost: g\r\nContent-Length: 99\r\nAuthorization: {made}\r\n"
        return _exchange(port, head.encode() + b"\r\naction=meterform")

    assert (await gateway.run(work, gateway.port)).startswith(b"HTTP/1.1 408")


async def test_slow_guests_are_cut_and_others_served_meanwhile(gateway, monkeypatch):
    monkeypatch.setattr("clsbench.smgw.han.connection.GUEST_S", 3.0)

    def work(port):
        slow = [_connect(port) for _ in range(20)]
        served_all = True
        begun = time.monotonic()
        while time.monotonic() - begun < 3.5:
            for sock in slow:
                with contextlib.suppress(OSError):
                    sock.sendall(b"G")
            served_all = served_all and _is_served(port)
            time.sleep(0.1)
        return served_all, [_ended(sock) for sock in slow]

    served_all, ended = await gateway.run(work, gateway.port)
    assert served_all and all(ended)


def _ended(sock, within_s=WITHIN_S):
    sock.settimeout(within_s)
    try:
        while sock.recv(1000):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    finally:
        sock.close()
    return True


async def test_of_too_many_guests_the_oldest_goes_and_the_next_is_served(gateway, monkeypatch):
    monkeypatch.setattr("clsbench.smgw.han.connection.MAX_GUESTS", 10)

    def work(port):
        resident = Client(port)
        resident.ask("GET", CON)
        guests = [_connect(port) for _ in range(25)]
        for sock in guests:
            sock.sendall(b"GET /smgw/ HTTP/1.1\r\n")
        served = _is_served(port), resident.ask("GET", CON).status
        return served, _ended(guests[0]), _ended(guests[-1], 1.0)

    assert await gateway.run(work, gateway.port) == ((True, 200), True, False)


async def test_a_flood_of_wrong_passwords_leaves_others_served(gateway):
    def flood(port):
        statuses = set()
        for _ in range(40):
            client = Client(port, "consumer2", "guess", source="127.0.0.21")
            statuses.add(client.ask("GET", CON).status)
            client.close()
        return statuses

    floods = [gateway.run(flood, gateway.port) for _ in range(2)]
    done = asyncio.gather(*floods)
    served_now = [await gateway.run(_is_served, gateway.port) for _ in range(5)]
    assert all(served_now) and set().union(*await done) == {401, 403}


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Digest \xff\xfe",
        b'Authorization: Digest username="\xff", realm="\xed\xa0\x80", nonce="\xff", uri="\xff", '
        b'response="\xff\xfe", algorithm=MD5',
        b'Authorization: Digest username="consumer1", realm="etst0010000001", nonce="x", uri="/", '
        b'response="\xc3\x28"',
        b"Cookie: session=\xff",
    ],
)
@pytest.mark.parametrize(
    "path", [b"/smgw/\xff%ED%A0%80%00", b"/smgw/m2m", b"/cgi-bin/hanservice.cgi"]
)
async def test_bytes_that_are_no_text_are_refused_like_any_other(gateway, line, path):
    data = b"GET " + path + b" HTTP/1.1\r\nHost: g\r\n" + line + b"\r\n\r\n"
    got = await gateway.run(_exchange, gateway.port, data)
    assert got[9:12] in (b"401", b"400", b"403")


_PARTS = st.sampled_from(
    [
        HEAD, HIDDEN, b"\r\n", b"\r\n\r\n", b"GET ", b"/smgw/", b" HTTP/1.1", b"Host: a",
        b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Authorization: Digest ",
        b"Expect: 100-continue", b"Connection: close", b"\x00", b"\xff", b"%00", b"HTTP/2.0",
    ]
)  # fmt: skip


async def test_any_bytes_are_answered_or_cut_and_never_with_a_server_error(gateway):
    def work(port):
        @settings(
            max_examples=25,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.lists(_PARTS | st.binary(max_size=30), max_size=8).map(b"".join))
        def ask(data):
            got = b""
            with _connect(port) as sock, contextlib.suppress(OSError):
                sock.sendall(data)
                sock.settimeout(0.02)
                while chunk := sock.recv(65_536):
                    got += chunk
            assert got == b"" or got[:9] in (b"HTTP/1.1 ", b"HTTP/1.0 ")
            assert got[9:10] != b"5"

        ask()

    await gateway.run(work, gateway.port)
    assert await gateway.run(_is_served, gateway.port)
