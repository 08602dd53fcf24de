"""The two layers of asyncio under SOCKS-TLS: the connection itself, and TLS's frames on it.

Knows the codec and asyncio; no TLS, no profiles.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from clsbench.net import socks_tls as socks
from clsbench.net.tls_buffers import SharedBuffer

_ROOM = SharedBuffer(64 * 1024)  # what is read is taken out of it before more is read


class RawSide(asyncio.BufferedProtocol):
    """The TCP connection: first one item in the clear (`item`), then bytes for `framed`."""

    def __init__(
        self,
        parse: socks.Parse,
        made: Callable[["RawSide"], None],
        lost: Callable[["RawSide"], None],
    ):
        self.item: asyncio.Future[socks.Item] = asyncio.get_running_loop().create_future()
        self.framed: FramedTransport | None = None
        self.address = ""
        self.transport = cast(asyncio.Transport, None)  # set by connection_made
        self._once = socks.Once(parse)
        self._early = b""
        self._room = memoryview(b"")
        self._made, self._lost = made, lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        self.address = f"{name[0]}:{name[1]}" if name else ""
        self._made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        self._room = _ROOM.view()
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        read = self._room[:nbytes]
        if self.framed is not None:
            self.framed.received(read)
        else:
            self._clear_received(bytes(read))

    def _clear_received(self, data: bytes) -> None:
        if self.item.done():
            self._early += data
        elif (found := self._once.feed(data)) is not None:
            self._early = self._once.rest
            self.transport.pause_reading()  # until the frames are read
            self.item.set_result(found)

    def early(self) -> bytes:
        """What came behind the item; once."""
        taken, self._early = self._early, b""
        return taken

    def eof_received(self) -> bool | None:
        return None if self.framed is None else self.framed.ended()

    def pause_writing(self) -> None:
        if self.framed is not None:
            self.framed.get_protocol().pause_writing()

    def resume_writing(self) -> None:
        if self.framed is not None:
            self.framed.get_protocol().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.item.done():
            self.item.set_exception(exc or ConnectionResetError())
            self.item.exception()  # told already, whoever waits
        if self.framed is not None:
            self.framed.get_protocol().connection_lost(exc)
        self._lost(self)

    def write(self, data: bytes) -> None:
        """Writes in the clear."""
        self.transport.write(data)

    def close(self) -> None:
        """Ends the connection when all is written."""
        self.transport.close()

    def abort(self) -> None:
        """Ends the connection now."""
        self.transport.abort()


class FramedTransport(asyncio.Transport):
    """What asyncio's TLS takes for its connection. fault: why frames ended it, or ""."""

    _start_tls_compatible = True

    def __init__(self, side: RawSide):
        super().__init__()
        self.fault = ""
        self._side = side
        self._raw = side.transport
        self._framer = socks.Framer()
        self._receiver = socks.FrameReceiver()
        self._protocol = cast(asyncio.BaseProtocol, None)  # set by start_tls
        side.framed = self

    def received(self, data: bytes | memoryview) -> None:
        """Bytes from the connection: their content goes to TLS."""
        self._give(self._receiver.parts(data))
        if self._receiver.fault is not None and not self.fault:
            self.fault = self._receiver.fault.reason
            self._raw.abort()

    def ended(self) -> bool | None:
        """The other side sends no more."""
        return self._protocol.eof_received()  # pyright: ignore[reportAttributeAccessIssue]

    def alerts(self) -> "_Alerts":
        """Where a failed handshake sends its alert."""
        return _Alerts(self)

    # of a transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._raw.write(b"".join(self._framer.parts(bytes(data))))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def pause_reading(self) -> None:
        if self._raw.is_reading():
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        if early := self._side.early():
            self.received(early)
        if not self._raw.is_closing() and not self._raw.is_reading():
            self._raw.resume_reading()

    def is_reading(self) -> bool:
        return self._raw.is_reading()

    def is_closing(self) -> bool:
        return self._raw.is_closing()

    def close(self) -> None:
        self._raw.close()

    def abort(self) -> None:
        self._raw.abort()

    def _force_close(self, exc: Exception | None) -> None:
        self._raw.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._raw.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def _give(self, parts: list[memoryview]) -> None:
        protocol = cast(asyncio.BufferedProtocol, self._protocol)
        room, filled = memoryview(b""), 0
        for part in parts:
            while part:
                if filled == len(room):
                    if filled:
                        protocol.buffer_updated(filled)
                    room, filled = memoryview(protocol.get_buffer(-1)), 0
                count = min(len(room) - filled, len(part))
                room[filled : filled + count] = part[:count]
                filled += count
                part = part[count:]
        if filled:
            protocol.buffer_updated(filled)


class _Alerts:
    """Looks to `net.tls` like the socket that an alert is sent on."""

    def __init__(self, framed: FramedTransport):
        self._framed = framed

    def send(self, data: bytes) -> int:
        """Frames and sends."""
        self._framed.write(data)
        return len(data)
