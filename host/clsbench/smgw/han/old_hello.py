"""A TLS server as some gateways have it: its hello lacks the renegotiation info of RFC 5746.

An OpenSSL 3 client refuses such a hello ("unsafe legacy renegotiation disabled"); one told to
bear it gets no further here, for after the hello the connection ends. No library of today makes
such a hello, so its bytes are written here.
Source: threads of HAN clients; RFC 5246 section 7.4.1.3.
"""

import asyncio
import secrets
from collections.abc import Callable

from clsbench.net.listener import cannot_listen

MAX_HELLO = 16_384
HELLO_WITHIN_S = 10.0
WAIT_S = 2.0  # for the client's alert

_HANDSHAKE, _CLIENT_HELLO, _SERVER_HELLO = 0x16, 1, 2
_SUITE = bytes.fromhex("c02b")  # ECDHE-ECDSA-AES128-GCM-SHA256
_POINT_FORMATS = bytes.fromhex("000b00020100")  # the only extension

Refused = Callable[[str, str], None]


class OldHelloListener:
    """Listens like `TlsListener`, and refuses everybody in that way."""

    def __init__(self, refused: Refused):
        self._refused = refused
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises EnvironmentProblem."""
        try:
            self._server = await asyncio.start_server(self._greet, host, port)
        except OSError as error:
            raise cannot_listen(host, port, error) from error
        return self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stops listening."""
        if self._server is not None:
            self._server.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = ":".join(map(str, writer.get_extra_info("peername")[:2]))
        reason = "not TLS"
        try:
            async with asyncio.timeout(HELLO_WITHIN_S):
                head = await reader.readexactly(5)
                size = int.from_bytes(head[3:])
                sound = head[0] == _HANDSHAKE and 4 <= size <= MAX_HELLO
                if sound and (await reader.readexactly(size))[0] == _CLIENT_HELLO:
                    writer.write(server_hello(secrets.token_bytes(32)))
                    await writer.drain()
                    reason = "hello without renegotiation info, as the quirk profile says"
                    await asyncio.wait_for(reader.read(64), WAIT_S)
        except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            reason = f"{reason}; the client ended it"
        finally:
            self._refused(reason, address)
            writer.close()


def server_hello(random: bytes) -> bytes:
    """The record: TLS 1.2, no session id, no compression, point formats and nothing else."""
    extensions = len(_POINT_FORMATS).to_bytes(2) + _POINT_FORMATS
    body = b"\x03\x03" + random + b"\x00" + _SUITE + b"\x00" + extensions
    message = bytes([_SERVER_HELLO]) + len(body).to_bytes(3) + body
    return bytes([_HANDSHAKE]) + b"\x03\x03" + len(message).to_bytes(2) + message
