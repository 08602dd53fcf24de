"""Network port: TLS client connections from DER files, Nagle's algorithm off.

Knows no HTTP. The handshake runs with the first read or write, as MicroPython does it.
"""

import asyncio
import errno
import select
import socket
import ssl

_IPPROTO_TCP = 6
_TCP_NODELAY = 1


def client_context(certificate, key, trust):
    """An SSL context for mutual TLS.

    certificate, key, trust: DER bytes (P-256; stock MicroPython knows neither PEM nor
    brainpool). Raises ValueError when one of them cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(cadata=trust)
    return context


async def connect(host, port, context, server_name):
    """An asyncio stream (reader and writer in one) to `host`. Raises OSError."""
    address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    raw = socket.socket(address[0], address[1], address[2])
    stream = None
    try:
        await reach(raw, address[-1])
        wrapped = context.wrap_socket(
            raw, server_hostname=server_name, do_handshake_on_connect=False
        )
        stream = TlsStream(wrapped, raw)
    finally:  # refused, or given up by the caller: a board has few sockets, and no one else closes
        if stream is None:
            raw.close()
    return stream


class TlsStream(asyncio.StreamReader):
    """wrapped: TLS on `raw`. MicroPython's TLS socket, closed after an error, leaves the one under
    it open."""

    def __init__(self, wrapped, raw):
        super().__init__(wrapped)
        self._raw = raw

    async def wait_closed(self):
        try:
            await super().wait_closed()
        finally:
            self._raw.close()


async def reach(raw, address):
    """Connects a socket, Nagle's algorithm off. Raises OSError."""
    raw.setblocking(False)
    try:
        raw.connect(address)
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            raise
    raw.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
    poll = select.poll()
    poll.register(raw, select.POLLOUT)
    while not poll.poll(0):
        await asyncio.sleep_ms(2)
