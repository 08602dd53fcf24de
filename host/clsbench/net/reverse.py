"""HTTP on a TLS connection whose opener is the HTTP server.

On the WAN the SMGW opens every connection, yet GWA and aEMT ask the questions: as in
COSEM/HTTP the opener answers requests and the accepting side sends them. This module holds
both ends: `connect_and_serve` for the opener, `HttpOverStream` for the accepting side. It
knows no paths and no roles beyond the peer it is told to expect.
"""

import asyncio
import json as jsonlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import h11
from aiohttp import web

from clsbench.errors import BadInput, ClsbenchError, PeerSilent
from clsbench.net.listener import open_tls
from clsbench.net.telling import TellingConnection, Told
from clsbench.net.tls_session import session_s

MAX_HEAD_BYTES = 8500  # DS2.0 chapter 6: a whole header
MAX_ANSWER_BYTES = 4 * 1024 * 1024
ANSWER_WITHIN_S = 20.0  # DS2.0 chapter 6
MAX_SESSION_S = 48 * 3600  # TR-03116-3: a WAN session is cut after 48 h at the latest
READ_BYTES = 65536
SHUTDOWN_S = 0.5  # for a request in hand when this side ends the connection

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
OnState = Callable[[bool, str], None]


async def connect_and_serve(
    host: str,
    port: int,
    context: ssl.SSLContext,
    expect_role: str,
    expect_name: str | None,
    handler: Handler,
    on_state: OnState,
    told: Told | None = None,
    server_name: str = "",
) -> bool:
    """Opens TLS to `expect_name` and answers its requests until the connection ends.

    handler(request: aiohttp BaseRequest) -> response. on_state(True, "") once it is open,
    on_state(False, reason) when it has ended or could not be opened: exactly one False per
    call, also when cancelled. told(status, reason): of bytes that were no HTTP.
    server_name: sent to the peer (SNI), "" for none.
    Returns whether it was open: what a back-off starts anew from.
    Cut by this side after MAX_SESSION_S of the clock that the context was made for.
    """
    server = web.Server(handler, access_log=None)

    def connection() -> asyncio.Protocol:
        inner = TellingConnection(server, told or (lambda *_: None), MAX_SESSION_S)
        return _EndTold(inner, ended)

    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    reason = "closed by this side"
    try:
        transport, _ = await open_tls(
            *(host, port, context, expect_role, expect_name, connection), server_name=server_name
        )
    except ClsbenchError as error:
        on_state(False, str(error))
        return False
    except asyncio.CancelledError:
        on_state(False, reason)
        raise
    on_state(True, "")
    try:
        async with asyncio.timeout(session_s(transport, MAX_SESSION_S)):
            reason = await ended
    except TimeoutError:
        reason = f"session cut after {MAX_SESSION_S // 3600} h"
    finally:
        transport.close()
        await server.shutdown(SHUTDOWN_S)
        on_state(False, reason)
    return True


@dataclass(frozen=True)
class HttpAnswer:
    """One answer. `headers`: names in lower case; of a repeated name the last."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises BadInput where it is none."""
        try:
            return jsonlib.loads(self.body)
        except ValueError as error:
            raise BadInput(
                f"answer {self.status} is not JSON: begins with {self.body[:60]!r}"
            ) from error

    def error_text(self) -> str:
        """What the peer gave as the reason: its JSON `error`, else the start of the body."""
        try:
            content = jsonlib.loads(self.body)
        except ValueError:
            content = None
        if isinstance(content, dict) and isinstance(content.get("error"), str):
            return content["error"]
        return self.body[:200].decode("utf-8", "replace")


