"""Network port of the CLS channel: SOCKS-TLS to the gateway, and a TLS server for the gateway.

Imported only where a channel is configured. Knows no messages.
"""

import asyncio
import select
import socket

import tls  # not ssl, whose contexts have no callback

from dicamm.drivers.net import TlsStream, reach
from dicamm.link.socks import CHOSEN, GREETING, Framed, connect_request, take_reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


async def connect_socks(host, port, context, server_name, name):
    """A stream through the gateway to whom its proxy profile `name` leads.

    Raises SocksRefused, OSError, EOFError, ValueError.
    """
    request = connect_request(name)
    address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    raw = socket.socket(address[0], address[1], address[2])
    below = raw
    done = False
    try:
        await reach(raw, address[-1])
        plain = asyncio.StreamReader(raw)
        plain.write(GREETING)
        await plain.drain()
        if await plain.readexactly(2) != CHOSEN:
            raise ValueError("gateway takes no TLS in SOCKS")
        below = Framed(raw, _ready(raw))
        wrapped = context.wrap_socket(
            below, server_hostname=server_name, do_handshake_on_connect=False
        )
        stream = TlsStream(wrapped, below)
        stream.write(request)
        await stream.drain()
        await take_reply(stream)
        done = True
    finally:
        if not done:
            below.close()
    return stream


def _ready(raw):
    poll: "Any" = select.poll()
    poll.register(raw, 0)

    def ready(flags):
        poll.modify(raw, flags)
        for found in poll.ipoll(0):
            return found[1]
        return 0

    return ready


def served(raw, identity, gateway_name):
    """The TLS stream of an accepted socket; the handshake runs with the first write.

    identity: certificate, key and trust in DER.
    Only the gateway is served: a certificate of the HAN's CA with its name as dNSName. A
    context of its own for each connection: what its callback saw is of no other one.
    """
    certificate, key, trust = identity
    context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    context.verify_mode = tls.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(trust)
    wanted = bytes((0x82, len(gateway_name))) + gateway_name.encode()  # GeneralName, dNSName

    def verify(shown, depth):
        return 0 if depth or wanted in bytes(shown) else 1

    context.verify_callback = verify
    wrapped = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
    return TlsStream(wrapped, raw)
