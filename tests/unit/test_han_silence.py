"""Connections in the HAN on which nothing was said yet."""

import asyncio

from aiohttp import web

from clsbench.pki.names import Peer
from clsbench.smgw.han.connection import HanServer

BOX = Peer("etst0020000017.cls", "ETST0020000017", "CLS", "ab")
REQUEST = b"GET /time HTTP/1.1\r\nHost: a\r\n\r\n"


class Transport(asyncio.Transport):
    """Keeps what is written; one that was closed tells its protocol at once."""

    def __init__(self, protocol: asyncio.BaseProtocol):
        super().__init__()
        self.protocol = protocol
        self.written = b""
        self.closed = False
        protocol.connection_made(self)

    def write(self, data) -> None:
        self.written += bytes(data)

    def writelines(self, list_of_data) -> None:
        self.write(b"".join(list_of_data))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.protocol.connection_lost(None)


def han_server() -> HanServer:
    async def answer(visitor, request: web.BaseRequest) -> web.Response:
        return web.Response(text=f"{visitor.peer.name} {request.path}")

    return HanServer(answer, lambda *told: None)


async def test_who_is_not_welcome_any_more_is_cut_before_it_says_anything():
    server = han_server()
    silent, spoken = (Transport(server.connection(BOX)) for _ in range(2))
    spoken.protocol.data_received(REQUEST[:9])
    server.close_unless(lambda peer: peer.name == BOX.name)
    assert not silent.closed and not spoken.closed
    server.close_unless(lambda peer: False)
    assert silent.closed and spoken.closed


async def test_all_are_cut_when_the_server_ends():
    server = han_server()
    silent, spoken = (Transport(server.connection(BOX)) for _ in range(2))
    spoken.protocol.data_received(REQUEST[:9])
    await server.close(0.1)
    assert silent.closed and spoken.closed


async def test_a_request_in_any_pieces_is_answered():
    server = han_server()
    made = Transport(server.connection(BOX))
    for cut in range(len(REQUEST)):
        made.protocol.data_received(REQUEST[cut : cut + 1])
    for _ in range(100):  # turns of the loop; it takes a handful
        await asyncio.sleep(0)
    assert made.written.startswith(b"HTTP/1.1 200")
    assert made.written.endswith(b"ETST0020000017 /time")
    made.close()


async def test_bytes_behind_the_end_are_not_looked_at():
    made = Transport(han_server().connection(BOX))
    first = made.protocol
    made.closed = True
    first.data_received(REQUEST)
    assert made.protocol is first and made.written == b""
    first.connection_lost(None)