class HttpOverStream:
    """HTTP/1.1 client on a connection that the peer opened; keep-alive.

    Requests are sent one at a time; concurrent callers queue. After a timeout, a broken
    answer or a cancelled exchange the connection is closed, because a late answer could be
    taken for the next one; every later request raises PeerSilent at once.
    `name`: the peer as error texts call it.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str = "peer"
    ):
        self.name = name
        self._reader = reader
        self._writer = writer
        self._lock = asyncio.Lock()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)

    @property
    def closed(self) -> bool:
        """True once either side ended the connection."""
        return self._writer.is_closing() or self._reader.at_eof()

    def close(self) -> None:
        """Ends the connection; a waiting request raises PeerSilent."""
        self._writer.close()

    async def wait_closed(self) -> None:
        """Returns when the connection has ended, whoever ended it."""
        try:
            await self._writer.wait_closed()
        except OSError:
            return  # ended by a reset: ended all the same

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes = b"",
        content_type: str | None = None,
        timeout_s: float | None = None,
    ) -> HttpAnswer:
        """Sends one request and returns its answer, whatever its status.

        json: content sent as JSON instead of `body`. timeout_s: real seconds from the
        moment the connection is free for this request; None: ANSWER_WITHIN_S.
        Raises PeerSilent when the peer closed, did not answer in time, or answered with
        what is no HTTP or more than MAX_ANSWER_BYTES.
        """
        if json is not None:
            body, content_type = jsonlib.dumps(json).encode(), "application/json"
        limit_s = ANSWER_WITHIN_S if timeout_s is None else timeout_s
        async with self._lock:
            if self.closed:
                raise PeerSilent(f"{self.name}: connection closed before {method} {path}")
            whole = False
            try:
                async with asyncio.timeout(limit_s):
                    answer = await self._exchange(method, path, body, content_type)
                whole = True
            except TimeoutError as error:
                raise PeerSilent(
                    f"{self.name} did not answer {method} {path} within {limit_s:g} s"
                ) from error
            except h11.RemoteProtocolError as error:
                raise PeerSilent(f"{self.name} gave no HTTP answer: {error}") from error
            except OSError as error:
                raise PeerSilent(f"{self.name}: connection lost: {error}") from error
            finally:
                if not whole or not self._free_for_next():
                    self.close()
            return answer

    async def _exchange(
        self, method: str, path: str, body: bytes, content_type: str | None
    ) -> HttpAnswer:
        # no authority stands for the opener of a connection: an empty Host (RFC 9110 section 7.2)
        headers = [("host", ""), ("content-length", str(len(body)))]
        if content_type is not None:
            headers.append(("content-type", content_type))
        try:
            head = self._http.send(h11.Request(method=method, target=path, headers=headers))
        except h11.LocalProtocolError as error:
            raise BadInput(f"request {method} {path!r} cannot be sent: {error}") from error
        data = self._http.send(h11.Data(data=body)) or b""
        self._http.send(h11.EndOfMessage())
        self._writer.write((head or b"") + data)
        await self._writer.drain()
        return await self._read_answer()

    async def _read_answer(self) -> HttpAnswer:
        status, headers, body = 0, {}, bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(READ_BYTES))
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {
                    key.decode("latin-1"): val.decode("latin-1") for key, val in event.headers
                }
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_ANSWER_BYTES:
                    raise h11.RemoteProtocolError(f"more than {MAX_ANSWER_BYTES} bytes")
            elif isinstance(event, h11.EndOfMessage):
                return HttpAnswer(status, headers, bytes(body))
            elif isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("connection closed in place of an answer")

    def _free_for_next(self) -> bool:
        try:
            self._http.start_next_cycle()
        except h11.ProtocolError:
            return False  # the peer said `Connection: close`
        return True


def http_client_protocol(
    on_open: Callable[[HttpOverStream], None], name: str = "peer"
) -> asyncio.StreamReaderProtocol:
    """The protocol to put on an accepted connection: calls `on_open` with its HttpOverStream.

    Of the accept function of a TLS listener, or as protocol factory of a client connection.
    """
    reader = asyncio.StreamReader(limit=READ_BYTES)
    return asyncio.StreamReaderProtocol(
        reader, lambda rd, writer: on_open(HttpOverStream(rd, writer, name))
    )


class _EndTold(asyncio.Protocol):
    """Passes everything to `inner` and sets `ended` to the reason when the connection is lost."""

    def __init__(self, inner: asyncio.Protocol, ended: "asyncio.Future[str]"):
        self._inner = inner
        self._ended = ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)
        if not self._ended.done():
            self._ended.set_result(str(exc) if exc else "closed by the peer")


class OpenStreams:
    """The accepting side's table: the one living HttpOverStream per peer name.

    A new connection of a peer replaces its old one. on_change(name, is_open) tells of both
    ends; a replacement tells of neither.
    """

    def __init__(self, on_change: Callable[[str, bool], None]):
        self._on_change = on_change
        self._streams: dict[str, HttpOverStream] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Condition()

    def names(self) -> list[str]:
        """The peers whose connection stands."""
        return sorted(name for name, stream in self._streams.items() if not stream.closed)

    def get(self, name: str) -> HttpOverStream | None:
        """The peer's connection, or None."""
        stream = self._streams.get(name)
        return None if stream is None or stream.closed else stream

    async def wait(self, name: str, timeout_s: float) -> HttpOverStream | None:
        """The peer's connection as soon as there is one; None after `timeout_s` real seconds."""
        try:
            async with asyncio.timeout(timeout_s), self._arrived:
                await self._arrived.wait_for(lambda: self.get(name) is not None)
        except TimeoutError:
            pass
        return self.get(name)

    def add(self, name: str, stream: HttpOverStream) -> None:
        """Takes over a fresh connection. To be called from the event loop."""
        before = self._streams.get(name)
        self._streams[name] = stream
        if before is not None:
            before.close()
        task = asyncio.get_running_loop().create_task(self._watch(name, stream))
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)
        self._on_change(name, True)

    async def close(self) -> None:
        """Ends all connections."""
        for stream in self._streams.values():
            stream.close()
        await asyncio.gather(*self._watchers)

    async def _watch(self, name: str, stream: HttpOverStream) -> None:
        async with self._arrived:
            self._arrived.notify_all()
        await stream.wait_closed()
        if self._streams.get(name) is stream:
            del self._streams[name]
            self._on_change(name, False)
